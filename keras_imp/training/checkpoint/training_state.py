"""What a checkpoint holds beside weights, so that a run goes on exactly.

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

# Names of entries in a checkpoint, beside Keras' own, which are numbers.
RANDOM_STATES = "random_states"
GLOBAL_RANDOM_STATE = "global_random_state"
METRIC = "metric_"


class TrainingState:
    """The part of `AlternatingModel` that stops and goes on."""

    def create_epoch_counters(self) -> None:
        """Create the epoch, -1 before the first, and the step it began at."""
        self.epoch_counter = self._counter(
            "epoch_counter", keras.initializers.Constant(-1)
        )
        self.epoch_start = self._counter("epoch_start", "zeros")
        self._saved_metrics: tuple = ()
        self._saved_random_state: tuple = ()
        self._kept_metrics: tuple = ()

    @property
    def epoch_step(self) -> int:
        """Steps taken in the current epoch."""
        return int(self.step_counter.numpy()) - int(self.epoch_start.numpy())

    def begin_epoch(self, epoch: int) -> None:
        """Count steps from here.

        Args:
            epoch: The epoch that begins, from 0; -1 for none.
        """
        self.epoch_counter.assign(epoch)
        # A number: JAX must not get one array for two variables.
        self.epoch_start.assign(int(self.step_counter.numpy()))

    def put_back_random_state(self) -> None:
        """Go on with the backend's own generator where the checkpoint was."""
        for state in self._saved_random_state:
            self.set_global_random_state(state)

    def put_back_metrics(self) -> None:
        """Go on with the metrics of the epoch that the checkpoint was in.

        Raises:
            ValueError: If the model has other metrics.
        """
        saved = [value.shape for value in self._saved_metrics]
        now = [tuple(v.shape) for v in self.metrics_variables]
        if saved != now:
            raise ValueError(
                message(
                    "An epoch can only go on with the metrics that it began "
                    "with.",
                    "Compile the model and its tasks as before.",
                    checkpoint=saved,
                    now=now,
                )
            )
        for variable, value in zip(self.metrics_variables, self._saved_metrics):
            variable.assign(value)

    @contextlib.contextmanager
    def keep_metrics(self) -> Iterator[None]:
        """Save the metrics of now, whatever an evaluation does to them."""
        self._kept_metrics = self._metric_values()
        try:
            yield
        finally:
            self._kept_metrics = ()

    def save_own_variables(self, store: Any) -> None:
        """Save also random states and metrics, which Keras leaves out.

        Args:
            store: Where arrays go, by name.
        """
        super().save_own_variables(store)
        states = [ops.convert_to_numpy(v) for v in self._random_states()]
        if states:
            store[RANDOM_STATES] = np.stack(states)
        state = self.global_random_state()
        if state is not None:
            store[GLOBAL_RANDOM_STATE] = state
        for i, value in enumerate(self._kept_metrics or self._metric_values()):
            store[f"{METRIC}{i}"] = value

    def load_own_variables(self, store: Any) -> None:
        """Load what `save_own_variables` saved.

        Metrics and the state of the backend's own generator wait for a `fit`
        that goes on: to load weights must not change either.

        Args:
            store: Arrays by name.
        """
        own = {name: store[name] for name in store.keys()}  # noqa: SIM118
        states = own.pop(RANDOM_STATES, ())
        state = own.pop(GLOBAL_RANDOM_STATE, None)
        self._saved_random_state = () if state is None else (state,)
        count = sum(name.startswith(METRIC) for name in own)
        self._saved_metrics = tuple(
            own.pop(f"{METRIC}{i}") for i in range(count)
        )
        super().load_own_variables(own)
        variables = self._random_states()
        # Another number of them is another model, with another dropout say.
        if len(states) == len(variables):
            for variable, value in zip(variables, np.asarray(states)):
                variable.assign(value.astype(variable.dtype))

    def global_random_state(self) -> np.ndarray | None:
        """State of a generator that the backend's layers share, if it has one.

        Returns:
            The state as an array, or None.
        """
        return None

    def set_global_random_state(self, state: np.ndarray) -> None:
        """Set what `global_random_state` returned; another backend's is left.

        Args:
            state: The state.
        """

    def _metric_values(self) -> tuple[np.ndarray, ...]:
        # Copies: on a CPU the arrays may share the variables' memory.
        return tuple(
            np.array(ops.convert_to_numpy(v)) for v in self.metrics_variables
        )

    def _random_states(self) -> list[keras.Variable]:
        """States of the seed generators of all layers."""
        weights = {id(v) for v in self.weights}
        return [v for v in self.variables if id(v) not in weights]

    def _counter(
        self, name: str, initializer: Any, shape: tuple[int, ...] = ()
    ) -> keras.Variable:
        return self.add_weight(
            name=name,
            shape=shape,
            dtype="int32",
            initializer=initializer,
            trainable=False,
            autocast=False,
        )
