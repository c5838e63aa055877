"""A decision rule with single numbers changed: a threshold that is given is that of every label."""

import pytest

from earmark.errors import OptionError
from earmark.inference.changedrule import changed_rule
from earmark.model.card import ClassRule, DecisionRule

RULE = DecisionRule(
    on=0.5, off=0.2, merge_gap_seconds=1.0, classes={"dog": ClassRule(0.8, 0.6), "cat": ClassRule(0.3, 0.1)}
)


def test_nothing_changed():
    assert changed_rule(RULE, on=None, smoothing_seconds=None) == RULE


def test_other_numbers_leave_thresholds_alone():
    changed = changed_rule(RULE, merge_gap_seconds=0.0)
    assert changed.merge_gap_seconds == 0
    assert changed.classes == RULE.classes


@pytest.mark.parametrize(
    ("given", "others", "dog", "cat"),
    [
        ({"on": 0.4}, (0.4, 0.2), (0.4, 0.4), (0.4, 0.1)),
        ({"off": 0.4}, (0.5, 0.4), (0.8, 0.4), (0.4, 0.4)),
        ({"on": 0.7, "off": 0.3}, (0.7, 0.3), (0.7, 0.3), (0.7, 0.3)),
    ],
)
def test_a_threshold_is_that_of_every_label(given, others, dog, cat):
    changed = changed_rule(RULE, **given)
    assert changed.of("bird") == ClassRule(*others)
    assert changed.of("dog") == ClassRule(*dog)
    assert changed.of("cat") == ClassRule(*cat)


@pytest.mark.parametrize("given", [{"on": 0.2, "off": 0.4}, {"on": 1.5}, {"smoothing_seconds": -1.0}])
def test_numbers_that_cannot_be(given):
    with pytest.raises(OptionError, match=r"on|smoothing"):
        changed_rule(RULE, **given)
