"""Writing a model for another place, and proving that it says the same there before the file is kept."""

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from earmark import __version__
from earmark.data.manifest import Manifest
from earmark.errors import ExportError, OptionError, OutputError, VerificationError
from earmark.export.draft import PRECISIONS, Draft, Plan, make_draft
from earmark.export.judgement import (
    EIGHT_BITS,
    EXACT,
    FLOAT_TOLERANCE,
    HALF,
    ROUNDED_TOLERANCE,
    STEPS,
    UNHEARD,
    Limits,
    judge,
)
from earmark.export.loss import Loss, measure_loss
from earmark.export.metadata import Description
from earmark.export.outcome import Export, Format, Report
from earmark.export.parity import Parity, compare
from earmark.export.source import Source
from earmark.export.tflite import read_names
from earmark.export.tools import require_tools
from earmark.export.web import require_free, verify_web, write_web
from earmark.model.backends import Backend, load_backend
from earmark.model.card import ModelCard
from earmark.model.modelfile import write_whole
from earmark.model.registry import is_name
from earmark.model.verify import Verification, make_clip_vectors, verify

__all__ = ["Export", "export"]

Data = str | os.PathLike[str]

_FEW_RECORDINGS = 20


def export(
    model: Data,
    output: Data | None = None,
    *,
    to: Format,
    precision: str | None = None,
    seconds: float | None = None,
    calibrate_with: Data | None = None,
    measure_on: Data | Manifest | None = None,
    names: Mapping[str, str] | None = None,
    author: str | None = None,
    runtime: Data | None = None,
    threads: int | None = None,
    report: Report | None = None,
) -> Export:
    """Write a model for phones, browsers or other runtimes, held against the model itself before it is kept.

    Parameters
    ----------
    model : str or path
        A name, or an ``.onnx`` file.
    output : path, optional
        The new file, for the web a folder; by default named after the model, in the working folder.
    to : {"tflite", "onnx", "web"}
        For LiteRT, TensorFlow Lite and MediaPipe; for ONNX Runtime in fewer bits; or a page for browsers.
    precision : {"float32", "float16", "dynamic", "int8"}, optional
        ``float16`` halves the file; ``dynamic`` has weights of eight bits; ``int8`` computes in eight bits. By default
        what the model is in.
    seconds : float, optional
        Length of the input of a `.tflite` file, at least one frame of the model; by default one frame, or about 1 s.
    calibrate_with : path, optional
        Recordings, or labelled clips, to measure activations on: for int8 from a model in float.
    measure_on : path or Manifest, optional
        Labelled clips, as `earmark.data.readers.read_manifest` takes them, to measure what is lost on.
    names : Mapping of str to path, optional
        By locale, a text file of the labels' names in that language, for a `.tflite` file.
    author : str, optional
        For the metadata of a `.tflite` file.
    runtime : path, optional
        An installed copy of onnxruntime-web; by default npm fetches it.
    threads : int, optional
        How many clips are heard side by side.
    report : callable, optional
        See `earmark.export.outcome.Report`.

    Returns
    -------
    Export

    Raises
    ------
    ExportError
        If the model cannot be written so, or the new file disagrees with it. Nothing is written then.
    OptionError
        If format and options do not go together.
    ModelError, DataError, AudioError, OutputError, MissingExtraError
        Each says what to do.
    """
    if to not in PRECISIONS:
        raise OptionError(f"format {to!r} is not known: {', '.join(PRECISIONS)}")
    for name, value, fits in (("author", author, "tflite"), ("runtime", runtime, "web")):
        if value is not None and to != fits:
            raise OptionError(f"{name} is for {fits}, not for {to}: leave out --{name}")
    tell = report or (lambda _what, _done, _total: None)
    source = Source.find(model)
    locales = read_names(source.card, names or {})
    description = Description(author or f"made with earmark {__version__}", locales)
    plan = Plan(source, to, precision, seconds, calibrate_with, description, tell)
    target, source_bytes = _target(plan, output), source.path.stat().st_size
    require_tools(to, runtime)
    with _workplace() as folder:
        draft = make_draft(plan)
        path = Path(folder, f"model{draft.suffix}")
        found = _measured(plan, draft, path, measure_on, threads)
        judge(found.limited(plan))
        data = draft.data(_final(plan, draft.card, found))
        path.write_bytes(data)
        verified = _keep(plan, path, target, runtime)
        card = load_backend(path).card
    return Export(
        path=target,
        format=to,
        precision=plan.precision,
        card=card,
        samples=plan.samples,
        size_bytes=len(data),
        source_size_bytes=source_bytes,
        parity=found.parity,
        heard=found.heard,
        loss=found.loss,
        verified=verified,
        failures=(*plan.sounds.failures, *(found.loss.failures if found.loss else ())),
        notes=tuple(_notes(plan)),
    )


