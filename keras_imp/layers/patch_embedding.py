"""Pixels, mel bins or samples in, tokens out: the first step of the flow.

`patchify` cuts any grid into non-overlapping patches; `PatchEmbedding` maps
each patch to the model's width. An image goes through the video embedder as
the one frame of a temporal patch, without repeating a pixel.
"""

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_imp._errors import check_choice, check_positive, message
from keras_imp.layers._runtime.layer import Layer
from keras_imp.layers.dense import TokenDense
from keras_imp.layers.drop_token import keep_tokens
from keras_imp.typing import Tensor


def patch_layout(
    shape: tuple[int, ...], patch_size: tuple[int, ...]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """How to reshape and transpose a grid so that each patch lies together.

    Args:
        shape: `(batch, *sizes, channels)`; each size a multiple of its patch.
        patch_size: One length per axis of the grid.

    Returns:
        The shape that splits each axis into (patches, patch), batch axis -1,
        and the order of axes that puts `(batch, *patches, *patch, channels)`.

    Example:
        >>> from keras_imp.layers.patch_embedding import patch_layout
        >>> patch_layout((2, 8, 6, 3), (4, 3))
        ((-1, 2, 4, 2, 3, 3), (0, 1, 3, 2, 4, 5))
    """
    axes = len(patch_size)
    split = [
        size
        for length, patch in zip(shape[1:-1], patch_size, strict=True)
        for size in (length // patch, patch)
    ]
    patches, inside = range(1, 2 * axes, 2), range(2, 2 * axes + 1, 2)
    return (-1, *split, shape[-1]), (0, *patches, *inside, 2 * axes + 1)


def patchify(x: Tensor, patch_size: tuple[int, ...]) -> Tensor:
    """Cut a grid into non-overlapping patches, in row-major order.

    Inside a patch, values are ordered like the axes of the grid, channels last
    (docs/method.md, Modalities and tokenization: tokens (t, v, h), values (t,
    h, w, c)).

    Args:
        x: Shape `(batch, *sizes, channels)`; each size a multiple of its patch.
        patch_size: One length per axis of the grid.

    Returns:
        Shape `(batch, tokens, values)`, with one token per patch.

    Example:
        >>> import keras
        >>> from keras_imp.layers.patch_embedding import patchify
        >>> tuple(patchify(keras.ops.ones((2, 8, 6, 3)), (4, 3)).shape)
        (2, 4, 36)
    """
    split, order = _merged_layout(tuple(x.shape), patch_size)
    values = math.prod(patch_size) * x.shape[-1]
    tokens = math.prod(x.shape[1:]) // values
    x = ops.transpose(ops.reshape(x, split), order)
    return ops.reshape(x, (-1, tokens, values))


def _merged_layout(
    shape: tuple[int, ...], patch_size: tuple[int, ...]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """`patch_layout` with the axes in one that stay side by side.

    The batch and the first axis' patches are one axis, the last axis' patch
    and the channels another: video then has 6 axes instead of 8, and LiteRT
    transposes no more than 6.
    """
    split, _ = patch_layout(shape, patch_size)
    merged = (-1, *split[2:-2], split[-2] * split[-1])
    patches, inside = range(2, len(merged), 2), range(1, len(merged), 2)
    return merged, (0, *patches, *inside)


@keras.saving.register_keras_serializable(package="keras_imp")
class PatchEmbedding(Layer):
    """Map non-overlapping patches of a grid to tokens by one dense layer.

    Serves every dense modality: `(frames, height, width)` for video and image,
    `(frames, bins)` for a spectrogram, `(samples,)` for a waveform. uint8 input
    is scaled to [-1, 1]; float input is taken as it is.

    With three axes, an input without the first one is a single frame. It equals
    a video that repeats the frame to fill the temporal patch, but costs a
    fraction of it: the kernel is summed over time, the pixels are not repeated.

    Args:
        hidden_dim: Width of a token.
        patch_size: Length of a patch along each axis of the grid.
        num_channels: Values per grid point. Defaults to 1; an input without a
            channel axis then gets one.
        axis_names: One name per axis, for error messages.
        padding: `"valid"` refuses a size that is no multiple of its patch;
            `"same"` pads the end with zeros.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name`, `dtype`.

    Call arguments:
        inputs: Shape `(batch, *sizes, num_channels)`; uint8, or float.
        kept: Which patches to embed: indices, int, shape `(batch, kept)`. The
            others cost no work. Defaults to all.

    Returns:
        Tokens, shape `(batch, tokens, hidden_dim)`, in the compute dtype.

    Raises:
        ValueError: If the rank, the channels or a size does not fit.

    Example:
        >>> import keras, keras_imp
        >>> embed = keras_imp.layers.PatchEmbedding(
        ...     8, patch_size=(4, 16, 16), num_channels=3,
        ...     axis_names=("frames", "height", "width"))
        >>> tuple(embed(keras.ops.ones((2, 8, 32, 48, 3))).shape)
        (2, 12, 8)
        >>> tuple(embed(keras.ops.ones((2, 32, 48, 3))).shape)
        (2, 6, 8)

    Reference:
        [IMP](https://arxiv.org/abs/2305.06324), section 3.1.
    """

    def __init__(
        self,
        hidden_dim: int,
        patch_size: tuple[int, ...],
        num_channels: int = 1,
        axis_names: tuple[str, ...] | None = None,
        padding: str = "valid",
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_choice(("valid", "same"), padding=padding)
        check_positive(hidden_dim=hidden_dim, num_channels=num_channels)
        self.hidden_dim = hidden_dim
        self.patch_size = tuple(patch_size)
        self.num_channels = num_channels
        self.padding = padding
        default_names = tuple(f"axis {i}" for i in range(len(self.patch_size)))
        self.axis_names = tuple(axis_names or default_names)
        self.projection = TokenDense(
            hidden_dim,
            kernel_initializer="lecun_normal",
            dtype=self.dtype_policy,
            name="projection",
        )

    def build(self, input_shape=None):
        values = math.prod(self.patch_size) * self.num_channels
        self.projection.build((None, None, values))

    def grid(self, input_shape: tuple[int | None, ...]) -> tuple[int, ...]:
        """Number of patches per axis for an input, checked.

        Args:
            input_shape: Shape of the input, batch axis included.

        Returns:
            Patches per axis; a single frame gives 1 for the first axis.

        Raises:
            ValueError: If the shape does not fit.
        """
        sizes = self._sizes(tuple(input_shape))
        frame = len(sizes) == len(self.patch_size) - 1
        patches = self.patch_size[1:] if frame else self.patch_size
        counts = tuple(-(-n // p) for n, p in zip(sizes, patches, strict=True))
        return (1, *counts) if frame else counts

    def patch_of(self, rank: int) -> tuple[int, ...]:
        """The patch of an input of some rank.

        Args:
            rank: Axes of the input, batch axis included.

        Returns:
            `patch_size`; without its first axis for a single frame.
        """
        is_frame = rank == len(self.patch_size) + 1 and self.num_channels > 1
        return self.patch_size[1:] if is_frame else self.patch_size

    def patches(self, inputs: Tensor, dtype: str | None = None) -> Tensor:
        """What `call` embeds: the patches, scaled and padded.

        Args:
            inputs: As for `call`.
            dtype: Dtype of the result. Defaults to the compute dtype.

        Returns:
            Shape `(batch, tokens, values)`.
        """
        patch = self.patch_of(len(inputs.shape))
        counts = self.grid(inputs.shape)[-len(patch) :]
        x = _to_unit_range(inputs, dtype or self.compute_dtype)
        if self._lacks_channels(inputs.shape):
            x = ops.expand_dims(x, -1)
        x = self._pad(x, [n * p for n, p in zip(counts, patch, strict=True)])
        return patchify(x, patch)

    def call(self, inputs: Tensor, kept: Tensor | None = None) -> Tensor:
        patches = self.patches(inputs)
        if kept is not None:
            # Before the projection: what is dropped must cost nothing.
            patches = keep_tokens(patches, kept)
        return self.embed_patches(patches)

    def embed_patches(self, patches: Tensor) -> Tensor:
        """Tokens of patches that were cut already, maybe on the host.

        Args:
            patches: Shape `(batch, patches, values)`, uint8 or float. With
                three axes, values of one frame are a single frame.

        Returns:
            Tokens, shape `(batch, patches, hidden_dim)`.
        """
        x = _to_unit_range(patches, self.compute_dtype)
        if x.shape[-1] == math.prod(self.patch_size) * self.num_channels:
            return self.projection(x)
        return self._embed_frame(x)

    def compute_output_shape(self, input_shape):
        tokens = math.prod(self.grid(input_shape))
        return (input_shape[0], tokens, self.hidden_dim)

    def compute_output_spec(self, inputs, kept=None):
        batch, tokens, width = self.compute_output_shape(inputs.shape)
        tokens = tokens if kept is None else kept.shape[1]
        return keras.KerasTensor(
            (batch, tokens, width), dtype=self.compute_dtype
        )

    def _embed_frame(self, patches: Tensor) -> Tensor:
        """Embed single frames with the kernel summed over time."""
        # float32: the sum must equal the sum over repeated frames.
        kernel = ops.cast(self.projection.kernel, "float32")
        # Part by part: the gradient of `ops.sum` repeats along an axis, and
        # XLA on a CPU adds up its squares wrongly (docs/design/step.md).
        kernel = sum(ops.split(kernel, self.patch_size[0], axis=0))
        kernel = ops.cast(kernel, self.compute_dtype)
        rows = ops.reshape(patches, (-1, patches.shape[-1]))
        bias = ops.cast(self.projection.bias, self.compute_dtype)
        out = ops.matmul(rows, kernel) + bias
        return ops.reshape(out, (-1, patches.shape[1], self.hidden_dim))

    def _pad(self, x: Tensor, sizes: list[int]) -> Tensor:
        missing = [
            n - have for n, have in zip(sizes, x.shape[1:-1], strict=True)
        ]
        if not any(missing):
            return x
        return ops.pad(x, [(0, 0), *((0, n) for n in missing), (0, 0)])

    def _lacks_channels(self, shape: tuple[int | None, ...]) -> bool:
        axes = len(self.patch_size)
        return self.num_channels == 1 and len(shape) == axes + 1

    def _sizes(self, shape: tuple[Any, ...]) -> tuple[int, ...]:
        """The grid's sizes, after checking rank, channels and divisibility."""
        axes = len(self.patch_size)
        ranks = [axes + 2]
        if axes == 3:
            ranks.append(axes + 1)
        given = shape
        if self._lacks_channels(shape):
            shape = (*shape, 1)
        if len(shape) not in ranks:
            expected = f"(batch, {', '.join(self.axis_names)}, channels)"
            raise ValueError(
                message(
                    f"`inputs` must have shape {expected}"
                    + (
                        ", or no frames axis for an image."
                        if axes == 3
                        else "."
                    ),
                    shape=shape,
                )
            )
        if shape[-1] != self.num_channels:
            raise ValueError(
                message(
                    f"`inputs` must have {self.num_channels} channel(s) on the "
                    "last axis.",
                    shape=shape,
                )
            )
        sizes = shape[1:-1]
        self._check_sizes(sizes, given)
        return sizes

    def _check_sizes(self, sizes, shape) -> None:
        skip = len(self.patch_size) - len(sizes)
        names = self.axis_names[skip:]
        for name, size, patch in zip(
            names, sizes, self.patch_size[skip:], strict=True
        ):
            if not isinstance(size, (int, np.integer)):
                raise ValueError(
                    message(
                        f"The {name} axis of `inputs` must have a fixed size: "
                        "only the batch, and the length of text, may be "
                        "unknown.",
                        "Build one model for each size.",
                        shape=tuple(shape),
                    )
                )
            if size < patch and (self.padding == "valid" or size == 0):
                raise ValueError(
                    message(
                        f"`{name}` must be at least one patch of {patch}.",
                        f'Give {patch} or more, or set padding="same" to pad '
                        "with zeros.",
                        **{name: size},
                    )
                )
            if size % patch and self.padding == "valid":
                below = size // patch * patch
                raise ValueError(
                    message(
                        f"`{name}` must be a multiple of the patch of {patch}.",
                        f"Sizes that fit are {below} and {below + patch}; or "
                        'set padding="same" to pad with zeros.',
                        **{name: size},
                    )
                )


def _to_unit_range(x: Tensor, dtype: str) -> Tensor:
    is_pixels = keras.backend.standardize_dtype(x.dtype) == "uint8"
    x = ops.cast(x, dtype)
    return x / 127.5 - 1.0 if is_pixels else x
