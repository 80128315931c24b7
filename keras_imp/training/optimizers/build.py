"""Build a model's optimizer on all of its weights before the first step."""

from typing import Any

import keras

from keras_imp import _keras_private as keras_private
from keras_imp._errors import message
from keras_imp.training.optimizers.adamw import AdamW
from keras_imp.training.optimizers.variable_rules import mark_frozen_rows


def build_optimizer(model: Any) -> None:
    """Build on all variables: the first step touches only some of them.

    Args:
        model: An `AlternatingModel`.

    Raises:
        ValueError: If the model is not compiled, its trainable weights have
            changed since, or the optimizer is one of several or accumulates
            gradients while `update="touched"`, or accumulates and clips what
            it cannot.
    """
    if getattr(model, "optimizer", None) is None:
        raise ValueError(
            "The model must be compiled before `fit`. Call "
            "model.compile(optimizer=...)."
        )
    if not model.optimizer.built:
        with model._devices.scope():
            model.optimizer.build(model.trainable_variables)
    optimized = keras_private.optimized_variables(model.optimizer)
    known = [id(v) for v in optimized]
    if known != [id(v) for v in model.trainable_variables]:
        # TensorFlow would keep the step it has traced.
        raise ValueError(
            message(
                "The trainable weights must be those that the optimizer "
                "was built for.",
                "Call model.compile(...) with a new optimizer after a "
                "change of `trainable`.",
                optimizer_weights=len(known),
                trainable_weights=len(model.trainable_variables),
            )
        )
    applied = keras_private.applied_optimizer(model.optimizer)
    several = isinstance(applied, keras.optimizers.MultiOptimizer)
    if several and model.update == "touched":
        raise ValueError(
            message(
                "keras.optimizers.MultiOptimizer needs `update='all'`: it "
                "takes a gradient of each weight, and in a step each of its "
                "optimizers must have one.",
                "For rates and decay by weight, use "
                "keras_imp.optimizers.AdamW, or Muon.",
                update=model.update,
            )
        )
    accumulates = getattr(applied, "gradient_accumulation_steps", None)
    if accumulates and model.update == "touched" and len(model.task_list) > 1:
        raise ValueError(
            message(
                "Gradient accumulation needs `update='all'`: a head whose "
                "task is not the last micro-step would lose its gradient.",
                gradient_accumulation_steps=accumulates,
                update=model.update,
            )
        )
    _check_accumulation(model.optimizer, model.trainable_variables)
    # Another model, or another optimizer, may have told them otherwise.
    mark_frozen_rows(model.optimizer, model.trainable_variables)


def _check_accumulation(optimizer: Any, variables: list[Any]) -> None:
    """Raise where accumulated gradients would have no norm.

    Keras adds them up in the dtype of each weight and clips them right after.

    Args:
        optimizer: The optimizer of a model.
        variables: The weights that it updates.

    Raises:
        ValueError: If it cannot clip gradients of these weights.
    """
    applied = keras_private.applied_optimizer(optimizer)
    steps = applied.gradient_accumulation_steps
    clips = steps and applied.global_clipnorm is not None
    dtypes = sorted({variable.dtype for variable in variables})
    if keras.config.backend() != "tensorflow" or not clips or len(dtypes) == 1:
        return
    if not isinstance(applied, AdamW):
        raise ValueError(
            message(
                "On TensorFlow, an optimizer of Keras cannot accumulate "
                "gradients and clip them by one norm where the weights have "
                f"the dtypes {dtypes}.",
                "Use keras_imp.optimizers.AdamW, or a mixed policy, with "
                "which all weights are float32.",
                gradient_accumulation_steps=steps,
                global_clipnorm=applied.global_clipnorm,
            )
        )
