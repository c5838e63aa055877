"""The benchmarks run, on little data, and give finite numbers. How fast they are fails no test."""

import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from benchmarks import outoffold
from benchmarks.__main__ import GROUPS, LONG_GROUPS, main, names_for, title
from benchmarks.bench import Bench
from benchmarks.corpus import RATE_HZ, Clip, make_long_file, make_oggs, read_esc50
from benchmarks.embeddings import fold_accuracies
from benchmarks.fidelity import agreement
from benchmarks.heads import accuracy as accuracy_of_command
from benchmarks.manifests import few, of_folds, where
from benchmarks.outoffold import Folds, FoldScores, accuracy, mean_of, out_of_fold
from benchmarks.page import blocks, fill
from benchmarks.peers import SideBySide
from benchmarks.report import Report
from benchmarks.row import Goal, Quantity, Row
from benchmarks.scratch import gain_rows, slowest_row
from benchmarks.tagging import stages, tag_all
from benchmarks.timing import alternate, meter
from joblib import parallel_config

from earmark.data.manifest import Clip as LabelledClip
from earmark.data.manifest import Manifest
from earmark.evaluation.outcome import Outcome, summarise
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
    assert list(report["groups"]) == [title(name) for name in names]
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
    assert [line.split()[0] for line in lines] == [*GROUPS, *LONG_GROUPS]
    assert all(len(line.split()) > 2 for line in lines)


@pytest.mark.parametrize("arguments", [["--quick"], ["import"], ["heads", "--quick"]])
def test_only_whole_blocks_are_published(arguments: list[str], page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main([*arguments, "--write-docs", str(page)])
    assert "--write-docs publishes figures" in capsys.readouterr().err


def test_rows_know_whether_the_goal_was_reached() -> None:
    assert (SPEED.ratio, SPEED.reached, SPEED.goal_text()) == (3.0, True, "≥ 2×")
    assert (MEMORY.ratio, MEMORY.reached, MEMORY.goal_text()) == (None, False, "≤ 400 MB")
    assert Row(what="", ours=Quantity(1, "")).reached is None
    assert str(Quantity(12345.6, "MB")) == "12,346 MB"
    assert str(Quantity(0.00041234, "")) == "0.0004123"


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """Return a page with two blocks."""
    path = tmp_path / "page.md"
    path.write_text(
        "before\n<!-- benchmarks:begin import live -->\nold\n<!-- benchmarks:end -->\nbetween\n"
        "<!-- benchmarks:begin heads -->\nolder\n<!-- benchmarks:end -->\nafter\n",
        encoding="utf-8",
    )
    return path


def test_a_page_says_what_it_shows(page: Path) -> None:
    assert blocks(page) == [["import", "live"], ["heads"]]
    assert names_for(page, []) == ["import", "live", "heads"]
    assert names_for(page, ["heads"]) == ["heads"]
    assert names_for(page, ["import"]) == []
    assert blocks(page.with_name("none.md")) == []


@pytest.mark.parametrize("name", ["speed", "accuracy"])
def test_the_pages_of_the_docs_show_benchmarks_that_exist(name: str) -> None:
    shown = blocks(Path(__file__).parents[1] / "docs" / "guide" / f"{name}.md")
    assert shown
    assert {benchmark for block in shown for benchmark in block} <= {*GROUPS, *LONG_GROUPS}


def test_the_page_gets_the_tables_of_what_is_done(page: Path) -> None:
    report = Report(groups={"One": [SPEED], "Two": [MEMORY]})
    fill(page, {"heads", "import"}, lambda names: f"{names}\n{report.only(['One']).to_markdown()}")
    text = page.read_text(encoding="utf-8")
    assert text.startswith("before\n<!-- benchmarks:begin import live -->\nold\n<!-- benchmarks:end -->\nbetween\n")
    assert f"<!-- benchmarks:begin heads -->\n\n['heads']\nMeasured on {report.day}: " in text
    assert text.endswith("- One, speed: why\n\n<!-- benchmarks:end -->\nafter\n")
    assert "older" not in text
    assert "| speed | 1,500 × | peer | 500 × | 3× | ≥ 2× | yes |" in text
    assert "| memory | 410.2 MB |  |  |  | ≤ 400 MB | no |" in report.to_markdown()
    assert "memory" not in text


@pytest.mark.parametrize(
    "text", ["<!-- benchmarks:begin heads -->", "<!-- benchmarks:begin -->\n<!-- benchmarks:end -->"]
)
def test_a_marker_alone_or_without_names_is_refused(tmp_path: Path, text: str) -> None:
    page = tmp_path / "page.md"
    page.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match="put both there"):
        blocks(page)


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


