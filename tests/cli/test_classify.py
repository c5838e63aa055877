"""classify, and what all commands share that ask a model: inputs, outputs, failures."""

import json
import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.cli.command import PROGRAM, Here, earmark
from tests.cli.conftest import RATE_HZ, write_noise
from tests.tinymodel import LABELS

FOREST = [str(Path("forest", name)) for name in ("a.WAV", "b.flac", "deep/c.ogg")]


def test_files_and_folders_in_order_with_bad_ones(sounds: Path, tiny_model: Path) -> None:
    done = earmark(
        "classify", "bad.wav", "forest", "empty", "no.wav", "noise.wav", "--model", tiny_model, "--json", cwd=sounds
    )
    assert done.status == 1
    assert [result["file"] for result in done.objects] == ["bad.wav", *FOREST, "empty", "no.wav", "noise.wav"]
    bad, first, *_, empty, missing, last = done.objects
    assert (bad["kind"], empty["kind"], missing["kind"]) == (
        "NotAudioError",
        "AudioNotFoundError",
        "AudioNotFoundError",
    )
    assert (first["model"], first["seconds"], first["notes"]) == ("tiny", 1.0, [])
    assert set(last["tags"][0]) == {"label", "id", "score"}
    scores = [tag["score"] for tag in last["tags"]]
    assert scores == sorted(scores, reverse=True)
    assert len(scores) == len(LABELS)
    about_bad, about_empty, about_missing, count = done.complaints
    assert "bad.wav is no sound" in about_bad
    assert "no recording in the folder empty" in about_empty
    assert "No such file: 'no.wav'" in about_missing
    assert count == "3 of 7 inputs failed"


def test_table_says_which_model_answered_and_notes(sounds: Path, tiny_model: Path, tmp_path: Path) -> None:
    short = write_noise(tmp_path / "short.wav", 0.1)
    done = earmark("classify", "noise.wav", short, "--model", tiny_model, "--top-k", "2", cwd=sounds)
    assert (done.status, done.err) == (0, "")
    first, _, second = done.out.partition("\n\n")
    assert first.splitlines()[0] == "noise.wav  tiny 1  3.00 s  (scores not calibrated)"
    assert len(first.splitlines()) == 3
    assert "note: too-short:" in second


def test_standard_input(sounds: Path, tiny_model: Path) -> None:
    sound = Path("noise.wav").read_bytes()
    by_name = earmark("classify", "noise.wav", "--model", tiny_model, "--json", cwd=sounds)
    piped = earmark("classify", "-", "--model", tiny_model, "--json", cwd=sounds, stdin=sound)
    assert piped.status == 0
    assert piped.objects == [{**by_name.objects[0], "file": "<stdin>"}]


def test_many_files_keep_their_order(tmp_path: Path, tiny_model: Path, here: Here) -> None:
    names = [f"{number:02}.wav" for number in range(24)]
    for number, name in enumerate(names):
        write_noise(tmp_path / name, 4.0 if number % 5 == 0 else 0.2)
    done = here("classify", tmp_path, "--model", tiny_model, "--threads", "4", "--json")
    assert done.status == 0
    assert [Path(result["file"]).name for result in done.objects] == names


