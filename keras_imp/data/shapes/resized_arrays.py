"""Batches in several shapes from arrays in memory."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_imp._errors import message
from keras_imp.data.arrays import Arrays
from keras_imp.data.order import OrderInShapes
from keras_imp.data.ordered_batches import Augment
from keras_imp.data.shapes.dropping import check_rates, drop_tokens
from keras_imp.data.shapes.plan import PlannedShape
from keras_imp.data.shapes.resizing import check_size, resize


class ResizedArrays(Arrays):
    """`Arrays` in several shapes: resized, cropped and thinned on the host.

    The shape of batch `i` and its examples are a pure function of (seed, i):
    the same in every process, and a resumed run continues exactly. Passes
    follow each other without a gap, so a batch may end one and begin the
    next; if there are at least three times the examples of the largest batch,
    none is twice in a batch. What is done to a batch: `augment`, then
    `data.resizing`, then `data.drop_tokens`.

    Args:
        x: Inputs by modality, arrays with one row per example, at their full
            size.
        y: Targets with one row per example, or None.
        sample_weight: Weight of each example, or None.
        shapes: The shapes, with their batch sizes: `plan[task]` of a
            `TokenBudget`.
        drop_on_host: Whether to drop the tokens that the shapes say. Set it to
            False if the task has `drop_tokens`.
        augment: As in `Arrays`; it gets the batch at its full size.
        seed: Seed of everything.
        **kwargs: Arguments of `keras.utils.PyDataset`, such as `workers`.

    Raises:
        ValueError: If rows do not agree, there are fewer than a batch, or an
            input cannot be brought to a shape.

    Example:
        >>> import numpy as np, keras_imp
        >>> from keras_imp.data import ResizedArrays, Shape
        >>> encoder = keras_imp.IMPEncoder.from_preset(
        ...     "imp_tiny", modalities=("image",))
        >>> plan = keras_imp.TokenBudget(tokens_per_batch=256).plan(
        ...     encoder, {"objects": [Shape(image=(16, 16)),
        ...                           Shape(image=(32, 32))]})
        >>> images = np.zeros((50, 32, 32, 3), "uint8")
        >>> data = ResizedArrays({"image": images}, shapes=plan["objects"])
        >>> sorted({data.batch_at(i)[0]["image"].shape for i in range(4)})
        [(4, 32, 32, 3), (16, 16, 16, 3)]
    """

    def __init__(
        self,
        x: dict[str, np.ndarray],
        y: np.ndarray | None = None,
        sample_weight: np.ndarray | None = None,
        *,
        shapes: Sequence[PlannedShape],
        drop_on_host: bool = True,
        augment: Augment | None = None,
        seed: int = 0,
        **kwargs,
    ):
        if not shapes:
            raise ValueError(
                message(
                    "`shapes` must have at least one shape.",
                    "Give the shapes of a task, plan[task].",
                    shapes=shapes,
                )
            )
        if "drop_last" in kwargs:
            raise ValueError(
                message(
                    "Every batch of ResizedArrays is full: the last of a pass "
                    "goes over into the next.",
                    "Omit `drop_last`.",
                    drop_last=kwargs["drop_last"],
                )
            )
        if not kwargs.get("shuffle", True):
            raise ValueError(
                message(
                    "ResizedArrays shuffles every pass.",
                    "Omit `shuffle`, or use Arrays for one shape in order.",
                    shuffle=kwargs["shuffle"],
                )
            )
        super().__init__(
            x,
            y,
            sample_weight,
            batch_size=max(one.batch_size for one in shapes),
            augment=augment,
            seed=seed,
            **kwargs,
        )
        self.shapes = tuple(shapes)
        self.drop_on_host = drop_on_host
        self._check_shapes()
        self.order: OrderInShapes = OrderInShapes(
            self.rows,
            [one.batch_size for one in shapes],
            [one.shape.weight for one in shapes],
            seed=seed,
            groups=self.groups,
        )

    def batch_at(self, index: int) -> tuple:
        """Batch `index`, counted over all passes through the data.

        Args:
            index: From 0, without end.

        Returns:
            `(x,)`, `(x, y)` or `(x, y, sample_weight)`.
        """
        planned = self.shapes[self.order.shape_at(index)]
        batch = self._batch_of(self.order.rows_at(index), index)
        generator = self.order.generator(2, index)
        x: dict[str, Any] = dict(batch[0])
        for name in planned.shape.sizes:
            size = planned.shape.size_of(name)
            x[name] = resize(name, x[name], size, generator)
        if self.drop_on_host and planned.shape.drop:
            x = drop_tokens(x, planned.shape.drop, planned.patchings, generator)
        return (x, *batch[1:])

    def describe(self) -> dict[str, Any]:
        return {
            **super().describe(),
            "shapes": [one.describe() for one in self.shapes],
            "drop_on_host": self.drop_on_host,
        }

    def _check_shapes(self) -> None:
        for planned in self.shapes:
            shape = planned.shape
            for name in shape.sizes:
                if name not in self.x:
                    raise ValueError(
                        message(
                            "Each shape must have sizes of inputs in `x`, "
                            f"{tuple(self.x)}.",
                            modality=name,
                        )
                    )
                check_size(name, self.x[name].shape, shape.size_of(name))
            if self.drop_on_host:
                check_rates(shape.drop, self.x, planned.patchings)
                for name in shape.drop:
                    planned.patchings[name].grid(shape.size_of(name))
