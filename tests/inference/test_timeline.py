"""Cutting sound into segments: any blocks give the same frames, every sample is scored, frames lie end to end."""

from itertools import cycle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earmark.inference.parallel import ordered_map
from earmark.inference.timeline import Segmenter, frame_edges
from tests.tinymodel import HOP, LENGTH, tiny_card

CARD = tiny_card()
lengths = st.integers(1, LENGTH + 20 * HOP)
block_sizes = st.lists(st.integers(1, 3 * LENGTH), min_size=1, max_size=8).filter(
    lambda sizes: sum(sizes) > 50 * len(sizes)
)


def segments_of(samples, sizes, *, eager):
    """Cut numbered samples, fed in blocks of the given sizes, again and again."""
    segmenter, sound, segments = Segmenter(CARD, eager=eager), np.arange(samples, dtype=np.float32), []
    position, turns = 0, cycle(sizes)
    while position < samples:
        size = next(turns)
        segments += segmenter.push(sound[position : position + size])
        position += size
    return [*segments, *segmenter.finish()]


@settings(deadline=None)
@given(lengths, block_sizes, st.booleans())
def test_any_blocks_give_every_frame_once(samples, sizes, eager):
    segments = segments_of(samples, sizes, eager=eager)
    assert [frame for s in segments for frame in range(s.first_frame, s.first_frame + s.frames)] == list(
        range(CARD.frame_count(samples))
    )
    for segment in segments:
        start = segment.first_frame * HOP
        wanted = np.arange(start, min(samples, start + LENGTH + (segment.frames - 1) * HOP), dtype=np.float32)
        np.testing.assert_array_equal(segment.waveform, wanted)
        assert CARD.frame_count(len(segment.waveform)) == segment.frames


@settings(deadline=None)
@given(lengths, block_sizes)
def test_a_file_is_cut_the_same_way_whatever_the_blocks(samples, sizes):
    one, other = (segments_of(samples, cut, eager=False) for cut in (sizes, [samples]))
    assert [(s.first_frame, s.frames) for s in one] == [(s.first_frame, s.frames) for s in other]
    assert all(segment.frames == CARD.segment_frames for segment in one[:-1])


def test_a_stream_does_not_wait():
    segmenter = Segmenter(CARD, eager=True)
    assert list(segmenter.push(np.zeros(LENGTH - 1, np.float32))) == []
    assert [segment.frames for segment in segmenter.push(np.zeros(1, np.float32))] == [1]
    assert list(segmenter.push(np.zeros(HOP - 1, np.float32))) == []
    assert [segment.first_frame for segment in segmenter.push(np.zeros(1, np.float32))] == [1]


def test_silence_of_no_samples_has_no_frames():
    assert list(Segmenter(CARD).finish()) == []


def test_edges_lie_end_to_end_around_the_centres():
    edges = frame_edges(CARD, 0, 4)
    centres = np.arange(4) * CARD.frame_hop_seconds + CARD.frame_length_seconds / 2
    np.testing.assert_allclose((edges[1:-1] + edges[2:]) / 2, centres[1:])
    assert edges[0] == 0.0
    np.testing.assert_allclose(frame_edges(CARD, 2, 2), edges[2:])
    np.testing.assert_allclose(frame_edges(CARD, 0, 4, start=5.0), edges + 5.0)


@given(st.lists(st.integers()), st.integers(1, 5))
def test_ordered_map_keeps_the_order(items, threads):
    assert list(ordered_map(lambda item: item + 1, items, threads)) == [item + 1 for item in items]


def test_ordered_map_draws_no_more_than_it_can_use():
    drawn = []

    def endless():
        for number in range(10**9):
            drawn.append(number)
            yield number

    answers = ordered_map(abs, endless(), 3)
    assert [next(answers) for _ in range(5)] == [0, 1, 2, 3, 4]
    answers.close()
    assert len(drawn) <= 5 + 2 * 3


def test_ordered_map_raises_at_the_items_place():
    answers = ordered_map(lambda item: 1 // item, [1, 1, 0, 1], 2)
    assert [next(answers), next(answers)] == [1, 1]
    with pytest.raises(ZeroDivisionError, match="division"):
        next(answers)
