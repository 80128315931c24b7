"""Bring the vectors of matching modalities together.

einsum legend: i, j examples; m, n captions of an example; d the common space.
Arrays of similarities have the shape (i, m, j, n).
"""

import itertools
import math
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from keras_imp._errors import check_choice, check_positive, message
from keras_imp.layers.projection_head import CommonSpace
from keras_imp.tasks.task import Task, count_examples, weighted_mean
from keras_imp.typing import Tensor

# Logit of what must not count: far below any similarity / temperature.
EXCLUDED = -1e10


class PairLoss(NamedTuple):
    """Losses of both directions, one value per example, shape `(batch,)`.

    Attributes:
        a_to_b: Given an example's `a`, rank all `b`.
        b_to_a: Given an example's `b`, rank all `a`.
    """

    a_to_b: Tensor
    b_to_a: Tensor


def contrastive_loss(
    logits: Tensor, excluded: Tensor | None = None, margin: float = 0.0
) -> PairLoss:
    """Cross-modal NCE with several instances per example (imp.md 7.1).

    With one instance per example and no margin this is the symmetric InfoNCE
    loss; with several, the positives sit together inside the logarithm.

    Args:
        logits: Similarities / temperature, float32, shape `(batch, m, batch,
            n)`; example i of `a` against example j of `b`.
        excluded: True where a pair must not count, same shape.
        margin: Subtracted from the positives of the numerator.

    Returns:
        The loss of each example in both directions.

    Example:
        >>> import keras
        >>> from keras_imp.tasks.contrastive import contrastive_loss
        >>> s = keras.ops.reshape(
        ...     keras.ops.array([[0.9, 0.1], [0.2, 0.6]]), (2, 1, 2, 1))
        >>> loss = contrastive_loss(s)
        >>> round(float(keras.ops.mean(loss.a_to_b)), 4)
        0.4421
    """
    if excluded is not None:
        logits = ops.where(excluded, EXCLUDED, logits)
    batch = logits.shape[0] or ops.shape(logits)[0]
    same = ops.eye(batch, dtype="bool")[:, None, :, None]
    positives = ops.where(same, logits - margin, EXCLUDED)
    positive = ops.logsumexp(positives, axis=(1, 2, 3))
    row = ops.logsumexp(logits, axis=(1, 2, 3))
    column = ops.logsumexp(logits, axis=(0, 1, 3))
    return PairLoss(a_to_b=row - positive, b_to_a=column - positive)


