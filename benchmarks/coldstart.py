"""Cold start: a fresh process that tags one WAV of five seconds, beside librosa and LiteRT.

Each command runs once unmeasured, then seven times in turn; medians count. The model is in earmark's cache, the peer's
file beside it, and the peer scores five windows end to end, where earmark scores ten that overlap.
"""

import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median

import soundfile

from benchmarks.bench import MODELS, Bench
from benchmarks.corpus import RATE_HZ
from benchmarks.row import Goal, Quantity, Row
from benchmarks.timing import alternate, earmark_command, run

ROUNDS = 7
LONGEST_SECONDS = 0.7
LONGEST_IMPORT_SECONDS = 0.1

PEER = """
import sys
import librosa, numpy as np
from ai_edge_litert.interpreter import Interpreter
waveform, _ = librosa.load(sys.argv[1], sr=16000)
model = Interpreter(model_path=sys.argv[2])
model.allocate_tensors()
source, sink = model.get_input_details()[0]["index"], model.get_output_details()[0]["index"]
scores = []
for start in range(0, len(waveform) - 15600 + 1, 15600):
    model.set_tensor(source, waveform[start:start + 15600])
    model.invoke()
    scores.append(model.get_tensor(sink)[0])
print(np.argsort(-np.mean(scores, axis=0))[:5])
"""

IMPORT = "import time; begin = time.perf_counter(); import earmark; print(time.perf_counter() - begin)"


def measure(bench: Bench) -> Iterator[Row]:
    """Yield the wall time of both models beside the peer's, and that of the import."""
    rounds = bench.pick(ROUNDS, 2)
    clip = bench.folder / "clip.wav"
    soundfile.write(clip, bench.esc10[0].waveform(), RATE_HZ, subtype="PCM_16")
    times = {name: median(seconds) for name, seconds in alternate(commands(bench, clip), rounds).items()}
    theirs = Quantity(times["peer"], "s")
    for model in MODELS:
        what, ours = f"earmark classify, {model}", Quantity(times[model], "s")
        yield Row(what=what, ours=ours, goal=Goal(LONGEST_SECONDS, at_most=True))
        yield Row(what=what, ours=ours, against="librosa + LiteRT", peer=theirs, goal=Goal(0.5, "ratio", at_most=True))
    yield Row(
        what="import earmark",
        ours=Quantity(median(import_seconds() for _ in range(rounds + 1)), "s"),
        goal=Goal(LONGEST_IMPORT_SECONDS, at_most=True),
    )


def commands(bench: Bench, clip: Path) -> dict[str, Callable[[], str]]:
    """Return what runs the commands, by model, and the peer's."""
    peer = [sys.executable, "-c", PEER, str(clip), str(bench.published_weights("yamnet-int8"))]
    ours = {model: [earmark_command(), "classify", str(clip), "--model", model] for model in MODELS}
    return {name: partial(run, command) for name, command in (ours | {"peer": peer}).items()}


def import_seconds() -> float:
    """Return how long `import earmark` takes in a fresh interpreter that is up already."""
    return float(run([sys.executable, "-c", IMPORT]))
