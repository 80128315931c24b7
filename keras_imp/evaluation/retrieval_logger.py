"""The recall of a search, in the logs of a training."""

from itertools import permutations

import numpy as np

from keras_imp._errors import check_integer
from keras_imp.evaluation.retrieval_report import (
    KS,
    check_retrieval,
    retrieval_ranks,
)
from keras_imp.training.monitoring.task_logger import (
    TaskLogger,
    unchanged_random_state,
)


class RetrievalLogger(TaskLogger):
    """Log how well a contrastive task finds what belongs together.

    A contrastive loss depends on the size of the batch, and does not tell
    what a search finds. The logs of an epoch get, for each direction,
    `val_<task>/<modality>_to_<modality>/recall_at_<k>`: the fraction of the
    queries with an answer among the first k of all rows, as
    `keras_imp.evaluate_retrieval` finds it. Training is the same with and
    without it. It costs one prediction of all rows.

    Args:
        task: Name of a contrastive task; `"<task>/<part>"` if it is a part of
            a `Combined` one.
        x: Inputs of at least two of its modalities, row by row: some rows of
            the validation data.
        groups: Ids of what belongs together, shape `(rows,)`. Defaults to
            each row on its own, with those of the same text.
        ks: How far down to look.
        every: Epochs from one measurement to the next.
        batch_size: Examples of a batch.

    Raises:
        ValueError: If a number is not positive; in `fit`, if the model has no
            such task, or rows do not fit.

    Example:
        >>> import numpy as np, keras_imp
        >>> encoder = keras_imp.IMPEncoder(8, 16, 1, 2, ("image", "text"),
        ...     vocabulary_size=9)
        >>> model = keras_imp.AlternatingModel(encoder, [
        ...     keras_imp.tasks.Contrastive("captions", projection_dim=8)])
        >>> model.compile("sgd")
        >>> x = {"image": np.zeros((4, 16, 16, 3)),
        ...      "text": np.array([[1], [1], [2], [3]])}
        >>> logger = keras_imp.callbacks.RetrievalLogger("captions", x, ks=(4,))
        >>> history = model.fit(keras_imp.TaskMixture({"captions": [(x,)]}),
        ...     steps_per_epoch=1, verbose=0, callbacks=[logger]).history
        >>> history["val_captions/text_to_image/recall_at_4"]
        [1.0]
    """

    def __init__(
        self,
        task: str,
        x: dict[str, np.ndarray],
        groups: np.ndarray | None = None,
        ks: tuple[int, ...] = KS,
        every: int = 1,
        batch_size: int = 64,
    ):
        super().__init__()
        check_integer(every=every, batch_size=batch_size)
        for k in ks:
            check_integer(ks=k)
        self.task = task
        self.x = x
        self.groups = groups
        self.ks = tuple(ks)
        self.every = every
        self.batch_size = batch_size

    def log_names(self, tasks: tuple[str, ...]) -> set[str]:
        return {
            self._name(query, item, k)
            for query, item in permutations(self.x, 2)
            for k in self.ks
        }

    def on_train_begin(self, logs: dict | None = None) -> None:
        super().on_train_begin(logs)
        check_retrieval(self.model, self.task, self.x, self.groups)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        if logs is None or (epoch + 1) % self.every:
            return
        with unchanged_random_state(self.model):
            found = retrieval_ranks(
                self.model,
                self.task,
                self.x,
                self.groups,
                batch_size=self.batch_size,
            )
        for (query, item), ranks in found.ranks.items():
            for k in self.ks:
                logs[self._name(query, item, k)] = float((ranks <= k).mean())

    def _name(self, query: str, item: str, k: int) -> str:
        return f"val_{self.task}/{query}_to_{item}/recall_at_{k}"
