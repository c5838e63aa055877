"""Embeddings of clips and their cache: exact, made once, and safe from kills, damage and company."""

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import soundfile

from earmark.data.manifest import Clip, Manifest
from earmark.errors import AudioError, AudioNotFoundError, ModelError, OutputError
from earmark.inference.classifier import Classifier
from earmark.model.backends import load_backend, open_session
from earmark.training.backbone import Backbone
from earmark.training.embeddingcache import EmbeddingCache, entry_key
from earmark.training.embeddings import _digest_of, embed_clips
from earmark.training.run import Run
from tests.training.toyclips import RATE_HZ, toy_manifest
from tests.training.toymodel import toy_model

# Embeds the clips of a folder slowly, as a program of its own.
PROGRAM = """
import sys, time
from pathlib import Path
from earmark.data.manifest import Clip, Manifest
from earmark.inference.classifier import Classifier
from earmark.training.embeddings import embed_clips
from earmark.training.run import Run

clips, model, cache, pause = sys.argv[1:]
plain = Classifier.embed
def slow(self, *arguments, **options):
    time.sleep(float(pause))
    return plain(self, *arguments, **options)
Classifier.embed = slow
manifest = Manifest.of([Clip(path, ("a",)) for path in sorted(Path(clips).glob("*.wav"))], source="", layout="folder")
print("embedding", flush=True)
print(len(embed_clips(manifest, model, Run(cache=Path(cache))).embeddings), flush=True)
"""


def program(clips: Path, model: Path, cache: Path, pause_seconds: float) -> subprocess.Popen[str]:
    arguments = [sys.executable, "-c", PROGRAM, str(clips), str(model), str(cache), str(pause_seconds)]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)


def entries(cache: Path) -> list[Path]:
    return sorted(path for path in (cache / "embeddings").glob("*/*/*") if not path.name.startswith("."))


