"""Pictures: what they show, where, and that the same view gives the same file."""

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from earmark.errors import MissingExtraError, OptionError, OutputError
from earmark.inference.classifier import Classifier
from earmark.inference.overview import Overview, overview
from earmark.inference.picture import Layout, check_picture, draw, save_picture
from earmark.inference.results import Event
from earmark.model.card import Label
from tests.inference.test_stream import RULE, restless

RATE_HZ = 16_000


@pytest.fixture(scope="module")
def view(tiny_model: Path) -> Overview:
    sound = restless(8 * RATE_HZ, RATE_HZ)
    return overview(Classifier.load(tiny_model), (sound, RATE_HZ), rule=RULE, start=1.0, end=7.0)


def axes_of(figure) -> dict:
    return {axes.get_label(): axes for axes in figure.axes}


def names_of(axes) -> list[str]:
    return [text.get_text() for text in axes.get_yticklabels()]


def test_the_parts_of_a_picture(view: Overview) -> None:
    figure = draw(view, Layout())
    parts = axes_of(figure)
    assert list(parts) == ["waveform", "spectrogram", "classes", "events", "level scale", "score scale"]
    names = ("waveform", "spectrogram", "classes", "events")
    assert {parts[name].get_xlim() for name in names} == {(1.0, 7.0)}
    assert parts["waveform"].get_ylabel() == "Amplitude"
    assert parts["spectrogram"].get_ylabel() == "Frequency (Hz)"
    assert parts["events"].get_xlabel() == "Time (s)"
    assert parts["level scale"].get_ylabel() == "Level (dB)"
    assert parts["score scale"].get_ylabel() == "Score"
    assert parts["waveform"].get_title(loc="left") == "<array>"
    assert parts["waveform"].get_title(loc="right") == "tiny 1, scores not calibrated"
    # One axis of time also on paper: the colour bars take no room from it.
    figure.canvas.draw()
    assert (
        len({(round(parts[name].get_position().x0, 6), round(parts[name].get_position().x1, 6)) for name in names}) == 1
    )


def test_hertz_stand_where_their_bands_are(view: Overview) -> None:
    axes = axes_of(draw(view, Layout()))["spectrogram"]
    ticks = {text.get_text(): place for text, place in zip(axes.get_yticklabels(), axes.get_yticks(), strict=True)}
    assert list(ticks) == ["250", "500", "1,000", "2,000", "4,000", "8,000"]
    assert ticks["1,000"] == pytest.approx(view.settings.hertz_to_mel(np.array(1000.0)))
    (image,) = axes.images
    left, right, bottom, top = image.get_extent()
    assert (left, right) == pytest.approx((1.0, 7.0))
    assert ticks["8,000"] == pytest.approx(top)
    middles = view.settings.hertz_to_mel(view.settings.band_edges_hz[1:-1])
    places = bottom + (np.arange(len(middles)) + 0.5) * (top - bottom) / len(middles)
    np.testing.assert_allclose(places, middles)


def test_classes_and_events_are_named_in_the_order_in_which_they_begin(view: Overview) -> None:
    events = (
        Event("Glöckchen", "/t/bell", 1.0, 2.0, 0.7),
        Event("Tone", "/t/tone", 3.0, 3.5, 0.8),
        Event("Glöckchen", "/t/bell", 4.0, 5.0, 0.6),
    )
    peaks = np.array([0.9, 0.1, 0.3, 0.2, 0.95], np.float32)  # tone, noise, bird, bell, quiet
    scores = np.zeros_like(view.scores)
    scores[3] = peaks  # a single moment
    changed = replace(view, scores=scores, result=replace(view.result, events=events))
    parts = axes_of(draw(changed, Layout(top_k=4)))
    assert names_of(parts["classes"]) == ["Glöckchen", "Tone", "Silence", "Chant d'oiseau"]
    assert names_of(parts["events"]) == ["Glöckchen", "Tone"]
    bars = [[path.get_extents().x0 for path in collection.get_paths()] for collection in parts["events"].collections]
    assert bars == [[1.0, 4.0], [3.0]]
    alone = axes_of(draw(changed, Layout(top_k=1)))
    assert names_of(alone["events"]) == names_of(alone["classes"]) == ["Tone"]
    small_print = alone["waveform"].get_title(loc="right")
    assert small_print == "tiny 1, scores not calibrated, 1 of 2 labels with events"


@pytest.mark.parametrize(("width", "lines"), [(8.0, 1), (4.0, 2), (2.5, 2)])
def test_a_long_title_stays_clear_of_the_small_print(view: Overview, width: float, lines: int) -> None:
    name = f"{'monday ' * 20}end.wav"
    figure = draw(view, Layout(title=name, width_inches=width))
    figure.canvas.draw()
    axes = axes_of(figure)["waveform"]
    title, small_print = axes._left_title, axes._right_title
    shown = title.get_text().splitlines()
    assert len(shown) == lines
    assert shown[0].startswith("monday")
    assert "…" in shown[0]
    assert shown[0].endswith("end.wav")
    boxes = [text.get_window_extent() for text in (title, small_print)]
    assert all(box.x0 >= 0 and box.x1 <= figure.bbox.width for box in boxes)
    assert boxes[0].x1 < boxes[1].x0 or lines == 2


