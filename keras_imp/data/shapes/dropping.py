"""DropToken on the host: what is dropped never travels to the device."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_imp._errors import check_rate, message
from keras_imp.layers.drop_token import num_kept
from keras_imp.models.modalities import modality_of
from keras_imp.models.patching import Patching


def drop_tokens(
    x: Mapping[str, Any],
    rates: Mapping[str, float],
    patchings: Mapping[str, Patching],
    generator: np.random.Generator,
) -> dict[str, Any]:
    """Keep a random fraction of the patches of each example, and only them.

    An input that loses patches becomes a dict of `patches`, which stay uint8 if
    they were, and `positions`, their rows in the position tables. The encoder
    takes it in place of the array. The same as `drop_tokens` of a task, which
    sends everything and drops it in the model.

    Args:
        x: Inputs by modality.
        rates: Fraction of the patches to drop, by modality.
        patchings: How to cut them: `encoder.patchings`.
        generator: Draws the sets, of each example its own.

    Returns:
        Inputs by modality.

    Raises:
        ValueError: If a modality is not there or has no patches (waveforms have
            none before they are spectrograms), a fraction is outside [0, 1), or
            a patch does not divide its axis.

    Example:
        >>> import numpy as np, keras_imp
        >>> encoder = keras_imp.IMPEncoder(8, 16, 1, 2, modalities=("video",),
        ...                                patch_size=(4, 8, 8))
        >>> x = {"video": np.zeros((2, 8, 32, 32, 3), "uint8")}
        >>> x = keras_imp.data.drop_tokens(
        ...     x, {"video": 0.75}, encoder.patchings, np.random.default_rng(0))
        >>> x["video"]["patches"].shape, x["video"]["positions"].shape
        ((2, 8, 768), (2, 8, 3))

    Reference:
        [IMP](https://arxiv.org/abs/2305.06324); docs/method.md,
        Multi-resolution and DropToken.
    """
    check_rates(rates, x, patchings)
    x = dict(x)
    for name, rate in rates.items():
        if not rate:
            continue
        patching, values = patchings[name], np.asarray(x[name])
        axes = len(patching.patch_size)
        tokens = int(np.prod(patching.grid(values.shape[1 : axes + 1])))
        kept = _draw(generator, len(values), tokens, rate)
        x[name] = patching.cut(values, kept)
    return x


def check_rates(
    rates: Mapping[str, float],
    x: Mapping[str, Any],
    patchings: Mapping[str, Patching],
) -> None:
    """Raise unless tokens can be dropped at these rates on the host.

    Args:
        rates: Fraction of the patches to drop, by modality.
        x: Inputs of a batch.
        patchings: How to cut them.

    Raises:
        ValueError: If they cannot.
    """
    for name, rate in rates.items():
        check_rate(**{f"rates[{name!r}]": rate})
        if name not in x:
            raise ValueError(
                message(
                    f"`rates` must name inputs of the batch, {tuple(x)}.",
                    modality=name,
                )
            )
        if name not in patchings:
            raise ValueError(
                message(
                    "On the host, tokens can be dropped of inputs in patches "
                    f"only, {tuple(patchings)}.",
                    "Use `drop_tokens` of the task for the others.",
                    modality=name,
                )
            )
        _check_on_grid(name, np.shape(x[name]))


def _check_on_grid(name: str, shape: tuple[int, ...]) -> None:
    """Raise if an input has no patches before the encoder makes its grid."""
    modality = modality_of(name)
    if modality.of_shape(shape) is not modality:
        raise ValueError(
            message(
                f"On the host, tokens of {name!r} can be dropped of inputs of "
                f"shape {modality.shape} only: others become patches in the "
                "encoder.",
                "Use `drop_tokens` of the task, and drop_on_host=False of "
                "data.ResizedArrays.",
                shape=shape,
            )
        )


def _draw(
    generator: np.random.Generator, batch: int, tokens: int, rate: float
) -> np.ndarray:
    """As `layers.drop_token.draw_kept`, from a generator of the host."""
    chosen = generator.random((batch, tokens)).argsort(axis=1)
    return np.sort(chosen[:, : num_kept(tokens, rate)], axis=1)
