"""What a contrastive task refuses, on the host."""

import itertools

import numpy as np

from keras_imp._errors import check_positive, message


def check_groups(groups: np.ndarray, batch: int) -> None:
    """Raise unless there is one group id for each example.

    Args:
        groups: Group ids.
        batch: Number of examples.

    Raises:
        ValueError: If the shape or the dtype does not fit.
    """
    if groups.shape != (batch,) or groups.dtype.kind not in "iu":
        raise ValueError(
            message(
                f"`y` must be integer group ids of shape {(batch,)}: examples "
                "of one id match.",
                "Leave `y` out if no two examples match.",
                shape=groups.shape,
                dtype=str(groups.dtype),
            )
        )
    limits = np.iinfo("int32")
    wrong = np.flatnonzero((groups < limits.min) | (groups > limits.max))
    if len(wrong):
        raise ValueError(
            message(
                "Group ids must fit into 32 bits.",
                "Number the groups: np.unique(ids, return_inverse=True)[1].",
                id=int(groups[wrong[0]]),
                row=int(wrong[0]),
            )
        )


def check_pairs(
    modalities: tuple[str, ...], pairs: list[tuple] | None
) -> list[tuple[str, str, float]]:
    """Pairs with their weights, checked.

    Args:
        modalities: Modalities of the task.
        pairs: `(a, b)` or `(a, b, weight)`; None for all pairs.

    Returns:
        Each pair as `(a, b, weight)`.

    Raises:
        ValueError: If a pair names something else or comes twice, or a weight
            is not positive.
    """
    if len(set(modalities)) < 2:
        raise ValueError(
            message(
                "`modalities` must have at least two different names.",
                modalities=modalities,
            )
        )
    if pairs is None:
        pairs = [(a, b, 1.0) for a, b in itertools.combinations(modalities, 2)]
    if not pairs:
        raise ValueError(
            message("`pairs` must have at least one pair.", pairs=pairs)
        )
    checked: list[tuple[str, str, float]] = []
    for pair in pairs:
        a, b, weight = pair if len(pair) == 3 else (*pair, 1.0)
        for name in (a, b):
            if name not in modalities:
                raise ValueError(
                    message(
                        "A pair must name two of the task's modalities "
                        f"{tuple(modalities)}.",
                        pair=(a, b),
                    )
                )
        check_positive(weight=weight)
        if any({a, b} == {*other[:2]} for other in checked):
            raise ValueError(
                message(
                    "`pairs` must have each pair once: both directions are in "
                    "its loss.",
                    "Give it a larger weight instead.",
                    pair=(a, b),
                )
            )
        checked.append((a, b, float(weight)))
    return checked


def check_temperature(
    temperature: float, min_temperature: float, temperature_form: str
) -> None:
    """Raise unless training can start at a temperature.

    Args:
        temperature: The first temperature.
        min_temperature: Lower bound of the "exp" form.
        temperature_form: "exp" or "relu".

    Raises:
        ValueError: If one of them is not positive, or the first temperature is
            clipped.
    """
    check_positive(temperature=temperature, min_temperature=min_temperature)
    if temperature_form == "exp" and temperature < min_temperature:
        raise ValueError(
            message(
                "`temperature` must not be below `min_temperature`, which it "
                "would be clipped to.",
                temperature=temperature,
                min_temperature=min_temperature,
            )
        )
