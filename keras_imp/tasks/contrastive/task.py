"""Bring the vectors of matching modalities together.

Legend: i, j examples; m, n captions of an example; d the common space.
Arrays of similarities have the shape (i, m, j, n).
"""

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_imp._errors import check_choice, message
from keras_imp._saving.names import save_variables, variables_by_position
from keras_imp.layers.projection_head import CommonSpace
from keras_imp.models.protocols import Encoder
from keras_imp.tasks.contrastive.captions import captions_as_examples
from keras_imp.tasks.contrastive.checks import (
    check_groups,
    check_pairs,
    check_temperature,
)
from keras_imp.tasks.contrastive.losses import (
    EXCLUDED,
    contrastive_loss,
    sigmoid_contrastive_loss,
)
from keras_imp.tasks.contrastive.masks import (
    BatchMasks,
    batch_masks,
    example_weights,
)
from keras_imp.tasks.task import Task, count_examples, weighted_mean
from keras_imp.typing import Tensor

LOSSES = {"softmax": contrastive_loss, "sigmoid": sigmoid_contrastive_loss}
# Initial temperatures: IMP's and SigLIP's.
TEMPERATURES = {"softmax": 0.2, "sigmoid": 0.1}


@keras.saving.register_keras_serializable(package="keras_imp")
class Contrastive(Task):
    """Contrast matching against non-matching examples of a batch.

    Each modality's pooled vector goes through a projection head; for each pair
    of modalities, the cosine similarities of all examples of the batch over a
    learned temperature go through `contrastive_loss` or, with a learned bias,
    through `sigmoid_contrastive_loss`. Float32 throughout.

    Group ids `y` say which examples match: all of a group are positives of
    each other, and none of them is a negative. Without `y`, an example matches
    itself only. Captions of padding only do not count. A caption that equals
    one of another group's is no negative for it: small data repeats captions.

    Args:
        name: Name of the task.
        modalities: Modalities of a batch; all pairs of them count.
        pairs: Pairs that count, with weights: `[("image", "text", 1.0), ...]`.
            Defaults to all pairs with weight 1.
        projection_dim: Width of the common space.
        space: `"disjoint"` (a head per ordered pair) or `"joint"` (a head per
            modality).
        temperature: Initial temperature; one is learned per pair. Defaults to
            0.2 for the softmax loss and 0.1 for the sigmoid loss.
        temperature_form: `"exp"` learns log(1 / temperature) and keeps the
            temperature at `min_temperature` or above; `"relu"` is the first
            implementation's relu(x) + 1e-6.
        min_temperature: Lower bound of the `"exp"` form.
        margin: Subtracted from the positives.
        mask_duplicates: Whether equal captions are no negatives.
        loss_weight: Factor of the task's loss.
        loss: `"softmax"`: of all examples of the batch, which one matches?
            `"sigmoid"`: does this pair match? for each pair by itself.
        bias: Initial bias of the sigmoid loss; one is learned per pair. The
            paper's -10 is meant for tens of thousands of examples in a batch;
            -log(batch size) starts a small batch at its fraction of matches.
        **kwargs: Arguments of `Task`, such as `drop_tokens`, and of
            `keras.layers.Layer`, such as `dtype`.

    Call arguments:
        inputs: A dict with all modalities; `predict` may give some of them.
            `text` is `(batch, length)` or `(batch, captions, length)`.
        encoder: The shared encoder (keyword).
        training: Whether the encoder trains.

    Returns:
        A dict from `"<a>_to_<b>"` to unit vectors, float32, shape `(batch,
        projection_dim)`; of text with several captions `(batch, captions,
        projection_dim)`.

    Batches:
        `(x,)`, `(x, y)` or `(x, y, sample_weight)`; `y` int group ids
        `(batch,)`, or None. An example without a real caption has no weight in
        pairs with text.

    Metrics:
        `<task>/loss`, and for each direction `<task>/<a>_to_<b>_top_1`: given
        an example's `a`, the fraction for which a `b` that matches ranks first.

    Example:
        >>> import keras_imp
        >>> task = keras_imp.tasks.Contrastive(
        ...     "clips", modalities=("video", "audio", "text"))
        >>> [pair[:2] for pair in task.pairs]
        [('video', 'audio'), ('video', 'text'), ('audio', 'text')]

    Reference:
        docs/method.md, Tasks and losses; [InfoNCE](https://arxiv.org/abs/1807.03748),
        [MIL-NCE](https://arxiv.org/abs/1912.06430),
        [SigLIP](https://arxiv.org/abs/2303.15343).
    """

    def __init__(
        self,
        name: str,
        modalities: tuple[str, ...] = ("image", "text"),
        pairs: list[tuple[str, str, float]] | None = None,
        projection_dim: int = 1024,
        space: str = "disjoint",
        temperature: float | None = None,
        temperature_form: str = "exp",
        min_temperature: float = 0.01,
        margin: float = 0.0,
        mask_duplicates: bool = True,
        loss_weight: float = 1.0,
        loss: str = "softmax",
        bias: float = -10.0,
        **kwargs,
    ):
        super().__init__(name=name, loss_weight=loss_weight, **kwargs)
        check_choice(tuple(LOSSES), loss=loss)
        check_choice(("exp", "relu"), temperature_form=temperature_form)
        temperature = TEMPERATURES[loss] if temperature is None else temperature
        check_temperature(temperature, min_temperature, temperature_form)
        self._modalities = tuple(modalities)
        self.pairs = check_pairs(self._modalities, pairs)
        self.projection_dim = projection_dim
        self.space = space
        self.loss = loss
        self.temperature = temperature
        self.temperature_form = temperature_form
        self.min_temperature = min_temperature
        self.bias = bias
        self.margin = margin
        self.mask_duplicates = mask_duplicates
        self.common_space = CommonSpace(
            [pair[:2] for pair in self.pairs],
            projection_dim,
            space=space,
            dtype=self.dtype_policy,
            name="common_space",
        )
        self.top_1_metrics = {
            f"{source}_to_{target}": self.track(
                keras.metrics.Mean(name=f"{source}_to_{target}_top_1")
            )
            for source, target in self.common_space.directions()
        }

    @property
    def modalities(self) -> tuple[str, ...]:
        return self._modalities

    @property
    def min_examples(self) -> int:
        """Two: with one there is nothing to contrast."""
        return 2

    @property
    def contrasts_examples(self) -> bool:
        """Always: that of softmax is ln(batch size) before it learns."""
        return True

    def chance_loss(self, examples: int) -> float | None:
        """Of softmax ln(examples) and the margin, times the pairs' weights.

        Groups and equal captions, which are no negatives, make it smaller. Of
        sigmoid the loss of the best constant probability, one match in
        `examples`; None with a margin.
        """
        weight = sum(pair[2] for pair in self.pairs) / len(self.pairs)
        if self.loss == "softmax":
            return weight * (math.log(examples) + self.margin)
        if self.margin:
            return None
        others = examples - 1
        surprise = math.log(examples) + others * math.log(examples / others)
        return weight * surprise

    def build(self, pooled_shape):
        self.common_space.build(pooled_shape)
        initial = self.temperature
        if self.temperature_form == "exp":
            initial = math.log(1.0 / self.temperature)
        self.temperatures = self._scalars("temperature", initial)
        if self.loss == "sigmoid":
            self.biases = self._scalars("bias", self.bias)

    def call(
        self,
        inputs: dict[str, Tensor],
        encoder: Encoder | None = None,
        training: bool | None = None,
    ) -> dict[str, Tensor]:
        given = {
            name: inputs[name] for name in self.modalities if name in inputs
        }
        pooled = {}
        for name, values in captions_as_examples(given).items():
            features = self.encode(encoder, {name: values}, training)
            pooled[name] = features[name]["pooled_output"]
        vectors = self.common_space(pooled)
        if "text" not in given or len(given["text"].shape) == 2:
            return vectors
        shape = (-1, given["text"].shape[1], self.projection_dim)
        return {
            key: ops.reshape(v, shape) if key.startswith("text_to_") else v
            for key, v in vectors.items()
        }

    def compute_output_spec(self, inputs, encoder=None, training=None):
        spec = {}
        for source, target in self.common_space.directions():
            if source in inputs:
                shape = tuple(inputs[source].shape)
                several = source == "text" and len(shape) == 3
                leading = shape[:2] if several else shape[:1]
                spec[f"{source}_to_{target}"] = keras.KerasTensor(
                    (*leading, self.projection_dim), dtype="float32"
                )
        return spec

    def compute_loss(self, x, y, y_pred, sample_weight=None) -> Tensor:
        masks = self._masks(x, y, y_pred)
        total = 0.0
        for a, b, pair_weight in self.pairs:
            logits = _similarities(y_pred, a, b)
            logits = logits * self._inverse_temperature(a, b)
            if self.loss == "sigmoid":
                logits = logits + ops.convert_to_tensor(self.biases[a, b])
            loss = LOSSES[self.loss](
                logits, masks.of_pair(a, b), self.margin, masks.same
            )
            weights = example_weights(x, sample_weight, a, b)
            mean = weighted_mean(loss.a_to_b + loss.b_to_a, weights) / 2.0
            total = total + pair_weight * mean
        return total / len(self.pairs)

    def update_metrics(self, x, y, y_pred, sample_weight=None) -> None:
        masks = self._masks(x, y, y_pred)
        for a, b, _ in self.pairs:
            logits = _similarities(y_pred, a, b)
            excluded = masks.of_pair(a, b)
            if excluded is not None:
                logits = ops.where(excluded, EXCLUDED, logits)
            best = ops.max(logits, axis=(1, 3))  # examples of a, of b
            weights = example_weights(x, sample_weight, a, b)
            for key, axis in ((f"{a}_to_{b}", 1), (f"{b}_to_{a}", 0)):
                first = ops.argmax(best, axis=axis)[:, None]
                hit = ops.take_along_axis(masks.same, first, axis=1)[:, 0]
                hit = ops.cast(hit, "float32")
                self.top_1_metrics[key].update_state(hit, sample_weight=weights)

    def check_batch(self, x, y, sample_weight=None) -> None:
        sizes = {name: count_examples(x[name]) for name in self.modalities}
        if len(set(sizes.values())) > 1:
            raise ValueError(
                message(
                    "All modalities of a batch must have equally many "
                    "examples.",
                    **sizes,
                )
            )
        examples = next(iter(sizes.values()))
        counts = sample_weight is None or np.any(sample_weight)
        if examples < self.min_examples and counts:
            raise ValueError(
                message(
                    "A contrastive batch must have at least 2 examples: with "
                    "one there is nothing to contrast.",
                    "Use another batch size, or leave out a smaller last "
                    "batch: keras_imp.data.Arrays(..., drop_last=True).",
                    batch_size=examples,
                )
            )
        if y is not None:
            check_groups(np.asarray(y), examples)

    def encoder_inputs(self, x: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return captions_as_examples(x)

    def get_config(self):
        return {
            **super().get_config(),
            "loss_weight": self.loss_weight,
            "microbatches": self.microbatches,
            "accumulate": self.accumulate,
            "drop_tokens": dict(self.drop_tokens),
            "drop_seed": self.drop_seed,
            "modalities": list(self.modalities),
            "pairs": [list(pair) for pair in self.pairs],
            "projection_dim": self.projection_dim,
            "space": self.space,
            "loss": self.loss,
            "temperature": self.temperature,
            "temperature_form": self.temperature_form,
            "min_temperature": self.min_temperature,
            "bias": self.bias,
            "margin": self.margin,
            "mask_duplicates": self.mask_duplicates,
        }

    def save_own_variables(self, store: Any) -> None:
        save_variables(super().save_own_variables, store)

    def load_own_variables(self, store: Any) -> None:
        save = super().save_own_variables
        super().load_own_variables(variables_by_position(save, store))

    def _inverse_temperature(self, a: str, b: str) -> Tensor:
        value = ops.convert_to_tensor(self.temperatures[a, b])
        if self.temperature_form == "relu":
            return 1.0 / (ops.relu(value) + 1e-6)
        limit = math.log(1.0 / self.min_temperature)
        # This bound passes the gradient on. A plain minimum has none above the
        # limit, and a temperature that once got there could never come back.
        return ops.exp(value - ops.stop_gradient(ops.relu(value - limit)))

    def _scalars(self, name: str, initial: float) -> dict:
        """A learned float32 number for each pair."""
        return {
            (a, b): self.add_weight(
                name="_".join((name, *sorted((a, b)))),
                shape=(),
                initializer=keras.initializers.Constant(initial),
                dtype="float32",
                autocast=False,
            )
            for a, b, _ in self.pairs
        }

    def _masks(self, x, y, y_pred) -> BatchMasks:
        batch = next(iter(y_pred.values())).shape[0]
        return batch_masks(x, y, batch, self.mask_duplicates)


def _similarities(vectors: dict[str, Tensor], a: str, b: str) -> Tensor:
    """Cosine similarities, (i, m, j, n)."""
    u, v = vectors[f"{a}_to_{b}"], vectors[f"{b}_to_{a}"]
    u = u if len(u.shape) == 3 else u[:, None]
    v = v if len(v.shape) == 3 else v[:, None]
    i, m, d = u.shape
    j, n, _ = v.shape
    flat = ops.matmul(
        ops.reshape(u, (-1, d)), ops.transpose(ops.reshape(v, (-1, d)))
    )
    return ops.reshape(flat, (i, m, j, n))
