"""The benchmarks run, on little data, and give finite numbers. How fast they are fails no test."""

import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from benchmarks.__main__ import GROUPS, group, main, title
from benchmarks.bench import Bench
from benchmarks.corpus import RATE_HZ, Clip, make_long_file, make_oggs, read_esc50
from benchmarks.embeddings import fold_accuracies
from benchmarks.fidelity import agreement
from benchmarks.peers import SideBySide
from benchmarks.report import BEGIN, END, Report, write_between_markers
from benchmarks.row import Goal, Quantity, Row
from benchmarks.tagging import stages, tag_all
from benchmarks.timing import alternate, meter
from joblib import parallel_config

from earmark.inference.classifier import Classifier

SPEED = Row(
    what="speed", ours=Quantity(1500, "×"), against="peer", peer=Quantity(500, "×"), goal=Goal(2.0, "ratio"), note="why"
)
MEMORY = Row(what="memory", ours=Quantity(410.25, "MB"), goal=Goal(400, at_most=True))


@pytest.fixture
def few_clips(shared: Path, tmp_path: Path) -> Path:
    """Return a folder like the shared one that holds ten clips: two of each fold of ESC-10."""
    folder = tmp_path / "shared"
    (folder / "data/esc50/meta").mkdir(parents=True)
    (folder / "data/esc50/audio").symlink_to(shared / "data/esc50/audio", target_is_directory=True)
    (folder / "models").symlink_to(shared / "models", target_is_directory=True)
    table = (shared / "data/esc50/meta/esc50.csv").read_text(encoding="utf-8").splitlines()
    lines = [line for fold in range(1, 6) for target in (0, 10) for line in _rows(table, fold, target)[:1]]
    (folder / "data/esc50/meta/esc50.csv").write_text("\n".join([table[0], *lines, ""]), encoding="utf-8")
    return folder


def _rows(table: list[str], fold: int, target: int) -> list[str]:
    return [line for line in table if line.split(",")[1:3] == [str(fold), str(target)]]


