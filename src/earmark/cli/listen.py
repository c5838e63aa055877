"""The command that follows live sound."""

import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated, Literal

from typer import Argument, Option

from earmark.cli import options
from earmark.cli.messages import complain, introduce
from earmark.cli.options import label_entries
from earmark.cli.rule import decision_rule
from earmark.errors import EarmarkError

if TYPE_CHECKING:
    from earmark.audio.check import Finding
    from earmark.cli.liveview import View
    from earmark.inference.hookrunner import HookCounts, HookRunner
    from earmark.inference.hooks import Hook
    from earmark.inference.listening import Listening

_PATIENCE_SECONDS = 0.5  # waiting that nobody needs to be told of


def listen(
    source: Annotated[
        str | None, Argument(metavar="[-|FILE]", help="Standard input, or a recording; by default the microphone.")
    ] = None,
    *,
    device_name: Annotated[
        str | None, Option("--device-name", metavar="MIC", help="Which microphone: a part of its name, or its number.")
    ] = None,
    rate: Annotated[
        int | None, Option("--rate", metavar="HERTZ", help="Standard input is raw PCM of this sample rate.")
    ] = None,
    channels: Annotated[int, Option("--channels", min=1, metavar="N", help="Of raw PCM.")] = 1,
    pcm: Annotated[Literal["s16le", "f32le"], Option("--pcm", help="Samples of raw PCM.")] = "s16le",
    realtime: Annotated[bool, Option("--realtime", help="Play FILE as a microphone would hear it.")] = False,
    duration: Annotated[
        float | None, Option("--duration", min=0.1, metavar="SECONDS", help="Listen no longer than this.")
    ] = None,
    model: options.Model = options.DEFAULT_MODEL,
    allow: options.Allow = None,
    deny: options.Deny = None,
    on: options.On = None,
    off: options.Off = None,
    smoothing: options.Smoothing = None,
    min_duration: options.MinDuration = None,
    merge_gap: options.MergeGap = None,
    rule: options.RuleFile = None,
    novelty: options.Novelty = "reject",
    novelty_threshold: options.NoveltyThreshold = None,
    commands: Annotated[
        list[str] | None,
        Option(
            "--exec",
            metavar="COMMAND",
            help="Run this, without a shell, when an event opens or closes; may be repeated. The event is JSON on its "
            "standard input, and in its environment as EARMARK_EVENT_KIND, _LABEL, _ID, _ONSET, _OFFSET, _SCORE, "
            "_TIME, _SOURCE. What it prints goes to standard error.",
        ),
    ] = None,
    webhooks: Annotated[
        list[str] | None,
        Option("--webhook", metavar="URL", help="Post the event as JSON to this address; may be repeated."),
    ] = None,
    as_json: Annotated[
        bool, Option("--json", help="Write one JSON object per line: events, gaps, and a summary at the end.")
    ] = False,
    device: options.Device = "cpu",
) -> None:
    """Follow live sound: say when an event begins and when it ends.

    Ctrl-C ends it, with exit status 0. Standard input is anything that FFmpeg reads from front to back, or raw PCM if
    --rate is given.
    """
    from earmark.cli.livesource import LiveSource
    from earmark.cli.liveview import open_view
    from earmark.inference.classifier import Classifier
    from earmark.inference.hookrunner import HookRunner
    from earmark.inference.listening import Listening

    sound = LiveSource(source, device_name, rate, channels, pcm, realtime)
    hooks = _hooks(commands or (), webhooks or ())
    classifier = Classifier.load(model, device=device)
    card = classifier.card
    allowed, denied = label_entries(allow, card), label_entries(deny, card)
    wanted = decision_rule(
        card.decision,
        rule,
        on=on,
        off=off,
        smoothing_seconds=smoothing,
        min_duration_seconds=min_duration,
        merge_gap_seconds=merge_gap,
    )
    open_stream = partial(
        classifier.stream,
        rule=wanted,
        allow=allowed,
        deny=denied,
        novelty=novelty,
        novelty_threshold=novelty_threshold,
    )
    names = [label.name for label in open_stream(card.sample_rate).labels]
    view = open_view(names, as_json=as_json)

    def tell(finding: "Finding") -> None:
        complain(finding.message)
        if finding.code == "microphone-lost":
            listening.pause()

    if not as_json:
        introduce(card, model)
    with sound.open(card.sample_rate, tell) as blocks:
        listening = Listening(blocks, open_stream, live=sound.live, duration_seconds=duration)
        runner = HookRunner(hooks, complain)
        with view, _ended_by_signals(listening):
            problem = _follow(listening, view, runner, sound.name)
    view.summary(card.name, listening, _finish(runner, listening))
    if problem is not None:
        raise problem


def _hooks(commands: Sequence[str], webhooks: Sequence[str]) -> "list[Hook]":
    from earmark.inference.hooks import CommandHook, WebhookHook

    def show(printed: str) -> None:
        print(printed, end="" if printed.endswith("\n") else "\n", file=sys.stderr)

    return [*(CommandHook(command, show=show) for command in commands), *map(WebhookHook, webhooks)]


def _follow(listening: "Listening", view: "View", runner: "HookRunner", source: str) -> EarmarkError | None:
    """Show and pass on all that is heard; return what ended it, if that was not the end of the sound."""
    from earmark.inference.listening import Gap

    try:
        for heard in listening:
            if isinstance(heard, Gap):
                view.gap(heard)
                continue
            view.update(heard)
            for change in heard.changes:
                now = datetime.now(UTC).isoformat(timespec="milliseconds")
                runner.submit({**change.to_dict(), "time": now, "source": source})
    except EarmarkError as error:
        return error
    return None


def _finish(runner: "HookRunner", listening: "Listening") -> "HookCounts":
    """Wait for the calls that are under way, and after a Ctrl-C say so."""
    if listening.stopped and (calls := runner.wait(_PATIENCE_SECONDS)):
        complain(f"waiting for {calls} {'call' if calls == 1 else 'calls'} (Ctrl-C again to stop)")
    return runner.finish()


@contextmanager
def _ended_by_signals(listening: "Listening") -> Iterator[None]:
    """Let the first Ctrl-C, or the first signal to terminate, end the listening; a second one ends the program."""
    signals = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in signals}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def stop(*_: object) -> None:
        restore()
        listening.stop()

    for number in signals:
        signal.signal(number, stop)
    try:
        yield
    finally:
        restore()
