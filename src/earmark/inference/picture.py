"""A picture of a recording for a paper or a wall: waveform, spectrogram, classes and events on one axis of time."""

import importlib.util
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from earmark.errors import MissingExtraError, OptionError, OutputError
from earmark.inference.formats.escape import one_line
from earmark.inference.overview import FLOOR_DB, Overview

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text

__all__ = ["SUFFIXES", "Layout", "check_picture", "draw", "save_picture"]

SUFFIXES = (".png", ".svg", ".pdf")
"""Of the files that `save_picture` writes."""

# Okabe and Ito's palette: told apart by colour-blind readers, and in print.
INK, WAVE, BAR = "#222222", "#0072B2", "#D55E00"
SPECTRUM_MAP = "magma"  # perceptually uniform

_TICKS_HZ = (250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000)  # lower ones would overlap on a mel axis
_ROW_INCHES, _WAVE_INCHES, _SPECTRUM_INCHES, _MARGIN_INCHES = 0.21, 0.8, 2.0, 1.15
_TITLE_GAP_INCHES = 0.1
_NAME_LETTERS = 32


@dataclass(frozen=True, slots=True)
class Layout:
    """What the reader wants to see, and how large.

    Parameters
    ----------
    top_k : int
        Rows of classes: those whose events score highest, then those that score highest at any moment. At least 1.
    width_inches : float
        Of the whole picture.
    height_inches : float, optional
        By default what the rows need.
    dpi : int
        Dots in an inch; of a PNG.
    title : str, optional
        By default the recording's file name.

    Raises
    ------
    OptionError
        If a number is out of range.
    """

    top_k: int = 8
    width_inches: float = 8.0
    height_inches: float | None = None
    dpi: int = 150
    title: str | None = None

    def __post_init__(self) -> None:
        height = 5.0 if self.height_inches is None else self.height_inches
        if self.top_k < 1 or not 2 <= self.width_inches <= 100 or not 2 <= height <= 100 or not 20 <= self.dpi <= 1200:
            raise OptionError(
                f"top_k={self.top_k}, width {self.width_inches:g}, height {height:g}, dpi {self.dpi}: "
                "top_k is 1 or more, width and height 2 to 100 inches, dpi 20 to 1200"
            )


def check_picture(path: str | os.PathLike[str]) -> None:
    """Refuse what `save_picture` could not write, before a long recording is looked at.

    Raises
    ------
    OptionError
        If the name does not end in one of `SUFFIXES`.
    MissingExtraError
        Without Matplotlib (extra ``plot``).
    """
    if Path(path).suffix.lower() not in SUFFIXES:
        raise OptionError(f"{os.fspath(path)} is not the name of a picture: let it end in {', '.join(SUFFIXES)}")
    if importlib.util.find_spec("matplotlib") is None:
        raise MissingExtraError.for_extra("plot", "matplotlib", "a picture")


def save_picture(view: Overview, path: str | os.PathLike[str], layout: Layout | None = None) -> None:
    """Draw a recording and write the picture, the same bytes for the same view.

    Parameters
    ----------
    view : Overview
        What `earmark.inference.overview.overview` saw.
    path : str or os.PathLike
        Ends in ``.png``, ``.svg`` or ``.pdf``.
    layout : Layout, optional

    Raises
    ------
    OptionError, MissingExtraError
        As `check_picture`.
    OutputError
        If the file cannot be written.
    """
    check_picture(path)
    from matplotlib import rc_context

    layout = layout or Layout()
    figure = draw(view, layout)
    # Dates and random ids would make each file another; TrueType keeps text in a PDF selectable.
    undated = {".png": {}, ".svg": {"Date": None}, ".pdf": {"CreationDate": None}}[Path(path).suffix.lower()]
    try:
        with rc_context({"svg.hashsalt": "earmark", "pdf.fonttype": 42}):
            figure.savefig(path, dpi=layout.dpi, metadata=undated)
    except OSError as error:
        raise OutputError(f"cannot write {os.fspath(path)}: {error.strerror}") from error


