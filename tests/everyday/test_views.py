"""Views: mixed from one fold, at any level, with shares that add up; and the pool that keeps them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from everyday.pool import COMMON_FOLD, Pool, in_batches
from everyday.views import NONE, SAMPLES, Heap, draw_common_view, draw_view, plain_view

OWN, COMMON = (3, 7), 50


def tone(hertz, seconds=1.0, level=0.5):
    times = np.arange(int(16_000 * seconds)) / 16_000
    return np.round(32_767 * level * np.sin(2 * np.pi * hertz * times)).astype(np.int16)


@pytest.fixture(scope="module")
def heaps():
    own = Heap([tone(300), tone(2_000, 7.0)], np.array(OWN))
    common = Heap([tone(900, 0.2)], np.array([COMMON]))
    noise = np.random.default_rng(0).integers(-900, 900, 90_000).astype(np.int16)
    return own, common, Heap([noise], np.array([NONE]))


@given(seed=st.integers(0, 2**32 - 1))
@hypothesis_settings(max_examples=40, deadline=None)
def test_a_view(heaps, seed):
    view = draw_view(*heaps, np.random.default_rng(seed))
    assert view.waveform.shape == (SAMPLES,)
    assert view.waveform.dtype == np.float32
    assert np.isfinite(view.waveform).all()
    assert np.abs(view.waveform).max() <= 1
    assert view.target.sum() == pytest.approx(1, abs=1e-6)
    assert set(np.flatnonzero(view.target)) <= {*OWN, COMMON}, "backgrounds have no share"
    assert view.target[list(OWN)].sum() > 0.2


def test_the_same_seed_draws_the_same_view(heaps):
    first, second = (draw_view(*heaps, np.random.default_rng(4)).waveform for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_a_view_of_no_fold(heaps):
    _, common, noises = heaps
    assert draw_common_view(common, noises, np.random.default_rng(0)).target[COMMON] == 1


def test_a_plain_view_is_the_clip():
    clip = tone(440, 2.0)
    view = plain_view(clip, 9)
    np.testing.assert_allclose(view.waveform[: len(clip)], clip / 32_768, atol=1e-6)
    assert not view.waveform[len(clip) :].any()
    assert view.target[9] == 1


def test_the_pool_keeps_what_is_written(tmp_path, heaps):
    pool = Pool.create(tmp_path, 4)
    rng = np.random.default_rng(1)
    logmel = rng.standard_normal((2, 251, 64)).astype(np.float32)
    embeddings = rng.standard_normal((2, 10, 1024)).astype(np.float32)
    views = [draw_view(*heaps, rng) for _ in range(2)]
    pool.write(0, views, logmel, embeddings, fold=2, plain=False)
    pool.write(2, views, logmel, embeddings, fold=COMMON_FOLD, plain=True)
    kept = Pool.open(tmp_path)
    assert kept.rows({2}).tolist() == [0, 1]
    assert kept.rows({2, COMMON_FOLD}).tolist() == [0, 1, 2, 3]
    np.testing.assert_allclose(kept.logmel[1], logmel[1], rtol=1e-3)
    np.testing.assert_allclose(kept.targets[:2], [view.target for view in views])
    assert kept.plain.tolist() == [False, False, True, True]
    assert np.abs(views[0].waveform).max() == pytest.approx(kept.peaks[0].max(), rel=1e-3)


def test_batches_are_whole_and_hold_each_row_once():
    batches = list(in_batches(np.arange(10), 4, np.random.default_rng(0)))
    assert [len(batch) for batch in batches] == [4, 4]
    assert len(set(np.concatenate(batches))) == 8
