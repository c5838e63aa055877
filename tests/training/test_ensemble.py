"""Ensembles: one file that answers with the mean; rates, frames and labels reconciled, or refused in a sentence."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import soundfile
import soxr
from numpy.typing import NDArray
from scipy.optimize import minimize

from earmark.data.manifest import Clip, Manifest
from earmark.errors import DataError, ModelFormatError, OptionError
from earmark.evaluation.outcome import summarise
from earmark.features.nodes import Nodes
from earmark.inference.classifier import Classifier
from earmark.model.backends import Outputs, load_backend, open_session
from earmark.model.card import ClassRule, DecisionRule, Label
from earmark.model.modelfile import read_card, save
from earmark.model.verify import verify
from earmark.training.ensemble import ensemble
from earmark.training.resampling import Ratio, add_resampling
from earmark.training.scorefiles import align, read_scores
from earmark.training.weights import fit_weights
from tests.training.toymodel import SIZE, toy_model


def run(path: Path, waveform: NDArray[np.float32]) -> Outputs:
    return load_backend(path).run(waveform[None])


def noise(seconds: float, rate_hz: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(0, 0.3, round(seconds * rate_hz)).astype(np.float32)


def low_tones(seconds: float, rate_hz: int) -> NDArray[np.float32]:
    """Return the same sound at any rate."""
    time = np.arange(round(seconds * rate_hz)) / rate_hz
    sound = sum(np.sin(2 * np.pi * hz * time + hz) * (1 + np.sin(time * hz / 3)) for hz in (2, 3, 5, 7))
    return (0.1 * np.asarray(sound)).astype(np.float32)


def test_the_mean_of_two(tmp_path: Path) -> None:
    first = toy_model(tmp_path / "first.onnx", seed=1)
    second = toy_model(tmp_path / "second.onnx", seed=2, labels=("rain", "cat", "dog"), novelty=True)
    result = ensemble([first, second], tmp_path / "both.onnx")
    waveform = noise(1.3, 8000)
    one, two, both = (run(path, waveform) for path in (first, second, result.path))
    order = [1, 2, 0]
    np.testing.assert_allclose(both.clip, (one.clip + two.clip[:, order]) / 2, atol=1e-6)
    np.testing.assert_allclose(both.frames, (one.frames + two.frames[..., order]) / 2, atol=1e-6)
    assert one.embeddings is not None
    assert two.embeddings is not None
    np.testing.assert_allclose(both.embeddings, np.concatenate([one.embeddings, two.embeddings], axis=2), atol=1e-6)
    np.testing.assert_allclose(both.novelty, two.novelty, atol=1e-6)  # of the member that tells it
    assert verify(result.path).passed
    assert [label.id for label in result.card.labels] == ["cat", "dog", "rain"]
    assert (result.card.calibrated, result.card.embedding_size) == (False, 2 * SIZE)
    assert result.weights == (("first", 0.5), ("second", 0.5))
    assert "Not calibrated" in result.notes[0]
    assert result.card.training["ensemble"]["members"][1]["name"] == "second"


@pytest.mark.parametrize(
    ("task", "background"), [("single-label", False), ("single-label", True), ("multi-label", False)]
)
def test_the_geometric_mean(tmp_path: Path, task: str, background: bool) -> None:
    models = [
        toy_model(tmp_path / f"{seed}.onnx", seed=seed, task=task, background=background)  # type: ignore[arg-type]
        for seed in range(3)
    ]
    result = ensemble(models, tmp_path / "mean.onnx", method="geometric", name="three")
    waveform = noise(1.0, 8000)
    logs = np.mean([np.log(run(path, waveform).clip.astype(float)) for path in models], axis=0)
    if task == "single-label":
        expected = np.exp(logs) / (np.exp(logs).sum() + (1e-4 if background else 0))
    else:
        others = np.mean([np.log(1 - run(path, waveform).clip.astype(float)) for path in models], axis=0)
        expected = np.exp(logs) / (np.exp(logs) + np.exp(others))
    np.testing.assert_allclose(run(result.path, waveform).clip, expected, atol=1e-4)
    assert result.card.name == "three"
    assert result.card.background == background


def test_rates_and_frames_are_reconciled(tmp_path: Path) -> None:
    fast = toy_model(tmp_path / "fast.onnx", rate_hz=16_000, length=6400, hop=3200, seed=1, tones_hz=(1, 8))
    slow = toy_model(tmp_path / "slow.onnx", rate_hz=8000, length=800, hop=800, seed=2, tones_hz=(1, 8))
    result = ensemble([slow, fast], tmp_path / "both.onnx")
    assert result.card.sample_rate == 16_000
    assert result.card.frame_hop == 3200, "the least common multiple of 0.1 s and 0.2 s"
    assert verify(result.path).passed
    sounds = {rate: low_tones(2.0, rate) for rate in (8000, 16_000)}
    both, one, two = run(result.path, sounds[16_000]), run(slow, sounds[8000]), run(fast, sounds[16_000])
    np.testing.assert_allclose(both.clip, (one.clip + two.clip) / 2, atol=0.02)
    count = result.card.frame_count(32_000)
    assert both.frames.shape == (1, count, 3)
    middle = one.frames[:, 1 : 1 + 2 * (count - 2)].reshape(1, count - 2, 2, 3).mean(axis=2)  # 2 of 0.1 s for one
    np.testing.assert_allclose(both.frames[:, : count - 2], (middle + two.frames[:, : count - 2]) / 2, atol=0.05)


@pytest.mark.parametrize("rates", [(8000, 8000), (16_000, 8000), (44_100, 16_000), (22_050, 16_000)])
def test_any_cut_gives_the_same_frames(tmp_path: Path, rates: tuple[int, int]) -> None:
    """Locality, with everything that an ensemble does to time; the card's numbers of frames hold."""
    high, low = rates
    models = [
        toy_model(tmp_path / "a.onnx", rate_hz=high, length=high * 3 // 10, hop=high // 10, seed=1),
        toy_model(tmp_path / "b.onnx", rate_hz=low, length=low // 5, hop=low // 5, seed=2, novelty=True),
    ]
    path = ensemble(models, tmp_path / "both.onnx").path
    card = load_backend(path).card
    for samples in (1, card.frame_length - 1, card.frame_length + 1, 2 * high + 77):
        waveform = noise(samples / high, high, seed=samples)
        whole = run(path, waveform)
        assert whole.frames.shape[1] == card.frame_count(len(waveform))
        for start in range(1, whole.frames.shape[1]):
            rest = run(path, waveform[start * card.frame_hop :])
            np.testing.assert_allclose(rest.frames[0], whole.frames[0, start:], atol=1e-5)
            assert rest.novelty is not None
            assert whole.novelty is not None
            np.testing.assert_allclose(rest.novelty[0], whole.novelty[0, start:], atol=1e-5)


def test_an_ensemble_is_a_model_that_can_join_another(tmp_path: Path) -> None:
    models = [toy_model(tmp_path / f"{seed}.onnx", seed=seed) for seed in range(3)]
    pair = ensemble(models[:2], tmp_path / "pair.onnx")
    three = ensemble([pair.path, models[2]], tmp_path / "three.onnx")
    waveform = noise(1.0, 8000)
    clips = [run(path, waveform).clip for path in models]
    np.testing.assert_allclose(run(three.path, waveform).clip, (clips[0] + clips[1]) / 4 + clips[2] / 2, atol=1e-6)
    assert Classifier.load(three.path).classify((waveform, 8000)).tags


def test_the_rule_is_the_mean_of_the_members(tmp_path: Path) -> None:
    own = DecisionRule(on=0.6, off=0.2, smoothing_seconds=0.4, classes={"dog": ClassRule(0.8, 0.4)})
    first = toy_model(tmp_path / "first.onnx", decision=own, licence="CC BY 4.0", novelty=True, novelty_threshold=0.7)
    second = toy_model(tmp_path / "second.onnx", decision=DecisionRule(on=0.4, off=0.2), embeddings=False)
    card = ensemble([first, second], tmp_path / "both.onnx").card
    assert (card.decision.on, card.decision.off, card.decision.smoothing_seconds) == (0.5, 0.2, 0.2)
    assert card.decision.classes == {"dog": ClassRule(0.6, 0.3)}
    assert card.licence == "CC BY 4.0 and CC0"
    assert (card.novelty_threshold, card.embedding_size) == (0.7, SIZE)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"labels": ("cat", "dog", "snow")}, "'a' has the label 'rain', which 'b' does not have"),
        ({"labels": ("cat", "dog", "rain", "snow")}, "'b' has the label 'snow', which 'a' does not have"),
        ({"task": "multi-label"}, "'a' is single-label and 'b' is multi-label"),
        ({"rate_hz": 7999, "length": 1600, "hop": 800}, "stand 8000 to 7999"),
        ({"hop": 799, "length": 1598}, r"fall together only each 79\.9 s"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, changes: dict[str, object], reason: str) -> None:
    first, second = toy_model(tmp_path / "a.onnx"), toy_model(tmp_path / "b.onnx", **changes)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match=reason):
        ensemble([first, second], tmp_path / "both.onnx")
    assert not (tmp_path / "both.onnx").exists()


