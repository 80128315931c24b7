"""How large the gradient of each task is, in the logs."""

import math

from keras_imp._errors import message
from keras_imp.training.monitoring.task_logger import TaskLogger

NAME = "gradient_norm"


class GradientNormLogger(TaskLogger):
    """Log the norm of the gradient of each task, in `AlternatingModel.fit`.

    The logs of an epoch get `<task>/gradient_norm` for the tasks that it drew:
    the root mean square of the global norm, before clipping, over the last 50
    steps of the task or so. It costs nothing: each step computes the norm
    anyway, to refuse what is not finite.

    Raises:
        ValueError: In `fit`, if the model takes all tasks in one step, whose
            gradient is of no single task.

    Example:
        >>> import keras_imp, numpy as np
        >>> encoder = keras_imp.IMPEncoder(8, 16, 1, 2, modalities=("image",))
        >>> model = keras_imp.AlternatingModel(encoder, [
        ...     keras_imp.tasks.Classification("objects", "image", 3)])
        >>> model.compile(optimizer="sgd")
        >>> batch = {"image": np.zeros((2, 16, 16, 3))}, np.array([0, 2])
        >>> logger = keras_imp.callbacks.GradientNormLogger()
        >>> history = model.fit(keras_imp.TaskMixture({"objects": [batch]}),
        ...     steps_per_epoch=1, verbose=0, callbacks=[logger]).history
        >>> sorted(history)
        ['loss', 'objects/accuracy', 'objects/gradient_norm', 'objects/loss']
    """

    def log_names(self, tasks: tuple[str, ...]) -> set[str]:
        return {f"{task}/{NAME}" for task in tasks}

    def on_train_begin(self, logs: dict | None = None) -> None:
        super().on_train_begin(logs)
        if self.model.reads_together:
            raise ValueError(
                message(
                    "The norm of a gradient is that of one task where each "
                    "step takes one.",
                    "Use AlternatingModel, or GradientConflictLogger.",
                    model=type(self.model).__name__,
                )
            )

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        if logs is None:
            return
        drawn = [n for n in self.model.tasks if f"{n}/loss" in logs]
        measured = self.model.schedule_state.measured(tuple(drawn))
        for name, square in zip(drawn, measured.squared_gradient):
            logs[f"{name}/{NAME}"] = math.sqrt(square)
