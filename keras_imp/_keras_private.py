"""The private names of Keras that the package uses, each with what for.

A new Keras may change them without notice. They are used here and nowhere
else, except for `OVERRIDDEN`, which classes of the package must define.
`tests/test_keras_private.py` has a test for each that says what broke,
and `.ci/newest_keras` runs it on the newest Keras.
"""

import contextlib
import io
from collections.abc import Iterator
from typing import Any

import h5py
import keras

# Which layer was called first, while it is.
from keras.src.backend.common import global_state

# What a model is saved through.
from keras.src.saving.saving_lib import H5IOStore, _save_state

# `fit` takes any DataAdapter as it is; the class itself is not exported.
from keras.src.trainers.data_adapters.data_adapter import DataAdapter

__all__ = ["DataAdapter"]

# Methods that Keras calls and the package overrides, with what for.
OVERRIDDEN = {
    "Model": {
        "_get_metrics_result_or_logs": "An epoch logs the metrics of all "
        "tasks, though a step returns those of its own task.",
        "_get_jax_state": "Who takes the values out of the variables on JAX "
        "must not lose them.",
    },
    "Optimizer": {
        "_backend_apply_gradients": "What `apply` calls once idle weights are "
        "left out: gradients of frozen weights become 0 before the clipping.",
        "_clip_gradients": "All gradients have one norm, of whatever dtypes "
        "they are, also those that were accumulated.",
        "_apply_weight_decay": "Each weight decays at its own rate instead.",
        "_update_model_variables_moving_average": "Idle weights are averaged "
        "too.",
        "_backend_update_step": "Matrices of one shape are updated together.",
    },
}

# Where Keras' JAX trainer keeps the values of variables between steps.
JAX_STATE = "_jax_state"
_GROUPS = (
    "trainable_variables",
    "non_trainable_variables",
    "optimizer_variables",
    "metrics_variables",
)


# A model --------------------------------------------------------------------


def loss_tracker(model: Any) -> keras.metrics.Mean:
    """The metric of `"loss"`, which `compile` makes."""
    return model._loss_tracker


def track_loss_in_float32(model: Any) -> None:
    """Let `"loss"` add up in float32, if Keras would do so in less."""
    tracker = model._loss_tracker
    if tracker.dtype in ("float16", "bfloat16"):
        # As an item: `compile` does not track it as a metric of the model.
        vars(model)["_loss_tracker"] = keras.metrics.Mean(
            name=tracker.name, dtype="float32"
        )


def initial_epoch(model: Any) -> int:
    """The epoch at which `fit` begins if a callback has set it, or else 0."""
    return model._initial_epoch or 0


def set_initial_epoch(model: Any, epoch: int | None) -> None:
    """Let `fit` begin at an epoch; callbacks may do so in `on_train_begin`."""
    model._initial_epoch = epoch


def all_layers(layer: Any) -> list[keras.Layer]:
    """A layer and all layers in it."""
    return layer._flatten_layers()


def inner_layers(layer: Any) -> list[keras.Layer]:
    """The layers right in a layer, also those in its lists and dicts."""
    return list(layer._flatten_layers(include_self=False, recursive=False))


@contextlib.contextmanager
def unlocked(layer: Any) -> Iterator[None]:
    """Let a built layer get weights and layers, which Keras refuses."""
    layer._tracker.unlock()
    try:
        yield
    finally:
        layer._tracker.lock()


def untrack(layer: Any, inner: keras.Layer) -> None:
    """Let a layer forget a layer in it, which Keras does for variables only."""
    layer._tracker.untrack(inner)


def is_outermost_call() -> bool:
    """Whether a layer called now is not called by another layer."""
    return global_state.get_global_attribute("current_call_ctx") is None


# Saving ---------------------------------------------------------------------


class _Recorder(H5IOStore):
    """A store that keeps what it is given, and writes nothing."""

    def __init__(self):
        super().__init__(io.BytesIO(), mode="w")
        self.groups: dict[str, dict[str, Any]] = {}

    def make(self, path: str, metadata: dict | None = None) -> dict[str, Any]:
        return self.groups.setdefault(path, {})


def saved_groups(layer: Any, skipped: Any) -> dict[str, dict[str, Any]]:
    """What Keras saves of a layer, by path, but for what is skipped."""
    recorder = _Recorder()
    _save_state(
        layer,
        weights_store=recorder,
        assets_store=None,
        inner_path="",
        visited_saveables={id(skipped)},
    )
    recorder.close()
    return recorder.groups


