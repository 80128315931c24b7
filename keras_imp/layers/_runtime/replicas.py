"""What a layer must know where each of several replicas sees a part of a batch.

On one device, and under `keras.distribution` on any number of them, a layer
sees the whole batch. Under `tf.distribute` each replica calls the layers on its
own rows, so that what a layer computes over a batch it computes over these
rows. The train step says so here, and the few layers that care ask.

Do not run collectives between replicas inside of the forward pass: the threads
of the replicas take turns at each one, and the losses that Keras' layers have
added so far are in one list for all. A layer defers its all-reduce instead, and
the step runs it after the pass.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from keras_imp._errors import message
from keras_imp.typing import Tensor


class DeferredReduction(NamedTuple):
    """An all-reduce to run after the forward pass.

    Attributes:
        values: Tensors to be averaged over the replicas, without a gradient.
        then: Takes the means, and returns what to add to the loss.
    """

    values: list[Tensor]
    then: Callable[[list[Tensor]], Tensor | float]


@dataclass(frozen=True)
class Replicas:
    """Who shares the batch that a layer sees a part of.

    Attributes:
        count: Replicas that share a batch; 1: the layer sees all of it.
        index: Number of this replica, from 0.
        deferred: The reductions that layers deferred; None on one device, and
            where there is no single pass, such as in a loop over microbatches.
    """

    count: int = 1
    index: int = 0
    deferred: list[DeferredReduction] | None = None


# Replicas run in threads of one process.
_running = threading.local()


def replicas() -> Replicas:
    """The replicas that share the current step.

    Returns:
        One replica, unless `running_as` says otherwise.

    Example:
        >>> from keras_imp.layers._runtime.replicas import replicas
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
        >>> from keras_imp.layers._runtime.replicas import (
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


def defer_all_reduce(
    values: list[Tensor], then: Callable[[list[Tensor]], Tensor | float]
) -> None:
    """Average values over the replicas after the forward pass.

    Args:
        values: float32 tensors of any shapes.
        then: Takes the means, and returns what to add to the loss.
    """
    deferred = replicas().deferred
    if deferred is None:
        raise RuntimeError("No replicas share a batch here.")
    deferred.append(DeferredReduction(values, then))


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
