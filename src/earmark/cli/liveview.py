"""What one sees of a live stream: JSON for programs, lines for a log, and on a terminal a line that moves."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from earmark.cli.messages import complain

if TYPE_CHECKING:
    from rich.text import Text

    from earmark.inference.events import EventChange
    from earmark.inference.hookrunner import HookCounts
    from earmark.inference.listening import Gap, Listening
    from earmark.inference.stream import StreamUpdate

_SHOWN_LABELS, _SHOWN_FROM = 4, 0.05  # in the line that moves
_BAR_CELLS = 8


def open_view(labels: Sequence[str], *, as_json: bool) -> "View":
    """Return the view that suits who looks: a program, a log or a person.

    Parameters
    ----------
    labels : sequence of str
        Names of the columns of the scores that will be shown.
    as_json : bool
        Whether a program reads standard output.
    """
    if as_json:
        return JsonView()
    return LiveView(labels) if sys.stdout.isatty() else View()


class View:
    """A line of text for each event that opens or closes, on standard output; what else there is on standard error."""

    def __init__(self) -> None:
        self._events = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of the terminal."""

    def update(self, update: "StreamUpdate") -> None:
        """Show what a block of sound brought."""
        for change in update.changes:
            self._events += change.kind == "close"
            self._write(self._line(change))

    def gap(self, gap: "Gap") -> None:
        """Show that sound was lost."""
        complain(f"{gap.offset - gap.onset:.2f} s lost at {gap.onset:.2f} s: {gap.reason}")

    def summary(self, model: str, listening: "Listening", calls: "HookCounts") -> None:
        """Show what became of it all."""
        lost = f"{listening.lost_seconds:.2f} s of it lost" if listening.lost_seconds else "nothing lost"
        counts = [f"{count} {what}" for what, count in asdict(calls).items() if count]
        said = f"; calls: {', '.join(counts)}" if counts else ""
        events = f"{self._events} {'event' if self._events == 1 else 'events'}"
        print(f"{listening.seconds:.2f} s heard by {model}, {lost}; {events}{said}", file=sys.stderr)
        for finding in listening.findings:
            complain(f"note: {finding}")

    def _line(self, change: "EventChange") -> str:
        event = change.event
        if change.kind == "open":
            return f"{event.onset:9.2f} s  begins  {event.label}"
        length = event.offset - event.onset
        return f"{event.offset:9.2f} s  ends    {event.label}  ({length:.2f} s, score {event.score:.2f})"

    def _write(self, line: str) -> None:
        print(line, flush=True)


class JsonView(View):
    """One JSON object per line: events as they open and close, gaps, and a summary at the end."""

    def gap(self, gap: "Gap") -> None:
        """Show that sound was lost, to the person as well."""
        super().gap(gap)
        span = {"onset": round(gap.onset, 6), "offset": round(gap.offset, 6)}
        self._write(json.dumps({"kind": "gap", **span, "reason": gap.reason}))

    def summary(self, model: str, listening: "Listening", calls: "HookCounts") -> None:
        """Show what became of it all."""
        times = {"seconds": round(listening.seconds, 6), "lost_seconds": round(listening.lost_seconds, 6)}
        facts = {"kind": "summary", "model": model, **times, "events": self._events, "calls": asdict(calls)}
        self._write(json.dumps(facts | {"notes": [str(finding) for finding in listening.findings]}))

    def _line(self, change: "EventChange") -> str:
        return json.dumps(change.to_dict())


class LiveView(View):
    """The lines of `View`, and below them the highest labels of the last frame, redrawn in place."""

    def __init__(self, labels: Sequence[str]) -> None:
        from rich.console import Console
        from rich.live import Live

        super().__init__()
        self._labels = labels
        self._console = Console(highlight=False, markup=False, emoji=False)
        # Messages of other threads go through `sys.stderr`, which Live redirects above its line.
        self._live = Live(
            "listening; Ctrl-C ends it",
            console=self._console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
        )

    def __enter__(self) -> Self:
        self._live.start(refresh=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def update(self, update: "StreamUpdate") -> None:
        """Show the events, then the last frame."""
        super().update(update)
        if len(update.scores):
            self._live.update(self._frame(update), refresh=True)

    def _frame(self, update: "StreamUpdate") -> Any:
        from rich.text import Text

        scores = update.scores[-1]
        text = Text(f"{update.edges[-1]:8.2f} s", no_wrap=True, overflow="ellipsis")
        if update.novelty is not None:
            self._bar(text, "novelty", float(update.novelty[-1]), "magenta")
        for column in (-scores).argsort(kind="stable")[:_SHOWN_LABELS]:
            if scores[column] < _SHOWN_FROM:
                break
            self._bar(text, self._labels[column], float(scores[column]), "cyan")
        return text

    def _bar(self, text: "Text", name: str, score: float, colour: str) -> None:
        full, empty = ("#", ".") if self._console.options.ascii_only else ("█", "░")
        cells = round(_BAR_CELLS * score)
        text.append(f"   {name} ").append(full * cells, colour)
        text.append(empty * (_BAR_CELLS - cells), "dim").append(f" {score:.2f}")

    def _write(self, line: str) -> None:
        self._console.print(line, soft_wrap=True)
