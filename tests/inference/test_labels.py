import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earmark.errors import LabelError, OptionError
from earmark.inference.labels import select_labels, split_labels
from earmark.model.audioset import audioset_labels
from earmark.model.card import Label

NAMES = {
    "/m/09x0r": "Speech",
    "/m/0ytgt": "Child speech, kid speaking",
    "/m/015p6": "Bird",
    "/m/020bb7": "Bird vocalization, bird call, bird song",
    "/m/06mb1": "Rain",
    "/m/07r10fb": "Raindrop",
    "/t/dd00128": "Outside, urban or manmade",
    "/m/03kmc9": "Siren",
    "/x/1": "Zorn* [live]",
    "/x/2": "Ångström",
}
LABELS = tuple(Label(id_, name) for id_, name in NAMES.items())
ALL = list(NAMES.values())


def selected(allow=(), deny=()):
    return [LABELS[index].name for index in select_labels(LABELS, allow, deny)]


def test_without_entries_every_label_is_kept():
    indices = select_labels(LABELS)
    assert indices.dtype == np.intp
    assert indices.tolist() == list(range(len(LABELS)))


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("Rain", ["Rain"]),
        ("rAIN", ["Rain"]),
        (" rain ", ["Rain"]),
        ("/m/06mb1", ["Rain"]),
        ("ÅNGSTRÖM", ["Ångström"]),
        ("child speech,kid  speaking", ["Child speech, kid speaking"]),
        ("Speech*", ["Speech"]),
        ("*speech*", ["Speech", "Child speech, kid speaking"]),
        ("RAIN*", ["Rain", "Raindrop"]),
        ("?ird", ["Bird"]),
        ("[br]*", ["Bird", "Bird vocalization, bird call, bird song", "Rain", "Raindrop"]),
        ("zorn* [live]", ["Zorn* [live]"]),
    ],
)
def test_an_entry_is_a_name_an_id_or_a_wildcard(entry, expected):
    assert selected(allow=[entry]) == expected
    assert selected(allow=["*"], deny=["Speech", entry]) == [name for name in ALL[1:] if name not in expected]


def test_allow_comes_first_then_deny_and_the_order_is_that_of_the_labels():
    assert selected(["raindrop", "*bird*", "rain"], ["bird"]) == [
        "Bird vocalization, bird call, bird song",
        "Rain",
        "Raindrop",
    ]


def test_ids_are_matched_as_they_are_written():
    with pytest.raises(LabelError, match=r"no label matches '/M/06MB1'; nearest: 'Rain'"):
        selected(["/M/06MB1"])


@pytest.mark.parametrize(
    ("entry", "nearest"),
    [
        ("Rian", "nearest: 'Rain'"),
        ("brid", "nearest: 'Bird'"),
        ("*brid*", "nearest: 'Bird'"),
        ("kid speaking", "nearest: 'Child speech, kid speaking'"),
        ("bird sogn", "nearest: 'Bird vocalization, bird call, bird song'"),
        ("speec", "nearest: 'Speech', 'Child speech, kid speaking'"),
        ("xyzzy", "no label matches 'xyzzy'; 'earmark models info"),
        ("", "no label matches ''; 'earmark models info"),
        ("[*", "no label matches '[*'; 'earmark models info"),
    ],
)
def test_an_unknown_label_is_an_error_with_the_nearest_names(entry, nearest):
    with pytest.raises(LabelError, match=re.escape(nearest)) as caught:
        selected([entry])
    assert str(caught.value).startswith(f"allow: no label matches {entry!r}")
    assert str(caught.value).endswith("'earmark models info NAME --labels' lists all that the model has")


def test_an_unknown_label_to_deny_is_an_error_too():
    with pytest.raises(LabelError, match="deny: no label matches 'Sirene'; nearest: 'Siren'"):
        selected(deny=["Sirene"])


def test_nothing_left_is_an_error():
    with pytest.raises(OptionError, match=r"allow=\['rain'\] and deny=\['\*'\] leave no label"):
        selected(["rain"], ["*"])


@pytest.mark.parametrize("option", ["allow", "deny"])
def test_a_string_is_not_a_list_of_its_letters(option):
    with pytest.raises(OptionError, match=rf"{option} is the string 'Rain'; give a list of labels"):
        selected(**{option: "Rain"})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Rain", ["Rain"]),
        ("Rain,Bird", ["Rain", "Bird"]),
        (" rain , /m/0ytgt ,*bird*", ["rain", "/m/0ytgt", "*bird*"]),
        ("Child speech, kid speaking", ["Child speech, kid speaking"]),
        ("Speech,child speech,kid speaking,Rain", ["Speech", "child speech,kid speaking", "Rain"]),
        ("Bird vocalization, bird call, bird song, Bird", ["Bird vocalization, bird call, bird song", "Bird"]),
        ("Bird vocalization, bird call", ["Bird vocalization", "bird call"]),
        ("Rian, kid speaking", ["Rian", "kid speaking"]),
        (",Rain,,", ["Rain"]),
        ("", []),
    ],
)
def test_a_comma_separated_option_keeps_names_with_commas_whole(text, expected):
    assert split_labels(text, LABELS) == expected


def test_the_longest_name_wins():
    labels = [Label("1", "a"), Label("2", "a, b"), Label("3", "a, b, c"), Label("4", "c")]
    assert split_labels("a, b, c", labels) == ["a, b, c"]
    assert split_labels("a, a, b, c", labels) == ["a", "a, b, c"]
    assert split_labels("a, b, b", labels) == ["a, b", "b"]


@given(st.lists(st.sampled_from(LABELS)), st.sampled_from([",", ", ", " ,"]))
def test_names_joined_by_commas_come_apart_again(chosen, comma):
    entries = split_labels(comma.join(label.name for label in chosen), LABELS)
    assert entries == [label.name for label in chosen]
    if chosen:
        assert set(selected(entries)) == {label.name for label in chosen}


def test_all_names_and_ids_of_audioset_select_themselves():
    labels = audioset_labels()
    for index, label in enumerate(labels):
        assert select_labels(labels, [label.name.upper(), label.id]).tolist() == [index]


def test_all_names_of_audioset_survive_one_comma_separated_option():
    labels = audioset_labels()
    names = [label.name for label in labels]
    assert split_labels(",".join(names), labels) == names
    assert split_labels(", ".join(reversed(names)), labels) == names[::-1]
