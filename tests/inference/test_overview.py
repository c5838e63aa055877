"""A recording at the resolution of a picture: what is kept is true, and bounded."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earmark.errors import AudioNotFoundError, LabelError
from earmark.inference.classifier import Classifier
from earmark.inference.overview import FLOOR_DB, MOST_COLUMNS, Columns, overview
from earmark.model.card import ClassRule, DecisionRule
from tests.inference.test_stream import RULE, restless

RATE_HZ = 16_000


@pytest.fixture(scope="module")
def classifier(tiny_model: Path) -> Classifier:
    return Classifier.load(tiny_model, threads=2)


@settings(max_examples=200, deadline=None)
@given(
    cuts=st.lists(st.integers(0, 40), max_size=12),
    merge=st.sampled_from([np.maximum, np.add]),
    most=st.sampled_from([2, 4, 10]),
)
def test_columns_are_the_rows_merged_evenly(cuts: list[int], merge: np.ufunc, most: int) -> None:
    rows = np.random.default_rng(3).integers(-9, 9, (sum(cuts), 2)).astype(np.float32)
    columns = Columns(merge, 2, most)
    for part in np.split(rows, np.cumsum(cuts)):
        columns.push(part)
    assert columns.rows == len(rows)
    assert len(columns.values) <= most
    assert len(rows) < most or len(columns.values) >= most // 2
    groups = [rows[first : first + columns.span] for first in range(0, len(rows), columns.span)]
    expected = [merge.reduce(group, axis=0) for group in groups]
    np.testing.assert_array_equal(columns.values, np.reshape(expected, (-1, 2)))
    assert columns.counts.tolist() == [len(group) for group in groups]


def test_a_short_recording_is_kept_whole(classifier: Classifier) -> None:
    sound = restless(6 * RATE_HZ + 77, RATE_HZ)
    view = overview(classifier, (sound, RATE_HZ), rule=RULE)
    timeline = classifier.timeline((sound, RATE_HZ))
    np.testing.assert_array_equal(view.scores, timeline.scores)
    np.testing.assert_allclose(view.score_edges, timeline.edges)
    assert view.labels == timeline.labels
    expected = classifier.events((sound, RATE_HZ), rule=RULE)
    assert view.result.events == expected.events
    assert (view.result.parameters, view.result.seconds) == (expected.parameters, expected.seconds)
    assert (view.start, view.end) == (0.0, len(sound) / RATE_HZ)


def test_the_envelope_is_that_of_the_samples(classifier: Classifier) -> None:
    sound = restless(3 * RATE_HZ + 50, RATE_HZ)
    view = overview(classifier, (sound, RATE_HZ))
    tens = [sound[begin : begin + 160] for begin in range(0, len(sound), 160)]
    whole = len(sound) // 160
    np.testing.assert_array_equal(view.envelope[:whole, 0], [part.min() for part in tens[:whole]])
    np.testing.assert_array_equal(view.envelope[:whole, 1], [part.max() for part in tens[:whole]])
    assert len(view.envelope) == len(view.spectrogram_db) == len(tens)
    np.testing.assert_allclose(view.sound_edges[:-1], 0.01 * np.arange(len(tens)))
    assert view.sound_edges[-1] == len(sound) / RATE_HZ


@pytest.mark.parametrize("hertz", [100.0, 440.0, 3_000.0, 7_500.0])
def test_the_spectrogram_shows_a_tone_where_and_when_it_is(classifier: Classifier, hertz: float) -> None:
    time = np.arange(3 * RATE_HZ) / RATE_HZ
    sound = np.where((time >= 1) & (time < 2), np.sin(2 * np.pi * hertz * time), 0.0).astype(np.float32)
    view = overview(classifier, (sound, RATE_HZ))
    low, high = view.settings.band_edges_hz[:-2], view.settings.band_edges_hz[2:]
    band = int(view.spectrogram_db[150].argmax())
    assert low[band] < hertz < high[band]
    assert view.spectrogram_db.max() == 0.0
    assert view.spectrogram_db.min() == FLOOR_DB
    loud = np.flatnonzero(view.spectrogram_db[:, band] > -3)
    assert (loud[0], loud[-1]) == (100, 199)


@pytest.mark.parametrize("rate_hz", [8_000, 22_050, 32_000, 44_100])
def test_the_spectrogram_fits_a_model_of_any_rate(rate_hz: int) -> None:
    from earmark.features.logmel import picture_settings

    settings = picture_settings(rate_hz)
    assert settings.high_hz == rate_hz / 2
    assert (settings.mel.sum(axis=0) > 0).all(), "no band is empty"


def test_a_long_recording_is_bounded_and_loses_no_peak(classifier: Classifier) -> None:
    sound = np.full(200 * RATE_HZ, 0.01, np.float32)
    sound[123 * RATE_HZ] = 0.9
    view = overview(classifier, (sound, RATE_HZ))
    assert MOST_COLUMNS / 2 <= len(view.envelope) == len(view.spectrogram_db) <= MOST_COLUMNS
    column = int(view.envelope[:, 1].argmax())
    assert view.envelope[column, 1] == np.float32(0.9)
    assert view.sound_edges[column] <= 123 < view.sound_edges[column + 1]
    # A mean, however many rows are merged: steady sound has one level.
    steady = view.spectrogram_db[: column - 5, 10]
    np.testing.assert_allclose(steady[5:], steady[5], atol=0.1)


def test_a_part_of_a_recording_keeps_its_times(classifier: Classifier) -> None:
    sound = restless(9 * RATE_HZ, RATE_HZ)
    view = overview(classifier, (sound, RATE_HZ), rule=DecisionRule(on=0.0, off=0.0), start=2.5, end=7.0)
    assert (view.start, view.end) == (2.5, 7.0)
    assert (view.sound_edges[0], view.sound_edges[-1]) == (2.5, 7.0)
    assert (view.score_edges[0], view.score_edges[-1]) == (2.5, 7.0)
    assert {(event.onset, event.offset) for event in view.result.events} == {(2.5, 7.0)}


def test_labels_are_chosen(classifier: Classifier) -> None:
    sound = restless(2 * RATE_HZ, RATE_HZ)
    view = overview(classifier, (sound, RATE_HZ), allow=["tone", "*hiss"], deny=["Tone"])
    assert [label.name for label in view.labels] == ["Noise, hiss"]
    assert view.scores.shape[1] == 1


def test_a_rule_may_name_labels(classifier: Classifier) -> None:
    sound = restless(4 * RATE_HZ, RATE_HZ)
    by_name = DecisionRule(on=1.0, off=1.0, classes={"tone": ClassRule(0.0, 0.0)})
    view = overview(classifier, (sound, RATE_HZ), rule=by_name)
    assert {event.label for event in view.result.events} == {"Tone"}
    assert view.result.events == classifier.events((sound, RATE_HZ), rule=by_name).events


def test_silence_and_the_shortest_sound(classifier: Classifier) -> None:
    silent = overview(classifier, (np.zeros(RATE_HZ, np.float32), RATE_HZ))
    assert (silent.spectrogram_db == FLOOR_DB).all()
    tiny = overview(classifier, (np.array([0.5], np.float32), RATE_HZ))
    assert tiny.envelope.tolist() == [[0.0, 0.5]]
    assert len(tiny.scores) == 1


def test_errors_are_those_of_the_classifier(classifier: Classifier, tmp_path: Path) -> None:
    with pytest.raises(AudioNotFoundError, match="nothing"):
        overview(classifier, tmp_path / "nothing.wav")
    with pytest.raises(LabelError, match="Tonne"):
        overview(classifier, tmp_path / "nothing.wav", allow=["Tonne"])
