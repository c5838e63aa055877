"""The anomaly recipe: from normal recordings alone to a model that tells what is not."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from earmark.data.readers import read_manifest
from earmark.errors import OptionError, TooFewClipsError
from earmark.inference.classifier import Classifier
from earmark.model.modelfile import save
from earmark.model.verify import verify
from earmark.training.finishing import Naming
from earmark.training.recipes.anomaly import AnomalyRecipe
from earmark.training.run import Run

RATE_HZ = 16_000


def machine(seed: int, *, faulty: bool = False) -> NDArray[np.float64]:
    """Return a hum with a little noise; a faulty one squeals."""
    rng = np.random.default_rng(seed)
    time = np.arange(int(1.5 * RATE_HZ)) / RATE_HZ
    hum = sum(np.sin(2 * np.pi * 100 * n * time + rng.uniform(0, 6)) / n for n in range(1, 6))
    squeal = np.sin(2 * np.pi * 3100 * time) if faulty else 0
    return 0.1 * (np.asarray(hum) * rng.uniform(0.8, 1.2) + squeal) + rng.normal(0, 0.01, len(time))


def write(folder: Path, count: int, *, faulty: bool = False, first: int = 0) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for seed in range(first, first + count):
        soundfile.write(folder / f"{seed}.wav", machine(seed, faulty=faulty), RATE_HZ)
    return folder


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(cache=tmp_path / "cache", seed=1, validation=0.3)


def test_a_folder_of_normal_recordings_is_enough(tmp_path: Path, tiny_model: Path, run: Run) -> None:
    manifest = read_manifest(write(tmp_path / "pump", 20))
    finished = AnomalyRecipe(backbone=str(tiny_model)).finish(manifest, run, Naming(name="pump"))
    path = save(finished.model(), finished.card, tmp_path / "pump.onnx")
    assert verify(path).passed
    card = finished.card
    assert ([label.id for label in card.labels], card.calibrated, card.name) == (["anomalous"], False, "pump")
    assert card.metrics["anomalies"]["roc_auc"] is None
    assert "not known how well" in finished.held_out.notes[-1]
    classifier = Classifier.load(path)
    normal = [classifier.classify((machine(seed), RATE_HZ)).tags[0].score for seed in range(100, 110)]
    faulty = [classifier.classify((machine(seed, faulty=True), RATE_HZ)).tags[0].score for seed in range(100, 110)]
    assert max(normal) < min(faulty)
    assert min(faulty) > 0.5
    timeline = classifier.timeline((machine(5), RATE_HZ))
    np.testing.assert_allclose(timeline.novelty, timeline.scores[:, 0], atol=1e-6)
    there = np.concatenate([machine(1), machine(2, faulty=True), machine(3)])
    events = classifier.events((there, RATE_HZ)).events
    assert {event.label for event in events} == {"anomalous"}
    assert any(event.onset < 2.0 and event.offset > 2.5 for event in events)
    assert not any(event.onset < 0.6 < event.offset or event.onset < 3.8 < event.offset for event in events)


def test_known_anomalies_are_measured_on_and_not_learned_from(tmp_path: Path, tiny_model: Path, run: Run) -> None:
    data = tmp_path / "fan"
    write(data / "normal", 20)
    recipe = AnomalyRecipe(backbone=str(tiny_model))
    alone = recipe.finish(read_manifest(data), run)
    write(data / "Abnormal", 8, faulty=True, first=50)
    finished = recipe.finish(read_manifest(data), run)
    measures = finished.card.metrics["anomalies"]
    assert measures["anomalous"] == 8
    assert measures["normal"] == 6, "a share of the normal ones"
    assert measures["roc_auc"] > 0.9
    assert measures["partial_roc_auc"] > 0.8
    assert finished.tail.SerializeToString() == alone.tail.SerializeToString()
    assert len(finished.held_out.clips) == 14


def test_one_source_is_divided_by_its_clips(tmp_path: Path, tiny_model: Path, run: Run) -> None:
    folder = write(tmp_path / "mill", 6)
    rows = "".join(f"{seed}.wav,running,one day\n" for seed in range(6))
    (folder / "list.csv").write_text("path,label,group\n" + rows)
    finished = AnomalyRecipe(backbone=str(tiny_model), method="neighbours").finish(
        read_manifest(folder / "list.csv"), run
    )
    assert finished.card.training["novelty"]["method"] == "neighbours"
    assert finished.card.training["quantile"] == 0.99


def test_wrong_settings_and_data_are_refused(tmp_path: Path, tiny_model: Path, run: Run) -> None:
    with pytest.raises(OptionError, match=r"quantile=1 is not allowed"):
        AnomalyRecipe(quantile=1.0)
    write(tmp_path / "fan" / "anomaly", 3, faulty=True)
    write(tmp_path / "fan" / "normal", 1)
    with pytest.raises(TooFewClipsError, match="has 1 clips of the normal state"):
        AnomalyRecipe(backbone=str(tiny_model)).finish(read_manifest(tmp_path / "fan"), run)
