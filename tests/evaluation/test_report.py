"""The page: whole, self-contained, well-formed, harmless whatever the names, small."""

import base64
import io
import re
import zlib
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from earmark.errors import OutputError
from earmark.evaluation.evaluate import evaluate
from earmark.evaluation.markup import Markup, element, join
from earmark.evaluation.mistakes import EXCERPT_SECONDS, cut_excerpt, worst_mistakes
from earmark.evaluation.outcome import Outcome, summarise
from earmark.evaluation.plots import confusion_chart
from earmark.evaluation.report import build_report, write_report
from earmark.evaluation.spectrogram import png
from earmark.evaluation.words import most_confused, number, summary
from tests.evaluation.conftest import RATE_HZ, write_clip

EVIL = "<script>alert('x')</script> & \"rain\" \u202e\x00"
VOID = {"meta", "img", "br"}


class Page(HTMLParser):
    """Checks that every tag is closed, and collects what matters."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(text)
        assert not self.open, self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def outcome(folder: Path, labels: int = 4, **changes: Any) -> Outcome:
    rng = np.random.default_rng(3)
    clips = [write_clip(folder / f"{number} <i>.wav", number, 0.3) for number in range(6)]
    names = (EVIL, *(f"label {number}" for number in range(1, labels)))
    scores = rng.dirichlet(np.ones(labels), 60).astype(np.float32)
    fields: dict[str, Any] = {
        "labels": names,
        "task": "single-label",
        "targets": np.eye(labels, dtype=np.float32)[rng.integers(labels, size=60)],
        "scores": scores,
        "model": f"tiny {EVIL}",
        "clips": tuple(str(clips[number % 6]) for number in range(60)),
        "folds": tuple(str(number % 3) for number in range(60)),
        "novelty": rng.uniform(size=60).astype(np.float32),
        "data": EVIL,
        "notes": (EVIL,),
        "failures": ((EVIL, EVIL),),
        "command": EVIL,
    }
    return summarise(**(fields | changes))


@pytest.mark.parametrize("task", ["single-label", "multi-label"])
def test_page_is_whole_and_needs_nothing(tmp_path: Path, task: str) -> None:
    path = tmp_path / "report.html"
    write_report(outcome(tmp_path, task=task), path)
    text = path.read_text(encoding="utf-8")
    page = Page(text)
    assert "alert" not in "".join(re.findall(r"<script>(.*?)</script>", text, re.DOTALL))
    assert EVIL[:20] in page.words
    assert len(page.all("script")) == 1
    addresses = [value for _, attributes in page.tags for key, value in attributes.items() if key in ("src", "href")]
    assert addresses
    assert all(str(address).startswith("data:") for address in addresses)
    assert not re.findall(r"url\(|@import|https?://(?!www\.w3\.org/2000/svg)", text)
    assert len(page.all("audio")) == len(page.all("img")) == 20
    assert all(image["alt"] for image in page.all("img"))
    assert all(drawing["aria-label"] for drawing in page.all("svg"))
    assert len(page.all("caption")) == len(page.all("table"))
    assert page.all("html")[0]["lang"] == "en"
    assert "\x00" not in text


def test_page_says_what_matters(tmp_path: Path) -> None:
    words = Page(build_report(outcome(tmp_path, novelty_threshold=0.9))).words
    for heading in ("All figures", "What is heard as what", "Sure when it is right?", "Every label", "worst mistakes"):
        assert heading in words
    assert "Known and unknown sound" in words
    assert "over the folds" in words
    assert "of 60 clips get their label first" in words
    assert "Fold 2" in words


def test_sounds_and_pictures_are_real(tmp_path: Path) -> None:
    page = Page(build_report(outcome(tmp_path)))
    head, _, content = str(page.all("audio")[0]["src"]).partition(",")
    samples, rate_hz = soundfile.read(io.BytesIO(base64.b64decode(content)))
    assert (head, rate_hz) == ("data:audio/mpeg;base64", 16_000)
    assert len(samples) == pytest.approx(0.3 * RATE_HZ, abs=0.2 * RATE_HZ)  # MP3 comes in frames
    assert np.abs(samples).max() > 0.01
    picture = base64.b64decode(str(page.all("img")[0]["src"]).partition(",")[2])
    assert picture.startswith(b"\x89PNG")


def test_png_holds_its_dots() -> None:
    values = np.arange(12, dtype=np.uint8).reshape(3, 4)
    data = png(values)
    width, height = np.frombuffer(data[16:24], ">u4")
    assert (width, height) == (4, 3)
    start = data.index(b"IDAT") + 4
    lines = np.frombuffer(zlib.decompress(data[start : data.index(b"IEND") - 8]), np.uint8).reshape(3, 5)
    np.testing.assert_array_equal(lines[:, 1:], values)


def test_clips_that_went_away_have_no_sound(tmp_path: Path) -> None:
    page = Page(build_report(outcome(tmp_path, clips=tuple(str(tmp_path / f"{n}.gone") for n in range(60)))))
    assert not page.all("audio")
    assert "(no sound here)" in page.words


def test_excerpt_is_the_loudest_stretch(tmp_path: Path) -> None:
    quiet, loud = np.full(20 * RATE_HZ, 0.001), np.full(2 * RATE_HZ, 0.5)
    soundfile.write(tmp_path / "long.wav", np.concatenate([quiet, loud, quiet]), RATE_HZ)
    one = outcome(tmp_path, clips=(str(tmp_path / "long.wav"),) * 60)
    excerpt = cut_excerpt(one, 0)
    assert excerpt is not None
    assert not excerpt.whole
    assert excerpt.seconds == EXCERPT_SECONDS
    assert excerpt.start_seconds <= 20.0
    assert excerpt.start_seconds + excerpt.seconds >= 22.0
    part = cut_excerpt(outcome(tmp_path, clips=one.clips, starts=(3.0,) * 60, ends=(4.0,) * 60), 0)
    assert part is not None
    assert (part.whole, part.seconds) == (True, 1.0)


def test_worst_mistakes_of_one_label(tmp_path: Path) -> None:
    given = outcome(tmp_path)
    mistakes = worst_mistakes(given, 5)
    assert [mistake.score for mistake in mistakes] == sorted((m.score for m in mistakes), reverse=True)
    for mistake in mistakes:
        assert mistake.answer not in mistake.truth
        assert mistake.score == given.scores[mistake.row].max()
    refusing = outcome(tmp_path, novelty=np.ones(60, np.float32), novelty_threshold=0.5)
    assert worst_mistakes(refusing) == ()
    assert "There are none." in Page(build_report(refusing)).words


def test_worst_mistakes_of_several_labels(tmp_path: Path) -> None:
    scores = np.full((60, 2), 0.2, np.float32)
    targets = np.zeros((60, 2))
    targets[:, 1] = scores[:, 1] = 1
    scores[0, 0] = 0.9  # a false alarm, 0.8 of the way from the threshold to 1
    scores[1, 1] = 0.05  # a miss, 0.9 of the way to 0
    given = outcome(tmp_path, labels=2, task="multi-label", scores=scores, targets=targets, thresholds=0.5)
    first, second = worst_mistakes(given)
    assert (first.row, first.answer, first.missed) == (1, "label 1", True)
    assert (second.row, second.answer, second.missed) == (0, EVIL, False)


def test_many_labels_stay_readable(tmp_path: Path) -> None:
    many = outcome(tmp_path, labels=80)
    text = build_report(many)
    assert "Shown are the 60 labels with the most mistakes" in Page(text).words
    assert len(text) < 2_000_000
    counts = np.zeros((3, 3), np.int64)
    counts[0, 1] = 4
    chart = confusion_chart(counts, ("a", "b", "c"))
    assert chart.count("<title>") == 1
    assert "a heard as b: 4 of 4" in chart


def test_the_matrix_has_none_of_these(tmp_path: Path) -> None:
    targets = np.eye(3)[[0, 1, 2, 2]][:, :2]
    scores = np.array([[0.9, 0.05], [0.2, 0.2], [0.1, 0.1], [0.6, 0.1]], np.float32)
    fields = {"targets": targets, "scores": scores, "clips": ("x",) * 4, "folds": None, "novelty": None}
    given = outcome(tmp_path, labels=2, **fields)
    page = build_report(given)
    assert "label 1 heard as none of these: 1 of 1" in page
    assert "none of these heard as none of these: 1 of 2" in page
    assert "Last, clips that have none of the labels" in Page(page).words
    assert most_confused(given)[0].answer in ("none of these", EVIL)
    told = Page(page).words
    assert "A clip without a label is right where the scores leave most" in told
    assert told.count(f"{given.metrics.expected_calibration_error:.3f}") >= 3  # tile, table, caption
    closed = outcome(tmp_path, labels=2, **(fields | {"scores": np.array([[0.9, 0.1]] * 4, np.float32)}))
    assert "The 2 clips without a label are left out" in Page(build_report(closed)).words


def test_few_labels_are_not_blown_up() -> None:
    widths = [
        int(re.findall(r"max-width: min\(60rem, (\d+)px", confusion_chart(np.eye(n, dtype=np.int64), "a" * n))[0])
        for n in (2, 8)
    ]
    assert widths[0] < widths[1] < 400


def test_nothing_known_is_no_error(tmp_path: Path) -> None:
    given = outcome(tmp_path, targets=np.zeros((60, 4)), folds=None, novelty=None)
    assert "None of the clips has one of the labels" in Page(build_report(given)).words


def test_summary_in_words(tmp_path: Path) -> None:
    targets = np.eye(3)[[0, 0, 0, 1, 2]]
    scores = np.array([[0, 1, 0], [0, 1, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32)
    given = outcome(tmp_path, labels=3, targets=targets, scores=scores, clips=("x",) * 5, folds=None, novelty=None)
    told = " ".join(summary(given)).replace("\u00a0", " ")
    assert told.startswith("3 of 5 clips get their label first (60.0 %).")
    assert "too sure of itself: it scores 100.0 % on average and is right in 60.0 %" in told
    assert most_confused(given)[0][1:] == ("label 1", 2, 3)
    assert number("d_prime", np.inf) == "∞"
    assert number("accuracy", np.nan) == "–"


def test_evaluate_writes_the_page(tiny_model: Path, clips: Path, tmp_path: Path) -> None:
    evaluate(tiny_model, clips, report=tmp_path / "report.html")
    assert "Chant d&#x27;oiseau" in (tmp_path / "report.html").read_text(encoding="utf-8")
    with pytest.raises(OutputError, match="cannot write"):
        evaluate(tiny_model, clips, report=tmp_path / "missing" / "report.html")


def test_markup_escapes_all_but_markup() -> None:
    assert element("b", "<", Markup("<i></i>"), title='"', hidden=True, alt=None, data_value=0.5) == (
        '<b title="&quot;" hidden data-value="0.5">&lt;<i></i></b>'
    )
    assert join("a & b", element("br")) == "a &amp; b<br>"
