"""What a checkpoint holds beside weights, so that a run resumes exactly.

Position within the epoch, metrics, random states: Keras saves none of them.
All go into `save_weights`, so that any callback that saves weights, such as
`keras.callbacks.BackupAndRestore`, saves them too.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_imp._errors import message
from keras_imp._saving.names import (
    from_array,
    in_order,
    numbered,
    optimizer_names,
    to_array,
)
from keras_imp._values import value_of
from keras_imp.layers.moe.reporting import (
    routing_totals,
    routing_variables,
)
from keras_imp.training.devices.base import Devices
from keras_imp.typing import Tensor

# Names of entries in a checkpoint, beside the counters.
NAMES = "names"
RANDOM_STATES = "random_states"
GLOBAL_RANDOM_STATE = "global_random_state"
RUN_START = "run_start"
METRIC = "metric_"


class RunState:
    """Where a run of a model is, so that it can stop and resume.

    The counters are weights of the model: every checkpoint has them.

    Args:
        model: The model.
        devices: Where its weights are.

    Attributes:
        step_counter: Steps taken.
        failed_step: The step whose loss was not finite, -1 for none.
        failed_tasks: 1 for each task of that step, by task.
        skipped_steps: Steps that were skipped, by task.
        epoch_counter: The epoch, -1 before the first.
        epoch_start: The step at which it began.
        run_start: The step at which the run began. No weight: it does not
            change in a step, and files that lack it are of a run that began
            with the model.
    """

    def __init__(self, model: Any, devices: Devices):
        self._model = model
        self._devices = devices
        tasks = (len(model.task_list),)
        minus_one = keras.initializers.Constant(-1)
        # In the order in which files have them.
        self.step_counter = self._counter("step_counter")
        self.failed_step = self._counter("failed_step", minus_one)
        self.failed_tasks = self._counter("failed_tasks", shape=tasks)
        self.skipped_steps = self._counter("skipped_steps", shape=tasks)
        self.epoch_counter = self._counter("epoch_counter", minus_one)
        self.epoch_start = self._counter("epoch_start")
        self.run_start = 0
        self._saved_metrics: tuple = ()
        self._saved_metric_names: list[str] | None = None
        self._saved_random_state: tuple = ()
        self._kept_metrics: tuple = ()

    def count_step(self, failing: Any, finite: Tensor, skip: bool) -> Tensor:
        """Count a step, inside of the compiled step.

        After a step that is not finite no update is applied any more until
        `fit` is called again, unless such steps are to be skipped.

        Args:
            failing: The tasks to name if the step is not finite; bool, shape
                `(tasks,)`.
            finite: Whether the step is finite, a bool scalar.
            skip: Whether steps that are not finite are skipped.

        Returns:
            Whether the step's update may be applied, a bool scalar.
        """
        step = self.step_counter.value
        if skip:
            skipped = ops.logical_and(failing, ops.logical_not(finite))
            self.skipped_steps.assign_add(ops.cast(skipped, "int32"))
            self.step_counter.assign(step + 1)
            return finite
        good_so_far = self.failed_step.value < 0
        fails_now = ops.logical_and(good_so_far, ops.logical_not(finite))
        self.failed_step.assign(
            ops.where(fails_now, step, self.failed_step.value)
        )
        failing = ops.cast(failing, "int32")
        self.failed_tasks.assign(
            ops.where(fails_now, failing, self.failed_tasks.value)
        )
        update = ops.logical_and(good_so_far, finite)
        self.step_counter.assign(step + ops.cast(update, "int32"))
        return update

    @property
    def epoch_step(self) -> int:
        """Steps taken in the current epoch."""
        return int(value_of(self.step_counter) - value_of(self.epoch_start))

    @property
    def run_step(self) -> int:
        """Steps taken in the current run: where it is in its mixture."""
        return int(value_of(self.step_counter)) - self.run_start

    def begin_run(self) -> None:
        """Begin the mixture and its schedule again, with the weights of now."""
        self.run_start = int(value_of(self.step_counter))
        self._model.schedule_state.reset()

    def begin_epoch(self, epoch: int) -> None:
        """Count steps from here.

        Args:
            epoch: The epoch that begins, from 0; -1 for none.
        """
        self.epoch_counter.assign(epoch)
        # A number: JAX must not get one array for two variables.
        self.epoch_start.assign(int(value_of(self.step_counter)))

    def put_back_random_state(self) -> None:
        """Resume the backend's own generator where the checkpoint was."""
        for state in self._saved_random_state:
            self._devices.set_global_random_state(state)

    def put_back_metrics(self) -> None:
        """Resume the metrics of the epoch that the checkpoint was in.

        Raises:
            ValueError: If the model has other metrics.
        """
        variables = dict(zip(self._epoch_names(), self._epoch_variables()))
        # Version 0.1.0 saved them without names, in the order of the model.
        names = self._saved_metric_names or list(variables)
        values = dict(zip(names, self._saved_metrics, strict=False))
        saved = {name: value.shape for name, value in values.items()}
        now = {name: tuple(v.shape) for name, v in variables.items()}
        if saved != now or len(self._saved_metrics) != len(variables):
            raise ValueError(
                message(
                    "An epoch can only resume with the metrics that it began "
                    "with.",
                    "Compile the model and its tasks as before.",
                    checkpoint=saved,
                    now=now,
                )
            )
        for name, variable in variables.items():
            variable.assign(values[name])

    @contextlib.contextmanager
    def keep_metrics(self) -> Iterator[None]:
        """Save the metrics of now, whatever an evaluation does to them."""
        self._kept_metrics = self._metric_values()
        try:
            yield
        finally:
            self._kept_metrics = ()

    @contextlib.contextmanager
    def metrics_put_back(self) -> Iterator[None]:
        """Put the metrics of now back, whatever an evaluation does to them."""
        variables = self._epoch_variables()
        values = self._metric_values()
        try:
            yield
        finally:
            # Those that the evaluation has made have no values of before.
            self._model.reset_metrics()
            for variable, value in zip(variables, values):
                variable.assign(value)

    def save(self, store: Any) -> None:
        """Save random states, metrics and the run, which Keras leaves out.

        Args:
            store: Where arrays go, by name.
        """
        store[NAMES] = to_array(self.names())
        states = [value_of(v) for v in self.random_states()]
        if states:
            store[RANDOM_STATES] = np.stack(states)
        state = self._devices.global_random_state()
        if state is not None:
            store[GLOBAL_RANDOM_STATE] = state
        store[RUN_START] = np.array(self.run_start)
        for i, value in enumerate(self._kept_metrics or self._metric_values()):
            store[f"{METRIC}{i}"] = value

    def load(self, store: Any) -> dict[str, np.ndarray]:
        """Load what `save` saved.

        Metrics and the state of the backend's own generator wait for a `fit`
        that resumes: to load weights must not change either.

        Args:
            store: Arrays by name.

        Returns:
            The rest of the arrays, by name.
        """
        rest = {name: store[name] for name in store.keys()}  # noqa: SIM118
        saved, now = rest.pop(NAMES, None), self.names()
        # Version 0.1.0 saved no names: all is in the order of the model.
        names = now if saved is None else from_array(saved)
        states = rest.pop(RANDOM_STATES, ())
        state = rest.pop(GLOBAL_RANDOM_STATE, None)
        self.run_start = int(np.asarray(rest.pop(RUN_START, 0)))
        self._saved_random_state = () if state is None else (state,)
        count = sum(name.startswith(METRIC) for name in rest)
        self._saved_metrics = tuple(
            rest.pop(f"{METRIC}{i}") for i in range(count)
        )
        self._saved_metric_names = None if saved is None else names["metrics"]
        for variable in (self.failed_tasks, self.skipped_steps):
            if variable.name in rest:
                rest[variable.name] = in_order(
                    rest[variable.name],
                    names["tasks"],
                    now["tasks"],
                    np.zeros(variable.shape),
                )
        self._load_random_states(states, names, now)
        return rest

    def names(self) -> dict[str, list[str]]:
        """What the entries of a checkpoint are of.

        Returns:
            The order of `tasks`, `metrics`, `random_states` and `optimizer`
            variables.
        """
        return {
            "tasks": list(self._model.tasks),
            "metrics": self._epoch_names(),
            "random_states": self._random_state_names(),
            "optimizer": optimizer_names(self._model),
        }

    def random_states(self) -> list[keras.Variable]:
        """States of the seed generators of all layers.

        Returns:
            The variables.
        """
        others = [*self._model.weights, *routing_variables(self._model)]
        known = {id(v) for v in others}
        return [v for v in self._model.variables if id(v) not in known]

    def _load_random_states(
        self, states: Any, saved: dict[str, Any], now: dict[str, Any]
    ) -> None:
        # Another number of them is another model, with another dropout say.
        if len(states) != len(saved["random_states"]):
            return
        variables = self.random_states()
        found = in_order(
            states, saved["random_states"], now["random_states"], variables
        )
        for variable, value in zip(variables, found):
            if value is not variable:
                variable.assign(np.asarray(value).astype(variable.dtype))

    def _random_state_names(self) -> list[str]:
        """By the task that has them; the encoder's have no name."""
        owners = {
            id(v): name
            for name, task in self._model.tasks.items()
            for v in task.variables
        }
        states = self.random_states()
        return numbered(owners.get(id(v), "") for v in states)

    def _metric_values(self) -> tuple[np.ndarray, ...]:
        # Copies: on a CPU the arrays may share the variables' memory.
        return tuple(value_of(v) for v in self._epoch_variables())

    def _epoch_names(self) -> list[str]:
        """A name for each of `_epoch_variables`: what it is of."""
        totals = routing_totals(self._model).items()
        named = {
            **{f"routing/{name}": found.variables for name, found in totals},
            **{m.name: m.variables for m in self._model.metrics},
        }
        owners = {id(v): name for name, vs in named.items() for v in vs}
        return numbered(owners[id(v)] for v in self._epoch_variables())

    def _epoch_variables(self) -> list[keras.Variable]:
        """What an epoch sums up: metrics, and the totals of routed layers."""
        tasks = {
            id(variable)
            for task in self._model.task_list
            for metric in task.metrics
            for variable in metric.variables
        }
        variables = self._model.metrics_variables
        # In the order in which files have them.
        return [
            *(v for v in variables if id(v) not in tasks),
            *routing_variables(self._model),
            *(v for v in variables if id(v) in tasks),
        ]

    def _counter(
        self,
        name: str,
        initializer: Any = "zeros",
        shape: tuple[int, ...] = (),
    ) -> keras.Variable:
        return self._model.add_weight(
            name=name,
            shape=shape,
            dtype="int32",
            initializer=initializer,
            trainable=False,
            autocast=False,
        )
