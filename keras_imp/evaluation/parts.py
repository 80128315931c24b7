"""Predictions of a task, or of one part of a combined task."""

from typing import Any

import numpy as np

from keras_imp._errors import message
from keras_imp.tasks.combined import tasks_and_parts


def predict_part(
    model: Any, name: str, x: dict[str, np.ndarray], batch_size: int | None
) -> Any:
    """What a model predicts for a task, or for a part of one.

    Args:
        model: An `AlternatingModel`.
        name: Name of a task, or `"<task>/<part>"`.
        x: Inputs by modality.
        batch_size: Examples of a batch; None for one batch of them all, which
            is fast for a few.

    Returns:
        What the task returns; of a part, what the part does.

    Example:
        >>> import numpy as np, keras_imp
        >>> from keras_imp.evaluation.parts import predict_part
        >>> encoder = keras_imp.IMPEncoder(8, 16, 1, 2, ("image",))
        >>> kind = keras_imp.tasks.Classification("kind", "image", 3)
        >>> model = keras_imp.AlternatingModel(encoder, [
        ...     keras_imp.tasks.Combined("clothes", [kind])])
        >>> model.compile()
        >>> x = {"image": np.zeros((2, 16, 16, 3))}
        >>> predict_part(model, "clothes/kind", x, batch_size=2).shape
        (2, 3)
    """
    task, _, part = name.partition("/")
    if batch_size is None:
        predicted = model.predict_on_batch(x, task=task)
    else:
        predicted = model.predict(
            x, task=task, batch_size=batch_size, verbose=0
        )
    return predicted[part] if part else predicted


def find_part(model: Any, name: str) -> Any:
    """A task of a model, or a part of one.

    Args:
        model: An `AlternatingModel`.
        name: Name of a task, or `"<task>/<part>"`.

    Returns:
        The task.

    Raises:
        ValueError: If the model has none of that name.

    Example:
        >>> import keras_imp
        >>> from keras_imp.evaluation.parts import find_part
        >>> encoder = keras_imp.IMPEncoder(8, 16, 1, 2, ("image",))
        >>> model = keras_imp.AlternatingModel(encoder, [
        ...     keras_imp.tasks.Classification("kind", "image", 3)])
        >>> find_part(model, "kind").num_classes
        3
    """
    known = tasks_and_parts(model.tasks)
    if name not in known:
        raise ValueError(
            message(f"The model has the tasks {list(known)}.", task=name)
        )
    return known[name]
