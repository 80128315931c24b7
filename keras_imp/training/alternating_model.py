"""One model, many tasks: each training step takes one of them.

What a Keras user calls is here. What a step does with a batch is in
`step/program.py`, its gradient and update are in `step/<backend>.py`.
"""

import contextlib
from typing import Any

import keras

from keras_imp import _keras_private as keras_private
from keras_imp._errors import check_choice
from keras_imp.models.protocols import check_any_encoder
from keras_imp.tasks.task import Task
from keras_imp.training.attach_tasks import attach_tasks
from keras_imp.training.checkpoint.run_state import RunState
from keras_imp.training.devices.base import make_devices
from keras_imp.training.fit_callbacks import fit_callbacks
from keras_imp.training.input import prediction
from keras_imp.training.input.checks import (
    check_no_arguments_for_arrays,
    check_no_losses,
    check_tasks,
)
from keras_imp.training.input.open_reader import (
    is_reading,
    open_reader,
    open_validation,
    reading,
)
from keras_imp.training.input.preparation import prepared
from keras_imp.training.input.reader import MixtureReader
from keras_imp.training.input.task_mixture import TaskMixture
from keras_imp.training.monitoring.epoch_logs import log_names
from keras_imp.training.monitoring.history import TaskHistory
from keras_imp.training.monitoring.progress import shown
from keras_imp.training.optimizers.build import build_optimizer
from keras_imp.training.optimizers.stacked_weights import check_stacked_weights
from keras_imp.training.predicting_model import PredictingModel
from keras_imp.training.schedules.state import ScheduleState
from keras_imp.training.step.engine import make_engine
from keras_imp.training.step.program import StepProgram
from keras_imp.typing import Tensor