def draw(view: Overview, layout: Layout) -> "Figure":
    """Draw a recording.

    Parameters
    ----------
    view : Overview
    layout : Layout

    Returns
    -------
    matplotlib.figure.Figure
        With axes labelled ``waveform``, ``spectrogram``, ``classes``, ``events``, ``level scale`` and ``score scale``.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    classes = _classes(view, layout.top_k)
    sounding = [column for column in classes if view.labels[column].id in _event_scores(view)]
    rows = [_WAVE_INCHES, _SPECTRUM_INCHES, len(classes) * _ROW_INCHES, max(1, len(sounding)) * _ROW_INCHES]
    height = layout.height_inches or sum(rows) + _MARGIN_INCHES
    figure = Figure(figsize=(layout.width_inches, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(4, 2, height_ratios=rows, width_ratios=[1, 0.012])
    axes = [figure.add_subplot(grid[row, 0], label=name) for row, name in enumerate(_PARTS)]
    bars = [figure.add_subplot(grid[row, 1], label=f"{name} scale") for row, name in ((1, "level"), (2, "score"))]
    _waveform(axes[0], view)
    _spectrogram(axes[1], bars[0], view)
    _timeline(axes[2], bars[1], view, classes)
    _events(axes[3], view, sounding)
    _dress(axes, view)
    _caption(axes[0], _name(view, layout), _small_print(view, len(sounding)))
    _settle(figure)
    return figure


_PARTS = ("waveform", "spectrogram", "classes", "events")


def _classes(view: Overview, top_k: int) -> list[int]:
    """Return the classes whose events score highest, then those of the highest peak, in the order in which they begin.

    Peaks, not means: what sounds for a moment is as much in the picture as what sounds all the time.
    """
    scores, peaks = _event_scores(view), view.scores.max(axis=0)
    onsets = {event.id: event.onset for event in reversed(view.result.events)}
    ids = [label.id for label in view.labels]
    chosen = sorted(range(len(ids)), key=lambda column: (-scores.get(ids[column], -1.0), -peaks[column]))[:top_k]
    return sorted(chosen, key=lambda column: (onsets.get(ids[column], math.inf), -peaks[column]))


def _event_scores(view: Overview) -> dict[str, float]:
    """Return the score of the highest event of each class that has one, by label id."""
    return {event.id: event.score for event in sorted(view.result.events, key=lambda event: event.score)}


def _waveform(axes: "Axes", view: Overview) -> None:
    low, high = (np.append(side, side[-1]) for side in view.envelope.T)
    axes.fill_between(view.sound_edges, low, high, step="post", color=WAVE, linewidth=0.4)
    highest = max(float(np.abs(view.envelope).max()), 1e-3)
    axes.set_ylim(-1.05 * highest, 1.05 * highest)
    axes.set_ylabel("Amplitude")


def _spectrogram(axes: "Axes", scale: "Axes", view: Overview) -> None:
    settings = view.settings
    middles = settings.hertz_to_mel(settings.band_edges_hz[1:-1])
    bottom, top = (1.5 * middles[[0, -1]] - 0.5 * middles[[1, -2]]).tolist()
    end = view.start + len(view.spectrogram_db) * (view.sound_edges[1] - view.start)  # of a whole last column
    image = axes.imshow(
        view.spectrogram_db.T,
        origin="lower",
        aspect="auto",
        extent=(view.start, end, bottom, top),
        cmap=SPECTRUM_MAP,
        vmin=FLOOR_DB,
        vmax=0.0,
    )
    shown = [hertz for hertz in _TICKS_HZ if hertz <= settings.high_hz]
    places = np.minimum(settings.hertz_to_mel(np.array(shown, float)), top)  # the last band's middle is below its end
    axes.set_yticks(places, [f"{hertz:,}" for hertz in shown])
    axes.set_ylabel("Frequency (Hz)")
    _scale(axes, scale, image, "Level (dB)")


def _timeline(axes: "Axes", scale: "Axes", view: Overview, columns: Sequence[int]) -> None:
    rows = np.arange(len(columns) + 1) - 0.5
    mesh = axes.pcolormesh(
        view.score_edges, rows, view.scores[:, columns].T, cmap=_even_blues(), vmin=0.0, vmax=1.0, rasterized=True
    )
    axes.hlines(rows[1:-1], view.start, view.end, color="white", linewidth=0.8)
    _names(axes, view, columns)
    _scale(axes, scale, mesh, "Score")


def _events(axes: "Axes", view: Overview, columns: Sequence[int]) -> None:
    for row, column in enumerate(columns):
        label_id = view.labels[column].id
        spans = [(event.onset, event.offset - event.onset) for event in view.result.events if event.id == label_id]
        axes.broken_barh(spans, (row - 0.32, 0.64), facecolor=BAR, edgecolor="white", linewidth=0.5)
    _names(axes, view, columns)
    if not columns:
        axes.set_yticks([0], ["no events"])
    axes.set_axisbelow(True)
    axes.grid(axis="x", color="#e4e4e4", linewidth=0.6)


def _even_blues() -> Any:
    """Return Matplotlib's Blues with even steps of lightness (CIE L*), so that equal steps of score look equal."""
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap

    colours = colormaps["Blues"](np.linspace(0, 1, 256))[::-1, :3]
    luminance = ((colours + 0.055) / 1.055) ** 2.4 @ [0.2126, 0.7152, 0.0722]  # of sRGB
    lightness = np.cbrt(luminance)
    even = np.linspace(lightness[-1], lightness[0], 256)
    return ListedColormap(np.stack([np.interp(even, lightness, channel) for channel in colours.T], axis=1))


