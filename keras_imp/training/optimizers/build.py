"""Build a model's optimizer on all of its weights before the first step."""

from typing import Any

from keras_imp import _keras_private as keras_private
from keras_imp._errors import message


def build_optimizer(model: Any) -> None:
    """Build on all variables: the first step touches only some of them.

    Args:
        model: An `AlternatingModel`.

    Raises:
        ValueError: If the model is not compiled, its trainable weights have
            changed since, or the optimizer accumulates gradients while
            `update="touched"`.
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
    accumulates = getattr(model.optimizer, "gradient_accumulation_steps", None)
    if accumulates and model.update == "touched" and len(model.task_list) > 1:
        raise ValueError(
            message(
                "Gradient accumulation needs `update='all'`: a head whose "
                "task is not the last micro-step would lose its gradient.",
                gradient_accumulation_steps=accumulates,
                update=model.update,
            )
        )
