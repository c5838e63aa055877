"""show: a picture of a recording, or one line that says why not."""

from pathlib import Path

import pytest
import soundfile
from matplotlib.image import imread

from tests.cli.command import Here, earmark
from tests.inference.test_stream import restless

RATE_HZ = 16_000


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("show") / "street.wav"
    soundfile.write(path, 0.5 * restless(5 * RATE_HZ, RATE_HZ), RATE_HZ)
    return path


def test_a_picture(street: Path, tiny_model: Path, tmp_path: Path) -> None:
    done = earmark("show", street, "-o", "street.png", "--model", tiny_model, cwd=tmp_path)
    assert (done.status, done.out, done.err) == (0, "", "")
    assert imread(tmp_path / "street.png").shape[1] == 8 * 150


def test_options(street: Path, tiny_model: Path, tmp_path: Path, here: Here) -> None:
    path = tmp_path / "part.svg"
    words = ("--top-k", "2", "--allow", "tone,*hiss", "--on", "0.5", "--off", "0.5", "--start", "1", "--end", "3")
    page = ("--title", "Part of a street", "--width", "4", "--height", "3", "--dpi", "50")
    done = here("show", street, "-o", path, "--model", tiny_model, *words, *page)
    assert (done.status, done.err) == (0, "")
    text = path.read_text(encoding="utf-8")
    assert 'width="288pt" height="216pt"' in text
    assert "<!-- Part of a street -->" in text
    assert "<!-- Noise, hiss -->" in text
    assert "Glöckchen" not in text


def test_notes_are_said(tiny_model: Path, tmp_path: Path, here: Here) -> None:
    path = tmp_path / "short.wav"
    soundfile.write(path, restless(1600, RATE_HZ), RATE_HZ)
    done = here("show", path, "-o", tmp_path / "short.pdf", "--model", tiny_model, "--dpi", "40")
    assert done.status == 0
    assert any("note: too-short:" in line for line in done.complaints)


def test_standard_input(street: Path, tiny_model: Path, tmp_path: Path) -> None:
    command = ("show", "-", "-o", "street.svg", "--model", tiny_model)
    done = earmark(*command, cwd=tmp_path, stdin=street.read_bytes())
    assert (done.status, done.out, done.err) == (0, "", "")
    assert "<!-- &lt;stdin&gt; -->" in (tmp_path / "street.svg").read_text(encoding="utf-8")
    nothing = earmark(*command, cwd=tmp_path)
    assert (nothing.status, nothing.complaints) == (
        1,
        ["<stdin> is empty (0 bytes): record, copy or download it again."],
    )


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (("street.wav", "-o", "street.gif"), 2, "street.gif is not the name of a picture"),
        (("street.wav", "-o", "street.png", "--dpi", "5"), 2, "dpi 20 to 1200"),
        (("street.wav", "-o", "street.png", "--allow", "Tonne"), 2, "no label matches 'Tonne'"),
        (("street.wav", "-o", "street.png", "--start", "9"), 2, "start=9 s is not before the end"),
        (("nothing.wav", "-o", "nothing.png"), 1, "No such file: 'nothing.wav'"),
        (("street.wav", "-o", "no/street.png"), 1, "cannot write no/street.png: No such file or directory"),
    ],
)
def test_refusals(street, tiny_model, here: Here, monkeypatch, words, status, message) -> None:
    monkeypatch.chdir(street.parent)
    done = here("show", *words, "--model", tiny_model)
    assert (done.status, done.out) == (status, "")
    (complaint,) = done.complaints
    assert message in complaint
    assert [path.name for path in street.parent.iterdir()] == ["street.wav"]