def test_options_have_their_names_in_python(sounds: Path, tiny_model: Path, here: Here) -> None:
    words = (
        "--top-k 2 --threshold 0.1 --start 0.5 --end 2.5 --aggregate max --allow tone,/t/bird --allow *hiss --deny Tone"
    )
    (result,) = here("classify", "noise.wav", "--model", tiny_model, "--json", *words.split()).objects
    assert result["seconds"] == 2.0
    assert result["parameters"] == {
        "top_k": 2,
        "threshold": 0.1,
        "allow": ["tone", "/t/bird", "*hiss"],
        "deny": ["Tone"],
        "aggregate": "max",
        "start": 0.5,
        "end": 2.5,
    }
    assert {tag["label"] for tag in result["tags"]} == {"Chant d'oiseau", "Noise, hiss"}
    commas = here("classify", "noise.wav", "--model", tiny_model, "--json", "--allow", "noise,hiss,tone").objects[0]
    assert commas["parameters"]["allow"] == ["noise,hiss", "tone"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["noise.wav", "--allow", "Tome"], "allow: no label matches 'Tome'; nearest: 'Tone'"),
        (
            ["noise.wav", "--format", "raven"],
            "--format raven is not one of those that this command writes: table, json",
        ),
        (["noise.wav", "--format", "xml"], "--format xml is not one of those"),
        (["noise.wav", "--json", "--format", "csv"], "--json and --format csv contradict each other"),
        (["noise.wav", "-o", "noise.wav", "--json"], "-o noise.wav is one of the recordings"),
        (["noise.wav", "-o", "tags.xlsx"], "-o tags.xlsx does not tell by its suffix"),
        (["noise.wav", "forest/../noise.wav", "-o", "out/"], "the results of 2 recordings would all go to"),
        (["-", "-"], "standard input can be read only once"),
        (["noise.wav", "--start", "1e308"], "start=1e+308 s must be 0 or more, and at most 1000000000 s"),
        (["noise.wav", "--end", "1e308"], "end=1e+308 s must lie after start=0.0 s, and at most at 1000000000 s"),
        (["noise.wav", "--allow", ""], "an --allow or --deny is empty"),
        (["noise.wav", "--deny", "Tone", "--deny", " , "], "an --allow or --deny is empty"),
    ],
)
def test_wrong_usage_is_told_in_one_line(
    sounds: Path, tiny_model: Path, here: Here, words: list[str], message: str
) -> None:
    done = here("classify", "--model", tiny_model, *words)
    assert (done.status, done.out) == (2, "")
    (complaint,) = done.complaints
    assert message in complaint
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("model", "status", "message"),
    [
        ("tiny.onnx", 1, "no model file at tiny.onnx"),
        ("yamnat", 2, "no model called 'yamnat' is known; nearest: yamnet"),
        ("bad.wav", 2, "no model called 'bad.wav'"),
        ("yamnet", 1, "model 'yamnet' is known but not on this machine: run `earmark models pull yamnet`"),
    ],
)
def test_models_that_are_none(sounds: Path, here: Here, model: str, status: int, message: str) -> None:
    done = here("classify", "noise.wav", "--model", model)
    assert (done.status, done.out) == (status, "")
    (complaint,) = done.complaints
    assert message in complaint


def test_what_the_parser_refuses(sounds: Path, here: Here) -> None:
    for words, message in {
        ("classify",): "Missing argument",
        ("classify", "noise.wav", "--threshold", "2"): "--threshold",
        ("classify", "noise.wav", "--topk", "2"): "No such option",
        ("clasify", "noise.wav"): "Did you mean 'classify'?",
        ("classify", "noise.wav", "--device", "tpu"): "--device",
    }.items():
        done = here(*words)
        assert (done.status, done.out) == (2, ""), words
        assert message in done.err, words
        assert "Traceback" not in done.err


