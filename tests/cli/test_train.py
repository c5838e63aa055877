"""train and crossval: from a folder of clips to a model file, and to honest figures."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from earmark.cli import train
from earmark.cli.app import app
from earmark.inference.classifier import Classifier
from earmark.model.modelfile import read_card
from earmark.model.verify import verify
from tests.cli.command import PROGRAM, Done, Here
from tests.training.toyclips import write_toy_folders

TINY = '{"widths": [8, 8], "bands": 16}'
CNN = (
    "--recipe",
    "cnn",
    "--batch-size",
    8,
    "--accelerator",
    "cpu",
    "--precision",
    "32-true",
    "--set",
    f"options={TINY}",
)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of clips; nothing is written there."""
    return write_toy_folders(tmp_path_factory.mktemp("data") / "clips", ("high", "low", ""), each=6)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in an empty folder, and have typed something."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["earmark", "typed"])
    return tmp_path


def words(*given: object) -> list[str]:
    return [str(word) for word in given]


def progress_of(done: Done) -> list[str]:
    """Return the lines of progress, without their times."""
    return [line[11:] for line in done.err.splitlines() if not line.startswith("earmark: ")]


def complaints_of(done: Done) -> list[str]:
    return [line.removeprefix("earmark: ") for line in done.err.splitlines() if line.startswith("earmark: ")]


def test_train_for_people(clips: Path, tiny_model: Path, desk: Path, here: Here) -> None:
    done = here("train", clips, "-o", "my model.onnx", "--backbone", tiny_model, "--report", "page.html")
    assert done.status == 0, done.err
    lines = done.out.splitlines()
    assert lines[0].startswith("my model 1  18 clips of ")
    assert any(line.startswith("  note: Clips held out of the training") for line in lines)
    assert lines[-1].startswith("my model.onnx: 2 classes, ")
    assert lines[-1].endswith("Try: earmark classify --model 'my model.onnx' FILE")
    assert complaints_of(done) == []
    assert progress_of(done)[:2] == ["loading what the recipe head needs", "training head on 18 clips, 2 classes"]
    assert verify(desk / "my model.onnx").passed
    page = (desk / "page.html").read_text(encoding="utf-8")
    assert "earmark typed" in page


def test_train_for_programs(clips: Path, tiny_model: Path, desk: Path, here: Here) -> None:
    done = here(
        "train", clips, "-o", "m.onnx", "--backbone", tiny_model, "--head", "svm-linear", "--name", "x", "--json"
    )
    (told,) = done.objects
    assert (told["model"], told["name"], told["labels"]) == ("m.onnx", "x", ["high", "low"])
    assert told["held_out"]["command"] == "earmark typed"
    assert told["novelty_threshold"] == read_card(desk / "m.onnx").novelty_threshold
    assert read_card(desk / "m.onnx").training["head"] == "svm-linear"


def test_then_evaluate_and_classify(clips: Path, tiny_model: Path, desk: Path, here: Here) -> None:
    assert here("train", clips, "--backbone", tiny_model).status == 0
    measured = here("evaluate", "model.onnx", clips)
    assert (measured.status, measured.err) == (0, "")
    assert "ROC-AUC of none of these" in measured.out
    assert "trained on this very list" in " ".join(measured.out.split())
    heard = here("classify", "--model", "model.onnx", clips / "high" / "0.wav")
    assert heard.status == 0
    assert "high" in heard.out or "none of these" in heard.out


def test_a_corrupt_clip_is_told_and_the_model_is_written(tiny_model: Path, desk: Path, here: Here) -> None:
    write_toy_folders(desk / "clips", ("high", "low"), each=4)
    (desk / "clips" / "low" / "bad.wav").write_bytes(b"no sound in here")
    for command, files in (("train", ["-o", "m.onnx"]), ("crossval", ["--scores", "scores.csv"])):
        done = here(command, "clips", "--backbone", tiny_model, *files)
        assert done.status == 1
        first, last = complaints_of(done)
        assert "bad.wav" in first
        written = "; m.onnx is written without, and the exit status is 1" if command == "train" else ""
        assert last == f"1 clip could not be read: left out{written}"
    assert verify(desk / "m.onnx").passed
    assert len((desk / "scores.csv").read_text().splitlines()) == 9


def test_crossval(clips: Path, tiny_model: Path, desk: Path, here: Here) -> None:
    import pyarrow.parquet

    done = here(
        "crossval", clips, "--backbone", tiny_model, "--folds", 3, "--scores", "s.parquet", "--report", "r.html"
    )
    assert done.status == 0, done.err
    lines = done.out.splitlines()
    assert lines[0].startswith("recipe head, cross-validated  18 clips of ")
    assert "over 3 folds" in lines[1]
    assert any(line.startswith("  Clips of no label answered so") for line in lines)
    table = pyarrow.parquet.read_table(desk / "s.parquet").to_pydict()
    assert set(table) == {"path", "fold", "truth", "novelty", "score:high", "score:low"}
    assert len(set(table["path"])) == 18
    sums = np.array(table["score:high"]) + np.array(table["score:low"])
    assert (sums < 1).all()
    assert "earmark typed" in (desk / "r.html").read_text(encoding="utf-8")


