"""Inherited methods that would do nothing, or harm: they say so instead."""

from collections.abc import Callable
from typing import Any, NoReturn

from keras_imp._errors import message


def no_lora(name: str) -> Callable[..., NoReturn]:
    """A method of keras-hub for LoRA, which refuses.

    Args:
        name: Name of the method.

    Returns:
        The method.
    """

    def refuse(self: Any, *args, **kwargs) -> NoReturn:
        raise NotImplementedError(
            message(
                f"`{name}` is not possible: keras-hub looks for one layer per "
                "block to adapt, but the weights of all blocks are stacked. It "
                "would freeze the encoder and add no weights.",
                "To train a part of the encoder, use "
                "keras_imp.optimizers.AdamW with `frozen_layers` or "
                "`learning_rate_multipliers`.",
            )
        )

    refuse.__name__ = name
    refuse.__doc__ = "Not possible: the weights of all blocks are stacked."
    return refuse


def no_quantize(self: Any, *args, **kwargs) -> NoReturn:
    """Not possible: Keras finds no layer here that it can quantize.

    Raises:
        NotImplementedError: Always; it says what to do instead.
    """
    raise NotImplementedError(
        message(
            "`quantize` is not possible: Keras quantizes single layers of its "
            "own, but the weights of all blocks are stacked. It would change "
            "nothing.",
            "Export the model, and quantize the exported file with the tools "
            "of its format.",
        )
    )


def no_transformers(self: Any, *args, **kwargs) -> NoReturn:
    """Not possible: the transformers package has no such encoder.

    Raises:
        NotImplementedError: Always; it says what to do instead.
    """
    raise NotImplementedError(
        message(
            "`export_to_transformers` is not possible: the transformers "
            "package has no such encoder.",
            "Use `save_to_preset`, which keras_imp.IMPEncoder.from_preset "
            "reads.",
        )
    )
