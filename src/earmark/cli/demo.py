"""The command that shows what earmark does, with a sound of its own."""

import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from earmark.cli import options
from earmark.cli.messages import INPUT_FAILED, hush_matplotlib, introduce
from earmark.errors import MissingExtraError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from earmark.audio.synthesis import Passage
    from earmark.evaluation.comparison import Comparison
    from earmark.inference.classifier import Classifier
    from earmark.inference.results import EventsResult, TimelineResult

_SEED = 2026
_BLOCK_SECONDS = 0.02
_TOLERANCE = 1e-3  # of scores: a model adds in another order when it gets more at a time


def demo(
    folder: Annotated[str, typer.Option("-o", "--output", metavar="FOLDER", help="Where its files go.")] = "demo",
    *,
    model: options.Model = options.DEFAULT_MODEL,
) -> None:
    """Make a minute of sound, label it, compare the two.

    Everything happens on this machine. FOLDER/demo.html shows the answers on one axis of time, and plays them.
    """
    from earmark.evaluation.comparison import compare
    from earmark.evaluation.player import write_player
    from earmark.inference.classifier import Classifier
    from earmark.inference.formats import write_results

    classifier = Classifier.load(model)
    introduce(classifier.card, model)
    path, waveform, truth = _write_scene(Path(folder))
    print(f"{path}: {len(truth)} sounds, made from arithmetic. What is heard in it:\n", flush=True)
    began = time.perf_counter()
    tags = classifier.classify(str(path), top_k=8)
    seconds = time.perf_counter() - began
    write_results([tags], "table", sys.stdout)
    print(f"\n{tags.seconds:.0f} s of sound took {seconds:.2f} s. What was made, and what is heard then:\n")
    timeline, events = classifier.timeline(str(path)), classifier.events(str(path))
    compared = compare(truth, timeline, events.events)
    print("\n".join(_table(compared)))
    agrees, said = _stream_against_file(classifier, waveform, timeline, events)
    print(f"\n{said}\n")
    _write_answers(path, truth, tags.to_dict(), events, agrees=agrees)
    page = path.with_suffix(".html")
    write_player(page, waveform, _rate_hz(), truth=compared, timeline=timeline, events=events)
    print(f"{_picture(classifier, path)}\nLook and listen: {page}\n\n{_next_steps(path)}")
    if not agrees:
        raise typer.Exit(INPUT_FAILED)


def _rate_hz() -> int:
    from earmark.audio.synthesis import SAMPLE_RATE_HZ

    return SAMPLE_RATE_HZ


def _write_scene(folder: Path) -> "tuple[Path, NDArray[np.float32], list[Passage]]":
    """Write ``demo.wav`` and return its path, its samples, and what is in it."""
    import numpy as np
    import soundfile

    from earmark.audio.decode import read_audio
    from earmark.audio.synthesis import scene
    from earmark.cli.output import writing

    waveform, truth = scene(np.random.default_rng(_SEED))
    path = folder / "demo.wav"
    with writing(str(path)):
        folder.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            soundfile.write(file, waveform, _rate_hz(), format="WAV", subtype="PCM_16")
    return path, read_audio(path, _rate_hz())[0], truth


def _table(compared: "Sequence[Comparison]") -> Iterator[str]:
    """Yield the lines of a table: each sound that was made, and the event that is heard then."""
    yield "    from      to  made                heard                             score"
    for item in compared:
        heard = ("nothing", "") if item.heard is None else (item.heard.label, f"{item.heard.score:.2f}")
        mark = "" if item.right else "  (another)" if item.heard else "  (missed)"
        yield f"  {item.onset:6.2f}  {item.offset:6.2f}  {item.label:18}  {heard[0][:32]:32}  {heard[1]:>5}{mark}"
    found, highest = sum(item.right for item in compared), sum(item.highest_right for item in compared)
    yield (
        f"\n{found} of {len(compared)} are found under their own name; for {highest} it is the label of highest score."
    )


def _stream_against_file(
    classifier: "Classifier", waveform: "NDArray[np.float32]", timeline: "TimelineResult", events: "EventsResult"
) -> tuple[bool, str]:
    """Play the recording as a stream; return whether it gives what the file gave, and say so."""
    import numpy as np

    from earmark.inference.events import closed_events

    stream = classifier.stream(_rate_hz())
    step = round(_BLOCK_SECONDS * _rate_hz())
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


def _write_answers(
    path: Path, truth: "Sequence[Passage]", tags: dict[str, Any], events: "EventsResult", *, agrees: bool
) -> None:
    """Write all that was made and heard as JSON, and both as label tracks for Audacity."""
    from earmark.cli.output import writing
    from earmark.inference.formats import write_results

    told = {"made": [item._asdict() for item in truth], **tags, "events": events.to_dict()["events"]}
    texts = {
        ".json": json.dumps({**told, "stream_agrees": agrees}, indent=2, ensure_ascii=False) + "\n",
        ".made.txt": "".join(f"{onset:.6f}\t{offset:.6f}\t{label}\n" for label, onset, offset in truth),
    }
    for suffix, text in texts.items():
        with writing(str(path.with_suffix(suffix))):
            path.with_suffix(suffix).write_text(text, encoding="utf-8", newline="\n")
    heard = path.with_suffix(".heard.txt")
    with writing(str(heard)), heard.open("w", encoding="utf-8", newline="") as stream:
        write_results([events], "audacity", stream)


def _picture(classifier: "Classifier", path: Path) -> str:
    """Draw the recording with its strongest labels, and say where."""
    from earmark.inference.overview import overview
    from earmark.inference.picture import Layout, save_picture

    hush_matplotlib()
    picture = path.with_suffix(".png")
    try:
        save_picture(overview(classifier, str(path)), picture, Layout(top_k=18))
    except MissingExtraError as error:
        return f"No picture for print: {error}"
    return f"A picture for print: {picture}"


def _next_steps(path: Path) -> str:
    commands = {
        "earmark classify YOUR_FILE": "what is heard in it",
        f"earmark events {path}": "what is heard when",
        f"earmark listen {path} --realtime": "the same as it happens",
        "earmark show YOUR_FILE -o picture.png": "a picture, with all labels",
    }
    width = max(map(len, commands)) + 2
    return "\n".join(["Next:", *(f"  {command:{width}}{what}" for command, what in commands.items())])
