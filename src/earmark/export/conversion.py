"""From a one-file model to the bytes of a `.tflite` file, in a process of its own.

The converter brings compilers, prints, and ends the process where it meets what it does not know. None of that reaches
the caller: it sees a file, or one sentence. ``python -m earmark.export.conversion SOURCE TARGET SAMPLES PRECISION``.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from earmark.errors import EarmarkError, ExportError, MissingExtraError

_ROUNDED = "rounded"


def convert(source: bytes, *, samples: int, precision: str, exact: bool = True) -> bytes:
    """Return a model's ``clip`` as a `.tflite` file without metadata.

    Parameters
    ----------
    source : bytes
        An ONNX file: float, or in eight bits for ``int8``.
    samples : int
        Length of the waveform that the file will take.
    precision : {"float32", "float16", "dynamic", "int8"}
        ``dynamic``: weights in eight bits, activations rounded as they come.
    exact : bool
        Whether an ``int8`` file has to say what its source says; else its front end has weights of 16 bits.

    Raises
    ------
    ExportError
        If the converter refuses the model, or dies.
    MissingExtraError
        If the extra ``tflite`` is not installed.
    """
    with tempfile.TemporaryDirectory() as folder:
        given, made = Path(folder, "source.onnx"), Path(folder, "made.tflite")
        given.write_bytes(source)
        arguments = [str(given), str(made), str(samples), precision, *([] if exact else [_ROUNDED])]
        done = _run(arguments)
        if done.returncode == 0 and made.is_file():
            return made.read_bytes()
        raise _refusal(done)


def _run(arguments: list[str]) -> "subprocess.CompletedProcess[str]":
    """Run this module in another process, which imports nothing from the folder that one works in."""
    command = [sys.executable, "-P", "-m", __name__, *arguments]
    return subprocess.run(  # noqa: S603 - our own module
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, errors="replace"
    )


def _refusal(done: "subprocess.CompletedProcess[str]") -> EarmarkError:
    """Return the error that ended the other process, in one sentence."""
    last = next((line.strip() for line in reversed(done.stdout.splitlines()) if line.strip()), "")
    try:
        said = json.loads(last)
    except ValueError:
        said = None
    if isinstance(said, dict) and said.get("kind") == "MissingExtraError":
        return MissingExtraError(said["message"])
    if isinstance(said, dict):
        return ExportError(said["message"])
    reason = next((line.strip() for line in reversed(done.stderr.splitlines()) if line.strip()), "no reason given")
    return ExportError(f"the converter ended with status {done.returncode} ({reason}); try another precision")


def main(arguments: list[str]) -> int:
    """Convert one file; what goes wrong is printed as JSON, on the last line."""
    source, target, samples, precision, *more = arguments
    try:
        Path(target).write_bytes(_converted(Path(source), int(samples), precision, exact=_ROUNDED not in more))
    except EarmarkError as error:
        print("\n" + json.dumps({"kind": type(error).__name__, "message": str(error)}))
        return 1
    except Exception as error:  # noqa: BLE001 - the converter raises whatever its parts raise
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        print("\n" + json.dumps({"kind": "ExportError", "message": f"the converter refuses the model ({reason})"}))
        return 1
    return 0


def _converted(source: Path, samples: int, precision: str, *, exact: bool = True) -> bytes:
    import onnx

    from earmark.export.padding import with_even_padding
    from earmark.export.torchmodel import TorchModel

    model = onnx.load(source)
    if precision == "int8":
        model = with_even_padding(model)
    module = TorchModel(model, integers=precision == "int8").eval()
    made = _lowered(module, samples)
    if precision in ("float16", "dynamic") or not exact:
        from earmark.export.compression import compress

        return compress(made, precision)
    return made


def _lowered(module: Any, samples: int) -> bytes:
    try:
        import litert_torch
        from litert_torch.quantize.pt2e_quantizer import PT2EQuantizer, get_symmetric_quantization_config
        from litert_torch.quantize.quant_config import QuantConfig
    except ImportError as error:
        raise MissingExtraError.for_extra("tflite", "litert-torch", "writing a .tflite file") from error
    import torch

    # Says that rounded values are integers from here on; how to round is in the module.
    static = QuantConfig(pt2e_quantizer=PT2EQuantizer().set_global(get_symmetric_quantization_config()))
    how = {"quant_config": static} if module.is_quantised else {}
    made = litert_torch.convert(module, (torch.zeros(1, samples),), **how)
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "model.tflite")
        made.export(str(target))
        return target.read_bytes()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
