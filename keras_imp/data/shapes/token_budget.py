"""How many examples of each shape fill a step: shapes in, a plan out.

Tasks of unlike sizes take steps of equal cost: what a shape saves in size or
by dropping tokens, it gets back as examples (docs/method.md, Multi-resolution
and DropToken).
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from keras_imp._errors import check_positive, message
from keras_imp._repr import called
from keras_imp.data.shapes.plan import Plan, PlannedShape
from keras_imp.data.shapes.shape import Shape
from keras_imp.layers.drop_token import num_kept


class TokenBudget:
    """Tokens, or operations, of a step: the same for every task and shape.

    Give one of the two, as one number or by task.

    Args:
        tokens_per_batch: Kept tokens of a batch, those of all modalities.
        flops_per_batch: Forward operations of a batch (`forward_flops`). It
            also counts that attention grows with the square of the tokens. A
            sparse encoder counts as its dense counterpart.
        batch_multiple: Batch sizes are multiples of it, such as the number of
            devices.

    Raises:
        ValueError: If none or both of the budgets are given, or a number is
            not positive.

    Example:
        >>> import keras_imp
        >>> from keras_imp.data import Shape
        >>> encoder = keras_imp.IMPEncoder.from_preset(
        ...     "imp_tiny", modalities=("video", "text"))
        >>> plan = keras_imp.TokenBudget(tokens_per_batch=4096).plan(
        ...     encoder, {"clips": [
        ...         Shape(video=(8, 16, 16)),
        ...         Shape(video=(8, 32, 32), drop={"video": 0.75})]})
        >>> [shape.batch_size for shape in plan["clips"]]
        [128, 128]

    Reference:
        [IMP](https://arxiv.org/abs/2305.06324), section 3.3; docs/method.md,
        Multi-resolution and DropToken.
    """

    def __init__(
        self,
        tokens_per_batch: int | Mapping[str, int] | None = None,
        flops_per_batch: float | Mapping[str, float] | None = None,
        batch_multiple: int = 1,
    ):
        budgets: dict[str, Any] = {
            "tokens_per_batch": tokens_per_batch,
            "flops_per_batch": flops_per_batch,
        }
        given = {k: v for k, v in budgets.items() if v is not None}
        if len(given) != 1:
            raise ValueError(
                message(
                    "Exactly one of `tokens_per_batch` and `flops_per_batch` "
                    "must be given.",
                    **budgets,
                )
            )
        ((self.unit, self.amount),) = given.items()
        by_task = isinstance(self.amount, Mapping)
        for amount in self.amount.values() if by_task else [self.amount]:
            check_positive(**{self.unit: amount})
        check_positive(batch_multiple=batch_multiple)
        self.batch_multiple = batch_multiple

    def __repr__(self) -> str:
        given = {self.unit: self.amount}
        return called(
            "TokenBudget", **given, batch_multiple=self.batch_multiple
        )

    def plan(self, encoder: Any, shapes: Mapping[str, Sequence[Shape]]) -> Plan:
        """The batch size of each shape of each task.

        Args:
            encoder: An `IMPEncoder`, for its patches, tables and sizes.
            shapes: Shapes by task, each with all modalities of the task.

        Returns:
            The plan: print it, and give `plan[task]` to `data.ResizedArrays`.

        Raises:
            ValueError: If a shape does not fit the encoder, a task has none,
                or the budget does not hold a batch of some shape.
        """
        planned = {
            task: tuple(
                self._planned(encoder, task, shape, list(several))
                for shape in several
            )
            for task, several in shapes.items()
        }
        self._check(planned)
        return Plan(encoder, planned)

    def _planned(self, encoder, task, shape, several) -> PlannedShape:
        full, kept, flops = {}, {}, 0
        for name in shape.sizes:
            full[name] = encoder.num_tokens(name, shape.input_shape(name))
            rate = shape.drop.get(name, 0.0)
            kept[name] = num_kept(full[name], rate) if rate else full[name]
            flops += shape.sequences_of(name) * forward_flops(
                kept[name] + encoder.num_first_tokens_of(name),
                encoder.hidden_dim,
                encoder.intermediate_dim,
                encoder.num_layers,
            )
        one = PlannedShape(
            task=task,
            shape=shape,
            batch_size=0,
            share=shape.weight / sum(other.weight for other in several),
            full=full,
            kept=kept,
            flops_per_example=flops,
            patchings=encoder.patchings,
        )
        multiples = self._amount_of(task) // (
            self._cost(one) * self.batch_multiple
        )
        batch_size = int(multiples) * self.batch_multiple
        return dataclasses.replace(one, batch_size=batch_size)

    def _amount_of(self, task: str) -> float:
        if not isinstance(self.amount, Mapping):
            return self.amount
        if task not in self.amount:
            raise ValueError(
                message(
                    f"`{self.unit}` must have an entry for each task.",
                    task=task,
                    tasks=list(self.amount),
                )
            )
        return self.amount[task]

    def _check(self, planned: dict[str, tuple[PlannedShape, ...]]) -> None:
        for task, several in planned.items():
            if not several:
                raise ValueError(
                    message("Each task must have a shape.", task=task)
                )
            empty = [one for one in several if not one.batch_size]
            if not empty:
                continue
            largest = max(empty, key=self._cost)
            raise ValueError(
                message(
                    f"`{self.unit}` must hold at least {self.batch_multiple} "
                    f"example(s) of every shape of task {task!r}.",
                    f"The smallest budget is "
                    f"{self._cost(largest) * self.batch_multiple}; or drop "
                    "more tokens, or take a smaller size.",
                    **{self.unit: self._amount_of(task)},
                    shape=largest.shape,
                )
            )

    def _cost(self, planned: PlannedShape) -> int:
        if self.unit == "tokens_per_batch":
            return planned.kept_tokens
        return planned.flops_per_example


def forward_flops(
    tokens: int, hidden_dim: int, intermediate_dim: int, num_layers: int
) -> int:
    """Operations of one sequence in the dense encoder's blocks.

    Source: docs/method.md, Multi-resolution and DropToken.

    Matrix products of projections and feed-forward networks, and attention;
    two operations for a multiplication and its addition. The embedders and
    heads are not in it. A training step takes about three times as many.

    Args:
        tokens: Tokens of the sequence.
        hidden_dim: Width of the tokens.
        intermediate_dim: Width inside the feed-forward networks.
        num_layers: Number of blocks.

    Returns:
        The operations.

    Example:
        >>> from keras_imp.data.shapes.token_budget import forward_flops
        >>> base = {"hidden_dim": 768, "intermediate_dim": 3072,
        ...         "num_layers": 12}
        >>> round(forward_flops(1024, **base) / 1e9, 1)
        212.6
    """
    products = 8 * hidden_dim**2 + 4 * hidden_dim * intermediate_dim
    attention = 4 * tokens * hidden_dim
    return num_layers * tokens * (products + attention)