def _manifest(folds: int = 3) -> Manifest:
    clips = [
        LabelledClip(Path(f"{label}-{fold}-{take}.wav"), (label,), fold=str(fold + 1), group=f"{label}{fold}{take}")
        for label in "ab"
        for fold in range(folds)
        for take in range(2)
    ]
    return Manifest.of(clips, source="made", layout="csv")


def test_manifests_are_cut_down() -> None:
    assert len(few(_manifest(), classes=1, each=1)) == 3
    assert few(_manifest(), classes=1).labels == ("a",)
    assert {clip.fold for clip in of_folds(_manifest(), ["2", "3"]).clips} == {"2", "3"}
    assert where(_manifest(), lambda clip: clip.labels == ("b",)).labels == ("b",)


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Put something quick in the place of cross-validation; return the folds that it was asked for, as they come."""
    asked: list[str] = []

    def crossval(manifest: Manifest, *, recipe: str, only: tuple[str, ...], **options: object) -> Outcome:
        asked.extend(f"{recipe} {fold}" for fold in only)
        tested = of_folds(manifest, only)
        scores = 0.2 + 0.6 * tested.targets()
        if recipe == "wave":
            scores[0] = 1 - scores[0]
        return summarise(
            labels=tested.labels,
            task="single-label",
            targets=tested.targets(),
            scores=scores,
            model=recipe,
            clips=tuple(str(clip.path) for clip in tested.clips),
        )

    monkeypatch.setattr(outoffold, "crossval", crossval)
    return asked


def test_folds_that_are_done_are_not_done_again(trained: list[str], tmp_path: Path) -> None:
    first = out_of_fold(Bench(tmp_path, tmp_path, quick=True, folds=("2",)), "made", _manifest(), "cnn")
    assert (first.told()[:25], trained) == ("1 of 3 folds, 2: 100.00; ", ["cnn 2"])
    bench = Bench(tmp_path, tmp_path, quick=True)
    every = out_of_fold(bench, "made", _manifest(), "cnn")
    assert trained == ["cnn 2", "cnn 1", "cnn 3"]
    assert [part.fold for part in every.parts] == ["1", "2", "3"]
    assert every.outcome().metrics.clips == 12
    out_of_fold(bench, "made", _manifest(), "cnn", epochs=7)
    assert len(trained) == 6, "other settings are another training"
    with pytest.raises(ValueError, match="its folds are 1, 2, 3"):
        out_of_fold(Bench(tmp_path, tmp_path, quick=True, folds=("9",)), "made", _manifest(), "cnn")


def test_ensembles_combine_the_folds_that_both_have(trained: list[str], tmp_path: Path) -> None:
    cnn = out_of_fold(Bench(tmp_path, tmp_path, quick=True), "made", _manifest(), "cnn")
    wave = out_of_fold(Bench(tmp_path, tmp_path, quick=True, folds=("1", "3")), "made", _manifest(), "wave")
    assert (accuracy(cnn), accuracy(wave)) == (100.0, 75.0)
    both = mean_of([wave, cnn])
    assert [part.fold for part in both.parts] == ["1", "3"]
    np.testing.assert_allclose(both.parts[0].scores[0], [0.5, 0.5], atol=1e-6)
    rows = list(gain_rows([cnn, wave]))
    assert [row.what for row in rows][1] == "mean of cnn and wave: ESC-50, gain over the better one"
    assert rows[0].against == "cnn alone"
    assert rows[1].note == "cnn is the better one, 2 of 3 folds"
    assert slowest_row(wave).goal is None
    assert slowest_row(cnn).reached


def test_a_training_that_was_interrupted_is_no_figure() -> None:
    with pytest.raises(KeyboardInterrupt):
        outoffold._report("fold 1: stopped by Ctrl-C after 2 of 60 epochs")


def test_kept_scores_come_back_as_they_were(tmp_path: Path, rng: np.random.Generator) -> None:
    scores = rng.random((2, 3), np.float32)
    part = FoldScores(fold="1", clips=("ä.wav", "b.wav"), targets=scores, scores=scores, seconds=1.5, day="2026-01-01")
    part.write(tmp_path / "fold-1.npz")
    again = FoldScores.read(tmp_path / "fold-1.npz")
    assert (again.fold, again.clips, again.seconds, again.day) == ("1", ("ä.wav", "b.wav"), 1.5, "2026-01-01")
    np.testing.assert_array_equal(again.scores, scores)
    assert Folds(recipe="cnn", labels=("a", "b", "c"), parts=(again,), of=5).told().startswith("1 of 5 folds")


def test_rows_of_the_command_say_which_folds_there_were() -> None:
    outcome = {"spread": {"accuracy": {"mean": 0.875, "values": [0.85, 0.9]}}, "metrics": {"clips": 1200}}
    row = accuracy_of_command("ESC-50", outcome, Goal(86.5))
    assert (row.what, row.reached) == ("ESC-50: accuracy, mean of 2 folds", True)
    assert row.note == "1,200 clips; folds 85.00, 90.00"
