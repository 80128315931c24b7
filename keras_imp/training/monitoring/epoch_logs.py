"""The logs of an epoch: what was measured in it, and nothing else.

An epoch need not draw every task. A task that it did not draw has no value, not
a NaN: callbacks that look for the best value would take a NaN as the best for
ever. A NaN of a task that was drawn stays.
"""

from collections.abc import Iterator
from typing import Any

import keras

from keras_imp._values import value_of
from keras_imp.layers.moe.reporting import routing_figures, routing_totals
from keras_imp.training.input.reader import MixtureReader


def measured(model: Any) -> dict[str, Any]:
    """Results of the metrics that were updated since they were reset.

    Args:
        model: An `AlternatingModel`.

    Returns:
        Scalars by name.

    Example:
        >>> import keras_imp
        >>> from keras_imp.training.monitoring.epoch_logs import measured
        >>> encoder = keras_imp.IMPEncoder(8, 16, 1, 2, modalities=("image",))
        >>> model = keras_imp.AlternatingModel(encoder, [
        ...     keras_imp.tasks.Classification("objects", "image", 3)])
        >>> model.compile("sgd")
        >>> measured(model)
        {}
    """
    tasks = model.tasks.values()
    idle = [task for task in tasks if not _was_updated(task.loss_metric)]
    unseen = _metrics_of(idle)
    results: dict[str, Any] = {}
    for metric in model.metrics:
        if id(metric) not in unseen and _was_updated(metric):
            results |= _results(metric)
    return {**results, **routing_figures(model)}


def log_names(
    model: Any, reader: MixtureReader, validation: MixtureReader | None
) -> frozenset[str]:
    """Names of all values that some epoch of a run can have.

    Args:
        model: An `AlternatingModel`.
        reader: What reads the mixture of `fit`.
        validation: What reads the mixture to validate on.

    Returns:
        The names, those of a validation with `val_` before them.
    """
    names = set(_names(model, reader))
    if validation is not None:
        names |= {f"val_{name}" for name in _names(model, validation)}
    return frozenset(names)


def _names(model: Any, reader: MixtureReader) -> Iterator[str]:
    names = reader.mixture.names
    others = [task for name, task in model.tasks.items() if name not in names]
    absent = _metrics_of(others)
    for metric in model.metrics:
        if id(metric) not in absent:
            yield from _results(metric)
    for name, totals in routing_totals(model).items():
        yield from (f"routing/{name}/{figure}" for figure in totals.names)


def _metrics_of(tasks: list[Any]) -> set[int]:
    return {id(metric) for task in tasks for metric in task.metrics}


def _results(metric: keras.metrics.Metric) -> dict[str, Any]:
    result = metric.result()
    return result if isinstance(result, dict) else {metric.name: result}


def _was_updated(metric: keras.metrics.Metric) -> bool:
    """Whether a metric has a value; of those of Keras only a mean can tell."""
    if isinstance(metric, keras.metrics.Mean):
        return bool(value_of(metric.count) > 0)
    return getattr(metric, "was_updated", True)
