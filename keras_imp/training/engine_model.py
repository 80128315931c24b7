"""A Keras model whose steps are those of an engine, one per backend.

What Keras' trainer asks a model for is answered here and nowhere else, so that
`alternating_model.py` holds what its users call.
"""

from pathlib import Path
from typing import Any

import keras

from keras_imp import _keras_private as keras_private
from keras_imp._saving import version_0_1_0
from keras_imp._saving.loading import load_weights
from keras_imp._saving.names import save_variables, variables_by_position
from keras_imp._saving.report import LoadReport
from keras_imp.layers._runtime.layer import WideInputs
from keras_imp.models.refusals import (
    check_signature,
    no_loss,
    no_quantize,
    no_single_batch,
)
from keras_imp.training.checkpoint.run_state import RunState
from keras_imp.training.monitoring.epoch_logs import measured
from keras_imp.training.optimizers.build import build_optimizer
from keras_imp.training.step.engine import Engine


class EngineModel(WideInputs, keras.Model):
    """Forwards what Keras' trainer and its saving call.

    Attributes:
        run_state: Counters, random states and metrics, saved with the weights.
    """

    run_state: RunState
    _engine: Engine

    def _use_run_state(self, state: RunState) -> None:
        """Hold the counters as attributes too, where Keras saves them."""
        self.run_state = state
        self.step_counter = state.step_counter
        self.failed_step = state.failed_step
        self.failed_tasks = state.failed_tasks
        self.skipped_steps = state.skipped_steps
        self.epoch_counter = state.epoch_counter
        self.epoch_start = state.epoch_start

    def train_step(self, *args: Any) -> Any:
        """One training step; see `keras_imp.training.step`."""
        return self._engine.train_step(*args)

    def test_step(self, *args: Any) -> Any:
        """One step of an evaluation; see `keras_imp.training.step`."""
        return self._engine.test_step(*args)

    def predict_step(self, *args: Any) -> Any:
        """One step of a prediction; see `keras_imp.training.step`."""
        return self._engine.predict_step(*args)

    def make_train_function(self, force: bool = False) -> None:
        """Make `train_function`, if there is none or `force` is given."""
        self._forget_other_weights()
        self._engine.make_train_function(force)

    def make_test_function(self, force: bool = False) -> None:
        """Make `test_function`, if there is none or `force` is given."""
        self._forget_other_weights()
        self._engine.make_test_function(force)

    def make_predict_function(self, force: bool = False) -> None:
        """Make `predict_function`, if there is none or `force` is given."""
        self._forget_other_weights()
        self._engine.make_predict_function(force)

    def _forget_other_weights(self) -> None:
        """Compile anew where the encoder gained or lost weights, as by LoRA.

        TensorFlow would keep a graph of the weights that it had.
        """
        weights = [id(weight) for weight in self.weights]
        if self.__dict__.setdefault("_compiled_weights", weights) != weights:
            self.train_function = None
            self.test_function = None
            self.predict_function = None
            self.__dict__["_compiled_weights"] = weights

    def jax_state_sync(self) -> None:
        """Write what `fit` on JAX has taken out back into the variables."""
        self._engine.put_back_state()

    def _get_jax_state(self, **groups: bool) -> tuple:
        return self._engine.take_state(**groups)

    def _get_metrics_result_or_logs(self, logs: Any) -> dict[str, Any]:
        """What an epoch logs. Keras takes the last step's where they differ."""
        return self.get_metrics_result()

    def get_metrics_result(self) -> dict[str, Any]:
        """Values of what was measured since the last reset.

        Returns:
            Values by name, of the tasks that were drawn; `routing/...` for
            the tokens that were routed.
        """
        return measured(self)

    # What a batch alone, or Keras alone, cannot do ---------------------------

    quantize = no_quantize
    quantized_build = no_quantize
    quantized_call = no_quantize
    compute_loss = no_loss("compute_loss")
    compute_metrics = no_loss("compute_metrics")
    stateless_compute_loss = no_loss("stateless_compute_loss")
    train_on_batch = no_single_batch("train_on_batch", "fit")
    test_on_batch = no_single_batch("test_on_batch", "evaluate")

    def build(self, input_shape: Any = None) -> None:
        """Nothing: the constructor made every weight.

        Args:
            input_shape: Not used.
        """

    def get_build_config(self) -> None:
        """Nothing: a model that is loaded makes its weights by itself."""

    def compute_output_shape(self, input_shape: dict[str, Any]) -> Any:
        """Not there: what a task returns depends on more than on shapes.

        Raises:
            NotImplementedError: Always; it says what to call instead.
        """
        raise NotImplementedError(
            "`compute_output_shape` is not possible: the outputs of a task "
            "depend on the dtypes of its inputs too. Use "
            "model.compute_output_spec({task: {modality: keras.KerasTensor("
            "shape, dtype)}})."
        )

    def compute_output_spec(self, inputs: Any, training: Any = None) -> Any:
        """Shapes and dtypes of what a call returns.

        Args:
            inputs: `{task: {modality: keras.KerasTensor}}` with one task.
            training: Whether the model trains.

        Returns:
            Symbolic tensors, in the structure of the task's predictions.
        """
        # Not Keras' own way, which would ask `compute_output_shape`.
        return keras.Operation.compute_output_spec(
            self, inputs, training=training
        )

    def export(
        self,
        filepath: str | Path,
        format: str = "tf_saved_model",
        verbose: bool | None = None,
        input_signature: list | None = None,
        **kwargs,
    ) -> None:
        """Export the predictions of one task; see `keras.Model.export`.

        Args:
            filepath: Where to write.
            format: As for `keras.Model.export`.
            verbose: Whether to print what was written.
            input_signature: A list with `{task: {modality: keras.InputSpec}}`
                of one task.
            **kwargs: Other arguments of `keras.Model.export`.

        Raises:
            ValueError: If there is no signature.
        """
        check_signature(input_signature, "{task: {modality: spec}}")
        super().export(filepath, format, verbose, input_signature, **kwargs)

    # Saving -----------------------------------------------------------------

    def load_weights(
        self, filepath: str | Path, skip_mismatch: bool = False, **kwargs
    ) -> LoadReport:
        """Load weights by the names of tasks and modalities.

        The file may list them in another order. It also has the optimizer, the
        counters of a run and what a schedule measured.

        Args:
            filepath: What `save_weights`, `save` or `callbacks.Backup` wrote.
            skip_mismatch: Whether to load what fits, and to warn of the rest:
                for a model that gained or lost tasks or modalities.
            **kwargs: Other arguments of `keras.Model.load_weights`; with any,
                Keras loads the file by itself.

        Returns:
            What fitted.

        Raises:
            ValueError: If something does not fit, with its name. No weight has
                changed then.
            OSError: If the file cannot be read.
        """
        load = super().load_weights
        return load_weights(self, filepath, skip_mismatch, load, **kwargs)

    def get_compile_config(self) -> dict[str, Any]:
        """What `compile` was given, to be saved with the model.

        Returns:
            Arguments of `compile`.
        """
        config = super().get_compile_config()
        return {**config, "on_non_finite": self.on_non_finite} if config else {}

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compile again when a saved model is loaded.

        Args:
            config: What `get_compile_config` returned.
        """
        self.compile(**keras.saving.deserialize_keras_object(config))
        build_optimizer(self)

    def save_own_variables(self, store: Any) -> None:
        """Save counters, random states and metrics too.

        Args:
            store: Where arrays go, by name.
        """
        save_variables(super().save_own_variables, store)
        self.run_state.save(store)

    def load_own_variables(self, store: Any) -> None:
        """Load what `save_own_variables` saved.

        Args:
            store: Arrays by name.
        """
        save = super().save_own_variables
        counters = self.run_state.load(store)
        super().load_own_variables(variables_by_position(save, counters))
        version_0_1_0.use_names(store, self)

    def __setattr__(self, name: str, value: Any) -> None:
        if name == keras_private.JAX_STATE:
            # Where Keras keeps the state between steps. As any attribute, it
            # would look there for layers to track, array by array, after each
            # step: half of the time that `fit` adds to a small one.
            self.__dict__[name] = value
        else:
            super().__setattr__(name, value)
