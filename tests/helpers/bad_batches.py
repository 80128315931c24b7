"""Batches of each task, and what the tests of bad input share."""

import re

import numpy as np
import pytest

from keras_imp import TaskMixture, schedules

IMAGES = np.zeros((3, 8, 12, 3), "float32")
VIDEOS = np.zeros((3, 4, 8, 8, 3), "float32")
TEXT = np.ones((3, 5), int)
LABELS = np.array([0, 1, 2])
GOOD = {
    "objects": ({"image": IMAGES}, LABELS),
    "captions": ({"image": IMAGES, "text": TEXT},),
    "clips": ({"video": VIDEOS, "text": TEXT},),
}
NAMES = list(GOOD)


def first(name, batch):
    """A mixture whose first batch is this one."""
    sources = {name: [batch]}
    sources.update({n: [b] for n, b in GOOD.items() if n != name})
    return TaskMixture(
        sources, schedule=schedules.RoundRobin(), steps_per_epoch=1
    )


def exactly(error, text, note=""):
    """Raises an error with this text and, in a line of its own, this note."""
    lines = f"{text}\n{note}" if note else text
    return pytest.raises(error, match=f"^{re.escape(lines)}$")