def file_of_store(store: Any) -> h5py.File | None:
    """The file that a store reads from, if it is one of Keras'."""
    return store.h5_file if isinstance(store, H5IOStore) else None


def set_file_of_store(store: Any, file: h5py.File) -> None:
    """Let a store of Keras read the rest from another file."""
    store.h5_file = file


# The state of a model that trains on JAX ------------------------------------


def get_jax_state(model: Any, **groups: bool) -> tuple[list, ...]:
    """Values of groups of variables, as a step on JAX takes them."""
    return keras.Model._get_jax_state(model, **groups)


def purge_variables(model: Any, **groups: bool) -> None:
    """Take the values out of groups of variables."""
    model._purge_model_variables(**groups)


def set_jax_state(model: Any, state: tuple[list, ...]) -> None:
    """Say which values of all variables are to be put back."""
    model._jax_state = dict(zip(_GROUPS, state))
    model._jax_state_synced = False


def jax_state_sync(model: Any) -> None:
    """Put back the values that Keras' trainer keeps."""
    keras.Model.jax_state_sync(model)


def forget_jax_state(model: Any) -> None:
    """Let Keras' trainer keep no values."""
    model._jax_state = None
    model._jax_state_synced = True


def make_function(model: Any, step: Any, **options: bool) -> Any:
    """A function that takes an iterator, from a step that takes a batch."""
    return model._make_function(step, **options)


# A metric -------------------------------------------------------------------


def name_variables(metric: keras.metrics.Metric) -> None:
    """Give the variables of a metric paths that begin with its name."""
    for variable in metric.variables:
        variable._path = f"{metric.name}/{variable.name}"


# An optimizer ---------------------------------------------------------------


def applied_optimizer(optimizer: Any) -> Any:
    """The optimizer itself, which mixed float16 has in one for its loss."""
    return getattr(optimizer, "inner_optimizer", optimizer)


def optimized_variables(optimizer: Any) -> list[keras.Variable]:
    """The variables that an optimizer was built for."""
    return optimizer._trainable_variables


def variable_index(optimizer: Any, variable: keras.Variable) -> int:
    """The place of a variable among those the optimizer was built for."""
    return optimizer._get_variable_index(variable)


def is_decayed(optimizer: Any, variable: keras.Variable) -> bool:
    """Whether `exclude_from_weight_decay` lets a variable decay."""
    return optimizer._use_weight_decay(variable)


def moving_averages(optimizer: Any) -> list[keras.Variable]:
    """The moving average of each variable, with `use_ema=True`."""
    return optimizer._model_variables_moving_average


def averaged(
    optimizer: Any,
) -> list[tuple[keras.Variable, keras.Variable]]:
    """Each weight that an optimizer or its parts average, and its average."""
    applied = applied_optimizer(optimizer)
    return [
        pair
        for part in getattr(applied, "optimizers", [applied])
        if part.use_ema
        for pair in zip(optimized_variables(part), moving_averages(part))
    ]


def momentum_of(optimizer: Any, variable: keras.Variable) -> keras.Variable:
    """What an Adam keeps of the gradients of a variable."""
    return optimizer._momentums[variable_index(optimizer, variable)]


def is_replicated(optimizer: Any) -> bool:
    """Whether several replicas of TensorFlow share an optimizer."""
    strategy = getattr(optimizer, "_distribution_strategy", None)
    return strategy is not None and strategy.num_replicas_in_sync > 1


def optimizer_of(optimizer: Any, variable: keras.Variable) -> Any:
    """The optimizer that updates a variable, within those that wrap others."""
    applied = applied_optimizer(optimizer)
    if not isinstance(applied, keras.optimizers.MultiOptimizer):
        return applied
    if not applied.built:
        return applied._optimizer_map(variable)
    # A function may make another optimizer at each call.
    place = applied._var_to_optimizer_idx[applied._var_key(variable)]
    return applied.optimizers[place]


# A callback -----------------------------------------------------------------


def holds_averages(callback: keras.callbacks.SwapEMAWeights) -> bool:
    """Whether the averages are in the model now, and the weights are not."""
    return callback._ema_weights_in_model