@keras.saving.register_keras_serializable(package="keras_imp")
class AlternatingModel(PredictingModel):
    """Train one encoder on many tasks, one task in each step.

    Use it like any Keras model: `compile(optimizer)`, `fit(mixture)`,
    `evaluate(mixture)`, `predict(x, task=...)`, `save`. Tasks bring their own
    losses and metrics. Each backend compiles once for each task and shape.

    Args:
        encoder: Maps a dict of modalities to the same dict with a
            `pooled_output` of each, such as `IMPEncoder`.
        tasks: The tasks, each with a name of its own.
        update: `"touched"` updates only the variables that the step's loss
            reaches; `"all"` gives the others a zero gradient, so that they are
            decayed and their optimizer state shrinks, as the first
            implementation does; `keras.optimizers.MultiOptimizer` needs it.
        hidden_dim: Width of the encoder's pooled output. Defaults to
            `encoder.hidden_dim`.
        **kwargs: Of `keras.Model`, such as `name`. `dtype`: the encoder's.

    Call arguments:
        inputs: `{task name: {modality: values}}` with one task.
        training: Whether the model trains.

    Returns:
        What the task's `call` returns.

    Raises:
        ValueError: If two tasks have one name, there is none, one belongs to
            another model, or the encoder does not know a task's modality.

    Example:
        >>> import keras, keras_imp, numpy as np
        >>> encoder = keras_imp.IMPEncoder(8, 16, 1, 2, modalities=("image",))
        >>> model = keras_imp.AlternatingModel(encoder, [
        ...     keras_imp.tasks.Classification("objects", "image", 3)])
        >>> model.compile(optimizer=keras.optimizers.AdamW(1e-3))
        >>> x, y = {"image": np.zeros((2, 16, 16, 3))}, np.array([0, 2])
        >>> history = model.fit(keras_imp.TaskMixture({"objects": [(x, y)]}),
        ...                     steps_per_epoch=1, verbose=0)
        >>> sorted(history.history)
        ['loss', 'objects/accuracy', 'objects/loss']
        >>> model.predict(x, task="objects", verbose=0).shape
        (2, 3)

    Reference:
        [IMP](https://arxiv.org/abs/2305.06324), section 3.2.
    """

    # What a step does with a batch.
    program_class = StepProgram
    # Whether an item to train on has a batch of every task.
    reads_together = False

    def __init__(
        self,
        encoder: keras.Layer,
        tasks: list[Task],
        update: str = "touched",
        hidden_dim: int | None = None,
        **kwargs,
    ):
        check_any_encoder(encoder)
        # By it, `compile` scales the loss of what computes in float16.
        if kwargs.get("dtype") is None:
            kwargs["dtype"] = encoder.dtype_policy
        super().__init__(**kwargs)
        check_choice(("touched", "all"), update=update)
        self.encoder = encoder
        self.update = update
        self.hidden_dim = hidden_dim or getattr(encoder, "hidden_dim", None)
        check_tasks(tasks, encoder, self.hidden_dim)
        self.task_list = list(tasks)
        self._devices = make_devices(self)
        self._use_run_state(RunState(self, self._devices))
        self.schedule_state = ScheduleState(
            list(self.tasks), name="schedule_state"
        )
        attach_tasks(self)
        self.program = self.program_class(self, self._devices)
        self._engine = make_engine(self.program)
        self.built = True

    def call(
        self, inputs: dict[str, dict[str, Tensor]], training: bool | None = None
    ) -> Any:
        ((name, x),) = prediction.called(self.tasks, inputs, most=1).items()
        return self.tasks[name](x, encoder=self.encoder, training=training)

    # What Keras users call --------------------------------------------------

    def compile(
        self,
        optimizer: Any = "adamw",
        on_non_finite: str = "raise",
        **kwargs,
    ) -> None:
        """Configure training.

        Args:
            optimizer: Any Keras optimizer.
            on_non_finite: What to do when a step's loss or gradient is NaN or
                infinite. Its update is never applied. `"raise"` ends `fit`
                with `NonFiniteLossError`; `"skip"` continues with the next step
                and warns at the end of the epoch.
            **kwargs: Arguments of `keras.Model.compile`, such as
                `jit_compile`; not `loss` and `metrics`, which tasks have.

        Raises:
            ValueError: If `loss` or `metrics` is given, `on_non_finite` is
                unknown, or the optimizer is Keras' Muon and the encoder's
                kernels are stacked.
        """
        check_choice(("raise", "skip"), on_non_finite=on_non_finite)
        self.on_non_finite = on_non_finite
        check_no_losses(kwargs)
        super().compile(optimizer=optimizer, **kwargs)
        keras_private.track_loss_in_float32(self)
        check_stacked_weights(self.optimizer, keras_private.all_layers(self))

    def fit(
        self,
        x: TaskMixture,
        y: None = None,
        *,
        epochs: int = 1,
        verbose: Any = "auto",
        callbacks: Any = None,
        validation_data: TaskMixture | None = None,
        steps_per_epoch: int | None = None,
        initial_epoch: int = 0,
        **kwargs,
    ) -> TaskHistory:
        """Train on a mixture; see `keras.Model.fit` for the arguments.

        Each `fit` is a run of its own: it reads the mixture from the beginning
        and its schedule, such as a `Curriculum`, starts at step 0. The weights
        and the optimizer continue from where they are. A run is continued
        instead, with the batches that come next, if `initial_epoch` is above 0
        or a backup is restored.

        Args:
            x: The mixture, of all tasks of the model or of some: the others
                are not trained.
            y: Refused: a mixture has the targets.
            epochs: Epochs to train to.
            verbose: 0 shows nothing, 2 one line for each epoch. 1 and `"auto"`
                draw a bar in a terminal, and lines elsewhere.
            callbacks: Any Keras callbacks.
            validation_data: A mixture to evaluate after each epoch, such as
                `TaskMixture.sequential`.
            steps_per_epoch: Steps of an epoch, if the mixture does not say
                or says otherwise; the mixture stays as it is.
            initial_epoch: Epoch to start at, to continue the run of the `fit`
                before, or of the one that a saved model comes from.
            **kwargs: Other arguments of `keras.Model.fit`, such as
                `validation_freq`.

        Returns:
            The history. The logs of an epoch have the tasks that it drew and
            no others, so the lists of `history.history` are of unlike length.
            `history.table()` has them by epoch.

        Raises:
            TypeError: If `x` is no mixture.
            ValueError: If the model lacks a task of the mixture, or a batch
                does not fit its task, or an argument is for arrays only.
            NonFiniteLossError: If a loss is NaN or infinite.
        """
        check_no_arguments_for_arrays("fit", {"y": y, **kwargs})
        keras_fit = super().fit

        def run() -> TaskHistory:
            reader = open_reader(self, x, "x", True, steps_per_epoch)
            validation = open_validation(self, validation_data)
            build_optimizer(self)
            # Set again by a callback that resumes within an epoch.
            self.run_state.begin_epoch(-1)
            keras_private.set_initial_epoch(self, None)
            steering = fit_callbacks(
                callbacks,
                reader,
                validation,
                names=log_names(self, reader, validation),
                verbose=verbose,
                continues=initial_epoch > 0,
                steps_per_execution=self.steps_per_execution,
            )
            with (
                reading(self, training_mixture=reader),
                steering as all_callbacks,
            ):
                return keras_fit(
                    reader,
                    epochs=epochs,
                    verbose=verbose,
                    callbacks=all_callbacks,
                    validation_data=validation,
                    initial_epoch=initial_epoch,
                    **kwargs,
                )

        return self._engine.keep_state(run, training=True)

    def evaluate(
        self,
        x: TaskMixture | None = None,
        y: None = None,
        *,
        verbose: Any = "auto",
        callbacks: Any = None,
        return_dict: bool = True,
        **kwargs,
    ) -> dict[str, float] | list[float]:
        """Loss and metrics of the tasks of a mixture.

        A callback may call it: the `fit` or the evaluation that it is called
        in keeps its own.

        Args:
            x: The mixture, such as `TaskMixture.sequential`.
            y: Refused: a mixture has the targets.
            verbose: As for `fit`.
            callbacks: Any Keras callbacks.
            return_dict: Whether to return a dict, which is the default here:
                the list that Keras returns has no names.
            **kwargs: Other arguments of `keras.Model.evaluate`.

        Returns:
            Metric values by name, of the tasks that the mixture has.
        """
        check_no_arguments_for_arrays("evaluate", {"y": y, **kwargs})
        if isinstance(x, MixtureReader):  # Called by `fit`.
            with (
                self.run_state.keep_metrics(),
                reading(self, testing_mixture=x),
            ):
                return super().evaluate(
                    x, callbacks=callbacks, return_dict=True, **kwargs
                )
        keras_evaluate = super().evaluate

        def run() -> dict[str, float]:
            reader = open_reader(self, x, "x")
            metrics = self.run_state.metrics_put_back()
            with (
                metrics if is_reading(self) else contextlib.nullcontext(),
                contextlib.closing(reader),
                reading(self, testing_mixture=reader),
                shown(callbacks, verbose) as all_callbacks,
            ):
                return keras_evaluate(
                    reader,
                    verbose=verbose,
                    callbacks=all_callbacks,
                    return_dict=True,
                    **kwargs,
                )

        results = self._engine.keep_state(run)
        return results if return_dict else list(results.values())

    def prepare_batch(
        self, name: str, batch: tuple, training: bool = True
    ) -> tuple:
        """Check a batch on the host, and keep what its task needs.

        Every batch of a mixture goes through it: a compiled step cannot raise.

        Args:
            name: Name of the task.
            batch: `(x,)`, `(x, y)` or `(x, y, sample_weight)` of arrays.
            training: Whether it is to be trained on. In an evaluation, whose
                last batches may be smaller, one with too few examples for the
                task is kept without weight, with a warning.

        Returns:
            The batch without modalities that the task does not use.

        Raises:
            ValueError: If the batch does not fit the task; it names the task.
        """
        task = prediction.task_named(self.tasks, name)
        return prepared(task, self.encoder, batch, training)