def _names(axes: "Axes", view: Overview, columns: Sequence[int]) -> None:
    """Name the rows, the first on top."""
    names = [_printable(_cut(view.labels[column].name)) for column in columns]
    axes.set_yticks(range(len(columns)), names, parse_math=False)
    axes.set_ylim(max(1, len(columns)) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)


def _cut(name: str) -> str:
    """Return a name of bounded length, cut at a comma where it has one: AudioSet's are lists of synonyms."""
    if len(name) <= _NAME_LETTERS:
        return name
    short = name[: _NAME_LETTERS - 1]
    return short[: short.rfind(",")] + "…" if "," in short else short + "…"


def _scale(axes: "Axes", scale: "Axes", mappable: Any, name: str) -> None:
    bar = axes.figure.colorbar(mappable, cax=scale)
    bar.set_label(name, fontsize=8)
    bar.outline.set_linewidth(0.5)
    scale.tick_params(labelsize=7, width=0.5, length=2)


def _dress(axes: Sequence["Axes"], view: Overview) -> None:
    """Give all axes one time axis and one hand of type."""
    from matplotlib.ticker import MaxNLocator

    for part in axes:
        part.set_xlim(view.start, view.end)
        part.xaxis.set_major_locator(MaxNLocator(nbins=10, steps=[1, 2, 5, 10]))
        part.tick_params(labelsize=8, width=0.5, length=2.5, labelbottom=part is axes[-1])
        part.yaxis.label.set_fontsize(8)
        for spine in part.spines.values():
            spine.set_linewidth(0.5)
    for part in (axes[0], axes[3]):
        part.spines[["top", "right"]].set_visible(False)
    axes[-1].set_xlabel("Time (s)", fontsize=8)


def _name(view: Overview, layout: Layout) -> str:
    return _printable(Path(view.result.file).name if layout.title is None else layout.title)


def _small_print(view: Overview, rows: int) -> str:
    """Say which model this is from, and what the picture leaves out."""
    result, sounding = view.result, len(_event_scores(view))
    parts = [f"{result.model} {result.model_version}"]
    parts += [] if result.calibrated else ["scores not calibrated"]
    parts += [f"{rows} of {sounding} labels with events"] if rows < sounding else []
    return _printable(", ".join(parts))


def _caption(axes: "Axes", name: str, small_print: str) -> None:
    """Write the name on the left and the small print on the right; one above the other where the page is narrow."""
    figure: Any = axes.figure
    small = axes.set_title(small_print, loc="right", fontsize=7, color="#666666", parse_math=False)
    title = axes.set_title("", loc="left", fontsize=10, color=INK, parse_math=False)
    figure.get_layout_engine().execute(figure)  # what is left for the name, the layout says
    left, right, margin = axes.bbox.x0, axes.bbox.x1, figure.dpi * _TITLE_GAP_INCHES
    room = right - left - margin - small.get_window_extent().width
    if _shorten(title, name, room) >= min(len(name), _NAME_LETTERS):
        return
    title.set_x((margin - left) / axes.bbox.width)  # from the left side of the page
    _shorten(small, small_print, right - margin)
    _shorten(title, name, figure.bbox.width - 2 * margin)
    title.set_text(f"{title.get_text()}\n ")


def _settle(figure: Any) -> None:
    """Lay the axes out for good, rounded: the layout's last decimals are not the same each time."""
    figure.get_layout_engine().execute(figure)
    figure.set_layout_engine("none")
    for axes in figure.axes:
        axes.set_position(np.round(axes.get_position().bounds, 6).tolist())


def _shorten(text: "Text", words: str, width: float) -> int:
    """Set words, cut in the middle to fit a width in dots, and return how many of their letters are left."""
    for letters in range(len(words), 0, -1):
        head = -(-letters // 2)
        text.set_text(words if letters == len(words) else f"{words[:head]}…{words[len(words) - letters + head :]}")
        if text.get_window_extent().width <= width:
            return letters
    return 0


def _printable(text: str) -> str:
    """Return text on one line, with escapes for the letters that the font lacks."""
    from matplotlib.font_manager import FontProperties, findfont, get_font

    glyphs = get_font(findfont(FontProperties())).get_charmap()
    return "".join(
        letter if ord(letter) in glyphs else letter.encode("ascii", "backslashreplace").decode()
        for letter in one_line(text)
    )
