"""One model, many tasks: each training step takes one of them.

What a Keras user calls is here. What a step does with a batch is in
`step/program.py`, its gradient and update are in `step/<backend>.py`.
"""

import contextlib
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras

from keras_imp import _keras_private as keras_private
from keras_imp._errors import check_choice, check_positive, message
from keras_imp._saving import version_0_1_0
from keras_imp._saving.loading import load_weights
from keras_imp._saving.names import (
    save_by_name,
    save_variables,
    variables_by_position,
)
from keras_imp._saving.report import LoadReport
from keras_imp.models.refusals import no_quantize
from keras_imp.tasks.task import Task, count_examples, set_owner
from keras_imp.training.checkpoint.run_state import RunState
from keras_imp.training.devices.base import make_devices
from keras_imp.training.fit_callbacks import fit_callbacks
from keras_imp.training.input.checks import (
    by_modality,
    check_inputs,
    check_items,
    check_lengths,
    check_mixture,
    check_no_arguments_for_arrays,
    check_tasks,
    named,
)
from keras_imp.training.input.preparation import prepared
from keras_imp.training.input.reader import MixtureReader
from keras_imp.training.input.task_mixture import TaskMixture
from keras_imp.training.monitoring.epoch_logs import log_names, measured
from keras_imp.training.monitoring.history import TaskHistory
from keras_imp.training.monitoring.progress import shown
from keras_imp.training.optimizers.stacked_weights import check_stacked_weights
from keras_imp.training.schedules.state import ScheduleState
from keras_imp.training.step.engine import make_engine
from keras_imp.training.step.program import StepProgram
from keras_imp.typing import Tensor