def test_letters_that_the_font_lacks_are_escaped(view: Overview, tmp_path: Path) -> None:
    labels = (Label("/t/tone", "鼓"), *view.labels[1:])
    named = replace(view, labels=labels, result=replace(view.result, file="$a$ Glöckchen 鼓 🐕\n.wav"))
    save_picture(named, tmp_path / "view.svg", Layout(dpi=40))  # warnings are errors
    parts = axes_of(draw(named, Layout()))
    assert parts["waveform"].get_title(loc="left") == "$a$ Glöckchen \\u9f13 \\U0001f415\\n.wav"
    assert "\\u9f13" in names_of(parts["classes"])


def test_scores_are_drawn_in_their_rows(view: Overview) -> None:
    parts = axes_of(draw(view, Layout(top_k=2)))
    rows = names_of(parts["classes"])
    columns = [[label.name for label in view.labels].index(name) for name in rows]
    mesh = parts["classes"].collections[0]
    np.testing.assert_array_equal(mesh.get_array(), view.scores[:, columns].T)
    assert mesh.get_clim() == (0.0, 1.0)
    np.testing.assert_allclose(mesh.get_coordinates()[0, :, 0], view.score_edges)


def test_equal_steps_of_score_are_equal_steps_of_lightness(view: Overview) -> None:
    colours = axes_of(draw(view, Layout()))["classes"].collections[0].cmap(np.linspace(0, 1, 33))[:, :3]
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    lightness = 116 * np.cbrt(linear @ [0.2126, 0.7152, 0.0722]) - 16
    steps = np.diff(lightness)
    assert lightness[0] > 97
    assert steps.max() < 0
    np.testing.assert_allclose(steps, steps.mean(), rtol=0.15)


def test_a_long_name_is_cut_at_a_comma(view: Overview) -> None:
    long = "Livestock, farm animals, working animals"
    endless = "Inside large room or hall without any comma"
    labels = (Label("/t/tone", long), Label("/t/noise", endless), *view.labels[2:])
    names = names_of(axes_of(draw(replace(view, labels=labels), Layout()))["classes"])
    assert "Livestock, farm animals…" in names
    assert "Inside large room or hall witho…" in names


def test_nothing_happens(view: Overview) -> None:
    quiet = replace(
        view,
        envelope=0 * view.envelope,
        scores=0 * view.scores,
        result=replace(view.result, events=(), calibrated=True),
    )
    parts = axes_of(draw(quiet, Layout(title="A quiet night")))
    assert names_of(parts["events"]) == ["no events"]
    assert parts["waveform"].get_title(loc="left") == "A quiet night"
    assert parts["waveform"].get_title(loc="right") == "tiny 1"


@pytest.mark.parametrize(
    ("layout", "pixels"),
    [(Layout(width_inches=6, height_inches=5, dpi=50), (300, 250)), (Layout(dpi=60), (480, None))],
)
def test_size(view: Overview, tmp_path: Path, layout: Layout, pixels: tuple[int, int | None]) -> None:
    from matplotlib.image import imread

    save_picture(view, tmp_path / "view.png", layout)
    picture = imread(tmp_path / "view.png")
    assert picture.shape[1] == pixels[0]
    assert pixels[1] is None or picture.shape[0] == pixels[1]
    assert len(np.unique((picture[::4, ::4, :3] * 255).astype(int).reshape(-1, 3), axis=0)) > 100, "not blank"


def test_more_rows_make_a_taller_picture(view: Overview) -> None:
    heights = [draw(view, Layout(top_k=top_k)).get_figheight() for top_k in (1, 5)]
    assert heights[1] > heights[0] + 0.5


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf", ".PNG"])
def test_the_same_view_gives_the_same_bytes(view: Overview, tmp_path: Path, suffix: str) -> None:
    first, second = tmp_path / f"first{suffix}", tmp_path / f"second{suffix}"
    layout = Layout(dpi=40)
    save_picture(view, first, layout)
    save_picture(view, str(second), layout)
    assert first.read_bytes() == second.read_bytes()
    marks = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}
    assert first.read_bytes().startswith(marks[suffix.lower()])


def test_refusals(view: Overview, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OptionError, match=r"out\.gif is not the name of a picture: let it end in \.png, \.svg, \.pdf"):
        save_picture(view, "out.gif")
    with pytest.raises(OutputError, match=r"cannot write .*no.*out\.png: No such file"):
        save_picture(view, tmp_path / "no" / "out.png", Layout(dpi=40))
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "matplotlib" else find_spec(name))
    with pytest.raises(MissingExtraError, match=r"a picture needs matplotlib.*pip install 'earmark\[plot\]'"):
        check_picture("out.png")


@pytest.mark.parametrize(
    "wrong",
    [{"top_k": 0}, {"width_inches": 1.0}, {"width_inches": 101.0}, {"height_inches": 0.0}, {"dpi": 10}, {"dpi": 5000}],
)
def test_layouts_that_cannot_be(wrong: dict[str, float]) -> None:
    with pytest.raises(OptionError, match="width and height 2 to 100 inches"):
        Layout(**wrong)


def test_nothing_global_is_touched(view: Overview, tmp_path: Path) -> None:
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    save_picture(view, tmp_path / "view.svg", Layout(dpi=40))
    assert dict(mpl.rcParams) == before
