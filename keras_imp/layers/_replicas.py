"""What a layer must know where each of several replicas sees a part of a batch.

On one device, and under `keras.distribution` on any number of them, a layer
sees the whole batch. Under `tf.distribute` each replica calls the layers on its
own rows, so that what a layer computes over a batch it computes over these
rows. The train step says so here, and the few layers that care ask.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from keras import ops

from keras_imp._errors import message
from keras_imp.typing import Tensor


class Replicas(NamedTuple):
    """Who shares the batch that a layer sees a part of.

    Attributes:
        count: Replicas that share a batch; 1: the layer sees all of it.
        index: Number of this replica, from 0.
        total: Sums each tensor of a list over the replicas, without a
            gradient; None on one device, or where replicas cannot talk, such
            as in a loop over microbatches.
    """

    count: int = 1
    index: int = 0
    total: Callable[[list[Tensor]], list[Tensor]] | None = None


# Replicas run in threads of one process.
_running = threading.local()


def replicas() -> Replicas:
    """The replicas that share the current step.

    Returns:
        One replica, unless `running_as` says otherwise.

    Example:
        >>> from keras_imp.layers._replicas import replicas
        >>> replicas().count
        1
    """
    return getattr(_running, "replicas", Replicas())


@contextlib.contextmanager
def running_as(replica: Replicas) -> Iterator[None]:
    """Let the layers called inside know that they see a part of a batch.

    Args:
        replica: Who shares the batch.

    Example:
        >>> from keras_imp.layers._replicas import (
        ...     Replicas, replicas, running_as)
        >>> with running_as(Replicas(count=2, index=1)):
        ...     replicas().index
        1
    """
    before = replicas()
    _running.replicas = replica
    try:
        yield
    finally:
        _running.replicas = before


def mean_over_replicas(values: list[Tensor]) -> list[Tensor]:
    """Means over the replicas, without a gradient.

    Args:
        values: float32 tensors of any shapes.

    Returns:
        The means; the values themselves on one device.
    """
    running = replicas()
    if running.total is None:
        return values
    return [total / running.count for total in running.total(values)]


def weight_of_part(count: Tensor) -> Tensor | None:
    """Weight of this replica's part in a mean that counts every item once.

    The loss of a step is the mean over its replicas. A mean over items, such
    as tokens, of which one replica has more than another, must be weighted by
    how many there are.

    Args:
        count: Items of this replica, a float32 scalar.

    Returns:
        `count` over its mean over the replicas; None on one device.
    """
    if replicas().total is None:
        return None
    (mean,) = mean_over_replicas([count])
    return count / ops.maximum(mean, 1e-6)


def check_whole_batch(rule: str, **received: Any) -> None:
    """Raise where a layer sees only a part of a batch.

    Args:
        rule: What cannot be had there, as one sentence.
        **received: The offending arguments by the name the user typed.

    Raises:
        ValueError: If several replicas share a batch.
    """
    if replicas().count > 1:
        raise ValueError(
            message(
                rule,
                "Train on one device, or on JAX under keras.distribution.",
                replicas=replicas().count,
                **received,
            )
        )