def test_wrong_options_are_refused(tmp_path: Path, shared: Path) -> None:
    model = toy_model(tmp_path / "a.onnx")
    output = tmp_path / "both.onnx"
    with pytest.raises(OptionError, match="two or more"):
        ensemble([model], output)
    with pytest.raises(OptionError, match="give a list"):
        ensemble(str(model), output)
    with pytest.raises(OptionError, match="'median' is not known; allowed: mean, geometric, fitted"):
        ensemble([model, model], output, method="median")  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="needs clips that no member was trained on"):
        ensemble([model, model], output, method="fitted")
    with pytest.raises(OptionError, match="1 tables of scores for 2 models"):
        ensemble([model, model], output, scores=["a.csv"])
    with pytest.raises(OptionError, match="not both"):
        ensemble([model, model], output, scores=["a.csv", "b.csv"], data=tmp_path)
    with pytest.raises(ModelFormatError, match="cannot join an ensemble"):
        ensemble([model, shared / "models/yamnet/yamnet_classification_int8.tflite"], output)


def test_labels_are_matched_by_name_too(tmp_path: Path) -> None:
    first = toy_model(tmp_path / "a.onnx", seed=1)
    named = tuple(Label(f"/m/{name}", name) for name in ("rain", "cat", "dog"))
    second = toy_model(tmp_path / "b.onnx", seed=2, labels=("rain", "cat", "dog"))
    save(onnx.load(second), replace(read_card(second), labels=named), second)
    waveform = noise(1.0, 8000)
    both = run(ensemble([first, second], tmp_path / "both.onnx").path, waveform)
    np.testing.assert_allclose(
        both.clip, (run(first, waveform).clip + run(second, waveform).clip[:, [1, 2, 0]]) / 2, atol=1e-6
    )


