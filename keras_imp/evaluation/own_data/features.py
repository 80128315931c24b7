"""Simple features of files, for linear models."""

from collections import Counter

import keras
import numpy as np

from keras_imp.data import LogMel
from keras_imp.data.preprocessor import IMPPreprocessor
from keras_imp.evaluation.own_data.examples import Examples, read_examples
from keras_imp.evaluation.own_data.rows import Part, TaskRows

# What the features are, for reports.
ABOUT = {
    "image": "16 x 16 pixels",
    "video": "16 x 16 pixels, mean and standard deviation over 8 frames",
    "audio": "mean and standard deviation over time of 64 log-mel bands",
    "text": "the 1,000 most frequent sequences of 1 to 3 letters",
}
SIDE, FRAMES, BANDS, GRAMS = 16, 8, 64, 1000
# Recordings whose spectrograms are made at once.
CHUNK = 32


def small_preprocessor(
    rows: TaskRows, preprocessor: IMPPreprocessor
) -> IMPPreprocessor:
    """A preprocessor in the sizes of the features.

    Args:
        rows: The task.
        preprocessor: That of the model.

    Returns:
        The preprocessor.
    """
    config = preprocessor.get_config()
    sizes = {
        "image": (SIDE, SIDE),
        "video": (FRAMES, SIDE, SIDE),
        "audio": config["audio_seconds"],
        "text": config["text"],
    }
    names = {"audio": "audio_seconds"}
    chosen = {
        names.get(name, name): size if name in rows.inputs else None
        for name, size in sizes.items()
    }
    if "text" not in rows.inputs:
        chosen["tokenizer"] = None
    return IMPPreprocessor.from_config({**config, **chosen})


def read_features(
    rows: TaskRows, parts: list[Part], preprocessor: IMPPreprocessor, most: int
) -> list[tuple[Examples, dict[str, np.ndarray]]]:
    """The features of some parts of a task; letters are chosen on the first.

    Args:
        rows: The task.
        parts: Rows to train on, and others.
        preprocessor: That of the model.
        most: Rows of a part.

    Returns:
        For each part its examples and float64 features by modality, shape
        `(rows, features)`.
    """
    small = small_preprocessor(rows, preprocessor)
    found = [read_examples(rows, part, small, most) for part in parts]
    grams: list[str] = []
    if "text" in rows.inputs:
        grams = _frequent(found[0].texts())
    return [(each, _features(each, small, grams)) for each in found]


def _features(
    examples: Examples, preprocessor: IMPPreprocessor, grams: list[str]
) -> dict[str, np.ndarray]:
    return {
        name: _of_texts(examples.texts(), grams)
        if name == "text"
        else _OF[name](x, preprocessor)
        for name, x in examples.x.items()
    }


def _of_images(x: np.ndarray, preprocessor: IMPPreprocessor) -> np.ndarray:
    del preprocessor
    return x.reshape(len(x), -1) / 255.0


def _of_videos(x: np.ndarray, preprocessor: IMPPreprocessor) -> np.ndarray:
    del preprocessor
    pixels = x.reshape(*x.shape[:2], -1) / 255.0
    return np.concatenate([pixels.mean(axis=1), pixels.std(axis=1)], axis=1)


def _of_audio(x: np.ndarray, preprocessor: IMPPreprocessor) -> np.ndarray:
    layer = LogMel(sampling_rate=preprocessor.sampling_rate, num_mel_bins=BANDS)
    found = []
    for start in range(0, len(x), CHUNK):
        some = x[start : start + CHUNK]
        # Of one shape, which is compiled once.
        padded = np.zeros((CHUNK, x.shape[1]), x.dtype)
        padded[: len(some)] = some
        bands = keras.ops.convert_to_numpy(layer(padded))[: len(some)]
        found.append(
            np.concatenate([bands.mean(axis=1), bands.std(axis=1)], axis=1)
        )
    return np.concatenate(found).astype("float64")


def _of_texts(texts: list[str], grams: list[str]) -> np.ndarray:
    """How often each sequence of letters is in a text, to length 1."""
    places = {gram: place for place, gram in enumerate(grams)}
    features = np.zeros((len(texts), len(grams)))
    for row, text in enumerate(texts):
        for gram in _grams(text):
            if gram in places:
                features[row, places[gram]] += 1.0
    features = np.sqrt(features)
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    return features / np.maximum(lengths, 1.0)


def _frequent(texts: list[str]) -> list[str]:
    counts = Counter(gram for text in texts for gram in set(_grams(text)))
    # Of equally frequent ones, by the alphabet: the same in each process.
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [gram for gram, _ in ordered[:GRAMS]]


def _grams(text: str) -> list[str]:
    """Sequences of 1 to 3 letters; a space stands at both ends."""
    text = f" {' '.join(text.lower().split())} "
    return [
        text[start : start + length]
        for length in (1, 2, 3)
        for start in range(len(text) - length + 1)
    ]


_OF = {"image": _of_images, "video": _of_videos, "audio": _of_audio}