def count_calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that grows by a file name with each clip that is embedded."""
    calls: list[str] = []
    plain = Classifier.embed

    def counted(self: Classifier, source: Path, **options: float) -> object:
        calls.append(Path(source).name)
        return plain(self, source, **options)

    monkeypatch.setattr(Classifier, "embed", counted)
    return calls


@pytest.fixture
def clips(tmp_path: Path) -> Manifest:
    folder = tmp_path / "clips"
    folder.mkdir()
    return toy_manifest(folder, each=4)


def test_frames_are_those_of_the_model_file(clips: Manifest, tiny_model: Path, tmp_path: Path) -> None:
    whole, part = clips.clips[0], replace(clips.clips[0], start_seconds=0.21, end_seconds=0.7)
    manifest = replace(clips, clips=(part, *clips.clips, whole))
    embedded = embed_clips(manifest, tiny_model, Run(cache=tmp_path))
    classifier = Classifier.load(tiny_model, threads=1)
    for clip, found in zip(manifest.clips, embedded.embeddings, strict=True):
        wanted = classifier.embed(clip.path, start=clip.start_seconds or 0.0, end=clip.end_seconds).embeddings
        np.testing.assert_array_equal(found, wanted)
    assert len(embedded.embeddings[0]) < len(embedded.embeddings[1])
    card = classifier.card
    assert (embedded.frame_length, embedded.frame_hop) == (card.frame_length, card.frame_hop)
    assert (embedded.sample_rate_hz, embedded.embedding_size) == (card.sample_rate, card.embedding_size)


def test_nothing_is_computed_twice(
    clips: Manifest, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(cache=tmp_path)
    first = embed_clips(clips, tiny_model, run)
    calls = count_calls(monkeypatch)
    again = embed_clips(clips, tiny_model, run)
    assert not calls
    for one, other in zip(first.embeddings, again.embeddings, strict=True):
        np.testing.assert_array_equal(one, other)
        assert other.dtype == np.float32


def test_what_counts_is_what_the_file_holds(
    clips: Manifest, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(cache=tmp_path)
    embed_clips(clips, tiny_model, run)
    moved = tmp_path / "other name.wav"
    shutil.copy(clips.clips[3].path, moved)
    shutil.copy(clips.clips[1].path, clips.clips[0].path)
    calls = count_calls(monkeypatch)
    embed_clips(replace(clips, clips=(*clips.clips, Clip(moved, ("low",)))), tiny_model, run)
    assert not calls
    embed_clips(clips.select([0]), toy_model(tmp_path / "another.onnx"), run)
    assert calls == [clips.clips[0].path.name]


def test_folds_read_a_file_and_the_backbone_once(clips: Manifest, tiny_model: Path, tmp_path: Path) -> None:
    run = Run(cache=tmp_path)
    embed_clips(clips, tiny_model, run)
    before = _digest_of.cache_info().misses
    embed_clips(clips, tiny_model, run)
    assert _digest_of.cache_info().misses == before
    assert Backbone.load(tiny_model).classifier is Backbone.load(tiny_model).classifier
    clips.clips[0].path.touch()
    embed_clips(clips, tiny_model, run)
    assert _digest_of.cache_info().misses == before + 1


@pytest.mark.parametrize("damage", ["cut", "bit", "empty", "odd"])
def test_a_damaged_entry_is_computed_again(
    clips: Manifest, tiny_model: Path, tmp_path: Path, damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(cache=tmp_path)
    wanted = embed_clips(clips, tiny_model, run)
    victim = entries(tmp_path)[2]
    data = bytearray(victim.read_bytes())
    data[20] ^= damage == "bit"
    victim.write_bytes({"cut": data[:-64], "empty": b"", "odd": data[:-3]}.get(damage, data))
    calls = count_calls(monkeypatch)
    found = embed_clips(clips, tiny_model, run)
    assert len(calls) == 1
    for one, other in zip(wanted.embeddings, found.embeddings, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL on Windows")
def test_a_kill_loses_nothing_that_was_done(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, cache = tmp_path / "clips", tmp_path / "cache"
    folder.mkdir()
    clips = toy_manifest(folder, each=14)
    child = program(folder, tiny_model, cache, 0.03)
    deadline = time.monotonic() + 60
    while len(entries(cache)) < 6 and time.monotonic() < deadline:
        time.sleep(0.005)
    child.send_signal(signal.SIGKILL)
    child.communicate()
    assert child.returncode == -signal.SIGKILL
    done = {path: path.read_bytes() for path in entries(cache)}
    assert 6 <= len(done) < len(clips)
    calls = count_calls(monkeypatch)
    found = embed_clips(clips, tiny_model, Run(cache=cache))
    assert len(calls) == len(clips) - len(done)
    assert all(path.read_bytes() == data for path, data in done.items())
    fresh = embed_clips(clips, tiny_model, Run(cache=tmp_path / "fresh"))
    for one, other in zip(found.embeddings, fresh.embeddings, strict=True):
        np.testing.assert_array_equal(one, other)


def test_two_processes_may_fill_one_cache(clips: Manifest, tiny_model: Path, tmp_path: Path) -> None:
    folder, cache = clips.clips[0].path.parent, tmp_path / "cache"
    both = [program(folder, tiny_model, cache, 0.01) for _ in range(2)]
    for child in both:
        printed, _ = child.communicate(timeout=60)
        assert (child.returncode, printed.split()) == (0, ["embedding", str(len(clips))])
    assert len(entries(cache)) == len(clips)


def test_leftovers_of_a_kill_are_swept_after_a_day(tmp_path: Path) -> None:
    cache = EmbeddingCache(tmp_path, "abc", 4)
    key = entry_key("00", None, None)
    cache.write(key, np.ones((2, 4), np.float32))
    old, new = (cache.path(key).with_name(name) for name in (".old", ".new"))
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))
    np.testing.assert_array_equal(EmbeddingCache(tmp_path, "abc", 4).read(key), np.ones((2, 4)))
    assert not old.exists()
    assert new.exists()


def test_keys_tell_parts_and_contents_apart() -> None:
    keys = [entry_key(sha, start, end) for sha in "ab" for start in (None, 0.5) for end in (None, 2.0, 2.5)]
    assert len(set(keys)) == len(keys)
    assert entry_key("a", None, None) == entry_key("a", 0, None)


def test_progress_is_told_every_two_seconds_at_most(
    clips: Manifest, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(np.arange(0.0, 100.0, 0.5))
    monkeypatch.setattr("earmark.training.pace.time.monotonic", lambda: next(clock))
    lines: list[str] = []
    embed_clips(clips, tiny_model, Run(cache=tmp_path, report=lines.append))
    assert [line for line in lines if line.startswith("embedded")] == [
        f"embedded {count} of 12 clips" for count in (4, 8, 12)
    ]


def test_what_comes_from_the_cache_is_told(clips: Manifest, tiny_model: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    embed_clips(clips.select(range(5)), tiny_model, Run(cache=tmp_path))
    embed_clips(clips, tiny_model, Run(cache=tmp_path, report=lines.append))
    assert lines[-1] == "embedded 7 of 7 clips; 5 more are in the cache"


def test_a_model_without_embeddings_is_no_backbone(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="'mute' gives no embeddings, so it cannot be a backbone"):
        Backbone.load(toy_model(tmp_path / "mute.onnx", embeddings=False))


def test_a_clip_that_went_away_is_named(clips: Manifest, tiny_model: Path, tmp_path: Path) -> None:
    clips.clips[1].path.unlink()
    with pytest.raises(AudioNotFoundError, match=clips.clips[1].path.name):
        embed_clips(clips, tiny_model, Run(cache=tmp_path))


def test_a_cache_that_cannot_be_written_is_told(clips: Manifest, tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match="cannot write to the cache folder"):
        embed_clips(clips, tiny_model, Run(cache=tmp_path / "file"))


def test_the_trunk_is_the_way_to_the_embeddings_alone(tiny_model: Path, rng: np.random.Generator) -> None:
    trunk = Backbone.load(tiny_model).trunk()
    assert [output.name for output in trunk.graph.output] == ["embeddings"]
    assert not trunk.metadata_props
    assert "Sigmoid" not in {node.op_type for node in trunk.graph.node}
    waveforms = rng.uniform(-0.5, 0.5, (2, 20_000)).astype(np.float32)
    found = open_session(trunk.SerializeToString()).run(["embeddings"], {"waveform": waveforms})[0]
    np.testing.assert_allclose(found, load_backend(tiny_model).run(waveforms).embeddings, atol=1e-6)


def test_the_trunk_of_an_int8_model(yamnet_int8: Path, rng: np.random.Generator) -> None:
    trunk = Backbone.load(yamnet_int8).trunk()
    assert trunk.ByteSize() < yamnet_int8.stat().st_size
    onnx.checker.check_model(trunk)
    waveforms = rng.uniform(-0.5, 0.5, (1, 30_000)).astype(np.float32)
    found = open_session(trunk.SerializeToString()).run(["embeddings"], {"waveform": waveforms})[0]
    np.testing.assert_array_equal(found, load_backend(yamnet_int8).run(waveforms).embeddings)


def test_a_clip_too_loud_for_a_float_is_named(tiny_model: Path, tmp_path: Path) -> None:
    loud = tmp_path / "loud.wav"
    soundfile.write(loud, np.full(RATE_HZ, 1e30, np.float32), RATE_HZ, subtype="FLOAT")
    manifest = Manifest.of([Clip(loud, ("x",))], source="loud", layout="csv")
    with pytest.raises(AudioError, match=r"loud\.wav gives embeddings that are not finite"):
        embed_clips(manifest, str(tiny_model), Run(cache=tmp_path))
    assert not list((tmp_path / "embeddings").rglob("*.*"))