def clips_of(folder: Path, model: Path, count: int = 40) -> Manifest:
    """Write noises, and label each with what a model says of it."""
    backend = load_backend(model)
    clips = []
    for number in range(count):
        waveform = noise(0.5, 8000, seed=number)
        soundfile.write(folder / f"{number}.wav", waveform, 8000, subtype="FLOAT")
        best = int(backend.run(waveform[None]).clip[0].argmax())
        clips.append(Clip(folder / f"{number}.wav", (backend.card.labels[best].id,)))
    return Manifest(tuple(clips), ("cat", "dog", "rain"), str(folder), "folder")


def test_weights_and_calibration_from_clips(tmp_path: Path) -> None:
    right = toy_model(tmp_path / "right.onnx", seed=1)
    wrong = toy_model(tmp_path / "wrong.onnx", seed=5, labels=("dog", "rain", "cat"))
    result = ensemble([wrong, right], tmp_path / "both.onnx", method="fitted", data=clips_of(tmp_path, right))
    assert dict(result.weights)["right"] > 0.9
    assert result.card.calibrated
    assert result.reliability is not None
    assert verify(result.path).passed
    assert result.to_dict()["weights"][1] == {"model": "right", "weight": round(result.weights[1][1], 6)}
    assert result.card.training["ensemble"]["method"] == "fitted"


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_weights_and_calibration_from_tables(tmp_path: Path, suffix: str) -> None:
    right = toy_model(tmp_path / "right.onnx", seed=1)
    wrong = toy_model(tmp_path / "wrong.onnx", seed=5, labels=("dog", "rain", "cat"))
    manifest = clips_of(tmp_path, right)
    tables = []
    for model in (wrong, right):
        labels = [label.id for label in load_backend(model).card.labels]
        answers = [run(model, soundfile.read(clip.path, dtype="float32")[0]).clip[0] for clip in manifest.clips]
        columns = [manifest.labels.index(label) for label in labels]
        outcome = summarise(
            labels=labels,
            task="single-label",
            targets=manifest.targets()[:, columns],
            scores=np.stack(answers),
            model=model.stem,
            clips=tuple(str(clip.path) for clip in manifest.clips),
        )
        tables.append(tmp_path / f"{model.stem}.{suffix}")
        outcome.write_scores(tables[-1])
    from_tables = ensemble([wrong, right], tmp_path / "tables.onnx", method="fitted", scores=tables)
    from_clips = ensemble([wrong, right], tmp_path / "clips.onnx", method="fitted", data=manifest)
    assert from_tables.weights[0][1] == pytest.approx(from_clips.weights[0][1], abs=1e-3)
    waveform = noise(0.5, 8000, seed=99)
    np.testing.assert_allclose(run(from_tables.path, waveform).clip, run(from_clips.path, waveform).clip, atol=0.01)
    with pytest.raises(DataError, match="has no label"):
        align([read_scores(tables[0])], [["cat", "dog", "snow"]])


