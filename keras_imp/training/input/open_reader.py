"""A model reads a mixture: checked first, and each of its batches too."""

import contextlib
import functools
from collections.abc import Iterator
from typing import Any

from keras_imp.training.input.checks import check_mixture
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
        ValueError: If it does not fit the model.
    """
    check_mixture(mixture, model.tasks, argument)
    model._check_items(mixture, argument, training)
    model._devices.check()
    prepare = functools.partial(model.prepare_batch, training=training)
    return MixtureReader(
        mixture, prepare, model._devices.placement, steps_per_epoch
    )


@contextlib.contextmanager
def reading(model: Any, **readers: MixtureReader) -> Iterator[None]:
    """Where a step on several devices finds its batches, while it runs.

    Args:
        model: An `AlternatingModel`.
        **readers: Readers by attribute of the model.
    """
    for name, reader in readers.items():
        setattr(model, name, reader)
    try:
        yield
    finally:
        for name in readers:
            delattr(model, name)
