"""The input of a task of one modality."""

from typing import Any

from keras_imp._errors import message


def input_of(task: str, modality: str, inputs: Any) -> Any:
    """The values of the one modality that a task looks at.

    Args:
        task: Name of the task.
        modality: The modality.
        inputs: Inputs by modality.

    Returns:
        Its values.

    Raises:
        ValueError: If they are not there.

    Example:
        >>> from keras_imp.tasks._inputs import input_of
        >>> input_of("objects", "image", {"image": 1, "text": 2})
        1
    """
    if not isinstance(inputs, dict) or modality not in inputs:
        given = sorted(inputs) if isinstance(inputs, dict) else None
        raise ValueError(
            message(
                f"Task {task!r} must have the input {modality!r}.",
                "Give its inputs as a dict by modality.",
                inputs=given if given is not None else type(inputs).__name__,
            )
        )
    return inputs[modality]
