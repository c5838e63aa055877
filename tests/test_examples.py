"""The examples run as they stand and say what earmark says."""

import importlib.util
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from earmark.inference.classifier import Classifier
from tests.conftest import ROOT

EXAMPLES = ROOT / "examples"
DEBIAN_KEYS = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
WITH_THE_HEADER = "trixie"
"""The first release of Debian that packs it; the archive is the one that this machine is set up with."""
TOLERANCE = 1e-3
OF_EIGHT_BITS = 0.02
"""How far an exported file may be off where its arithmetic is in eight bits, as that of the model inside is."""


@pytest.fixture(scope="session")
def dog(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a WAV of 16-bit integers in which a dog barks."""
    clip = tmp_path_factory.mktemp("clips") / "dog.wav"
    soundfile.write(clip, *soundfile.read(shared / "data/esc50/audio/1-100032-A-0.flac"))
    return clip


@pytest.fixture
def wrong_rate(tmp_path: Path) -> Path:
    """Return a WAV at another rate than that of the models."""
    clip = tmp_path / "fast.wav"
    soundfile.write(clip, np.zeros(4_000), 44_100)
    return clip


def run(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def refusal(*command: str | Path) -> str:
    """Return the one line that a command which fails has for people."""
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False, timeout=120)
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    return line


def says_what_earmark_says(printed: str, model: Path, clip: Path) -> bool:
    """Whether lines of score and label are the tags that earmark gives."""
    heard = [line.split(maxsplit=1) for line in printed.splitlines()]
    tags = Classifier.load(model).classify(clip, top_k=5, threshold=0).tags
    return [label for _, label in heard] == [tag.label for tag in tags] and [
        float(score) for score, _ in heard
    ] == pytest.approx([tag.score for tag in tags], abs=TOLERANCE)


def test_without_earmark(yamnet: Path, dog: Path, wrong_rate: Path) -> None:
    command = (sys.executable, EXAMPLES / "without_earmark.py", yamnet)
    assert says_what_earmark_says(run(*command, dog), yamnet, dog)
    assert "is at 44100 Hz, the model takes 16000 Hz" in refusal(*command, wrong_rate)


def variants(clip: Path, folder: Path) -> Sequence[Path]:
    """Write a clip as 32-bit floats, in two channels, and with the longer header of WAV."""
    folder.mkdir()
    samples, rate_hz = soundfile.read(clip)
    soundfile.write(folder / "float.wav", samples, rate_hz, subtype="FLOAT")
    soundfile.write(folder / "stereo.wav", np.stack([0.5 * samples, samples], axis=1), rate_hz)
    soundfile.write(folder / "extensible.wav", samples, rate_hz, format="WAVEX")
    whole = bytearray(clip.read_bytes())
    whole[40:44] = b"\xff" * 4  # as of a stream whose end was not known when it began
    (folder / "streamed.wav").write_bytes(whole)
    return [clip, *folder.glob("*.wav")]


def check_program(program: Sequence[str | Path], model: Path, clips: Sequence[Path], wrong_rate: Path) -> None:
    """Hold a program beside earmark, and see that it says in one line what is wrong."""
    for clip in clips:
        assert says_what_earmark_says(run(*program, model, clip), model, clip), clip
    assert "is at 44100 Hz, the model takes 16000 Hz" in refusal(*program, model, wrong_rate)
    assert refusal(*program, model, clips[0].with_name("nowhere.wav"))
    assert refusal(*program, clips[0], clips[0])
    assert "not a WAV" in refusal(*program, model, model)
    assert "usage" in refusal(*program, model)


@pytest.fixture(scope="session")
def node_example(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return the folder of the example for Node, its packages installed, or skip."""
    if not all(map(shutil.which, ("node", "npm"))):
        pytest.skip("needs Node and npm")
    folder = tmp_path_factory.mktemp("node") / "example"
    shutil.copytree(EXAMPLES / "node", folder, ignore=shutil.ignore_patterns("node_modules"))
    command = ("npm", "install", "--ignore-scripts", "--no-audit", "--no-fund")
    done = subprocess.run(command, cwd=folder, capture_output=True, encoding="utf-8", check=False, timeout=300)
    if done.returncode:
        pytest.skip(f"npm cannot install: {done.stderr.strip().splitlines()[:1]}")
    yield folder
    shutil.rmtree(folder)  # 300 MB


def test_node(node_example: Path, everyday: Path, dog: Path, wrong_rate: Path, tmp_path: Path) -> None:
    program = ("node", node_example / "classify.mjs")
    check_program(program, everyday, variants(dog, tmp_path / "variants"), wrong_rate)


def test_node_says_when_a_sound_is_unknown(node_example: Path, everyday: Path, tmp_path: Path) -> None:
    sweep = np.sin(2 * np.pi * np.cumsum(np.geomspace(100, 7_000, 48_000)) / 16_000)
    soundfile.write(tmp_path / "odd.wav", 0.8 * sweep * (np.arange(48_000) % 400 < 200), 16_000)
    result = Classifier.load(everyday).classify(tmp_path / "odd.wav")
    assert result.none_of_these
    first, *closest = run("node", node_example / "classify.mjs", everyday, tmp_path / "odd.wav").splitlines()
    assert first == f"none of these (novelty {result.novelty:.3f}); closest:"
    assert [line.split(maxsplit=1)[1] for line in closest] == [tag.label for tag in result.closest]


@pytest.fixture(scope="session")
def c_example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the example in C, compiled against the library in the Python package, or skip."""
    if not shutil.which("gcc"):
        pytest.skip("needs gcc")
    package = importlib.util.find_spec("onnxruntime")
    assert package is not None
    assert package.origin is not None
    library = next(Path(package.origin).parent.glob("capi/libonnxruntime.so.1.*"), None)
    if library is None:
        pytest.skip("this build of onnxruntime has no library beside the Python module")
    folder = tmp_path_factory.mktemp("c")
    for name in ("libonnxruntime.so", "libonnxruntime.so.1"):
        (folder / name).symlink_to(library)
    flags = ("-std=c11", "-Wall", "-Wextra", "-Werror", "-O2", f"-I{headers_of_onnxruntime(folder)}")
    linking = (f"-L{folder}", "-lonnxruntime", f"-Wl,-rpath,{folder}")
    run("gcc", *flags, EXAMPLES / "c" / "classify.c", "-o", folder / "classify", *linking)
    return folder / "classify"


def archive_of_debian() -> str | None:
    """Return the address of the archive that apt takes Debian's packages from here, or None."""
    lists = [*Path("/etc/apt").glob("sources.list*"), *Path("/etc/apt").glob("sources.list.d/*")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in lists if path.is_file())
    found = re.search(r"^(?:deb\b[^#\n]*?|URIs:[^#\n]*?)\s(\S+://\S+/debian/?)(?=\s|$)", text, re.MULTILINE)
    return found[1] if found else None


def headers_of_onnxruntime(folder: Path) -> Path:
    """Find the header that Debian packs, installed or else taken from the archive of Debian 13, or skip."""
    installed = Path("/usr/include/onnxruntime")
    if installed.is_dir():
        return installed
    archive = archive_of_debian()
    if not (archive and DEBIAN_KEYS.is_file() and all(map(shutil.which, ("apt-get", "dpkg")))):
        pytest.skip("needs onnxruntime_c_api.h: apt install libonnxruntime-dev")
    (folder / "lists" / "partial").mkdir(parents=True)
    (folder / "debian.list").write_text(f"deb [signed-by={DEBIAN_KEYS}] {archive} {WITH_THE_HEADER} main\n")
    places = {
        "Dir::Etc::sourcelist": folder / "debian.list",
        "Dir::Etc::sourceparts": "-",
        "Dir::State::Lists": folder / "lists",
        "Dir::Cache::pkgcache": "",
        "Dir::Cache::srcpkgcache": "",
    }
    options = [part for name, place in places.items() for part in ("-o", f"{name}={place}")]
    for step in (("update",), ("download", "libonnxruntime-dev")):
        command = ("apt-get", "-qq", *options, *step)
        if subprocess.run(command, cwd=folder, capture_output=True, check=False, timeout=120).returncode:
            pytest.skip("needs onnxruntime_c_api.h, and Debian's archive does not answer")
    run("dpkg", "-x", next(folder.glob("*.deb")), folder / "debian")
    return folder / "debian" / installed.relative_to("/")


def test_c(c_example: Path, everyday: Path, dog: Path, wrong_rate: Path, tmp_path: Path) -> None:
    check_program((c_example,), everyday, variants(dog, tmp_path / "variants"), wrong_rate)


@pytest.fixture(scope="session")
def mediapipe() -> None:
    """Skip where MediaPipe is not installed."""
    if importlib.util.find_spec("mediapipe") is None:
        pytest.skip("needs MediaPipe: pip install mediapipe")


@pytest.fixture(scope="session")
def everyday_tflite(everyday: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the model inside as a .tflite file, or skip where it cannot be made."""
    if importlib.util.find_spec("litert_torch") is None:
        pytest.skip("needs the extra tflite")
    path = tmp_path_factory.mktemp("tflite") / "everyday.tflite"
    run(sys.executable, "-m", "earmark", "export", everyday, "--to", "tflite", "--output", path)
    return path


def windows_of(printed: str) -> list[tuple[str, dict[str, float]]]:
    """Read lines of a time and of labels with their scores."""
    lines = [line.split("\t") for line in printed.splitlines()]
    parts = [(when, [label.rpartition(" ") for label in labels]) for when, *labels in lines]
    return [(when, {name: float(score) for name, _, score in labels}) for when, labels in parts]


def expected_windows(model: Path, clip: Path) -> Iterator[tuple[float, dict[str, float]]]:
    """Yield when each window of one frame begins, and the labels in it that reach their thresholds in the card."""
    classifier = Classifier.load(model)
    samples, rate_hz = soundfile.read(clip, dtype="float32")
    step = round(classifier.card.frame_length_seconds * rate_hz)
    options: dict[str, Any] = {"novelty": "ignore", "threshold": "card", "top_k": 3}
    for start in range(0, len(samples), step):
        window = np.pad(samples[start : start + step], (0, max(0, start + step - len(samples))))
        yield start / rate_hz, {tag.label: tag.score for tag in classifier.classify((window, rate_hz), **options).tags}


@pytest.mark.usefixtures("mediapipe")
@pytest.mark.parametrize("example", ["clips", "stream"])
def test_mediapipe(example: str, everyday: Path, everyday_tflite: Path, dog: Path) -> None:
    command = (sys.executable, EXAMPLES / f"mediapipe_{example}.py", everyday_tflite, dog)
    given, expected = windows_of(run(*command)), list(expected_windows(everyday, dog))
    assert any(labels for _, labels in expected)
    assert len(given) == len(expected)
    for (when, labels), (seconds, tags) in zip(given, expected, strict=True):
        assert when in (f"{seconds:.3f} s", "rest")
        assert {name: score for name, score in labels.items() if score > 0} == pytest.approx(tags, abs=OF_EIGHT_BITS)


@pytest.mark.usefixtures("mediapipe")
@pytest.mark.parametrize("example", ["clips", "stream"])
def test_mediapipe_with_the_published_yamnet(example: str, shared: Path, dog: Path, tmp_path: Path) -> None:
    model = shared / "models/yamnet/yamnet_classification_int8.tflite"
    program = (sys.executable, EXAMPLES / f"mediapipe_{example}.py")
    given = windows_of(run(*program, model, dog))
    assert [when for when, _ in given[:3]] == ["0.000 s", "0.975 s", "1.950 s"]
    assert "Dog" in given[2][1]
    for wrong in ((model, tmp_path / "nowhere.wav"), (dog, dog), (model,)):
        done = subprocess.run((*program, *wrong), capture_output=True, encoding="utf-8", check=False, timeout=60)
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