def test_crossval_for_programs(clips: Path, tiny_model: Path, desk: Path, here: Here) -> None:
    done = here("crossval", clips, "--backbone", tiny_model, "--only", "1", "--only", "2", "--json")
    (told,) = done.objects
    assert told["folds"] == ["1", "2"]
    assert told["command"] == "earmark typed"
    assert told["notes"] == ["Of 5 folds only 1, 2."]


def test_several_labels_from_a_list(clips: Path, tiny_model: Path, desk: Path, here: Here) -> None:
    rows = [f"{clips}/high/{n}.wav,high" for n in range(6)] + [f"{clips}/low/{n}.wav,low;deep" for n in range(6)]
    (desk / "list.csv").write_text("\n".join(["path,label", *rows]), encoding="utf-8")
    assert here("train", "list.csv", "--backbone", tiny_model).status == 0
    card = read_card(desk / "model.onnx")
    assert (card.task, [label.name for label in card.labels]) == ("multi-label", ["deep", "high", "low"])
    done = here("classify", "--model", "model.onnx", clips / "low" / "0.wav", "--novelty", "ignore")
    assert "deep" in done.out


@pytest.mark.parametrize(
    ("given", "status", "message"),
    [
        (["--recipe", "magic"], 2, "recipe 'magic' is not known; allowed: head, "),
        (["--set", "pooling"], 2, "--set pooling is not allowed: write NAME=VALUE"),
        (["--set", "=3"], 2, "--set =3 is not allowed: write NAME=VALUE"),
        (["--set", "colour=red"], 2, "recipe 'head' has no setting 'colour'; it has: backbone, "),
        (["--epochs", "3"], 2, "recipe 'head' has no setting 'epochs': it is one of finetune, cnn, wave, attention"),
        (["--head", "tail"], 2, "tail"),
        (["--recipe", "cnn", "--set", "average=x"], 2, "average='x' is not allowed for recipe 'cnn': give a number"),
        (["--recipe", "cnn", "--network", "net"], 2, "network 'net' is not known"),
        (["--recipe", "cnn", "--augment", "loud"], 2, "augmentation 'loud' is not known"),
        (["--precision", "8-bit"], 2, "precision='8-bit' is not allowed for a training: give auto, 32-true"),
        ([*CNN, "--accelerator", "abacus"], 2, "accelerator='abacus', devices='auto', nodes=1 is not possible here"),
        ([*CNN, "--devices", "many"], 2, "accelerator='cpu', devices='many', nodes=1 is not possible here"),
        (["--validation", "0.9"], 2, "validation=0.9 is not allowed"),
        (["--max-time", "-1"], 2, "max_time_seconds=-1 is not allowed"),
        (["--resume"], 2, "--resume needs --folder"),
        (["--layout", "heap"], 2, "layout 'heap' is not known"),
        (["--backbone", "nothing"], 2, "no model called 'nothing' is known"),
        (["--backbone", "nothing.onnx"], 1, "nothing.onnx"),
        (["-o", "model.pt"], 1, "model.pt does not end in .onnx"),
        (["-o", "missing/model.onnx"], 1, "there is no folder missing"),
        (["--report", "missing/page.html"], 1, "there is no folder missing"),
    ],
)
def test_what_is_refused(given: list[str], status: int, message: str, clips: Path, desk: Path, here: Here) -> None:
    done = here("train", clips, *given)
    (told,) = complaints_of(done)
    assert message in told
    assert (done.status, done.out) == (status, "")
    assert not list(desk.glob("*.onnx"))


def test_what_is_odd_about_the_clips_is_told(clips: Path, tiny_model: Path, desk: Path, here: Here) -> None:
    write_toy_folders(desk / "clips", ("high", "low"), each=4)
    shutil.copy(desk / "clips" / "high" / "0.wav", desk / "clips" / "low" / "again.wav")
    rows = [f"clips/{label}/{n}.wav,{label}" for label in ("high", "low") for n in range(4)]
    (desk / "list.csv").write_text("\n".join(["path,what", *rows, "clips/low/again.wav,"]), encoding="utf-8")
    done = here("train", "list.csv", "--columns", "label=what", "--backbone", tiny_model, "--json")
    notes = [line.removeprefix("note: ") for line in progress_of(done) if line.startswith("note: ")]
    assert notes[0].startswith("1 row has no label in list.csv: ")
    assert notes[1] == "1 file is there more than once, 1 under labels that differ: see `earmark data list.csv`"
    assert set(notes) <= set(done.objects[0]["held_out"]["notes"])
    done = here("crossval", "clips", "--backbone", tiny_model, "--folds", 2, "--json")
    assert any("under labels that differ: see `earmark data clips`" in note for note in done.objects[0]["notes"])


