"""What a training step optimizes: a head, a loss and metrics.

A task is a Keras layer on top of the shared encoder. To write one, subclass
`Task` and define `modalities`, `build`, `call` and `compute_loss`; call the
encoder through `encode`; add metrics with `track`. `examples/own_task.py` does
it in 30 lines.
"""

import re
from typing import Any, cast

import keras
import numpy as np
from keras import ops

from keras_imp._errors import (
    check_choice,
    check_positive,
    check_rate,
    message,
)
from keras_imp._repr import ShowsArguments
from keras_imp.layers._runtime.layer import Layer, WideInputs
from keras_imp.layers.drop_token import draw_kept
from keras_imp.models.protocols import Encoder, TokenEncoder, check_features
from keras_imp.tasks.copying import taken_apart
from keras_imp.tasks.metrics import TaskMetric
from keras_imp.typing import Tensor

# Separate a task's name from the rest in metric names, batch keys and files.
RESERVED = ("/", "@", "\\")
# What the name of a layer must not have, by the backend that refuses it.
REFUSED = {
    "tensorflow": re.compile(r"[^A-Za-z0-9_.>-]"),
    "torch": re.compile(r"\."),
}


class Task(ShowsArguments, WideInputs, Layer):
    """Base class of everything that a step can optimize.

    Args:
        name: Name of the task; also its key in a `TaskMixture`, the prefix of
            its metrics and the name of its weights in a file. ASCII letters,
            digits, `_` and `-` work on every backend.
        loss_weight: Factor of the task's loss.
        microbatches: Parts of a training batch that go through the encoder
            one after the other. More of them need less memory: about that of
            one part, and the predictions of all.
        accumulate: `"exact"` gives the gradient of the undivided batch, for
            twice the forward work: a first pass finds the predictions of all
            parts, the loss sees them together (so a contrastive loss has all
            negatives), and a second pass takes its gradient back through each
            part. `"mean"` averages the gradients of the parts' own losses in
            one pass: the same where the loss is a mean over examples, but a
            contrastive loss then only sees the negatives of one part. Parts
            count equally, whatever the `sample_weight` of their examples.
        drop_tokens: Fraction of the tokens to drop while training, by modality,
            such as `{"video": 0.5}`: each example keeps its own random set,
            and loses padding before real tokens.
        drop_seed: Seed of these sets. Defaults to a random one.
        **kwargs: Arguments of `keras.layers.Layer`, such as `dtype`.

    Call arguments:
        inputs: Arrays by modality.
        encoder: The shared encoder (keyword).
        training: Whether the encoder trains.

    Raises:
        ValueError: If the name has a character that is reserved or that the
            backend does not take, the weight is not positive, or a fraction to
            drop is outside [0, 1).

    Example:
        >>> import keras_imp
        >>> task = keras_imp.tasks.Classification(
        ...     "objects", modality="image", num_classes=10)
        >>> task.modalities
        ('image',)

    Reference:
        Exact gradients of a large batch in parts:
        [GradCache](https://arxiv.org/abs/2101.06983).
    """

    def __init__(
        self,
        name: str,
        loss_weight: float = 1.0,
        microbatches: int = 1,
        accumulate: str = "exact",
        drop_tokens: dict[str, float] | None = None,
        drop_seed: int | None = None,
        **kwargs,
    ):
        _check_name(name)
        super().__init__(name=name, **kwargs)
        check_positive(loss_weight=loss_weight, microbatches=microbatches)
        check_choice(("exact", "mean"), accumulate=accumulate)
        self.loss_weight = loss_weight
        self.microbatches = microbatches
        self.accumulate = accumulate
        self.drop_tokens = dict(drop_tokens or {})
        self.drop_seed = drop_seed
        check_rate(
            **{f"drop_tokens[{m!r}]": r for m, r in self.drop_tokens.items()}
        )
        if self.drop_tokens:
            self.drop_generator = keras.random.SeedGenerator(drop_seed)
        self.loss_metric = self.track(keras.metrics.Mean(name="loss"))
        # The model, or the task of several parts, that trains it.
        self._owner: str | None = None

    @property
    def min_examples(self) -> int:
        """Fewest examples of a batch that have a loss.

        A training batch with fewer is refused by `check_batch`. In an
        evaluation, where some may be left over, they have no weight.
        """
        return 1

    @property
    def contrasts_examples(self) -> bool:
        """Whether the loss of an example depends on how many others there are.

        It then differs between batches of unlike sizes, whatever was learned.
        """
        return False

    def chance_loss(self, examples: int) -> float | None:
        """Loss in nats, unweighted, if all answers score alike, or None."""
        return None

    @property
    def modalities(self) -> tuple[str, ...]:
        """Modalities that a training batch of this task must have."""
        raise NotImplementedError(
            message(
                "A task must say which modalities it needs.",
                'Define them in its class, such as modalities = ("image",).',
                task=type(self).__name__,
            )
        )

    def prepare(self, encoder: Encoder) -> None:
        """Take from the encoder what the weights depend on. Optional.

        The model calls it before `build`: what is predicted may have the size
        of the encoder's vocabulary or patches.

        Args:
            encoder: The shared encoder.

        Raises:
            ValueError: If the encoder lacks what the task needs.
        """

    def __reduce__(self):
        return taken_apart(self)

    # What `prepare` took from the encoder, for copies of the task.
    prepared: Any = None

    @property
    def keeps_what_it_prepared(self) -> bool:
        """Whether `prepared` is all that `build` needs of the encoder."""
        return type(self).prepare is Task.prepare

    def get_build_config(self) -> None:
        """Nothing: a loaded model builds its tasks itself, after `prepare`."""

    def compute_loss(
        self,
        x: dict[str, Tensor],
        y: Any,
        y_pred: Any,
        sample_weight: Tensor | None = None,
    ) -> Tensor:
        """The loss of one batch.

        Args:
            x: Inputs by modality.
            y: Targets, or None.
            y_pred: What `call` returned.
            sample_weight: Weight of each example, shape `(batch,)`.

        Returns:
            A float32 scalar, before `loss_weight`.
        """
        raise NotImplementedError(
            message(
                "A task must have a loss.",
                "Define compute_loss(self, x, y, y_pred, sample_weight=None).",
                task=type(self).__name__,
            )
        )

    def update_metrics(
        self,
        x: dict[str, Tensor],
        y: Any,
        y_pred: Any,
        sample_weight: Tensor | None = None,
    ) -> None:
        """Update the task's metrics besides its loss. Optional.

        Args:
            x: Inputs by modality.
            y: Targets, or None.
            y_pred: What `call` returned.
            sample_weight: Weight of each example, shape `(batch,)`.
        """

    def check_batch(
        self, x: dict[str, np.ndarray], y: Any, sample_weight: Any = None
    ) -> None:
        """Check one batch on the host, before it is moved. Optional.

        Args:
            x: Inputs by modality.
            y: Targets, or None.
            sample_weight: Weight of each example, or None.

        Raises:
            ValueError: If the batch does not fit the task.
        """

    def encoder_inputs(self, x: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The inputs as the encoder will see them, to be checked on the host.

        Args:
            x: Inputs by modality.

        Returns:
            Inputs by modality; the same ones unless a task reshapes them.
        """
        return x

    def encode(
        self,
        encoder: Encoder | None,
        inputs: dict[str, Any],
        training: bool | None = None,
    ) -> dict[str, Any]:
        """The encoder's features; in training, of the tokens that are kept.

        Args:
            encoder: The shared encoder.
            inputs: Inputs by modality, as the encoder takes them.
            training: Whether the encoder trains.

        Returns:
            What the encoder returns.

        Raises:
            ValueError: If there is no encoder, it returned something else,
                tokens of an input were dropped on the host already, or their
                number is not known.
        """
        encoder = self.given(encoder)
        options: dict[str, Any] = {"training": training}
        if training and self.drop_tokens:
            # That it is one was checked when the model was made.
            tokens = cast(TokenEncoder, encoder)
            kept = self._draw_kept(tokens, inputs)
            options |= {"kept": kept} if kept else {}
        return check_features(encoder, inputs, encoder(inputs, **options))

    def given(self, encoder: Any) -> Any:
        """The encoder that `call` got.

        Args:
            encoder: The encoder, or None if it was omitted.

        Returns:
            The encoder.

        Raises:
            ValueError: If it was omitted.
        """
        if encoder is None:
            raise ValueError(
                message(
                    f"Task {self.name!r} must be called with an encoder.",
                    "Use task(inputs, encoder=encoder), or predict with the "
                    "model: model.predict(inputs, task=name).",
                    encoder=None,
                )
            )
        return encoder

    def track(self, metric: keras.metrics.Metric) -> TaskMetric:
        """Log a metric as `<task>/<metric name>`, absent while not drawn.

        Args:
            metric: Any Keras metric.

        Returns:
            The metric to update, as an attribute of the task.
        """
        return TaskMetric(metric, name=f"{self.name}/{metric.name}")

    def _draw_kept(
        self, encoder: TokenEncoder, inputs: dict[str, Any]
    ) -> dict[str, Tensor]:
        """Indices of the kept tokens of each modality that drops some."""
        kept = {}
        for name, rate in self.drop_tokens.items():
            if name not in inputs or rate == 0:
                continue
            values = inputs[name]
            if isinstance(values, dict):
                raise ValueError(
                    message(
                        f"Tokens of {name!r} must be dropped either on the "
                        "host or in the task, not in both.",
                        "Leave `drop_tokens` out of the task or of the data.",
                        task=self.name,
                        drop_tokens=rate,
                    )
                )
            tokens = encoder.num_tokens(name, values.shape)
            batch = ops.shape(values)[0]
            mask = _padding_mask(encoder, name, values)
            kept[name] = draw_kept(
                self.drop_generator, batch, tokens, rate, mask
            )
        return kept


def _padding_mask(encoder: Any, name: str, values: Tensor) -> Tensor | None:
    """Which tokens are real, or None if all are, or the encoder cannot say."""
    mask_of = getattr(encoder, "padding_mask", None)
    return None if mask_of is None else mask_of(name, values)


def _check_name(name: str) -> None:
    """Raise unless a name can be used: in logs, in files, on this backend."""
    if not name or any(mark in name for mark in RESERVED):
        raise ValueError(
            message(
                "The name of a task must not be empty or contain any of "
                f"{RESERVED}.",
                name=name,
            )
        )
    backend = keras.config.backend()
    refused = REFUSED.get(backend)
    if not name.isprintable() or (refused and refused.search(name)):
        raise ValueError(
            message(
                f"The name of a task cannot be used on {backend}.",
                "Use ASCII letters, digits, `_` and `-`, which work on every "
                "backend.",
                name=name,
            )
        )


def count_examples(values: Any) -> int:
    """Examples of one input, also of one that was patchified on the host.

    Args:
        values: An array, or a dict of arrays, with the batch axis first.

    Returns:
        Length of the batch axis; 1 if there is none.

    Example:
        >>> import numpy as np
        >>> from keras_imp.tasks.task import count_examples
        >>> count_examples({"patches": np.zeros((3, 4, 5))})
        3
    """
    while isinstance(values, dict):
        values = next(iter(values.values()))
    shape = np.shape(values)
    return shape[0] if shape else 1


def total_weight(x: dict[str, Any], sample_weight: Tensor | None) -> Any:
    """Weight of all examples of a batch together; 1 each by default.

    Args:
        x: Inputs by modality.
        sample_weight: Weight of each example, or None.

    Returns:
        A number, or a float32 scalar.
    """
    if sample_weight is None:
        return float(keras.tree.flatten(x)[0].shape[0])
    return ops.sum(ops.cast(sample_weight, "float32"))


def weighted_mean(values: Tensor, weights: Tensor | None) -> Tensor:
    """Mean over examples, by weight.

    Args:
        values: float32, shape `(batch,)`.
        weights: Shape `(batch,)`, or None for equal weights.

    Returns:
        A float32 scalar; 0 if all weights are 0.
    """
    if weights is None:
        return ops.mean(values)
    weights = ops.cast(weights, "float32")
    return ops.sum(values * weights) / ops.maximum(ops.sum(weights), 1e-6)
