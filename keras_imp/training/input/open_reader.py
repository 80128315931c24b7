"""A model reads a mixture: checked first, and each of its batches too."""

import contextlib
import functools
from collections.abc import Iterator
from typing import Any

from keras_imp._errors import check_positive
from keras_imp.training.input.checks import check_items, check_mixture
from keras_imp.training.input.reader import MixtureReader


def open_reader(
    model: Any,
    mixture: Any,
    argument: str,
    training: bool = False,
    steps_per_epoch: int | None = None,
) -> MixtureReader:
    """Check a mixture, and check each of its batches when it is read.

    Args:
        model: An `AlternatingModel`.
        mixture: What its user gave.
        argument: Name of the argument, for messages.
        training: Whether it is to be trained on.
        steps_per_epoch: Steps of an epoch, instead of those of the mixture.

    Returns:
        What Keras' `fit` or `evaluate` reads.

    Raises:
        TypeError: If it is no mixture.
        ValueError: If it does not fit the model, or an epoch has no steps.
    """
    if steps_per_epoch is not None:
        check_positive(steps_per_epoch=steps_per_epoch)
    check_mixture(mixture, model.tasks, argument)
    if training or not model.reads_together:
        check_items(mixture, argument, together=model.reads_together)
    model._devices.check()
    prepare = functools.partial(model.prepare_batch, training=training)
    return MixtureReader(
        mixture, prepare, model._devices.placement, steps_per_epoch
    )


def open_validation(model: Any, mixture: Any) -> MixtureReader | None:
    """Check the mixture that is evaluated after each epoch, if there is one.

    Args:
        model: An `AlternatingModel`.
        mixture: `validation_data` of `fit`.

    Returns:
        What Keras' `evaluate` reads, or None.

    Raises:
        TypeError: If it is no mixture.
        ValueError: If it does not fit the model.
    """
    if mixture is None:
        return None
    return open_reader(model, mixture, "validation_data")


def is_reading(model: Any) -> bool:
    """Whether a model is in a `fit` or in an evaluation.

    What its user calls then, a callback calls.

    Args:
        model: An `AlternatingModel`.

    Returns:
        Whether it reads a mixture.
    """
    names = ("training_mixture", "testing_mixture")
    return any(getattr(model, name, None) is not None for name in names)


@contextlib.contextmanager
def reading(model: Any, **readers: MixtureReader) -> Iterator[None]:
    """Where a step on several devices finds its batches, while it runs.

    A callback may evaluate within an evaluation, which continues then.

    Args:
        model: An `AlternatingModel`.
        **readers: Readers by attribute of the model.
    """
    outer = {name: getattr(model, name, None) for name in readers}
    for name, reader in readers.items():
        setattr(model, name, reader)
    try:
        yield
    finally:
        for name, before in outer.items():
            if before is None:
                delattr(model, name)
            else:
                setattr(model, name, before)
