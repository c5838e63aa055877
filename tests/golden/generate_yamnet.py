"""Write yamnet.json: what LiteRT answers for the published int8 YAMNet, clip by clip, for our models to be held to.

Run from the project's root: python -m tests.golden.generate_yamnet
"""

import json
import os
from pathlib import Path

import numpy as np
import soundfile

from earmark.model.backends import load_backend
from earmark.model.verify import signal

GOLDEN = Path(__file__).with_name("yamnet.json")
SHARED = Path(os.environ.get("EARMARK_SHARED", Path(__file__).parents[3] / "shared"))
SIGNALS = ("silence", "sine:440", "noise:7")
CLIPS = ("1-100032-A-0", "1-17150-A-12", "1-172649-A-40", "1-187207-A-20", "1-26806-A-1")
"""Five ESC-10 clips: dog, crackling fire, helicopter, crying baby, rooster."""
TOP = 10


def sound(name: str, shared: Path) -> np.ndarray:
    """Return a test signal of three seconds, or an ESC-50 clip; float32 at 16 kHz."""
    if name in SIGNALS:
        return signal(name, 48_000, 16_000)
    return soundfile.read(shared / "data/esc50/audio" / f"{name}.flac", dtype="float32")[0]


def main() -> None:
    """Run LiteRT and write the golden file."""
    backend = load_backend(SHARED / "models/yamnet/yamnet_classification_int8.tflite")
    golden = {}
    for name in (*SIGNALS, *CLIPS):
        frames = backend.run(sound(name, SHARED)[None]).frames[0]
        mean = frames.mean(axis=0)
        top = np.argsort(-mean, kind="stable")[:TOP]
        golden[name] = {
            "frames": len(frames),
            "best_by_frame": frames.argmax(axis=1).tolist(),
            "scores": {backend.card.labels[index].name: round(float(mean[index]), 6) for index in top},
        }
    GOLDEN.write_text(json.dumps(golden, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