def _target(plan: Plan, output: Data | None) -> Path:
    """Return the place of the new file, or folder; refuse a bad one before the work, not after it."""
    name = plan.source.card.name
    if output is None and not is_name(name):
        raise OutputError(f"the model's name, {name!r}, cannot name a file: say where the new one goes with --output")
    own = name if plan.wanted is None else f"{name}-{plan.precision}"
    by_default = {"tflite": f"{own}.tflite", "onnx": f"{own}.onnx", "web": f"{own}-web"}
    target = Path(by_default[plan.to] if output is None else output)
    if not target.name:
        raise OutputError(f"{str(output)!r} names no file: give the new file a name, such as {by_default[plan.to]}")
    suffix = {"tflite": ".tflite", "onnx": ".onnx", "web": ""}[plan.to]
    if plan.to == "web":
        require_free(target)
        return target
    if target.is_dir():
        raise OutputError(f"{target} is a folder: give the name of a file")
    if target.suffix.lower() != suffix:
        raise OutputError(f"{target} does not end in {suffix}: give {target.with_suffix(suffix)}")
    if not target.parent.is_dir():
        raise OutputError(f"there is no folder {target.parent}: make it, or choose another place for {target.name}")
    if target.exists() and target.samefile(plan.source.path):
        raise OutputError(f"{target} is the model itself: give the new file another name")
    return target


@contextmanager
def _workplace() -> Iterator[str]:
    """Give a temporary folder; say so where there is no room in it."""
    try:
        with tempfile.TemporaryDirectory() as folder:
            yield folder
    except OSError as error:
        raise OutputError(
            f"cannot write temporary files: {error.strerror or error}; set TMPDIR to a place with room"
        ) from error


@dataclass(frozen=True)
class _Measured:
    """A draft against the model: on test signals, on recordings, on labelled clips."""

    made: Backend
    parity: Parity
    heard: Parity | None
    loss: Loss | None

    def limited(self, plan: Plan) -> Iterator[tuple[str, Parity | None, Limits]]:
        """Yield what was heard, how both compare, and what is allowed."""
        limits = _limits(plan)
        yield "test signals", self.parity, UNHEARD if limits is EIGHT_BITS else limits
        yield "recordings", self.heard, limits
        yield "clips", self.loss.parity if self.loss else None, limits

    def to_dict(self) -> dict[str, Any]:
        named = {"parity": self.parity, "heard": self.heard, "loss": self.loss}
        return {name: value.to_dict() for name, value in named.items() if value is not None}


def _limits(plan: Plan) -> Limits:
    if plan.precision == "float32" and not plan.source.is_int8:
        return STEPS if plan.source.has_trees else EXACT
    return HALF if plan.precision == "float16" else EIGHT_BITS


def _measured(plan: Plan, draft: Draft, path: Path, data: Data | Manifest | None, threads: int | None) -> _Measured:
    """Write the draft and hold it against the model."""
    path.write_bytes(draft.data(draft.card))
    made, reference = load_backend(path), draft.reference()
    plan.report("comparing", 0, 0)
    parity = compare(reference, made, plan.signals())
    heard = compare(reference, made, plan.recordings()) if plan.sounds.waveforms else None
    if data is None:
        return _Measured(made, parity, heard, None)

    def progress(done: int, total: int) -> None:
        plan.report("measuring", done, total)

    loss = measure_loss(plan.source.backend, reference, made, data, threads=threads, progress=progress)
    return _Measured(made, parity, heard, loss)


def _final(plan: Plan, card: ModelCard, found: _Measured) -> ModelCard:
    """Return the card with what was measured, and with what `verify` is to hold a `.tflite` file against.

    That is the model's answers where the arithmetic is the model's. Where numbers were rounded it is the file's own, as
    on other processors and in other runtimes it has to say the same.
    """
    card = replace(card, metrics={**card.metrics, "export": {"precision": plan.precision, **found.to_dict()}})
    if plan.to != "tflite":
        return card
    if plan.source.is_int8 and plan.precision == "int8":
        return card
    if plan.precision == "float32" and not plan.source.is_int8:
        return replace(card, tolerance=max(FLOAT_TOLERANCE, float(f"{2 * found.parity.largest:.1g}")))
    return replace(card, tolerance=ROUNDED_TOLERANCE, test_vectors=make_clip_vectors(found.made, card.frame_length))


def _keep(plan: Plan, path: Path, target: Path, runtime: Data | None) -> Verification:
    """Verify the file in its own runtime, and only then move it into place."""
    plan.report("verifying", 0, 0)
    try:
        return _kept(plan, path, target, runtime)
    except VerificationError as error:
        raise ExportError(f"the new file says something else in its own runtime, and is not kept: {error}") from error


def _kept(plan: Plan, path: Path, target: Path, runtime: Data | None) -> Verification:
    if plan.to == "web":
        with tempfile.TemporaryDirectory() as folder:
            trial = Path(folder, "trial")
            write_web(path, trial, runtime=runtime)
            verified = verify_web(trial)
        write_web(path, target, runtime=runtime)
        return verified
    verified = verify(path)
    write_whole(target, path.read_bytes())
    return verified


def _notes(plan: Plan) -> Iterator[str]:
    card = plan.source.card
    if plan.to == "tflite" and card.novelty_threshold is not None:
        yield "a .tflite file has no novelty: sound unlike all that the model was trained on is not refused"
    few = len(plan.sounds.waveforms)
    if 0 < few < _FEW_RECORDINGS:
        yield f"activations were measured on {few} recordings: give {_FEW_RECORDINGS} or more, of all that it will hear"
    if not card.calibrated:
        yield "the model is not calibrated, so its scores are no probabilities: see `earmark calibrate`"
    if plan.to == "tflite" and plan.source.is_int8 and plan.precision == "float32":
        yield "the model is in eight bits: its roundings are kept, in float; int8 is smaller, faster and the same"
