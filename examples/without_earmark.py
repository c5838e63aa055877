"""Run a one-file model with ONNX Runtime alone: python examples/without_earmark.py MODEL.onnx CLIP.wav."""

import json
import sys

import numpy as np
import onnxruntime
import soundfile

model = onnxruntime.InferenceSession(sys.argv[1])
card = json.loads(model.get_modelmeta().custom_metadata_map["earmark"])
samples, rate = soundfile.read(sys.argv[2], dtype="float32", always_2d=True)
if rate != card["sample_rate"]:
    sys.exit(f"{sys.argv[2]} is at {rate} Hz, the model takes {card['sample_rate']} Hz")
(scores,) = model.run(["clip"], {"waveform": samples.mean(axis=1)[np.newaxis]})
for index in np.argsort(-scores[0])[:5]:
    print(f"{scores[0, index]:.3f}  {card['labels'][index]['name']}")
