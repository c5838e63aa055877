"""Charts of a report as inline SVG: small, sharp at any size, in the colours of the page, readable by a screen reader.

Colours are the page's CSS variables, so that one drawing serves light and dark.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from earmark.evaluation.markup import Markup, element, join
from earmark.evaluation.metrics import ReliabilityBin, precision_recall_curve
from earmark.evaluation.words import percent

_SIZE, _LEFT, _BOTTOM, _TOP, _RIGHT = 400.0, 46.0, 40.0, 10.0, 12.0
_TICKS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
_CURVE_POINTS = 120
_HISTOGRAM_BINS = 30

Floats = NDArray[np.floating]


class Chart:
    """A drawing with axes; data coordinates go in, an SVG comes out.

    Parameters
    ----------
    title : str
        What a screen reader says of the whole.
    across, up : str
        Names of the axes.
    width, height : float
        Of the drawing, in its own units; it is scaled to the page.
    highest : float
        Of the upward axis; the other goes from 0 to 1.
    """

    def __init__(
        self, title: str, across: str, up: str, *, width: float = _SIZE, height: float = _SIZE, highest: float = 1.0
    ) -> None:
        self._title, self._width, self._height, self._highest = title, width, height, highest
        self._parts: list[Markup] = []
        for value in _TICKS:
            self._tick(value)
        middle_x, middle_y = (_LEFT + width - _RIGHT) / 2, (_TOP + height - _BOTTOM) / 2
        self._words(across, middle_x, height - 6, anchor="middle")
        turn = f"rotate(-90 12 {middle_y:g})"
        self._parts.append(element("text", up, x=12, y=middle_y, text_anchor="middle", transform=turn))

    def x(self, value: float) -> float:
        """Return where a value is on the drawing, from the left."""
        return _LEFT + value * (self._width - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        """Return where a value is on the drawing, from the top."""
        return self._height - _BOTTOM - value / self._highest * (self._height - _BOTTOM - _TOP)

    def bar(self, span: tuple[float, float], top: float, kind: str, told: str, *, bottom: float = 0.0) -> None:
        """Draw a bar that says `told` under the pointer."""
        left, right = span
        box = {"x": self.x(left) + 1, "y": self.y(top), "width": max(self.x(right) - self.x(left) - 2, 1)}
        height = self.y(bottom) - self.y(top)
        self._parts.append(element("rect", element("title", told), class_=kind, height=height, **box))

    def line(self, points: Iterable[tuple[float, float]], kind: str, told: str = "") -> None:
        """Draw a line through points."""
        path = " ".join(f"{self.x(x):.1f},{self.y(y):.1f}" for x, y in points)
        self._parts.append(element("polyline", *([element("title", told)] if told else []), points=path, class_=kind))

    def dot(self, x: float, y: float, radius: float, told: str) -> None:
        """Draw a dot that says `told` under the pointer."""
        place = {"cx": self.x(x), "cy": self.y(y)}
        self._parts.append(element("circle", element("title", told), r=radius, class_="dot", **place))

    def svg(self) -> Markup:
        """Return the drawing."""
        return _svg(self._title, self._width, self._height, self._parts)

    def _tick(self, value: float) -> None:
        x, y = self.x(value), self.y(value * self._highest)
        self._parts.append(element("line", x1=x, x2=x, y1=_TOP, y2=self._height - _BOTTOM, class_="grid"))
        self._parts.append(element("line", x1=_LEFT, x2=self._width - _RIGHT, y1=y, y2=y, class_="grid"))
        self._words(f"{value:g}", x, self._height - _BOTTOM + 14, anchor="middle")
        self._words(f"{value * self._highest:.3g}", _LEFT - 5, y + 4, anchor="end")

    def _words(self, words: str, x: float, y: float, *, anchor: str) -> None:
        self._parts.append(element("text", words, x=x, y=y, text_anchor=anchor))


def _svg(
    title: str, width: float, height: float, parts: Sequence[Markup], *, kind: str = "chart", style: str | None = None
) -> Markup:
    return element(
        "svg",
        *parts,
        viewBox=f"0 0 {width:g} {height:g}",
        role="img",
        aria_label=title,
        class_=kind,
        style=style,
        xmlns="http://www.w3.org/2000/svg",
    )


def reliability_chart(bins: Sequence[ReliabilityBin], error: float) -> Markup:
    """Draw how often answers of a given score are right: bars on the diagonal are honest."""
    title = f"Reliability diagram: mean distance from the diagonal {100 * error:.1f} points."
    chart = Chart(title, "Score of the answer", "Share that is right")
    most = max((item.count for item in bins), default=0) or 1
    filled = [item for item in bins if item.count]
    told = [
        f"{item.count:,} answers of {item.low:.2f} to {item.high:.2f}: {percent(item.share_right)} right"
        for item in filled
    ]
    for item, words in zip(filled, told, strict=True):
        chart.bar((item.low, item.high), 0.2 * item.count / most, "count", words)
    chart.line([(0, 0), (1, 1)], "ideal")
    chart.line([(item.score, item.share_right) for item in filled], "main")
    for item, words in zip(filled, told, strict=True):
        chart.dot(item.score, item.share_right, 3 + 7 * (item.count / most) ** 0.5, words)
    return chart.svg()


def precision_recall_chart(scores: Floats, targets: Floats, labels: Sequence[str]) -> Markup:
    """Draw precision against recall: a thin line for each label, a bold one for all of them together."""
    chart = Chart("Precision against recall, of each label and of all together.", "Recall", "Precision")
    for column, label in enumerate(labels):
        if targets[:, column].any():
            chart.line(_curve(scores[:, column], targets[:, column]), "faint", label)
    if targets.any():
        chart.line(_curve(scores.ravel(), targets.ravel()), "main", "all labels together")
    return chart.svg()


def _curve(scores: Floats, positive: Floats) -> list[tuple[float, float]]:
    """Return points of a curve, few enough to draw: for each step of recall the best precision from there on."""
    precision, recall, _ = precision_recall_curve(scores, positive)
    best = np.maximum.accumulate(precision[::-1])[::-1]
    steps = np.unique(np.searchsorted(recall, np.linspace(0, 1, _CURVE_POINTS)).clip(0, len(recall) - 1))
    return [(0.0, float(best[0])), *((float(recall[step]), float(best[step])) for step in steps)]


def novelty_chart(novelty: Floats, unknown: NDArray[np.bool_], threshold: float | None) -> Markup:
    """Draw how novelty is spread over clips of the model's labels, and over the others."""
    edges = np.linspace(0, 1, _HISTOGRAM_BINS + 1)
    known_counts, unknown_counts = (np.histogram(novelty[side], edges)[0] for side in (~unknown, unknown))
    most = float(max((known_counts + unknown_counts).max(), 1))
    chart = Chart("Histogram of novelty.", "Novelty", "Clips", width=1.6 * _SIZE, height=0.7 * _SIZE, highest=most)
    for left, right, known, other in zip(edges, edges[1:], known_counts, unknown_counts, strict=False):
        words = f"novelty {left:.2f} to {right:.2f}: {known} clips of its labels, {other} of none"
        if known:
            chart.bar((left, right), known, "mass", words)
        if other:
            chart.bar((left, right), known + other, "wrong", words, bottom=known)
    if threshold is not None:
        chart.line([(threshold, 0), (threshold, most)], "ideal", f"threshold {threshold:.2f}")
    return chart.svg()


