"""The command that makes sounds, and the credits of what the model is taught with."""

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from earmark.errors import DataError
from everyday import make
from everyday.credits import ALLOWED, CREDITS, TEXT, credit, write_credits
from everyday.make import GENERATORS, TABLE, main
from everyday.sound import Sound, read_sounds
from everyday.sources import shared_sounds

WEIGHTS = Path(__file__).parents[2] / "src" / "earmark" / "model" / "weights"


@pytest.fixture
def arithmetic(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let only what needs no other program be made, and little of it."""
    few = {kind: replace(GENERATORS[kind], count=40) for kind in ("noise", "silence")}
    monkeypatch.setattr(make, "GENERATORS", few)


def run(folder: Path, *, seed: int = 1) -> list[Sound]:
    assert main(["--out", str(folder), "--seed", str(seed), "--quick", "--shared", str(folder / "nowhere")]) == 0
    return read_sounds(folder / TABLE)


@pytest.mark.usefixtures("arithmetic")
def test_the_same_seed_makes_the_same_sounds(tmp_path: Path) -> None:
    sounds = [run(tmp_path / name, seed=seed) for name, seed in (("a", 1), ("b", 1), ("c", 2))]
    same, again, other = ([sound.path.read_bytes() for sound in made] for made in sounds)
    assert len(same) == 4
    assert same == again
    assert same != other


@pytest.mark.usefixtures("arithmetic")
def test_what_is_there_is_not_made_again(tmp_path: Path) -> None:
    first, second, *_ = run(tmp_path)
    first.path.write_bytes(b"kept")
    second.path.unlink()
    assert [sound.path for sound in run(tmp_path)][:2] == [first.path, second.path]
    assert first.path.read_bytes() == b"kept"
    assert len(second.waveform()) == 80_000
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.shared
def test_every_recording_is_in_the_shipped_credits(shared: Path) -> None:
    with (WEIGHTS / CREDITS).open(encoding="utf-8", newline="") as table:
        rows = list(csv.DictReader(table))
    assert {row["licence"] for row in rows} <= set(ALLOWED)
    credited = {(row["source"], row["file"], row["author"], row["licence"]) for row in rows}
    recordings = {(sound.source, sound.path.name, sound.author, sound.licence) for sound in shared_sounds(shared)}
    assert recordings <= credited
    generators = {generator.source for generator in GENERATORS.values()}
    assert {source for source, *_ in credited - recordings} == generators


def test_the_shipped_credits_name_every_source() -> None:
    text = (WEIGHTS / TEXT).read_text(encoding="utf-8")
    with (WEIGHTS / CREDITS).open(encoding="utf-8", newline="") as table:
        assert all(source in text for source in {row["source"] for row in csv.DictReader(table)})


def test_made_sound_is_one_line_for_each_generator(tmp_path: Path) -> None:
    made = [
        Sound(tmp_path / f"noise-000{number}.flac", "", f"noise:{number}", "everyday.noise", "us", "Apache-2.0")
        for number in range(3)
    ]
    clip = Sound(tmp_path / "1-7-A-0.flac", "dog", "esc50:7", "ESC-50", "Anna", "CC-BY", fold="1")
    lines = credit([clip, *made])
    assert [line.file for line in lines] == ["1-7-A-0.flac", "noise-*"]
    assert lines[0].page == "https://freesound.org/s/7/"
    write_credits(tmp_path, [clip, *made])
    assert "     3  everyday.noise, Apache-2.0\n" in (tmp_path / TEXT).read_text(encoding="utf-8")


def test_a_licence_that_binds_is_refused(tmp_path: Path) -> None:
    bound = Sound(tmp_path / "1-7-A-0.flac", "dog", "esc50:7", "ESC-50", "Anna", "CC-BY-NC", fold="1")
    with pytest.raises(DataError, match=r"1-7-A-0\.flac of ESC-50 has the licence 'CC-BY-NC', not one of CC0, CC-BY"):
        credit([bound])
