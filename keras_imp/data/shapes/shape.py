"""The shapes that a task's batches may have, as a user writes them."""

from typing import Any

from keras_imp._errors import check_positive, check_rate, message
from keras_imp.models.modalities import modality_of
from keras_imp.models.modality import Modality


class Shape:
    """One size for each modality of a task, and what to drop of it.

    Args:
        drop: Fraction of the tokens to drop, by modality. Defaults to none.
        weight: How often the task takes this shape, an integer relative to its
            other shapes.
        **sizes: Size of each modality: `image=(height, width)`,
            `video=(frames, height, width)`, `audio=samples` of waveforms or
            `(frames, bins)` of spectrograms, `waveform=samples`,
            `text=length` or `(captions, length)`; of a modality of your own,
            the named axes of its `models.Modality`.

    Raises:
        ValueError: If a modality is unknown, or a size, fraction or weight does
            not fit.

    Example:
        >>> from keras_imp.data import Shape
        >>> print(Shape(video=(8, 32, 32), text=12, drop={"video": 0.5}))
        video 8x32x32, text 12
    """

    def __init__(
        self,
        drop: dict[str, float] | None = None,
        weight: int = 1,
        **sizes: Any,
    ):
        if not sizes:
            raise ValueError(
                message(
                    "A shape must have the size of at least one modality.",
                    "Use Shape(image=(32, 32)), for example.",
                    sizes=sizes,
                )
            )
        self.sizes = {name: _size(name, size) for name, size in sizes.items()}
        self.drop = {name: rate for name, rate in (drop or {}).items() if rate}
        self.weight = weight
        for name, rate in (drop or {}).items():
            check_rate(**{f"drop[{name!r}]": rate})
            if name not in self.sizes:
                raise ValueError(
                    message(
                        "`drop` must name modalities of the shape, "
                        f"{tuple(self.sizes)}.",
                        modality=name,
                    )
                )
        if not isinstance(weight, int) or weight < 1:
            raise ValueError(
                message(
                    "`weight` must be an integer of at least 1.", weight=weight
                )
            )

    def __str__(self) -> str:
        return ", ".join(
            f"{name} {'x'.join(map(str, size))}"
            for name, size in self.sizes.items()
        )

    def __repr__(self) -> str:
        arguments: dict[str, Any] = {**self.sizes}
        if self.drop:
            arguments["drop"] = self.drop
        if self.weight != 1:
            arguments["weight"] = self.weight
        inside = ", ".join(f"{k}={v!r}" for k, v in arguments.items())
        return f"Shape({inside})"

    def sequences_of(self, name: str) -> int:
        """Sequences of a modality in one example: several captions, or 1.

        Args:
            name: Modality.

        Returns:
            Their number.

        Raises:
            ValueError: If the shape has no such modality.
        """
        size = self._given(name)
        return size[0] if len(size) > len(self._form_of(name).size_axes) else 1

    def size_of(self, name: str) -> tuple[int, ...]:
        """Size of one sequence of a modality, without captions.

        Args:
            name: Modality.

        Returns:
            Length of each of its axes.

        Raises:
            ValueError: If the shape has no such modality.
        """
        return self._given(name)[-len(self._form_of(name).size_axes) :]

    def input_shape(self, name: str) -> tuple[int | None, ...]:
        """Shape of the arrays of one modality, as an encoder takes them.

        Args:
            name: Modality.

        Returns:
            The shape, with None for the batch axis.

        Raises:
            ValueError: If the shape has no such modality.

        Example:
            >>> from keras_imp.data import Shape
            >>> Shape(image=(32, 48)).input_shape("image")
            (None, 32, 48, 3)
        """
        return self._form_of(name).input_shape(self.size_of(name))

    def can_be_cut(self, name: str) -> bool:
        """Whether the host can cut a modality into patches: no waveforms.

        Args:
            name: Modality.

        Returns:
            False if the encoder makes spectrograms of it first.
        """
        return self._form_of(name) is modality_of(name)

    def _form_of(self, name: str) -> Modality:
        return modality_of(name).of_size(self._given(name))

    def _given(self, name: str) -> tuple[int, ...]:
        """The size of a modality, as it was given."""
        if name not in self.sizes:
            raise ValueError(
                message(
                    f"The shape has sizes of {tuple(self.sizes)}.",
                    "Give it one of this modality too: Shape(..., name=size).",
                    modality=name,
                )
            )
        return self.sizes[name]


def _size(name: str, size: Any) -> tuple[int, ...]:
    forms = [form.size_axes for form in modality_of(name).forms]
    given = (size,) if isinstance(size, int) else tuple(size)
    lengths = [1, 2] if name == "text" else [len(axes) for axes in forms]
    if len(given) not in lengths:
        texts = [f"({', '.join(axes)})" for axes in forms]
        raise ValueError(
            message(
                f"The size of {name!r} must be {' or '.join(texts)}.",
                **{name: size},
            )
        )
    for length in given:
        check_positive(**{name: length})
    return given
