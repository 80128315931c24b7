"""What a `TokenBudget` planned: batch sizes, a table, position rows."""

import dataclasses
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from keras_imp._errors import message
from keras_imp._repr import called
from keras_imp.data.shapes.plan_text import rows_text, table
from keras_imp.data.shapes.shape import Shape
from keras_imp.models.modalities import modality_of
from keras_imp.models.patching import Patching
from keras_imp.models.protocols import TokenEncoder


@dataclasses.dataclass(frozen=True)
class PlannedShape:
    """One shape of one task, and how many examples of it fill a step.

    Attributes:
        task: The task.
        shape: Sizes of its modalities and what is dropped.
        batch_size: Examples of a step.
        share: Fraction of the task's steps that take this shape.
        full: Tokens of a sequence, by modality.
        kept: Those that are left, by modality.
        flops_per_example: Forward operations of an example.
        patchings: How the encoder cuts modalities into patches.

    Example:
        >>> import keras_imp
        >>> from keras_imp.data import Shape
        >>> encoder = keras_imp.IMPEncoder.from_preset(
        ...     "imp_tiny", modalities=("image",))
        >>> plan = keras_imp.TokenBudget(tokens_per_batch=64).plan(
        ...     encoder, {"objects": [Shape(image=(16, 16))]})
        >>> plan["objects"][0].batch_size, plan["objects"][0].full_tokens
        (4, 16)
    """

    task: str
    shape: Shape
    batch_size: int
    share: float
    full: dict[str, int] = dataclasses.field(repr=False)
    kept: dict[str, int] = dataclasses.field(repr=False)
    flops_per_example: int = dataclasses.field(repr=False)
    patchings: dict[str, Patching] = dataclasses.field(repr=False)

    @property
    def full_tokens(self) -> int:
        """Tokens of an example, of all its modalities."""
        return self._of_example(self.full)

    @property
    def kept_tokens(self) -> int:
        """Tokens of an example that are left."""
        return self._of_example(self.kept)

    @property
    def tokens_per_step(self) -> int:
        """Kept tokens of a step."""
        return self.batch_size * self.kept_tokens

    @property
    def flops_per_step(self) -> int:
        """Forward operations of a step."""
        return self.batch_size * self.flops_per_example

    def describe(self) -> dict[str, Any]:
        """What decides the batches of this shape, for `Backup`.

        Returns:
            What JSON can hold.
        """
        return {
            "batch_size": self.batch_size,
            "weight": self.shape.weight,
            "sizes": self.shape.sizes,
            "drop": self.shape.drop,
        }

    def signature(self) -> tuple:
        """What decides the compiled graph: shapes of the arrays of a step."""
        arrays: list[tuple] = []
        for name in sorted(self.shape.sizes):
            is_cut = name in self.patchings and self.shape.can_be_cut(name)
            if name in self.shape.drop and is_cut:
                # Made on the host already: any size looks alike.
                arrays.append((name, "patches", self.kept[name]))
            else:
                arrays.append((name, self.shape.sizes[name], self.kept[name]))
        return (self.task, self.batch_size, *arrays)

    def _of_example(self, tokens: dict[str, int]) -> int:
        return sum(
            self.shape.sequences_of(name) * count
            for name, count in tokens.items()
        )


