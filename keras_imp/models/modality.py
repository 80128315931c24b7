"""What a modality is: one record.

It says which axes its inputs have, which embedder makes their tokens, and what
may be done to them on the host. `models.modalities` holds the records that are
known; `models.register_modality` adds one from outside of the package.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from keras_imp._errors import message
from keras_imp._repr import ShowsArguments

# Values, their new size, and a generator for what is random.
Resize = Callable[
    [np.ndarray, tuple[int, ...], np.random.Generator], np.ndarray
]
# Arguments of `data.Shape`, which takes modalities as keywords.
RESERVED = ("drop", "weight")


@dataclasses.dataclass(frozen=True)
class EmbedderOptions:
    """What an encoder tells the function that makes an embedder.

    Attributes:
        name: Name of the embedder, for its layer and the paths of its weights.
        hidden_dim: Width of the tokens.
        padding: What to do with a size that is no multiple of its patch,
            `"valid"` or `"same"`.
        interpolate_positions: Whether to mix neighboring position rows.
        positions: `"factorized"` or `"grid"`.
        mask_padding: Whether token id 0 is padding.
        variant: `"fixed"` or `"imp"`.
        dtype: Dtype policy of the computations.
        vocabulary_size: The encoder's, as are all that follow.
        max_sequence_length: Rows of the position table of text.
        patch_size: Patch of video and image.
        audio_patch_size: Patch of a spectrogram.
        waveform_patch_size: Samples per waveform patch.
        position_buckets: Rows of the position tables of video and image.
        audio_position_buckets: Rows for a spectrogram.
        waveform_position_buckets: Rows for a waveform.
        log_mel: Arguments of the `data.LogMel` that makes spectrograms of
            audio.

    Example:
        >>> from keras_imp.models import EmbedderOptions
        >>> EmbedderOptions(name="depth", hidden_dim=8).padding
        'valid'
    """

    name: str
    hidden_dim: int
    padding: str = "valid"
    interpolate_positions: bool = False
    positions: str = "factorized"
    mask_padding: bool = True
    variant: str = "fixed"
    dtype: Any = None
    vocabulary_size: int = 32100
    max_sequence_length: int = 4096
    patch_size: tuple[int, int, int] = (4, 16, 16)
    audio_patch_size: tuple[int, int] = (16, 16)
    waveform_patch_size: int = 256
    position_buckets: tuple[int, int, int] = (16, 32, 32)
    audio_position_buckets: tuple[int, int] = (64, 8)
    waveform_position_buckets: int = 512
    log_mel: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @classmethod
    def of(cls, encoder: Any, name: str) -> "EmbedderOptions":
        """The options of an encoder.

        Args:
            encoder: Has an attribute for each option, such as `IMPEncoder`.
            name: Name of the embedder.

        Returns:
            The options.
        """
        given = {
            field.name: getattr(encoder, field.name)
            for field in dataclasses.fields(cls)
            if field.name not in ("name", "dtype")
        }
        return cls(name=name, dtype=encoder.dtype_policy, **given)


@dataclasses.dataclass(frozen=True, repr=False)
class Modality(ShowsArguments):
    """How one modality enters the encoder.

    Args:
        name: Key of its inputs, a Python identifier.
        axes: Axes of an input after the batch axis: a name for an axis whose
            length may differ, a number for one that always has this length.
        make_embedder: From `EmbedderOptions` to the embedder, such as
            `models.patch_embedder` with the patch filled in.
        embedder: Name of the embedder. Modalities of one encoder with the same
            name share it and its weights; they must have one `make_embedder`.
            Defaults to `name`.
        token_ids: Whether the inputs are token ids, with 0 as padding, and not
            values on a grid.
        resize: Brings arrays to another size on the host: `resize(values,
            size, generator)`, with a length in `size` for each named axis.
            Defaults to none: its size is that of the data.
        only_shrinks: Named axes that `resize` can make shorter, but not longer.
        keeps: Named axes whose length `resize` does not change.
        check_values: Checks one batch on the host, before it is moved:
            `check_values(values)` raises a ValueError that says what is wrong.
            Of an input that was cut on the host (`data.drop_tokens`) it gets
            the patches, shape `(batch, kept, values)`.
        raw: The record of inputs of another rank, of which the embedder makes
            these: of spectrograms, waveforms. It takes `name`, `embedder` and
            `make_embedder` from this record. Defaults to none.

    Raises:
        ValueError: If the name or an axis cannot be used, or `raw` has as many
            axes as this record.

    Example:
        >>> import functools, keras_imp
        >>> from keras_imp.models import Modality, patch_embedder
        >>> depth = Modality(
        ...     name="depth", axes=("height", "width"),
        ...     make_embedder=functools.partial(
        ...         patch_embedder, patch_size=(8, 8), buckets=(32, 32),
        ...         axis_names=("height", "width")))
        >>> depth.shape, depth.rank
        ('(batch, height, width)', 3)
    """

    name: str
    axes: tuple[str | int, ...]
    make_embedder: Callable[[EmbedderOptions], Any]
    embedder: str = ""
    token_ids: bool = False
    resize: Resize | None = None
    only_shrinks: tuple[str, ...] = ()
    keeps: tuple[str, ...] = ()
    check_values: Callable[[np.ndarray], None] | None = None
    raw: "Modality | None" = None

    def __post_init__(self):
        if not self.embedder:
            object.__setattr__(self, "embedder", self.name)
        for field in ("name", "embedder"):
            _check_name(field, getattr(self, field))
        if not self.size_axes:
            raise ValueError(
                message(
                    "A modality must have at least one named axis.",
                    'Use ("height", "width"), for example.',
                    name=self.name,
                    axes=self.axes,
                )
            )
        for axis in (*self.only_shrinks, *self.keeps):
            if axis not in self.size_axes:
                raise ValueError(
                    message(
                        "`only_shrinks` and `keeps` must name axes of the "
                        f"modality, {self.size_axes}.",
                        name=self.name,
                        axis=axis,
                    )
                )
        if self.raw is not None:
            object.__setattr__(self, "raw", self._own(self.raw))

    def _own(self, raw: "Modality") -> "Modality":
        """The other form of the inputs, under the names of this one."""
        if len(raw.size_axes) == len(self.size_axes) or raw.rank == self.rank:
            raise ValueError(
                message(
                    "`raw` must have another number of axes than its modality: "
                    "they tell which of the two an input is.",
                    name=self.name,
                    axes=self.axes,
                    raw=raw.axes,
                )
            )
        return dataclasses.replace(
            raw,
            name=self.name,
            embedder=self.embedder,
            make_embedder=self.make_embedder,
        )

    @property
    def size_axes(self) -> tuple[str, ...]:
        """Names of the axes whose length may differ."""
        return tuple(axis for axis in self.axes if isinstance(axis, str))

    @property
    def rank(self) -> int:
        """Number of axes of an input, with the batch axis."""
        return len(self.axes) + 1

    @property
    def shape(self) -> str:
        """Axes of an input as text, for errors."""
        return f"(batch, {', '.join(map(str, self.axes))})"

    @property
    def shapes(self) -> str:
        """`shape`, and that of `raw`, as text."""
        return " or ".join(form.shape for form in self.forms)

    @property
    def forms(self) -> tuple["Modality", ...]:
        """This record, and `raw` if there is one."""
        return (self,) if self.raw is None else (self, self.raw)

    def of_shape(self, shape: tuple[int | None, ...]) -> "Modality":
        """The record of inputs of some shape.

        Args:
            shape: Their shape, batch axis included.

        Returns:
            `raw`, if they have its rank; else this record.

        Example:
            >>> from keras_imp.models.modalities import modality_of
            >>> modality_of("audio").of_shape((8, 131072)).axes
            ('samples',)
        """
        fitting = [form for form in self.forms if form.rank == len(shape)]
        return fitting[0] if fitting else self

    def of_size(self, size: tuple[int, ...]) -> "Modality":
        """The record of inputs of some size.

        Args:
            size: Length of each of its `size_axes`.

        Returns:
            `raw`, if it has so many; else this record.

        Example:
            >>> from keras_imp.models.modalities import modality_of
            >>> modality_of("audio").of_size((128, 128)).axes
            ('frames', 'bins')
        """
        fitting = [f for f in self.forms if len(f.size_axes) == len(size)]
        return fitting[0] if fitting else self

    def input_shape(self, size: tuple[int, ...]) -> tuple[int | None, ...]:
        """Shape of an input of some size.

        Args:
            size: Length of each of `size_axes`.

        Returns:
            The shape, with None for the batch axis.

        Example:
            >>> from keras_imp.models.modalities import modality_of
            >>> modality_of("image").input_shape((32, 48))
            (None, 32, 48, 3)
        """
        lengths = iter(size)
        return (
            None,
            *(a if isinstance(a, int) else next(lengths) for a in self.axes),
        )

    def size_in(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The size of arrays.

        Args:
            shape: Their shape, batch axis included. Further axes after it, such
                as that of several captions, are left alone.

        Returns:
            Length of each of `size_axes`.

        Example:
            >>> from keras_imp.models.modalities import modality_of
            >>> modality_of("image").size_in((8, 32, 48, 3))
            (32, 48)
        """
        lengths = zip(shape[-len(self.axes) :], self.axes)
        return tuple(n for n, axis in lengths if isinstance(axis, str))

    def check_rank(self, shape: tuple[int | None, ...]) -> None:
        """Raise unless an input has the rank of the modality.

        Args:
            shape: Its shape, batch axis included.

        Raises:
            ValueError: If it has not.
        """
        if len(shape) not in [form.rank for form in self.forms]:
            raise ValueError(
                message(
                    f"The input {self.name!r} must have shape {self.shapes}.",
                    shape=tuple(shape),
                )
            )

    def check_size(
        self, stored: tuple[int, ...], size: tuple[int, ...]
    ) -> None:
        """Raise unless arrays can be brought to a size.

        Args:
            stored: Shape of the arrays, as for `size_in`.
            size: Length of each of `size_axes`.

        Raises:
            ValueError: If they cannot.
        """
        if len(size) != len(self.size_axes) or len(stored) < self.rank:
            raise ValueError(
                message(
                    f"The size of {self.name!r} must be "
                    f"({', '.join(self.size_axes)}), that of inputs of shape "
                    f"{self.shape}.",
                    size=tuple(size),
                    stored=tuple(stored),
                )
            )
        have = self.size_in(stored)
        if self.resize is None and tuple(size) != have:
            raise ValueError(
                message(
                    f"The size of {self.name!r} must be that of the data: this "
                    "modality has no `resize`.",
                    "Give its `Modality` a function `resize`, or resize the "
                    "data before.",
                    asked=tuple(size),
                    stored=have,
                )
            )
        for axis, length, most in zip(self.size_axes, size, have):
            if axis in self.keeps and length != most:
                raise ValueError(
                    message(
                        f"The size of {self.name!r} must be that of the data "
                        f"along the axis {axis!r}.",
                        f"Prepare the data with another number of {axis}.",
                        asked=length,
                        stored=most,
                    )
                )
            if axis in self.only_shrinks and length > most:
                raise ValueError(
                    message(
                        f"The size of {self.name!r} must be at most that of "
                        f"the data along the axis {axis!r}.",
                        asked=length,
                        stored=most,
                    )
                )


def _check_name(field: str, name: Any) -> None:
    """Names become keywords of `Shape`, parts of paths, "image_to_text"."""
    if (
        not isinstance(name, str)
        or not name.isidentifier()
        or "_to_" in name
        or name in RESERVED
    ):
        raise ValueError(
            message(
                f"`{field}` of a modality must be a Python identifier without "
                f'"_to_", other than {RESERVED}.',
                **{field: name},
            )
        )