@keras.saving.register_keras_serializable(package="keras_imp")
class AlternatingModel(keras.Model):
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
            decayed and their moments shrink, as the first implementation does.
        hidden_dim: Width of the encoder's pooled output. Defaults to
            `encoder.hidden_dim`.
        **kwargs: Arguments of `keras.Model`, such as `name`; `dtype` defaults
            to that of the encoder.

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

    def __init__(
        self,
        encoder: keras.Layer,
        tasks: list[Task],
        update: str = "touched",
        hidden_dim: int | None = None,
        **kwargs,
    ):
        # By it, `compile` scales the loss of what computes in float16.
        if kwargs.get("dtype") is None:
            kwargs["dtype"] = encoder.dtype_policy
        super().__init__(**kwargs)
        check_choice(("touched", "all"), update=update)
        self.encoder = encoder
        self.task_list = list(tasks)
        self.update = update
        self.hidden_dim = hidden_dim or getattr(encoder, "hidden_dim", None)
        check_tasks(self.task_list, encoder, self.hidden_dim)
        self._devices = make_devices(self)
        self.run_state = state = RunState(self, self._devices)
        self.step_counter = state.step_counter
        self.failed_step = state.failed_step
        self.failed_tasks = state.failed_tasks
        self.skipped_steps = state.skipped_steps
        self.epoch_counter = state.epoch_counter
        self.epoch_start = state.epoch_start
        self.schedule_state = ScheduleState(
            list(self.tasks), name="schedule_state"
        )
        for task in self.task_list:
            with named(task):
                task.prepare(encoder)
            if not task.built:
                task.build(
                    dict.fromkeys(task.modalities, (None, self.hidden_dim))
                )
        set_owner(self.task_list, f"the model {self.name!r}")
        save_by_name(self, "head", self.tasks)
        self.program = self.program_class(self, self._devices)
        self._engine = make_engine(self.program)
        self.built = True

    @property
    def tasks(self) -> dict[str, Task]:
        """The tasks by name."""
        return {task.name: task for task in self.task_list}

    def call(
        self, inputs: dict[str, dict[str, Tensor]], training: bool | None = None
    ) -> Any:
        ((name, x),) = inputs.items()
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
                with `NonFiniteLossError`; `"skip"` goes on with the next step
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
        for name in ("loss", "metrics", "weighted_metrics", "loss_weights"):
            if kwargs.get(name) is not None:
                raise ValueError(
                    message(
                        f"`{name}` must not be given: each task has its own.",
                        "Set it in the task.",
                        **{name: kwargs[name]},
                    )
                )
        super().compile(optimizer=optimizer, **kwargs)
        check_stacked_weights(self.optimizer, keras_private.all_layers(self))

    def fit(
        self,
        x: TaskMixture,
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
        check_no_arguments_for_arrays("fit", kwargs)
        if steps_per_epoch is not None:
            check_positive(steps_per_epoch=steps_per_epoch)
        with self._engine.kept_state(training=True):
            reader = self._reader(x, "x", True, steps_per_epoch)
            validation = None
            if validation_data is not None:
                validation = self._reader(validation_data, "validation_data")
            self._build_optimizer()
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
                self._reads(training_mixture=reader),
                steering as callbacks,
            ):
                return super().fit(
                    reader,
                    epochs=epochs,
                    verbose=verbose,
                    callbacks=callbacks,
                    validation_data=validation,
                    initial_epoch=initial_epoch,
                    **kwargs,
                )

    def evaluate(
        self,
        x: TaskMixture | None = None,
        *,
        verbose: Any = "auto",
        callbacks: Any = None,
        return_dict: bool = True,
        **kwargs,
    ) -> dict[str, float] | list[float]:
        """Loss and metrics of the tasks of a mixture.

        Args:
            x: The mixture, such as `TaskMixture.sequential`.
            verbose: As for `fit`.
            callbacks: Any Keras callbacks.
            return_dict: Whether to return a dict, which is the default here:
                the list that Keras returns has no names.
            **kwargs: Other arguments of `keras.Model.evaluate`.

        Returns:
            Metric values by name, of the tasks that the mixture has.
        """
        check_no_arguments_for_arrays("evaluate", kwargs)
        if isinstance(x, MixtureReader):  # Called by `fit`.
            with (
                self.run_state.keep_metrics(),
                self._reads(testing_mixture=x),
            ):
                return super().evaluate(
                    x, callbacks=callbacks, return_dict=True, **kwargs
                )
        with self._engine.kept_state():
            reader = self._reader(x, "x")
            with (
                contextlib.closing(reader),
                self._reads(testing_mixture=reader),
                shown(callbacks, verbose) as callbacks,
            ):
                results = super().evaluate(
                    reader,
                    verbose=verbose,
                    callbacks=callbacks,
                    return_dict=True,
                    **kwargs,
                )
        return results if return_dict else list(results.values())

    def predict(
        self,
        x: Any,
        *,
        task: str | None = None,
        batch_size: int = 32,
        verbose: Any = "auto",
        callbacks: Any = None,
        **kwargs,
    ) -> Any:
        """Predictions of one task for arrays in memory.

        Args:
            x: Inputs by modality; a contrastive task takes any of its own.
            task: Name of the task; not needed if the model has only one.
            batch_size: Examples of a batch; rounded up to a multiple of the
                devices that share it.
            verbose: As for `fit`.
            callbacks: Any Keras callbacks.
            **kwargs: Other arguments of `keras.Model.predict`.

        Returns:
            What the task's `call` returns, as NumPy arrays: logits of a
            classification, unit vectors by direction of a contrastive task.

        Raises:
            ValueError: If the task is unknown or must be named, or the inputs
                do not fit it or each other.
        """
        if task is None:
            if len(self.task_list) > 1:
                raise ValueError(
                    message(
                        "`task` must be given: the model has the tasks "
                        f"{list(self.tasks)}.",
                        task=None,
                    )
                )
            task = self.task_list[0].name
        chosen = self._task(task)
        x = by_modality(chosen, x)
        check_inputs(chosen, x, self.encoder, some=True)
        x = {name: x[name] for name in chosen.modalities if name in x}
        check_lengths(chosen, x)
        examples = count_examples(x)
        with self._engine.kept_state():
            self._devices.check()
            placement = self._devices.placement
            if placement is not None:
                x = placement.fill(x)
                batch_size = placement.round_up(batch_size)
            with shown(callbacks, verbose) as callbacks:
                predicted = super().predict(
                    {task: x},
                    batch_size=batch_size,
                    verbose=verbose,
                    callbacks=callbacks,
                    **kwargs,
                )
        return keras.tree.map_structure(lambda a: a[:examples], predicted)

    quantize = no_quantize

    def train_on_batch(self, *args, **kwargs):
        """Not there: a batch alone does not tell its task.

        Raises:
            NotImplementedError: Always; it says what to call instead.
        """
        raise NotImplementedError(_no_batches("train_on_batch", "fit"))

    def test_on_batch(self, *args, **kwargs):
        """Not there: a batch alone does not tell its task.

        Raises:
            NotImplementedError: Always; it says what to call instead.
        """
        raise NotImplementedError(_no_batches("test_on_batch", "evaluate"))

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
        return prepared(self._task(name), self.encoder, batch, training)

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
        if kwargs:
            load(filepath, skip_mismatch=skip_mismatch, **kwargs)
            return LoadReport(str(filepath))
        return load_weights(self, filepath, skip_mismatch, load)

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
        self._build_optimizer()

    def get_config(self) -> dict[str, Any]:
        serialize = keras.saving.serialize_keras_object
        return {
            "name": self.name,
            "trainable": self.trainable,
            "encoder": serialize(self.encoder),
            "tasks": [serialize(task) for task in self.task_list],
            "update": self.update,
            "hidden_dim": self.hidden_dim,
            **self._dtype_config(),
        }

    def _dtype_config(self) -> dict[str, Any]:
        """The dtype policy, where it is not that of the encoder."""
        if self.dtype_policy == self.encoder.dtype_policy:
            return {}
        serialize = keras.saving.serialize_keras_object
        return {"dtype": serialize(self.dtype_policy)}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects=None):
        deserialize = keras.saving.deserialize_keras_object
        config = dict(config)
        config["encoder"] = deserialize(config["encoder"], custom_objects)
        config["tasks"] = [
            deserialize(task, custom_objects) for task in config["tasks"]
        ]
        return cls(**config)

    # What Keras' trainer and saving call, forwarded -------------------------

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
        self._engine.make_train_function(force)

    def make_test_function(self, force: bool = False) -> None:
        """Make `test_function`, if there is none or `force` is given."""
        self._engine.make_test_function(force)

    def make_predict_function(self, force: bool = False) -> None:
        """Make `predict_function`, if there is none or `force` is given."""
        self._engine.make_predict_function(force)

    def jax_state_sync(self) -> None:
        """Write what `fit` on JAX has taken out back into the variables."""
        self._engine.put_back_state()

    def _get_jax_state(self, **groups: bool) -> tuple:
        return self._engine.take_state(**groups)

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

    # Helpers ----------------------------------------------------------------

    def _task(self, name: str) -> Task:
        if name not in self.tasks:
            raise ValueError(
                message(
                    f"The model has the tasks {list(self.tasks)}.", task=name
                )
            )
        return self.tasks[name]

    def _reader(
        self,
        mixture: Any,
        argument: str,
        training: bool = False,
        steps_per_epoch: int | None = None,
    ) -> MixtureReader:
        """Check a mixture, and check each of its batches when it is read."""
        check_mixture(mixture, self.tasks, argument)
        self._check_items(mixture, argument, training)
        self._devices.check()
        prepare = functools.partial(self.prepare_batch, training=training)
        return MixtureReader(
            mixture, prepare, self._devices.placement, steps_per_epoch
        )

    @contextlib.contextmanager
    def _reads(self, **readers: MixtureReader) -> Iterator[None]:
        """Where a step on several devices finds its batches, while it runs."""
        for name, reader in readers.items():
            setattr(self, name, reader)
        try:
            yield
        finally:
            for name in readers:
                delattr(self, name)

    def _check_items(
        self, mixture: TaskMixture, argument: str, training: bool
    ) -> None:
        check_items(mixture, argument, together=False)

    def _build_optimizer(self) -> None:
        """Build on all variables: the first step touches only some of them."""
        if getattr(self, "optimizer", None) is None:
            raise ValueError(
                "The model must be compiled before `fit`. Call "
                "model.compile(optimizer=...)."
            )
        if not self.optimizer.built:
            with self._devices.scope():
                self.optimizer.build(self.trainable_variables)
        optimized = keras_private.optimized_variables(self.optimizer)
        known = [id(v) for v in optimized]
        if known != [id(v) for v in self.trainable_variables]:
            # TensorFlow would go on with the step it has traced.
            raise ValueError(
                message(
                    "The trainable weights must be those that the optimizer "
                    "was built for.",
                    "Call model.compile(...) with a new optimizer after a "
                    "change of `trainable`.",
                    optimizer_weights=len(known),
                    trainable_weights=len(self.trainable_variables),
                )
            )
        accumulates = getattr(
            self.optimizer, "gradient_accumulation_steps", None
        )
        if accumulates and self.update == "touched" and len(self.task_list) > 1:
            raise ValueError(
                message(
                    "Gradient accumulation needs `update='all'`: a head whose "
                    "task is not the last micro-step would lose its gradient.",
                    gradient_accumulation_steps=accumulates,
                    update=self.update,
                )
            )


def _no_batches(method: str, instead: str) -> str:
    return (
        f"`{method}` cannot be used: a batch alone does not tell its task. "
        f"Use `{instead}` with keras_imp.TaskMixture.sequential("
        "{task name: [batch]})."
    )
