"""Mask a part of one modality's input and predict it from the rest."""

import math
from typing import Any

import keras

from keras_imp._errors import check_positive, check_rate, message
from keras_imp.models.modalities import modality_of
from keras_imp.models.protocols import Encoder, check_encoder
from keras_imp.tasks._inputs import input_of
from keras_imp.tasks.contrastive.captions import captions_as_examples
from keras_imp.tasks.masked.patches import MaskedPatches
from keras_imp.tasks.masked.tokens import MaskedTokens
from keras_imp.tasks.task import Task
from keras_imp.typing import Tensor

# The fraction to mask: BERT's and MAE's.
TEXT_RATE = 0.15
PATCH_RATE = 0.75
# One for each draw of a batch without training: the same mask every time.
EVALUATION_SEEDS = [20, 18, 10]


@keras.saving.register_keras_serializable(package="keras_imp")
class MaskedModeling(Task):
    """Learn from an input alone: mask a part of it and predict that part.

    Text, as in BERT: of each text, `mask_rate` of the tokens are chosen (at
    least one; no padding, no special ids). Of those, 80 % become `mask_id`,
    10 % a random word and 10 % stay; each is predicted by cross-entropy over
    the vocabulary, mean over the chosen tokens of the batch.

    Image, video, audio and waveform, as in MAE: of each example, a random
    `1 - mask_rate` of the patches go through the encoder, which never sees the
    others. A small decoder of this task gets its output, and one learned
    vector with a position for each hidden patch, and predicts the values of
    the hidden patches by squared error.

    What is hidden is drawn again in each training step; without training it
    depends on the shape of the batch only, so that two evaluations agree.

    Args:
        name: Name of the task.
        modality: Which input to mask a part of.
        mask_rate: Fraction to mask. Defaults to 0.15 for text and 0.75 for
            patches.
        mask_id: Text: id that replaces chosen tokens. Take one that no text
            has: the first that the tokenizer does not use, in an encoder with
            one more id than the tokenizer, or a sentinel of T5's vocabulary.
        special_ids: Text: ids that are neither chosen nor drawn as random
            words, such as those of "unknown" and "end".
        tied: Text: whether words are scored by the encoder's own token table,
            or by a dense layer of this task.
        decoder_dim: Patches: width of the decoder.
        decoder_layers: Patches: number of its blocks.
        decoder_heads: Patches: number of its heads; must divide `decoder_dim`.
        normalize_targets: Patches: whether each patch to predict is scaled to
            mean 0 and standard deviation 1. False: values as the encoder
            gets them.
        seed: Seed of the draws. Defaults to a random one.
        loss_weight: Factor of the task's loss.
        **kwargs: Arguments of `Task`, such as `microbatches`, and of
            `keras.layers.Layer`, such as `dtype`.

    Call arguments:
        inputs: A dict with the modality; text of shape `(batch, length)` or
            `(batch, captions, length)`.
        encoder: The shared encoder (keyword): an `IMPEncoder`, or one that has
            `embedder_of(modality)` and takes `kept`.
        training: Whether the encoder trains.

    Returns:
        For text a dict with `logits`, float32, shape `(batch, [captions,]
        chosen, vocabulary_size)`, `positions`, int32, and `chosen`, bool, both
        without the last axis: False marks a filler, in a text with fewer
        tokens to choose. Else a dict with `patches`, float32, shape `(batch,
        hidden, values)`, and `positions`, int32, shape `(batch, hidden)`.

    Batches:
        `(x,)`, or `(x, None, sample_weight)`.

    Metrics:
        `<task>/loss`, and for text `<task>/accuracy`: the fraction of the
        chosen tokens that are predicted right.

    Raises:
        ValueError: If an argument is out of range or missing, or the encoder
            cannot mask tokens.

    Example:
        >>> import keras_imp, numpy as np
        >>> encoder = keras_imp.IMPEncoder(8, 16, 1, 2, vocabulary_size=9,
        ...     modalities=("image", "text"), patch_size=(1, 4, 4))
        >>> model = keras_imp.AlternatingModel(encoder, [
        ...     keras_imp.tasks.MaskedModeling("words", "text", mask_id=8),
        ...     keras_imp.tasks.MaskedModeling(
        ...         "pixels", "image", decoder_dim=8, decoder_layers=1,
        ...         decoder_heads=2)])
        >>> image = np.zeros((2, 8, 8, 3), "uint8")
        >>> out = model.predict({"image": image}, task="pixels", verbose=0)
        >>> out["patches"].shape, out["positions"].shape
        ((2, 3, 48), (2, 3))

    Reference:
        [BERT](https://arxiv.org/abs/1810.04805), section 3.1;
        [MAE](https://arxiv.org/abs/2111.06377), section 3; docs/method.md,
        Tasks and losses.
    """

    def __init__(
        self,
        name: str,
        modality: str,
        mask_rate: float | None = None,
        mask_id: int | None = None,
        special_ids: tuple[int, ...] = (),
        tied: bool = True,
        decoder_dim: int = 512,
        decoder_layers: int = 8,
        decoder_heads: int = 16,
        normalize_targets: bool = True,
        seed: int | None = None,
        loss_weight: float = 1.0,
        **kwargs,
    ):
        super().__init__(name=name, loss_weight=loss_weight, **kwargs)
        if self.drop_tokens:
            raise ValueError(
                message(
                    "Masked modeling must get all tokens of an input: it masks "
                    "some itself.",
                    "Use `mask_rate` instead.",
                    drop_tokens=self.drop_tokens,
                )
            )
        is_text = modality_of(modality).token_ids
        if mask_rate is None:
            mask_rate = TEXT_RATE if is_text else PATCH_RATE
        check_positive(mask_rate=mask_rate)
        check_rate(mask_rate=mask_rate)
        self.modality = modality
        self.mask_rate = mask_rate
        self.seed_generator = keras.random.SeedGenerator(seed)
        common = {"dtype": self.dtype_policy, "name": "objective"}
        self.objective: MaskedTokens | MaskedPatches
        if is_text:
            self.objective = MaskedTokens(
                modality=modality,
                mask_rate=mask_rate,
                mask_id=_given(mask_id),
                special_ids=special_ids,
                tied=tied,
                **common,
            )
            self.accuracy_metric = self.track(
                keras.metrics.Mean(name="accuracy")
            )
        else:
            _refuse(mask_id=mask_id, special_ids=special_ids or None)
            self.objective = MaskedPatches(
                modality=modality,
                mask_rate=mask_rate,
                decoder_dim=decoder_dim,
                decoder_layers=decoder_layers,
                decoder_heads=decoder_heads,
                normalize_targets=normalize_targets,
                **common,
            )

    @property
    def modalities(self) -> tuple[str, ...]:
        return (self.modality,)

    def chance_loss(self, examples: int) -> float | None:
        """Of tokens ln(vocabulary), once the encoder is known."""
        del examples
        size = self.prepared.get("vocabulary_size")
        if isinstance(self.objective, MaskedTokens) and size:
            return math.log(size)
        return None

    def prepare(self, encoder: Encoder) -> None:
        checked = check_encoder(
            encoder,
            needs=("embedder_of", "kept"),
            purpose="Masked modeling",
        )
        self.objective.prepare(checked.embedder_of(self.modality))

    @property
    def prepared(self) -> dict[str, Any]:
        """What the objective took from the embedder."""
        return self.objective.prepared

    @prepared.setter
    def prepared(self, value: dict[str, Any]) -> None:
        self.objective.prepared = value

    @property
    def keeps_what_it_prepared(self) -> bool:
        return True

    def build(self, pooled_shape):
        self.objective.build(tuple(pooled_shape[self.modality]))

    def call(
        self,
        inputs: dict[str, Tensor],
        encoder: Encoder | None = None,
        training: bool | None = None,
    ) -> dict[str, Tensor]:
        seeds: list[Any] = EVALUATION_SEEDS
        if training:
            seeds = [self.seed_generator] * len(EVALUATION_SEEDS)
        return self.objective(
            input_of(self.name, self.modality, inputs),
            encoder=self.given(encoder),
            seeds=seeds,
            training=training,
        )

    def compute_output_spec(self, inputs, encoder=None, training=None):
        del encoder, training
        return self.objective.compute_output_spec(inputs[self.modality])

    def compute_loss(self, x, y, y_pred, sample_weight=None) -> Tensor:
        del y
        return self.objective.compute_loss(
            x[self.modality], y_pred, sample_weight
        )

    def update_metrics(self, x, y, y_pred, sample_weight=None) -> None:
        del y
        if isinstance(self.objective, MaskedTokens):
            self.objective.update_accuracy(
                self.accuracy_metric, x[self.modality], y_pred, sample_weight
            )

    def check_batch(self, x, y, sample_weight=None) -> None:
        del y, sample_weight
        self.objective.check(x[self.modality])

    def encoder_inputs(self, x):
        return captions_as_examples(x)


def _given(mask_id: int | None) -> int:
    """The mask id, which text must have."""
    if mask_id is None:
        raise ValueError(
            message(
                "`mask_id` must be given for text.",
                "Build the encoder with one id more than the tokenizer has, "
                "and use that one.",
                mask_id=None,
            )
        )
    return mask_id


def _refuse(**arguments: Any) -> None:
    """Raise if one of these, which only text takes, is given."""
    for name, value in arguments.items():
        if value is not None:
            raise ValueError(
                message(
                    f"`{name}` is for text only: patches are not replaced but "
                    "left out.",
                    **{name: value},
                )
            )
