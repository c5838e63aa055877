"""Label sound as it comes, with MediaPipe: python examples/mediapipe_stream.py MODEL.tflite CLIP.wav."""

import sys

import soundfile
from mediapipe.tasks.python import BaseOptions, audio
from mediapipe.tasks.python.components.containers import AudioData

BLOCK_MS = 100


def show(result, timestamp_ms):
    """Print a window; the last one, what was left at the end, comes without a time."""
    when = f"{timestamp_ms / 1000:.3f} s" if timestamp_ms < 1 << 50 else "rest"
    labels = result.classifications[0].categories
    print(when, *(f"{label.category_name} {label.score:.3f}" for label in labels), sep="\t", flush=True)


if len(sys.argv) != 3:
    sys.exit("usage: mediapipe_stream.py MODEL.tflite CLIP.wav")
options = audio.AudioClassifierOptions(BaseOptions(sys.argv[1]), audio.RunningMode.AUDIO_STREAM, max_results=3)
options.result_callback = show
try:
    with soundfile.SoundFile(sys.argv[2]) as clip, audio.AudioClassifier.create_from_options(options) as classifier:
        blocks = clip.blocks(clip.samplerate * BLOCK_MS // 1000, dtype="float32", always_2d=True)
        for number, block in enumerate(blocks):  # a microphone would give these
            data = AudioData.create_from_array(block.mean(axis=1), clip.samplerate)
            classifier.classify_async(data, number * BLOCK_MS)
except (OSError, ValueError, RuntimeError) as error:
    sys.exit(f"mediapipe_stream.py: {error}")
