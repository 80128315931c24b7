"""What Keras offers and would do nothing here, or harm: it is refused."""

from collections.abc import Callable
from typing import Any, NoReturn

import keras
import numpy as np
from keras import ops

from keras_imp._errors import message

FLOATS = ("float16", "bfloat16", "float32", "float64")


def check_policy(policy: Any) -> None:
    """Raise unless an encoder can have a dtype policy.

    Args:
        policy: A `keras.DTypePolicy`.

    Raises:
        ValueError: If it quantizes, has a policy for each layer, is of
            integers, or is float64 on JAX as long as JAX has no float64; or
            if the session cannot hold integers.

    Example:
        >>> import keras
        >>> from keras_imp.models.refusals import check_policy
        >>> check_policy(keras.DTypePolicy("mixed_bfloat16"))
    """
    dtypes = {policy.compute_dtype, policy.variable_dtype}
    maps = isinstance(policy, keras.dtype_policies.DTypePolicyMap)
    if maps or policy.quantization_mode or not dtypes <= set(FLOATS):
        raise ValueError(
            message(
                "`dtype` of an encoder must be one floating-point dtype or "
                "mixed policy for all its parts.",
                'Use "float32" or "mixed_bfloat16", for example.',
                dtype=policy.name,
            )
        )
    if "int" not in _dtype_of(np.zeros(1, "int32")):
        raise ValueError(
            message(
                "Keras on JAX makes floats of all integers while its default "
                "is bfloat16.",
                'Call keras.config.set_floatx("float32") and '
                'keras.config.set_dtype_policy("bfloat16").',
                floatx=keras.config.floatx(),
            )
        )
    if "float64" in dtypes and _dtype_of(np.zeros(1)) != "float64":
        raise ValueError(
            message(
                "JAX computes in float32 where float64 is asked for, unless "
                "it is told otherwise.",
                'Call jax.config.update("jax_enable_x64", True) before you '
                'make anything, or use "float32".',
                dtype=policy.name,
            )
        )


def _dtype_of(array: np.ndarray) -> str:
    """The dtype that an array has as a tensor."""
    return keras.backend.standardize_dtype(ops.convert_to_tensor(array).dtype)


def refusal(name: str, reason: str, rule: str, hint: str) -> Callable:
    """A method that only says why it is not possible, and what to do instead.

    Args:
        name: Name of the method.
        reason: Why, as its docstring says it.
        rule: What its error says.
        hint: What to do instead.

    Returns:
        The method. It raises `NotImplementedError`.
    """

    def refuse(self: Any, *args, **kwargs) -> NoReturn:
        raise NotImplementedError(message(rule, hint))

    refuse.__name__ = name
    refuse.__doc__ = f"Not possible: {reason}"
    return refuse


no_quantize = refusal(
    "quantize",
    "Keras finds no layer here that it can quantize.",
    "`quantize` is not possible: Keras quantizes single layers of its own, but "
    "the weights of all blocks are stacked. It would change nothing.",
    'Use keras_imp.export(model, path, format="onnx", quantize="int8"), or '
    'format="litert".',
)
no_transformers = refusal(
    "export_to_transformers",
    "the transformers package has no such encoder.",
    "`export_to_transformers` is not possible: the transformers package has no "
    "such encoder.",
    "Use `save_to_preset`, which keras_imp.IMPEncoder.from_preset reads.",
)


def no_loss(name: str) -> Callable:
    """A method of Keras for the loss of a model, which refuses.

    Args:
        name: Name of the method.

    Returns:
        The method.
    """
    return refusal(
        name,
        "each task has a loss of its own.",
        f"`{name}` is not possible: the model has no loss and no metrics of "
        "its own, but each task has. It would return 0.",
        "Use model.tasks[name].compute_loss(x, y, y_pred), or `evaluate`, for "
        "the loss and the metrics.",
    )


def no_single_batch(name: str, instead: str) -> Callable:
    """A method of Keras that takes a batch alone, which refuses.

    Args:
        name: Name of the method.
        instead: The method to use.

    Returns:
        The method.
    """
    return refusal(
        name,
        "a batch alone does not tell its task.",
        f"`{name}` cannot be used: a batch alone does not tell its task.",
        f"Use `{instead}` with keras_imp.TaskMixture.sequential("
        "{task name: [batch]}).",
    )


def check_signature(signature: Any, example: str) -> None:
    """Raise unless `export` knows the sizes of the inputs.

    Keras asks to call the model before, which would not help here: a model
    that is built when it is made keeps no shapes.

    Args:
        signature: `input_signature` of `export`.
        example: The inputs, in words.

    Raises:
        ValueError: If there is none.
    """
    if signature is None:
        raise ValueError(
            message(
                "`input_signature` must be given: the inputs may have any "
                "size.",
                f"Use input_signature=[{example}], such as "
                'keras.InputSpec(shape=(None, 32, 32, 3), dtype="float32") '
                "for images.",
                input_signature=None,
            )
        )
