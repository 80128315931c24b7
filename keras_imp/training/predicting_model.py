"""What a model answers: predictions of one of its tasks.

`fit` and what else trains it are in `alternating_model.py`.
"""

from typing import Any

import keras

from keras_imp.tasks.task import Task, count_examples
from keras_imp.training.described_model import DescribedModel
from keras_imp.training.input import prediction
from keras_imp.training.monitoring.progress import shown


class PredictingModel(DescribedModel):
    """Predicts for arrays in memory."""

    _devices: Any

    @property
    def tasks(self) -> dict[str, Task]:
        """The tasks by name."""
        return {task.name: task for task in self.task_list}

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
        chosen = prediction.task_named(self.tasks, task)
        x = prediction.prediction_inputs(chosen, self.encoder, x)
        examples = count_examples(x)
        keras_predict = super().predict

        def run() -> Any:
            self._devices.check()
            placed, size = prediction.placed(
                self._devices.placement, x, batch_size
            )
            with shown(callbacks, verbose) as all_callbacks:
                return keras_predict(
                    {chosen.name: placed},
                    batch_size=size,
                    verbose=verbose,
                    callbacks=all_callbacks,
                    **kwargs,
                )

        predicted = self._engine.keep_state(run)
        return keras.tree.map_structure(lambda a: a[:examples], predicted)

    def predict_on_batch(self, x: Any, *, task: str | None = None) -> Any:
        """Predictions of one task for one batch, as for a single request.

        `predict` makes a pipeline and calls callbacks at each call, which for
        a few examples takes longer than the encoder does.

        Args:
            x: Inputs by modality; without `task`, inputs by task as the model
                is called with.
            task: Name of the task.

        Returns:
            As of `predict`.

        Raises:
            ValueError: As of `predict`.

        Example:
            >>> import numpy as np, keras_imp
            >>> encoder = keras_imp.IMPEncoder(8, 16, 1, 2, ("image",))
            >>> model = keras_imp.AlternatingModel(encoder, [
            ...     keras_imp.tasks.Classification("kind", "image", 3)])
            >>> model.compile()
            >>> x = {"image": np.zeros((1, 16, 16, 3), "uint8")}
            >>> model.predict_on_batch(x, task="kind").shape
            (1, 3)
        """
        keras_predict = super().predict_on_batch
        if task is None:
            return self._engine.keep_state(lambda: keras_predict(x))
        chosen = prediction.task_named(self.tasks, task)
        x = prediction.prediction_inputs(chosen, self.encoder, x)
        if self._devices.placement is not None:  # Several devices share it.
            return self.predict(
                x, task=task, batch_size=count_examples(x), verbose=0
            )

        def run() -> Any:
            self._devices.check()
            return keras_predict({chosen.name: x})

        return self._engine.keep_state(run)
