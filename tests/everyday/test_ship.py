"""The model file: calibrated, with thresholds, novelty and a card, from students who know nothing."""

import numpy as np
import onnx
import pytest
import soundfile
import torch

from earmark.inference.classifier import Classifier
from earmark.model.verify import verify
from everyday.exam import ask
from everyday.familiar import learn_novelty
from everyday.labels import LABELS
from everyday.pool import EMBEDDINGS_SHAPE, Pool
from everyday.ship import Scenes, Unseen, hear_scenes, ship
from everyday.sound import Sound
from everyday.strangers import CLASSES, tell_strangers
from everyday.student import Lesson, new_student
from everyday.views import NONE, plain_view
from everyday.writing import write_students


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    """Two tones of each of six classes, and two that are none."""
    folder, rng, made = tmp_path_factory.mktemp("sounds"), np.random.default_rng(0), []
    for number, label in enumerate((*LABELS[:6], "") * 2):
        path = folder / f"{number}.wav"
        tone = np.sin(np.arange(80_000) * 0.05 * (1 + number % 7)) + 0.1 * rng.standard_normal(80_000)
        soundfile.write(path, 0.3 * tone, 16_000)
        made.append(Sound(path, label, str(number), "s", "a", "CC0", fold="1" if number < 7 else "2"))
    return made


@pytest.fixture(scope="module")
def students(tmp_path_factory, sounds):
    folder = tmp_path_factory.mktemp("students")
    for seed, name in enumerate(("all", "fold-1", "fold-2", "strangers")):
        student = new_student(seed).eval()
        torch.save(student.state_dict(), folder / f"{name}.pt")
        write_students(student, sounds, folder / name, np.random.default_rng(seed))
    return folder


@pytest.fixture(scope="module")
def pool(tmp_path_factory, sounds):
    """Plain views of the sounds."""
    made = Pool.create(tmp_path_factory.mktemp("pool"), len(sounds))
    for row, sound in enumerate(sounds):
        column = LABELS.index(sound.label) if sound.label else NONE
        view = plain_view(np.round(32_767 * sound.waveform()).astype(np.int16), column)
        logmel = new_student(0).features(torch.from_numpy(view.waveform[None])).numpy()
        made.write(row, [view], logmel, np.zeros((1, *EMBEDDINGS_SHAPE), np.float32), fold=int(sound.fold), plain=True)
    return made


def test_views_of_some_classes_are_left_out(pool):
    assert len(pool.rows()) == len(pool) == 14
    assert list(pool.rows({1})) == list(range(7))
    assert list(pool.rows({1}, without=(0, NONE))) == [1, 2, 3, 4, 5]
    assert not pool.targets[pool.rows(without=CLASSES)][:, list(CLASSES)].any()


def test_strangers_are_told_from_clips_of_known_classes(sounds, students, pool):
    """Frames of a stranger far from all that is familiar have the higher novelty: the area is that of the ranks."""
    weights = students / "strangers.pt"
    rows, rng = pool.rows(without=CLASSES), np.random.default_rng(0)
    novelty = learn_novelty(weights, weights, pool, rows, fold=1, rng=rng)
    answers = ask(students / "strangers-float.onnx", sounds)
    asked = [float(novelty.apply(frames).mean()) for frames in answers.embeddings]
    strange = [value for value, column in zip(asked, answers.columns, strict=True) if column in CLASSES]
    familiar = [value for value, column in zip(asked, answers.columns, strict=True) if column not in CLASSES]
    wins = np.mean([(one > other) + 0.5 * (one == other) for one in strange for other in familiar])
    assert tell_strangers(students, pool, sounds, np.random.default_rng(0)) == pytest.approx(wins)


def test_the_model_file(tmp_path, sounds, students, pool):
    rng, parts, scenes = np.random.default_rng(0), [], []
    for fold in "12":
        unheard = [sound for sound in sounds if sound.fold == fold]
        parts.append(Unseen(unheard, ask(students / f"fold-{fold}.onnx", unheard), (fold,) * len(unheard)))
        scenes.append(hear_scenes(students / f"fold-{fold}.onnx", unheard, 3, rng))
    unseen = Unseen.joined(parts)
    assert [sound.path.name for sound in unseen.sounds] == [f"{number}.wav" for number in range(14)]
    novelty = learn_novelty(students / "all.pt", students / "fold-1.pt", pool, pool.rows(), fold=1, rng=rng)
    model, lesson = onnx.load(students / "all.onnx"), Lesson(views=1)
    path = ship(model, unseen, Scenes.joined(scenes), novelty, path=tmp_path / "everyday.onnx", lesson=lesson)
    assert verify(path).passed
    classifier = Classifier.load(path)
    card = classifier.card
    assert [label.id for label in card.labels] == list(LABELS)
    assert card.calibrated
    assert card.background
    assert card.novelty_threshold == novelty.threshold
    assert card.training["lesson"]["views"] == 1
    assert "had not heard" in card.metrics["unseen_folds"]["notes"][0]
    result = classifier.classify(sounds[0].path, top_k=60)
    assert len(result.tags) == len(LABELS)
    assert 0 < sum(tag.score for tag in result.tags) <= 1 + 1e-5