def test_tables_that_are_none_are_refused(tmp_path: Path) -> None:
    models = [toy_model(tmp_path / f"{seed}.onnx", seed=seed) for seed in range(2)]
    for name, rows, reason in (
        ("empty.csv", [], "no columns path, truth and score:LABEL"),
        ("other.csv", [["path", "truth", "score:cat"], ["a.wav", "cat", "0.3"]], "a cell that is no score"),
        ("short.csv", [["path", "truth", "score:cat"], ["a.wav", "[]"]], "row 2 of .* has not as many cells"),
        ("time.csv", [["path", "start", "truth", "score:cat"], ["a.wav", "soon", "[]", "0.3"]], "no time"),
    ):
        with (tmp_path / name).open("w", newline="") as file:
            csv.writer(file).writerows(rows)
        with pytest.raises(DataError, match=reason):
            ensemble(models, tmp_path / "both.onnx", scores=[tmp_path / name] * 2)
    with pytest.raises(OptionError, match=r"ends in \.parquet or \.csv"):
        read_scores(tmp_path / "scores.txt")


@pytest.mark.parametrize("task", ["single-label", "multi-label"])
def test_weights_have_the_highest_likelihood(rng: np.random.Generator, task: str) -> None:
    targets = np.eye(4, dtype=np.float32)[rng.integers(0, 4, 200)]
    logits = [rng.normal(size=(200, 4)) + strength * targets for strength in (0.5, 2.0, 1.5)]
    scores = np.stack([np.exp(rows) / np.exp(rows).sum(axis=1, keepdims=True) for rows in logits]).astype(np.float32)

    def loss(free: NDArray[np.float64]) -> float:
        weights = np.exp(free) / np.exp(free).sum()
        mean = np.tensordot(weights, scores.astype(float), 1)
        chances = (mean * targets).sum(axis=1) if task == "single-label" else np.where(targets > 0, mean, 1 - mean)
        return float(-np.log(chances).sum())

    expected = np.exp(minimize(loss, np.zeros(3), method="Nelder-Mead", options={"xatol": 1e-6, "fatol": 1e-9}).x)
    weights = fit_weights(scores, targets, task=task)  # type: ignore[arg-type]
    np.testing.assert_allclose(weights, expected / expected.sum(), atol=2e-3)
    assert weights.sum() == pytest.approx(1)


def test_resampling_is_soxrs(rng: np.random.Generator) -> None:
    for high, low in ((48_000, 16_000), (44_100, 16_000), (22_050, 16_000), (32_000, 24_000)):
        ratio = Ratio(high, low)
        nodes = Nodes()
        nodes("Identity", add_resampling(nodes, "waveform", ratio), output="low")
        session = open_session(nodes.model({"waveform": ["b", "s"]}, {"low": ["b", "t"]}).SerializeToString())
        time = np.arange(high) / high
        waveform = sum(np.sin(2 * np.pi * hz * time) for hz in (100, 1000, 0.4 * low)).astype(np.float32) / 3
        waveform *= np.hanning(len(waveform)).astype(np.float32)
        (given,) = session.run(["low"], {"waveform": waveform[None, : -ratio.down]})
        expected = soxr.resample(waveform, high, low, quality="VHQ")
        # The first output lies `margin` samples into the input: compare with the waveform moved by as much.
        moved = np.interp(np.arange(given.shape[1]) + ratio.margin * low / high, np.arange(len(expected)), expected)
        if (ratio.margin * low) % high == 0:
            np.testing.assert_allclose(given[0], moved, atol=2e-3)
        assert abs(given.shape[1] - (len(waveform) - ratio.down - 2 * ratio.margin) * low / high) <= 1
        above = np.sin(2 * np.pi * 0.62 * low * time).astype(np.float32)
        (silent,) = session.run(["low"], {"waveform": above[None]})
        assert np.abs(silent[0, 50:-200]).max() < 2e-3, "what the lower rate cannot hold is gone, not folded back"


def test_a_table_says_which_clips_were_held_out_together(tmp_path: Path) -> None:
    rows = [["path", "fold", "truth", "score:cat"], ["a.wav", "1", "[]", "0.3"], ["b.wav", "2", '["cat"]', "0.8"]]
    with (tmp_path / "scores.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    table = read_scores(tmp_path / "scores.csv")
    assert table.folds == ("1", "2")
    assert align([table, table], [["cat"], ["cat"]])[1].folds == ("1", "2")
