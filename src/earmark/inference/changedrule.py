"""A decision rule with single numbers changed, as a caller asks for it."""

from dataclasses import replace
from typing import Any

from earmark.errors import CardError, OptionError
from earmark.model.card import ClassRule, DecisionRule


def changed_rule(rule: DecisionRule, **changes: float | None) -> DecisionRule:
    """Return the rule with every change that is not None.

    A threshold is that of all labels then, also of those that the rule makes exceptions for. Where only one of `on` and
    `off` is changed, to beyond the other, the other moves along.

    Parameters
    ----------
    rule : DecisionRule
        Such as the card's.
    changes : float, optional
        By the names of the rule's fields.

    Raises
    ------
    OptionError
        If a number is out of its range, or the numbers contradict each other.
    """
    given: dict[str, Any] = {name: value for name, value in changes.items() if value is not None}
    on, off = given.pop("on", None), given.pop("off", None)
    try:
        if on is not None or off is not None:
            given["on"], given["off"] = _moved(rule.on, rule.off, on, off)
            given["classes"] = {
                label: ClassRule(*_moved(own.on, own.off, on, off)) for label, own in rule.classes.items()
            }
        return replace(rule, **given)
    except CardError as error:
        raise OptionError(str(error)) from error


def _moved(own_on: float, own_off: float, on: float | None, off: float | None) -> tuple[float, float]:
    """Return thresholds in place of a rule's own: where one alone is given, beyond the other, that moves along."""
    if on is None:
        assert off is not None, "one is given"
        return max(off, own_on), off
    return on, min(on, own_off) if off is None else off
