"""The command that shows what earmark does, with a sound of its own."""

import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from earmark.cli.messages import INPUT_FAILED, hush_matplotlib
from earmark.errors import MissingExtraError, ModelNotFoundError

if TYPE_CHECKING:
    from earmark.audio.synthesis import Passage
    from earmark.inference.classifier import Classifier
    from earmark.inference.results import Event, EventsResult, TimelineResult

SHARED_VARIABLE = "EARMARK_SHARED"
"""Environment variable with a folder of data and weights, by default ``../shared``."""

_PUBLISHED = Path("models", "yamnet", "yamnet_classification_int8.tflite")
_SEED = 2026
_BLOCK_SECONDS = 0.02
_TOLERANCE = 1e-3  # of scores: a model adds in another order when it gets more at a time


def demo(
    folder: Annotated[str, typer.Option("-o", "--output", metavar="FOLDER", help="Where its files go.")] = "demo",
) -> None:
    """Make a recording, label it, and compare with what was made.

    The model is YAMNet; where it is not installed, it is downloaded.
    """
    from earmark.inference.formats import write_results

    classifier = _yamnet()
    path, truth = _write_scene(Path(folder))
    print(f"{path}: {len(truth)} sounds, made from arithmetic. What is heard in it:\n", flush=True)
    began = time.perf_counter()
    tags = classifier.classify(path, top_k=8)
    seconds = time.perf_counter() - began
    write_results([tags], "table", sys.stdout)
    print(f"\n{tags.seconds:.0f} s of sound took {seconds:.2f} s. What was made, and what is heard when:\n")
    timeline, events = classifier.timeline(path), classifier.events(path)
    for line in _comparison(truth, timeline, events.events):
        print(line)
    agrees, said = _stream_against_file(classifier, path, timeline, events)
    print(f"\n{said}\n{_picture(classifier, path, truth)}\n\n{_next_steps(path)}")
    if not agrees:
        raise typer.Exit(INPUT_FAILED)


def _yamnet() -> "Classifier":
    """Load YAMNet: the installed one, else one imported from the shared folder, else one that is downloaded."""
    from earmark.inference.classifier import DEFAULT_MODEL, Classifier
    from earmark.model.hub import default_hub

    hub = default_hub()
    try:
        path = hub.resolve(DEFAULT_MODEL)
    except ModelNotFoundError:
        published = Path(os.environ.get(SHARED_VARIABLE, "../shared")) / _PUBLISHED
        path = hub.import_model(published).path if published.is_file() else hub.pull(DEFAULT_MODEL)
    return Classifier.load(path)


def _write_scene(folder: Path) -> "tuple[str, list[Passage]]":
    """Write ``demo.wav`` and return its path and what is in it."""
    import numpy as np
    import soundfile

    from earmark.audio.synthesis import SAMPLE_RATE_HZ, scene
    from earmark.cli.output import writing

    waveform, truth = scene(np.random.default_rng(_SEED))
    path = folder / "demo.wav"
    with writing(str(path)):
        folder.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            soundfile.write(file, waveform, SAMPLE_RATE_HZ, format="WAV", subtype="PCM_16")
    return str(path), truth


def _comparison(truth: "Sequence[Passage]", timeline: "TimelineResult", events: "Sequence[Event]") -> Iterator[str]:
    """Yield the lines of a table: each sound that was made, the event of that name, and the label of highest score."""
    yield "  made                              from     to    heard    from     to   highest label"
    middles = (timeline.edges[:-1] + timeline.edges[1:]) / 2
    found = highest = 0
    for label, onset, offset in truth:
        inside = (middles >= onset) & (middles < offset)
        best = timeline.labels[int(timeline.scores[inside].mean(axis=0).argmax())].name
        event = _event(events, label, onset, offset)
        heard = f"{event.score:5.2f}  {event.onset:6.2f} {event.offset:6.2f}" if event else "    -       -      -"
        yield f"  {label:31} {onset:6.2f} {offset:6.2f}    {heard}   {best.partition(',')[0]}"
        found += event is not None
        highest += best == label
    yield f"\n{found} of {len(truth)} are found under their own name; for {highest} it is the label of highest score."


def _event(events: "Sequence[Event]", label: str, onset: float, offset: float) -> "Event | None":
    """Return the event of that name that overlaps most with the time between."""
    named = [event for event in events if event.label == label and event.onset < offset and event.offset > onset]
    return max(named, key=lambda event: min(event.offset, offset) - max(event.onset, onset), default=None)


def _stream_against_file(
    classifier: "Classifier", path: str, timeline: "TimelineResult", events: "EventsResult"
) -> tuple[bool, str]:
    """Play the file as a stream; return whether it gives what the file gave, and say so."""
    import numpy as np

    from earmark.audio.decode import read_audio
    from earmark.inference.events import closed_events

    rate_hz = classifier.card.sample_rate
    waveform, _ = read_audio(path, rate_hz)
    stream = classifier.stream(rate_hz)
    step = round(_BLOCK_SECONDS * rate_hz)
    updates = [stream.feed(waveform[start : start + step]) for start in range(0, len(waveform), step)]
    updates.append(stream.finish())
    scores = np.concatenate([update.scores for update in updates])
    streamed = closed_events(change for update in updates for change in update.changes)
    spans = [[(event.id, event.onset, event.offset) for event in found] for found in (streamed, events.events)]
    difference = float(np.abs(scores - timeline.scores).max()) if scores.shape == timeline.scores.shape else 1.0
    agrees = spans[0] == spans[1] and difference <= _TOLERANCE
    answer = "the same" if agrees else "NOT the same"
    return agrees, (
        f"As a stream, in blocks of {1000 * _BLOCK_SECONDS:.0f} ms: {len(streamed)} events, from the file "
        f"{len(events.events)}: {answer}; scores differ by {difference:.1g} at most."
    )


def _picture(classifier: "Classifier", path: str, truth: "Sequence[Passage]") -> str:
    """Draw the labels that were made, and say where."""
    from earmark.inference.overview import overview
    from earmark.inference.picture import Layout, save_picture

    hush_matplotlib()
    picture = Path(path).with_suffix(".png")
    view = overview(classifier, path, allow=[label for label, _, _ in truth])
    try:
        save_picture(view, picture, Layout(top_k=len(truth)))
    except MissingExtraError as error:
        return f"No picture: {error}"
    return f"A picture of the labels that were made: {picture}"


def _next_steps(path: str) -> str:
    commands = {
        "earmark classify YOUR_FILE": "what is heard in it",
        f"earmark events {path}": "what is heard when",
        f"earmark listen {path} --realtime": "the same as it happens",
        "earmark show YOUR_FILE -o picture.png": "a picture, with all labels",
    }
    width = max(map(len, commands)) + 2
    return "\n".join(["Next:", *(f"  {command:{width}}{what}" for command, what in commands.items())])