@pytest.mark.shared
def test_the_cheap_benchmarks_give_finite_numbers(
    few_clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("EARMARK_SHARED", str(few_clips))
    names = ("import", "frontend", "live")
    assert main([*names, "--quick", "--json", str(tmp_path / "figures.json")]) == 0
    report = json.loads((tmp_path / "figures.json").read_text(encoding="utf-8"))
    assert list(report["groups"]) == [title(group(name)) for name in names]
    rows = [row for rows in report["groups"].values() for row in rows]
    values = [row[side]["value"] for row in rows for side in ("ours", "peer") if row[side]]
    assert len(rows) == 6 + 4 + 8
    assert all(math.isfinite(value) and value >= 0 for value in values)
    by_name = {row["what"]: row for row in rows}
    assert by_name["yamnet: mean score difference"]["reached"], "this one is no matter of time"
    assert "| **The front end** |" in capsys.readouterr().out


@pytest.mark.shared
@pytest.mark.filterwarnings("ignore:'(aifc|audioop|sunau)' is deprecated:DeprecationWarning")  # librosa.load
def test_tagging_and_its_peer_take_the_same_files(few_clips: Path, tmp_path: Path, yamnet_int8: Path) -> None:
    bench = Bench(few_clips, tmp_path, quick=True)
    oggs = make_oggs(bench.esc10[:2], tmp_path / "ogg", 44_100)
    assert [soundfile.info(ogg).samplerate for ogg in oggs] == [44_100, 44_100]
    classifier = Classifier.load(yamnet_int8, threads=2)
    tag_all(classifier, oggs)
    theirs = SideBySide(bench.published_weights("yamnet-int8"), 2)(oggs)
    ours = [result.tags[0].label for result in classifier.classify_many(oggs)]
    assert [classifier.card.labels[best[0]].name for best in theirs] == ours
    assert all(run() for run in stages(classifier, oggs).values())


@pytest.mark.shared
def test_a_benchmark_that_breaks_does_not_stop_the_others(
    few_clips: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("EARMARK_SHARED", str(few_clips))
    monkeypatch.setattr("benchmarks.fidelity.litert_scores", lambda *_: 1 / 0)
    assert main(["import", "frontend", "--quick"]) == 1
    told = capsys.readouterr()
    assert "ZeroDivisionError" in told.err
    assert "log-mel spectrogram" in told.out


def test_every_benchmark_says_what_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(GROUPS)
    assert all(len(line.split()) > 2 for line in lines)


@pytest.mark.parametrize("arguments", [["--quick"], ["import"]])
def test_only_a_full_run_is_published(arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main([*arguments, "--write-docs", str(tmp_path / "speed.md")])
    assert "--write-docs publishes figures" in capsys.readouterr().err


def test_rows_know_whether_the_goal_was_reached() -> None:
    assert (SPEED.ratio, SPEED.reached, SPEED.goal_text()) == (3.0, True, "≥ 2×")
    assert (MEMORY.ratio, MEMORY.reached, MEMORY.goal_text()) == (None, False, "≤ 400 MB")
    assert Row(what="", ours=Quantity(1, "")).reached is None
    assert str(Quantity(12345.6, "MB")) == "12,346 MB"
    assert str(Quantity(0.00041234, "")) == "0.0004123"


def test_the_page_gets_the_table_between_its_markers(tmp_path: Path) -> None:
    page = tmp_path / "speed.md"
    report = Report(groups={"One": [SPEED], "Two": [MEMORY]})
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n", encoding="utf-8")
    write_between_markers(page, report.to_markdown())
    text = page.read_text(encoding="utf-8")
    assert text.startswith(f"before\n{BEGIN}\nMeasured on {report.day}: ")
    assert text.endswith(f"- One, speed: why\n{END}\nafter\n")
    assert "old" not in text
    assert "| speed | 1,500 × | peer | 500 × | 3× | ≥ 2× | yes |" in text
    assert "| memory | 410.2 MB |  |  |  | ≤ 400 MB | no |" in text
    page.write_text(BEGIN, encoding="utf-8")
    with pytest.raises(ValueError, match="put both there"):
        write_between_markers(page, "")


def test_contestants_run_in_turn() -> None:
    order: list[str] = []
    seconds = alternate({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, 2)
    assert order == ["a", "b"] * 3
    assert [len(runs) for runs in seconds.values()] == [2, 2]


@pytest.mark.skipif(sys.platform == "win32", reason="peak memory of a child is asked of POSIX systems only")
def test_the_meter_sees_the_command_and_not_its_parent() -> None:
    ballast = np.ones(50_000_000)  # 400 MB here must not count there
    usage = meter([sys.executable, "-c", "print(len(bytearray(60_000_000)))"])
    assert usage.output == "60000000\n"
    assert 60e6 < usage.peak_bytes < ballast.nbytes / 2
    with pytest.raises(RuntimeError, match="no such thing"):
        meter([sys.executable, "-c", "raise SystemExit('no such thing')"])


def test_agreement_counts_the_best_class_among_ours() -> None:
    theirs = np.array([[0.1, 0.9, 0.0], [0.5, 0.5, 0.1]], np.float32)
    ours = np.array([[0.8, 0.7, 0.0], [0.1, 0.2, 0.3]], np.float32)
    assert [agreement(ours, theirs, count) for count in (1, 2, 3)] == [0.0, 50.0, 100.0]


def test_folds_are_tested_on_what_they_were_not_trained_on(rng: np.random.Generator) -> None:
    """A label that only its own fold knows cannot be recognised; one that all folds share can."""
    clips = [Clip(Path(str(index)), index % 2, index % 5 + 1, esc10=True) for index in range(40)]
    shared_sign = np.array([[4.0 * clip.target, 1.0] for clip in clips], np.float32)
    own_sign = np.zeros((40, 5), np.float32)
    for row, clip in zip(own_sign, clips, strict=True):
        row[clip.fold - 1] = 4.0 * clip.target - 2.0
    with parallel_config(backend="threading"):  # processes take seconds to start
        assert fold_accuracies(shared_sign, clips) == [100.0] * 5
        assert fold_accuracies(own_sign, clips) == [50.0] * 5


@pytest.mark.shared
def test_the_long_file_is_as_long_as_asked(few_clips: Path, tmp_path: Path) -> None:
    clips = read_esc50(few_clips)
    assert sorted({clip.fold for clip in clips}) == [1, 2, 3, 4, 5]
    make_long_file(clips, tmp_path / "long.flac", 61.5)
    samples, rate_hz = soundfile.read(tmp_path / "long.flac", dtype="float32")
    assert (len(samples), rate_hz) == (round(61.5 * RATE_HZ), RATE_HZ)
    twelve_clips = sum(len(clip.waveform()) for clip in [*clips, *clips[:2]])
    np.testing.assert_array_equal(samples[twelve_clips:], clips[2].waveform()[: len(samples) - twelve_clips])
