"""Teacher and student on a pool of made-up views: what is taught is learned, and files say what the network says."""

import numpy as np
import pytest
import torch

from earmark.model.backends import open_session
from everyday.exam import ask
from everyday.labels import LABELS, SILENCE
from everyday.pool import Pool
from everyday.sound import Sound
from everyday.student import Lesson, frame_centres, level_classes, new_student, teach
from everyday.teacher import Teacher
from everyday.views import NONE, SAMPLES, View
from everyday.writing import write_students

KINDS = 3
VIEWS = 96


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    """Views of three tones, of which the teacher's embeddings say which tone it is."""
    made = Pool.create(tmp_path_factory.mktemp("pool"), VIEWS)
    rng, front = np.random.default_rng(0), new_student(0)
    for row in range(VIEWS):
        kind = row % KINDS
        waveform = np.sin(2 * np.pi * (300 * 4**kind) * np.arange(SAMPLES) / 16_000 + rng.uniform(0, 6)) * rng.uniform(
            0.1, 1
        )
        view = View(waveform.astype(np.float32), np.eye(NONE + 1, dtype=np.float32)[kind])
        embeddings = np.abs(rng.standard_normal((1, 10, 1024))) + 2 * (np.arange(1024) % KINDS == kind)
        logmel = front.features(torch.from_numpy(view.waveform[None])).numpy()
        made.write(row, [view], logmel, embeddings.astype(np.float32), fold=1 + row % 2, plain=row < 30)
    return made


@pytest.fixture(scope="module")
def teacher(pool):
    return Teacher(pool, pool.rows({1, 2}), frame_centres(new_student(0)), seed=0)


def test_the_teacher_knows_its_views(pool, teacher):
    teaching = teacher.teach(pool.embeddings[:9])
    assert teaching.clip.shape == (9, NONE + 1)
    assert teaching.frames.shape == (9, 12, NONE + 1)
    np.testing.assert_allclose(teaching.clip.sum(dim=1), 1, rtol=1e-5)
    assert teaching.clip.argmax(dim=1).tolist() == [0, 1, 2] * 3


@pytest.fixture(scope="module")
def student(pool, teacher):
    lesson = Lesson(views=40 * 6, batch_size=6, average=0.8)
    return teach(pool, pool.rows({1, 2}), teacher, lesson, lambda _: None)


def test_the_student_learns(pool, student):
    with torch.no_grad():
        logits = student.predict(student.embed(torch.from_numpy(pool.logmel[:9].astype(np.float32)))).clip
    assert logits.argmax(dim=1).tolist() == [0, 1, 2] * 3


def test_classes_are_levelled(pool):
    """Of two classes the one with four times the views loses half of that; one without views is left alone."""
    student = new_student(0)
    before = student.head.classifier.bias.detach().clone()
    rows = np.concatenate([np.arange(0, VIEWS, KINDS)[:16], np.arange(1, VIEWS, KINDS)[:4]])
    level_classes(student, pool, rows)
    change = (student.head.classifier.bias.detach() - before).numpy()
    assert change[1] - change[0] == pytest.approx(np.log(2), rel=1e-5)
    assert change[2] == 0


def test_the_files_say_what_the_student_says(tmp_path, pool, student):
    """Eight bits included; the front end is inside."""
    import soundfile

    sounds = []
    for kind in range(KINDS):
        waveform = 0.5 * np.sin(2 * np.pi * (300 * 4**kind) * np.arange(80_000) / 16_000)
        soundfile.write(tmp_path / f"{kind}.wav", waveform, 16_000, subtype="PCM_16")
        sounds.append(Sound(tmp_path / f"{kind}.wav", LABELS[kind], "g", "s", "a", "CC0"))
    write_students(student, sounds, tmp_path / "student", np.random.default_rng(0))
    waveform = torch.from_numpy(sounds[1].waveform()[None])
    with torch.no_grad():
        expected = student(waveform).clip.softmax(dim=-1)[:, :-1].numpy()
    (found,) = open_session(tmp_path / "student-float.onnx").run(["clip"], {"waveform": waveform.numpy()})
    np.testing.assert_allclose(found, expected, atol=1e-4)
    answers = ask(tmp_path / "student.onnx", sounds)
    assert answers.accuracy == 1
    np.testing.assert_allclose(answers.clip[1], expected[0], atol=0.1)
    assert (tmp_path / "student.onnx").stat().st_size < 0.4 * (tmp_path / "student-float.onnx").stat().st_size


def test_the_labels():
    assert len(LABELS) == len(set(LABELS)) == 53
    assert LABELS[-1] == SILENCE