def test_scores_that_could_not_be_written_are_refused_at_once(clips: Path, desk: Path, here: Here) -> None:
    for place, status in (("scores.txt", 2), ("missing/scores.csv", 1)):
        done = here("crossval", clips, "--scores", place)
        assert (done.status, progress_of(done)) == (status, [])


def test_troubles_with_the_data(tiny_model: Path, desk: Path, here: Here) -> None:
    (desk / "empty").mkdir()
    write_toy_folders(desk / "few", ("high", "low"), each=3)
    write_toy_folders(desk / "few", ("hiss",), each=1)
    write_toy_folders(desk / "taken", ("high", "low"), each=2)
    (desk / "taken" / "high").rename(desk / "taken" / "none_of_these")
    for command in ("train", "crossval"):
        for folder, message in (("empty", "empty holds no clips"), ("few", "'hiss' (1)"), ("taken", "'none_of_these'")):
            done = here(command, folder, "--backbone", tiny_model)
            (told,) = complaints_of(done)
            assert message in told
            assert done.status == 1


def test_of_several_processes_only_the_first_speaks(
    clips: Path, tiny_model: Path, desk: Path, here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCAL_RANK", "1")
    for command in (["train", clips, "--report", "r.html"], ["crossval", clips, "--scores", "s.csv", "--json"]):
        done = here(*command, "--backbone", tiny_model)
        assert (done.status, done.out, done.err) == (0, "", "")
    assert list(desk.iterdir()) == []


class LastLine:
    """Progress that ends the program after the second epoch."""

    def __init__(self, recipe: str) -> None:
        assert recipe == "cnn"

    def __call__(self, line: str) -> None:
        if line.startswith("epoch 2/"):
            raise ZeroDivisionError


def test_a_training_that_broke_goes_on_where_it_was(
    clips: Path, desk: Path, here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ("train", clips, *CNN, "--epochs", 4, "--folder", "runs")
    with monkeypatch.context() as broken:
        broken.setattr(train, "_Lines", LastLine)
        with pytest.raises(ZeroDivisionError):
            app([*map(str, options), "-o", "killed.onnx"])
    assert not (desk / "killed.onnx").exists()
    resumed = here(*options, "-o", "resumed.onnx", "--resume")
    assert resumed.status == 0, resumed.err
    told = [line for line in progress_of(resumed) if line.startswith("epoch ")]
    assert [line.partition(":")[0] for line in told] == ["epoch 3/4", "epoch 4/4"]
    assert here(*options, "-o", "whole.onnx").status == 0
    sound = (np.random.default_rng(1).uniform(-0.3, 0.3, 16_000).astype(np.float32), 16_000)
    one, same = (
        [tag.score for tag in Classifier.load(name).classify(sound, top_k=0, novelty="ignore").tags]
        for name in ("resumed.onnx", "whole.onnx")
    )
    assert one == same


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C of another process")
@pytest.mark.parametrize("command", ["train", "crossval"])
def test_ctrl_c(command: str, clips: Path, tiny_model: Path, desk: Path) -> None:
    with started(words(command, clips, "--backbone", tiny_model, "--head", "mlp"), desk) as process:
        wait_for(process, " 18 clips, 2 classes")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out == ""
    assert "Traceback" not in err
    assert err.splitlines()[-1] == "earmark: stopped"
    assert not list(desk.glob("*.onnx"))


def test_a_missing_extra_is_told(clips: Path, desk: Path) -> None:
    for module, package in (("lightning", "lightning"), ("sklearn", "scikit-learn")):
        program = f"import sys; sys.modules[{module!r}] = None; from earmark.cli.app import main; main()"
        recipe = {"lightning": "cnn", "sklearn": "head"}[module]
        done = subprocess.run(
            [sys.executable, "-c", program, "train", str(clips), "--recipe", recipe],
            check=False,
            capture_output=True,
            text=True,
            cwd=desk,
            timeout=120,
        )
        assert done.returncode == 1, done.stderr
        _, line = done.stderr.splitlines()
        assert f"needs {package}, which is not installed: pip install 'earmark[train]'" in line


def started(words: Sequence[str], folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*PROGRAM, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder, env=dict(os.environ)
    )


def wait_for(process: subprocess.Popen[str], words: str) -> None:
    assert process.stderr is not None
    seen = []
    for line in process.stderr:
        seen.append(line)
        if words in line:
            return
    pytest.fail(f"{words!r} never came: {''.join(seen)}")