def confusion_chart(counts: NDArray[np.int64], labels: Sequence[str]) -> Markup:
    """Draw which label was heard as which: rows are what it is, columns what was answered, shares of the row.

    Right answers and wrong ones have colours of their own, so that a single mistake stands out among many right ones.
    """
    size = 26.0 if len(labels) <= 20 else 15.0
    margin = 8.0 + 6.2 * max((min(len(label), _LETTERS) for label in labels), default=0)
    side = size * len(labels)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    parts = [element("rect", x=margin, y=margin, width=side, height=side, class_="field")]
    parts += _grid_lines(len(labels), size, margin)
    for row, column in np.argwhere(counts):
        words = f"{labels[row]} heard as {labels[column]}: {counts[row, column]} of {counts[row].sum()}"
        place = {"x": margin + column * size, "y": margin + row * size}
        kind = "right" if row == column else "wrong"
        parts.append(
            element(
                "rect",
                element("title", words),
                **place,
                width=size,
                height=size,
                class_=kind,
                # the square root lets one clip of eight be seen
                fill_opacity=round(0.15 + 0.85 * float(np.sqrt(shares[row, column])), 2),
            )
        )
        if size > 20:
            middle = {"x": place["x"] + size / 2, "y": place["y"] + size / 2 + 4}
            strong = "on" if shares[row, column] > 0.3 else None
            parts.append(element("text", str(counts[row, column]), text_anchor="middle", class_=strong, **middle))
    for place_number, label in enumerate(labels):
        parts += _names(_cut(label), margin, margin + (place_number + 0.5) * size)
    title = f"Confusion matrix of {len(labels)} labels; the table below lists the most frequent mistakes."
    return _svg(
        title, margin + side + 2, margin + side + 2, parts, kind="chart confusion", style=_widths(margin + side)
    )


def _widths(side: float) -> str:
    """Return the style that keeps names legible on a phone, where the drawing then scrolls, and no larger than text."""
    return f"min-width: {0.8 * side:.0f}px; max-width: min(60rem, {1.3 * side:.0f}px)"


_LETTERS = 24


def _cut(label: str) -> str:
    return label if len(label) <= _LETTERS else label[: _LETTERS - 1] + "…"


def _names(label: str, margin: float, place: float) -> list[Markup]:
    turn = f"rotate(-90 {place + 4:g} {margin - 5:g})"
    return [
        element("text", label, x=margin - 5, y=place + 4, text_anchor="end"),
        element("text", label, x=place + 4, y=margin - 5, transform=turn),
    ]


def _grid_lines(count: int, size: float, margin: float) -> list[Markup]:
    """Draw a line every five rows and columns, for the eye to follow."""
    end = margin + count * size
    places = [margin + step * size for step in range(0, count + 1, 5)]
    across = [element("line", x1=margin, x2=end, y1=place, y2=place, class_="grid") for place in places]
    return across + [element("line", x1=place, x2=place, y1=margin, y2=end, class_="grid") for place in places]


def meter(value: float, told: str) -> Markup:
    """Return a bar for a cell of a table, for a value in [0, 1]."""
    filled = element("span", style=f"width:{100 * min(max(value, 0.0), 1.0):.1f}%")
    return element("span", filled, class_="meter", aria_hidden="true", title=told)


def legend(*entries: tuple[str, str]) -> Markup:
    """Return what the marks of a drawing mean, as pairs of kind and words."""
    return element(
        "p", *(join(element("i", class_=f"key {kind}"), f"{words} ") for kind, words in entries), class_="legend"
    )