class Plan(Mapping):
    """Shapes and batch sizes by task; prints as a table.

    In the table, `GFLOPs` are forward operations of a step in the encoder's
    blocks (`token_budget.forward_flops`), and `share` is the fraction of the
    task's steps. Below it stand the rows of the position tables that each size
    reaches, and those that no shape trains.

    Args:
        encoder: The encoder that it was made for.
        shapes: Planned shapes by task.

    Example:
        >>> import keras_imp
        >>> from keras_imp.data import Shape
        >>> encoder = keras_imp.IMPEncoder.from_preset(
        ...     "imp_tiny", modalities=("image",))
        >>> plan = keras_imp.TokenBudget(tokens_per_batch=1024).plan(
        ...     encoder, {"objects": [Shape(image=(16, 16)),
        ...                           Shape(image=(32, 32))]})
        >>> print(plan)
        task     shape        tokens  drop  kept  batch  tokens/step  GFLOPs  share
        -------  -----------  ------  ----  ----  -----  -----------  ------  -----
        objects  image 16x16      16     -    16     64        1,024    1.64   50 %
        objects  image 32x32      64     -    64     16        1,024    1.74   50 %
        2 graphs to compile.
        Position rows of image 16x16: frames 0; height 0, 4, 8, 12; width 0, 4, 8, 12.
        Position rows of image 32x32: frames 0; height 0, 2, ..., 14; width 0, 2, ..., 14.
        Rows that no image reaches: frames 1-7; height 1, 3, ..., 15; width 1, 3, ..., 15.
    """  # noqa: E501

    def __init__(
        self, encoder: TokenEncoder, shapes: dict[str, tuple[PlannedShape, ...]]
    ):
        self.encoder = encoder
        self.shapes = shapes

    def __repr__(self) -> str:
        return called("Plan", **self.shapes)

    def __getitem__(self, task: str) -> tuple[PlannedShape, ...]:
        if task not in self.shapes:
            # A KeyError, for what a mapping does of itself, such as `get`.
            raise KeyError(
                message(f"The plan has the tasks {tuple(self)}.", task=task)
            )
        return self.shapes[task]

    def __iter__(self) -> Iterator[str]:
        return iter(self.shapes)

    def __len__(self) -> int:
        return len(self.shapes)

    @property
    def all_shapes(self) -> list[PlannedShape]:
        """The shapes of all tasks in a row."""
        return [one for several in self.shapes.values() for one in several]

    @property
    def num_graphs(self) -> int:
        """Training graphs to compile: one for each task and shape."""
        return len({one.signature() for one in self.all_shapes})

    def flops_per_step(self, task: str) -> float:
        """Forward operations of a task's step, as the mean over its shapes.

        Args:
            task: The task.

        Returns:
            The operations.
        """
        return sum(one.share * one.flops_per_step for one in self[task])

    def examples_per_step(self, task: str) -> float:
        """Examples of a task's step, as the mean over its shapes.

        Args:
            task: The task.

        Returns:
            The number.
        """
        return sum(one.share * one.batch_size for one in self[task])

    def rows_reached(self, name: str, size: tuple[int, ...]) -> dict:
        """Position rows that an input uses.

        Args:
            name: Modality.
            size: Its size, as in `Shape`.

        Returns:
            Ascending row numbers by axis.
        """
        positions, axes, grid = self._positions(name, size)
        return dict(zip(axes, positions.rows_reached(grid), strict=True))

    def trained_rows(self, name: str) -> dict[str, np.ndarray]:
        """Position rows of a modality that some shape of the plan reaches.

        Args:
            name: Modality; image and video share their tables.

        Returns:
            Ascending row numbers by axis.
        """
        embedder = self.encoder.embedder_of(name)
        reached: dict[str, np.ndarray] = {}
        for one in self.all_shapes:
            for other in one.shape.sizes:
                if self.encoder.embedder_of(other) is not embedder:
                    continue
                rows = self.rows_reached(other, one.shape.size_of(other))
                for axis, own in rows.items():
                    reached[axis] = np.union1d(reached.get(axis, own), own)
        return reached

    def untrained_rows(self, name: str, size: tuple[int, ...]) -> dict:
        """Position rows that an input uses and no shape of the plan trains.

        Args:
            name: Modality.
            size: Its size, as in `Shape`.

        Returns:
            Row numbers by axis; only axes that have some.

        Example:
            >>> import keras_imp
            >>> from keras_imp.data import Shape
            >>> encoder = keras_imp.IMPEncoder.from_preset(
            ...     "imp_tiny", modalities=("image",))
            >>> plan = keras_imp.TokenBudget(tokens_per_batch=64).plan(
            ...     encoder, {"objects": [Shape(image=(32, 32))]})
            >>> plan.untrained_rows("image", (48, 32))
            {'height': [1, 5, 9, 13]}
        """
        trained = self.trained_rows(name)
        missing = {
            axis: np.setdiff1d(rows, trained.get(axis, [])).astype(int).tolist()
            for axis, rows in self.rows_reached(name, size).items()
        }
        return {axis: rows for axis, rows in missing.items() if rows}

    def check_sizes(self, **sizes: Any) -> None:
        """Warn if an input for inference would meet untrained position rows.

        Args:
            **sizes: Size of each modality, as in `Shape`.

        Example:
            >>> import keras_imp
            >>> from keras_imp.data import Shape
            >>> encoder = keras_imp.IMPEncoder.from_preset(
            ...     "imp_tiny", modalities=("image",))
            >>> plan = keras_imp.TokenBudget(tokens_per_batch=64).plan(
            ...     encoder, {"objects": [Shape(image=(32, 32))]})
            >>> plan.check_sizes(image=(16, 16))  # Rows 0, 4, 8, 12: trained.
        """
        shape = Shape(**sizes)
        for name in shape.sizes:
            missing = self.untrained_rows(name, shape.size_of(name))
            if not missing:
                continue
            warnings.warn(
                message(
                    f"The input {name!r} uses position rows that no shape of "
                    f"the plan trains: {rows_text(missing)}.",
                    "Add its size to the plan, or set "
                    "interpolate_positions=True.",
                    **{name: shape.sizes[name]},
                ),
                stacklevel=2,
            )

    def __str__(self) -> str:
        graphs = self.num_graphs
        lines = [
            *table([*map(_cells, self.all_shapes)]),
            f"{graphs} graph{'s' if graphs > 1 else ''} to compile.",
        ]
        names = {n: None for one in self.all_shapes for n in one.shape.sizes}
        sharing: dict[int, list[str]] = {}
        for name in names:
            embedder = self.encoder.embedder_of(name)
            sharing.setdefault(id(embedder), []).append(name)
        for several in sharing.values():
            lines += self._row_lines(several)
        return "\n".join(lines)

    def _row_lines(self, names: list[str]) -> list[str]:
        """Rows that each size of some modalities reaches, then the others."""
        sizes = dict.fromkeys(
            (name, one.shape.size_of(name))
            for one in self.all_shapes
            for name in names
            if name in one.shape.sizes
        )
        lines = [
            f"Position rows of {name} {'x'.join(map(str, size))}: "
            f"{rows_text(self.rows_reached(name, size))}."
            for name, size in sizes
        ]
        never = self._never_reached(names[0])
        if never:
            lines.append(
                f"Rows that no {' or '.join(names)} reaches: "
                f"{rows_text(never)}."
            )
        return lines

    def _never_reached(self, name: str) -> dict[str, np.ndarray]:
        embedder = self.encoder.embedder_of(name)
        trained = self.trained_rows(name)
        rest = {
            axis: np.setdiff1d(np.arange(rows), trained[axis])
            for axis, rows in zip(trained, embedder.positions.buckets)
        }
        return {axis: rows for axis, rows in rest.items() if len(rows)}

    def _positions(self, name: str, size: tuple[int, ...]) -> tuple:
        embedder = self.encoder.embedder_of(name)
        form = modality_of(name).of_size(size)
        grid = embedder.grid(form.input_shape(size))
        return embedder.positions, embedder.axis_names, grid


def _cells(one: PlannedShape) -> list[str]:
    drop = ", ".join(
        f"{name} {rate:g}" for name, rate in one.shape.drop.items()
    )
    return [
        one.task,
        str(one.shape),
        f"{one.full_tokens:,}",
        drop or "-",
        f"{one.kept_tokens:,}",
        f"{one.batch_size:,}",
        f"{one.tokens_per_step:,}",
        f"{one.flops_per_step / 1e9:,.2f}",
        f"{100 * one.share:.0f} %",
    ]