def test_threads_of_the_environment(
    sounds: Path, tiny_model: Path, here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EARMARK_THREADS", "many")
    done = here("classify", "noise.wav", "--model", tiny_model)
    assert done.status == 2
    assert "EARMARK_THREADS='many' is not allowed" in done.complaints[0]
    assert here("classify", "noise.wav", "--model", tiny_model, "--threads", "1").status == 0


# Where results go


def test_the_suffix_chooses_the_format(sounds: Path, tiny_model: Path, tmp_path: Path, here: Here) -> None:
    starts = {"json": "[\n", "jsonl": '{"file": ', "csv": "file,model,", "txt": "forest", "": "forest"}
    for suffix, start in starts.items():
        path = tmp_path / f"tags.{suffix}".rstrip(".")
        done = here("classify", "forest", "--model", tiny_model, "-o", path)
        assert (done.status, done.out, done.err) == (0, "", "")
        assert path.read_text(encoding="utf-8").startswith(start), path


def test_a_folder_gets_a_file_for_each_recording(sounds: Path, tiny_model: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "labels"
    words = ["forest", "bad.wav", "noise.wav", "--model", tiny_model, "-o", f"{out}/", "--format", "json"]
    done = earmark("classify", *words, cwd=sounds)
    assert (done.status, done.out) == (1, "")
    written = {path.relative_to(out).as_posix() for path in out.rglob("*.*")}
    assert written == {"a.json", "b.json", "deep/c.json", "noise.json"}
    assert json.loads((out / "deep" / "c.json").read_text())["file"] == FOREST[2]


def test_recordings_of_one_stem_keep_their_suffixes(
    tiny_model: Path, tmp_path: Path, here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names = ("street.wav", "street.flac", "park.wav")
    for name in names:
        write_noise(tmp_path / name, 1.0)
    assert here("classify", *names, "--model", tiny_model, "-o", "out/").status == 0
    assert sorted(path.name for path in Path("out").iterdir()) == ["park.txt", "street.flac.txt", "street.wav.txt"]
    assert Path("out/street.flac.txt").read_text(encoding="utf-8").startswith("street.flac ")


def test_no_name_is_no_file(sounds: Path, tiny_model: Path, tmp_path: Path, here: Here) -> None:
    done = here("classify", "", "--model", tiny_model, "-o", f"{tmp_path}/")
    assert done.status == 1
    assert len(done.complaints) == 1


def test_what_cannot_be_written(sounds: Path, tiny_model: Path, tmp_path: Path, here: Here) -> None:
    (tmp_path / "file").write_text("in the way")
    for output in (tmp_path / "no" / "tags.json", f"{tmp_path / 'file'}/"):
        done = here("classify", "noise.wav", "--model", tiny_model, "-o", output)
        assert done.status == 1
        assert "cannot write" in done.complaints[0]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full to write to")
def test_a_full_disk_is_told(sounds: Path, tiny_model: Path) -> None:
    model = ["--model", str(tiny_model)]
    commands = (
        ["classify", "noise.wav", *model],
        ["check", "noise.wav"],
        ["listen", "noise.wav", *model, "--on", "0"],
        ["models", "list"],
        ["--version"],
        ["--help"],
        ["classify", "--help"],
    )
    for words in commands:
        with Path("/dev/full").open("wb") as full:
            command = [*PROGRAM, *words]
            done = subprocess.run(command, check=False, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
        told = (done.returncode, done.stderr.splitlines()[-1])
        assert told == (1, "earmark: cannot write to standard output: No space left on device"), words


@pytest.mark.skipif(sys.platform == "win32", reason="needs bash")
def test_a_standard_stream_that_is_closed(sounds: Path, tiny_model: Path) -> None:
    command = f'"{sys.executable}" -m earmark classify noise.wav bad.wav --model "{tiny_model}" --json'
    run = partial(subprocess.run, check=False, capture_output=True, text=True, timeout=60)
    done = run(["bash", "-c", f"{command} >&-"])
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "earmark: standard output is closed: send it to a file, or to /dev/null\n"
    done = run(["bash", "-c", f"{command} 2>&-"])
    assert done.returncode == 1
    assert [json.loads(line)["file"] for line in done.stdout.splitlines()] == ["noise.wav", "bad.wav"]


def test_a_reader_that_leaves_is_no_error(sounds: Path, tiny_model: Path) -> None:
    command = [*PROGRAM, "classify", *["noise.wav"] * 200, "--model", str(tiny_model), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith(b'{"file": "noise.wav"')
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == 0


def write_silence(path: Path, hours: float) -> Path:
    """Write a recording of some hours that takes no room on the disk."""
    soundfile.write(path, np.zeros(0), RATE_HZ)
    header = bytearray(path.read_bytes())
    size = round(hours * 3600 * RATE_HZ) * 2
    header[4:8], header[40:44] = (36 + size).to_bytes(4, "little"), size.to_bytes(4, "little")
    path.write_bytes(header)
    os.truncate(path, len(header) + size)
    return path


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot send one process a Ctrl-C")
def test_ctrl_c_is_one_line(sounds: Path, tiny_model: Path, tmp_path: Path) -> None:
    hours = write_silence(tmp_path / "hours.wav", hours=12)
    command = [*PROGRAM, "classify", "noise.wav", str(hours), "--model", str(tiny_model), "--threads", "1", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.stderr.read() == b"earmark: stopped\n"
        assert process.stdout.read() == b""
        assert process.wait(60) == 130


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot send one process a Ctrl-C")
def test_ctrl_c_while_the_program_is_loaded(tmp_path: Path) -> None:
    """A package that takes its time, in the place of the first one that the command line imports."""
    (tmp_path / "typer.py").write_text("import time\nprint('loading', flush=True)\ntime.sleep(60)\n")
    with subprocess.Popen(
        [*PROGRAM, "verify"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "loading\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
        assert process.stderr.read() == "earmark: stopped\n"


def test_names_that_a_terminal_cannot_show(tiny_model: Path, tmp_path: Path) -> None:
    write_noise(tmp_path / "Glöckchen-鼓.wav", 1.0)
    command = ["classify", "Glöckchen-鼓.wav", "nein-鼓.wav", "--model", tiny_model]
    table = earmark(*command, cwd=tmp_path, encoding="cp1252")
    assert table.status == 1
    assert "\\u9f13.wav  tiny 1  1.00 s" in table.out
    assert "nein-\\u9f13.wav" in table.complaints[0]
    as_json = earmark(*command, "--json", cwd=tmp_path, encoding="cp1252")
    assert as_json.objects[0]["file"] == "Glöckchen-鼓.wav"