@keras.saving.register_keras_serializable(package="keras_imp")
class Contrastive(Task):
    """Contrast matching against non-matching examples of a batch.

    Each modality's pooled vector goes through a projection head; for each pair
    of modalities, the cosine similarities of all examples of the batch over a
    learned temperature go through `contrastive_loss`. Float32 throughout.

    Captions of padding only do not count. A caption that equals one of another
    example's is no negative for it: small data repeats captions.

    Args:
        name: Name of the task.
        modalities: Modalities of a batch; all pairs of them count.
        pairs: Pairs that count, with weights: `[("image", "text", 1.0), ...]`.
            Defaults to all pairs with weight 1.
        projection_dim: Width of the common space.
        space: `"disjoint"` (a head per ordered pair) or `"joint"` (a head per
            modality).
        temperature: Initial temperature; one is learned per pair.
        temperature_form: `"exp"` learns log(1 / temperature) and keeps the
            temperature at `min_temperature` or above; `"relu"` is the first
            implementation's relu(x) + 1e-6.
        min_temperature: Lower clip of the `"exp"` form.
        margin: Subtracted from the positives.
        mask_duplicates: Whether equal captions are no negatives.
        loss_weight: Factor of the task's loss.
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
        `(x,)`, or `(x, None, sample_weight)`.

    Metrics:
        `<task>/loss`, and for each direction `<task>/<a>_to_<b>_top_1`: given
        an example's `a`, the share whose own `b` ranks first.

    Example:
        >>> import keras_imp
        >>> task = keras_imp.tasks.Contrastive(
        ...     "clips", modalities=("video", "audio", "text"))
        >>> [pair[:2] for pair in task.pairs]
        [('video', 'audio'), ('video', 'text'), ('audio', 'text')]

    Reference:
        imp.md 6.2 and 7.1; [InfoNCE](https://arxiv.org/abs/1807.03748),
        [MIL-NCE](https://arxiv.org/abs/1912.06430).
    """

    def __init__(
        self,
        name: str,
        modalities: tuple[str, ...] = ("image", "text"),
        pairs: list[tuple[str, str, float]] | None = None,
        projection_dim: int = 1024,
        space: str = "disjoint",
        temperature: float = 0.2,
        temperature_form: str = "exp",
        min_temperature: float = 0.01,
        margin: float = 0.0,
        mask_duplicates: bool = True,
        loss_weight: float = 1.0,
        **kwargs,
    ):
        super().__init__(name=name, loss_weight=loss_weight, **kwargs)
        check_choice(("exp", "relu"), temperature_form=temperature_form)
        check_positive(temperature=temperature, min_temperature=min_temperature)
        self._modalities = tuple(modalities)
        self.pairs = _check_pairs(self._modalities, pairs)
        self.projection_dim = projection_dim
        self.space = space
        self.temperature = temperature
        self.temperature_form = temperature_form
        self.min_temperature = min_temperature
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

    def build(self, pooled_shape):
        self.common_space.build(pooled_shape)
        initial = self.temperature
        if self.temperature_form == "exp":
            initial = math.log(1.0 / self.temperature)
        self.temperatures = {
            (a, b): self.add_weight(
                name="temperature_" + "_".join(sorted((a, b))),
                shape=(),
                initializer=keras.initializers.Constant(initial),
                dtype="float32",
                autocast=False,
            )
            for a, b, _ in self.pairs
        }

    def call(
        self,
        inputs: dict[str, Tensor],
        encoder: Any = None,
        training: bool | None = None,
    ) -> dict[str, Tensor]:
        captions = None
        pooled = {}
        for name in self.modalities:
            if name not in inputs:
                continue
            values = inputs[name]
            if name == "text" and len(values.shape) == 3:
                captions = values.shape[1]
                values = ops.reshape(values, (-1, values.shape[-1]))
            features = self.encode(encoder, {name: values}, training)
            pooled[name] = features[name]["pooled_output"]
        vectors = self.common_space(pooled)
        if captions is None:
            return vectors
        shape = (-1, captions, self.projection_dim)
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
        del y
        excluded, repeats = self._masks(x)
        total = 0.0
        for a, b, pair_weight in self.pairs:
            weights = _example_weights(x, sample_weight, a, b)
            logits = self._similarities(y_pred, a, b)
            logits = logits * self._inverse_temperature(a, b)
            mask = _orient(a, b, excluded, repeats)
            loss = contrastive_loss(logits, mask, self.margin)
            mean = weighted_mean(loss.a_to_b + loss.b_to_a, weights) / 2.0
            total = total + pair_weight * mean
        return total / len(self.pairs)

    def update_metrics(self, x, y, y_pred, sample_weight=None) -> None:
        del y
        excluded, repeats = self._masks(x)
        for a, b, _ in self.pairs:
            weights = _example_weights(x, sample_weight, a, b)
            logits = self._similarities(y_pred, a, b)
            mask = _orient(a, b, excluded, repeats)
            if mask is not None:
                logits = ops.where(mask, EXCLUDED, logits)
            best = ops.max(logits, axis=(1, 3))  # examples of a, of b
            target = ops.arange(best.shape[0], dtype="int32")
            for key, axis in ((f"{a}_to_{b}", 1), (f"{b}_to_{a}", 0)):
                first = ops.cast(ops.argmax(best, axis=axis), "int32")
                hit = ops.cast(ops.equal(first, target), "float32")
                self.top_1_metrics[key].update_state(hit, sample_weight=weights)

    def check_batch(self, x, y, sample_weight=None) -> None:
        del y, sample_weight
        sizes = {name: count_examples(x[name]) for name in self.modalities}
        if len(set(sizes.values())) > 1:
            raise ValueError(
                message(
                    "All modalities of a batch must have equally many "
                    "examples.",
                    **sizes,
                )
            )
        if next(iter(sizes.values())) < 2:
            raise ValueError(
                message(
                    "A contrastive batch must have at least 2 examples: with "
                    "one there is nothing to contrast.",
                    "Use a larger batch size.",
                    batch_size=next(iter(sizes.values())),
                )
            )

    def encoder_inputs(self, x: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        if "text" not in x or np.ndim(x["text"]) != 3:
            return x
        length = x["text"].shape[-1]
        return {**x, "text": x["text"].reshape(-1, length)}

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
            "temperature": self.temperature,
            "temperature_form": self.temperature_form,
            "min_temperature": self.min_temperature,
            "margin": self.margin,
            "mask_duplicates": self.mask_duplicates,
        }

    def _inverse_temperature(self, a: str, b: str) -> Tensor:
        value = ops.convert_to_tensor(self.temperatures[a, b])
        if self.temperature_form == "relu":
            return 1.0 / (ops.relu(value) + 1e-6)
        limit = math.log(1.0 / self.min_temperature)
        # The clip passes the gradient on. A plain minimum has none above the
        # limit, and a temperature that once got there could never come back.
        return ops.exp(value - ops.stop_gradient(ops.relu(value - limit)))

    @staticmethod
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

    def _masks(self, x) -> tuple[Tensor | None, Tensor | None]:
        """What is no negative: caption (j, n) for example i, and j for i."""
        if "text" not in self.modalities:
            return None, None
        ids = _captions(x)
        empty = ops.logical_not(ops.any(ids != 0, axis=2))  # (j, n)
        excluded = ops.broadcast_to(empty[None], (ids.shape[0], *empty.shape))
        if not self.mask_duplicates:
            return excluded, None
        repeated = _repeated_captions(ids, empty)  # (i, j, n)
        return ops.logical_or(excluded, repeated), ops.any(repeated, axis=2)


