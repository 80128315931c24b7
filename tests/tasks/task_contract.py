"""Cases for every exported task, and what a case is.

To put a task under the contract, add a row to `CASES`.
"""

from typing import Any, NamedTuple

import keras
import numpy as np

from keras_imp.tasks import (
    Classification,
    Combined,
    Contrastive,
    MaskedModeling,
    Regression,
    Task,
)
from tests.helpers.encoders import small_encoder
from tests.helpers.masked import DECODER, MASK, UNKNOWN
from tests.helpers.models import TinyEncoder

BATCH = 4


class TaskCase(NamedTuple):
    """A task, and a batch of it.

    Attributes:
        task: Class.
        arguments: Arguments of its constructor, but for the name.
        y: Targets.
        tokens: Whether it needs the tokens of an encoder, which are slower.
    """

    task: type
    arguments: dict[str, Any]
    y: Any = None
    tokens: bool = False

    def make(self, name: str = "task", **options) -> Task:
        arguments = {**self.arguments, **options}
        if "tasks" in arguments:
            arguments["tasks"] = arguments["tasks"]()
        return self.task(name, **arguments)

    def encoder(self, dtype: str = "float32") -> keras.Layer:
        keras.utils.set_random_seed(0)
        if not self.tokens:
            return TinyEncoder(dtype=dtype)
        return small_encoder(
            ("image", "text"), num_layers=1, scan_layers=False, dtype=dtype
        )

    def x(self, task: Task) -> dict[str, np.ndarray]:
        """Inputs by modality, whose rows differ."""
        rng = np.random.default_rng(0)
        size = (6, 10, 3) if self.tokens else (5,)
        length = 12 if self.tokens else 2
        every = {
            "image": rng.normal(size=(BATCH, *size)).astype("float32"),
            "text": rng.integers(2, MASK, (BATCH, length), dtype="int32"),
        }
        return {name: every[name] for name in task.modalities}


def parts():
    """The parts of a combination, made anew: each has one owner."""
    return [
        Classification("kind", "image", 3),
        Regression("size", "image", loss_weight=0.5),
        Contrastive("match", ("image", "text"), projection_dim=8),
    ]


LABELS = np.array([0, 2, 1, 0])
NUMBERS = np.array([0.5, -1.0, 2.0, 0.0], "float32")
CONTRASTIVE = {"modalities": ("image", "text"), "projection_dim": 7}
TEXT = {"modality": "text", "mask_id": MASK, "special_ids": (UNKNOWN,)}

CASES = {
    "classification": TaskCase(
        Classification,
        {
            "modality": "image",
            "num_classes": 3,
            "label_smoothing": 0.2,
            "loss_weight": 0.5,
        },
        LABELS,
    ),
    "classification of many labels": TaskCase(
        Classification,
        {
            "modality": "image",
            "num_classes": 3,
            "multi_label": True,
            "microbatches": 2,
            "accumulate": "mean",
        },
        np.eye(3, dtype="float32")[LABELS],
    ),
    "regression": TaskCase(
        Regression, {"modality": "image", "loss": "huber"}, NUMBERS
    ),
    "contrastive": TaskCase(Contrastive, CONTRASTIVE),
    "contrastive, all options": TaskCase(
        Contrastive,
        {
            **CONTRASTIVE,
            "pairs": [("image", "text", 2.0)],
            "space": "joint",
            "temperature": 0.3,
            "temperature_form": "relu",
            "min_temperature": 0.02,
            "margin": 0.1,
            "mask_duplicates": False,
        },
    ),
    "contrastive, sigmoid": TaskCase(
        Contrastive, {**CONTRASTIVE, "loss": "sigmoid", "bias": -1.0}
    ),
    "combined": TaskCase(
        Combined,
        {"tasks": parts, "reduce": "mean", "microbatches": 2},
        {"kind": LABELS, "size": NUMBERS},
    ),
    "masked patches": TaskCase(
        MaskedModeling,
        {
            "modality": "image",
            "mask_rate": 0.5,
            "normalize_targets": False,
            "seed": 1,
            **DECODER,
        },
        tokens=True,
    ),
    "masked words": TaskCase(
        MaskedModeling, {**TEXT, "mask_rate": 0.5, "seed": 3}, tokens=True
    ),
    "masked words, untied": TaskCase(
        MaskedModeling,
        {**TEXT, "mask_rate": 0.5, "tied": False, "seed": 3},
        tokens=True,
    ),
}
