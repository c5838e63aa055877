"""Label a clip with MediaPipe, window by window: python examples/mediapipe_clips.py MODEL.tflite CLIP.wav."""

import sys

import soundfile
from mediapipe.tasks.python import BaseOptions, audio
from mediapipe.tasks.python.components.containers import AudioData

if len(sys.argv) != 3:
    sys.exit("usage: mediapipe_clips.py MODEL.tflite CLIP.wav")
try:
    samples, rate_hz = soundfile.read(sys.argv[2], dtype="float32", always_2d=True)
    options = audio.AudioClassifierOptions(BaseOptions(model_asset_path=sys.argv[1]), max_results=3)
    with audio.AudioClassifier.create_from_options(options) as classifier:
        windows = classifier.classify(AudioData.create_from_array(samples.mean(axis=1), rate_hz))
except (OSError, ValueError, RuntimeError) as error:
    sys.exit(f"mediapipe_clips.py: {error}")
for window in windows:
    labels = window.classifications[0].categories
    heard = [f"{label.category_name} {label.score:.3f}" for label in labels]
    print(f"{window.timestamp_ms / 1000:.3f} s", *heard, sep="\t")
