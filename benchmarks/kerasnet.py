"""Trains the 2-D network of CVxTz/audio_classification in Keras and prints examples a second as JSON.

A script for a Python of its own that has tensorflow-cpu; see `trainspeed.py`. Arguments: an .npz of `waveforms`, 5 s at
16 kHz, and `labels`; epochs; `xla` or `none`.
"""

import json
import math
import sys
import time

import keras
import numpy as np
import tensorflow as tf
from keras import layers

RATE_HZ, WINDOW, HOP, BANDS, CLASSES, BATCH_SIZE = 16_000, 2048, 512, 320, 41, 32
SHAPE = (157, BANDS, 1)
DECIBELS = 10 / math.log(10)
MEL = tf.signal.linear_to_mel_weight_matrix(BANDS, WINDOW // 2 + 1, RATE_HZ, 0.0, RATE_HZ / 2)


def build(compiler):
    """Return the network, ready to train."""
    model = keras.Sequential(
        [
            keras.Input(SHAPE),
            layers.BatchNormalization(),
            *(layers.Conv2D(16, (3, 7), activation="relu"), layers.Conv2D(16, (3, 7), activation="relu")),
            *(layers.MaxPooling2D((3, 7)), layers.Dropout(0.1)),
            *(layers.Conv2D(32, 3, activation="relu"), layers.Conv2D(32, 3, activation="relu")),
            *(layers.MaxPooling2D(3), layers.Dropout(0.1)),
            layers.Conv2D(128, 3, activation="relu"),
            *(layers.GlobalMaxPooling2D(), layers.Dropout(0.1)),
            *(layers.Dense(128, activation="relu"), layers.BatchNormalization()),
            *(layers.Dense(128, activation="relu"), layers.BatchNormalization()),
            layers.Dense(CLASSES, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", jit_compile=compiler == "xla")
    return model


def features(waveforms):
    """Return log-mel pictures [B, 157, 320, 1] in [-1, 1] of waveforms [B, samples], frames centred as in librosa."""
    padded = tf.pad(waveforms, [[0, 0], [WINDOW // 2, WINDOW // 2]], "REFLECT")
    power = tf.abs(tf.signal.stft(padded, WINDOW, HOP)) ** 2
    decibels = DECIBELS * tf.math.log(tf.maximum(tf.matmul(power, MEL), 1e-10))
    below = decibels - tf.reduce_max(decibels, axis=[1, 2], keepdims=True)
    return (tf.maximum(below, -80.0) + 40.0)[..., tf.newaxis] / 40.0


def pipeline(inputs, labels, prepare):
    """Return shuffled batches, prepared ahead of the step."""
    data = tf.data.Dataset.from_tensor_slices((inputs, labels)).shuffle(len(labels)).batch(BATCH_SIZE)
    if prepare:
        data = data.map(lambda part, truth: (features(part), truth), num_parallel_calls=tf.data.AUTOTUNE)
    return data.prefetch(tf.data.AUTOTUNE)


class Clock(keras.callbacks.Callback):
    """Takes the time of every epoch."""

    def __init__(self):
        super().__init__()
        self.seconds = []

    def on_epoch_begin(self, *_, **__):
        """Start."""
        self.begin = time.perf_counter()

    def on_epoch_end(self, *_, **__):
        """Stop."""
        self.seconds.append(time.perf_counter() - self.begin)


def speed(data, count, epochs, compiler):
    """Return the examples a second of the fastest epoch but the first."""
    clock = Clock()
    build(compiler).fit(data, epochs=epochs, verbose=0, shuffle=False, callbacks=[clock])  # the data is shuffled
    return count / min(clock.seconds[1:])


def main():
    """Measure both ways."""
    path, epochs, compiler = sys.argv[1:]
    with np.load(path) as given:
        waveforms, labels = given["waveforms"], given["labels"]
    parts = [features(waveforms[first : first + BATCH_SIZE]) for first in range(0, len(labels), BATCH_SIZE)]
    pictures = np.concatenate([part.numpy() for part in parts])
    assert pictures.shape[1:] == SHAPE, pictures.shape
    ways = {"waveforms": pipeline(waveforms, labels, True), "features": pipeline(pictures, labels, False)}
    print(json.dumps({way: speed(data, len(labels), int(epochs), compiler) for way, data in ways.items()}))


if __name__ == "__main__":
    main()
