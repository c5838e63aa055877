"""The service that people write in an afternoon: FastAPI, librosa and a LiteRT loop; ``uvicorn --workers 2``.

An endpoint without `async`, so that the framework runs it on its threads; one interpreter for each process behind a
lock, because LiteRT's may not be used by two threads at once; the mean over windows each 0.48 s; the five best classes.
"""

import os
from pathlib import Path
from threading import Lock
from typing import Any

import librosa
import numpy as np
from fastapi import FastAPI, UploadFile

from benchmarks.peers import RATE_HZ, WEIGHTS_VARIABLE, LiteRT
from earmark.model.audioset import audioset_labels

TAGS = 5

app = FastAPI()
model = LiteRT(Path(os.environ[WEIGHTS_VARIABLE]))
lock = Lock()
names = [label.name for label in audioset_labels()]


@app.post("/classify")
def classify(audio: UploadFile) -> dict[str, Any]:
    """Say what is heard in a file."""
    waveform, _ = librosa.load(audio.file, sr=RATE_HZ)
    with lock:
        scores = model.frames(waveform).mean(axis=0)
    best = np.argsort(-scores)[:TAGS]
    return {"tags": [{"label": names[index], "score": float(scores[index])} for index in best]}