def _example_weights(
    x: dict[str, Tensor], sample_weight: Tensor | None, a: str, b: str
) -> Tensor | None:
    """Weight 0, in a pair with text, for an example without real captions."""
    if "text" not in (a, b):
        return sample_weight
    real = ops.cast(ops.any(_captions(x) != 0, axis=(1, 2)), "float32")
    if sample_weight is None:
        return real
    return real * ops.cast(sample_weight, "float32")


def _captions(x: dict[str, Tensor]) -> Tensor:
    """Token ids as (examples, captions, length)."""
    ids = ops.cast(x["text"], "int32")
    return ids if len(ids.shape) == 3 else ids[:, None]


def _repeated_captions(ids: Tensor, empty: Tensor) -> Tensor:
    """True where caption n of example j is also one of example i != j.

    Captions are compared by two 32-bit hashes, so that the cost does not grow
    with their length.
    """
    batch, _, length = ids.shape
    odd = np.random.default_rng(0).integers(0, 2**30, (2, length)) * 2 + 1
    odd = (odd % 2**31).astype("int32")
    same = None
    for multipliers in odd:
        # int32 products wrap around alike on every backend.
        hashes = ops.sum(ids * ops.convert_to_tensor(multipliers), axis=2)
        equal = hashes[:, :, None, None] == hashes[None, None]  # (i, m, j, n)
        same = equal if same is None else ops.logical_and(same, equal)
    same = ops.logical_and(same, ops.logical_not(empty)[:, :, None, None])
    other = ops.logical_not(ops.eye(batch, dtype="bool"))[:, :, None]
    return ops.logical_and(ops.any(same, axis=1), other)


def _orient(a: str, b: str, excluded, repeats) -> Tensor | None:
    """Lay a mask out as (i of a, m, j of b, n) for one pair."""
    if excluded is None:
        return None
    if b == "text":
        return excluded[:, None]  # (i, 1, j, n)
    if a == "text":
        return ops.transpose(excluded, (1, 2, 0))[:, :, :, None]  # (j, n, i, 1)
    return None if repeats is None else repeats[:, None, :, None]


def _check_pairs(modalities, pairs) -> list[tuple[str, str, float]]:
    if len(set(modalities)) < 2:
        raise ValueError(
            message(
                "`modalities` must have at least two different names.",
                modalities=modalities,
            )
        )
    if pairs is None:
        pairs = [(a, b, 1.0) for a, b in itertools.combinations(modalities, 2)]
    if not pairs:
        raise ValueError(
            message("`pairs` must have at least one pair.", pairs=pairs)
        )
    checked = []
    for pair in pairs:
        a, b, weight = pair if len(pair) == 3 else (*pair, 1.0)
        for name in (a, b):
            if name not in modalities:
                raise ValueError(
                    message(
                        "A pair must name two of the task's modalities "
                        f"{tuple(modalities)}.",
                        pair=(a, b),
                    )
                )
        check_positive(weight=weight)
        checked.append((a, b, float(weight)))
    return checked
