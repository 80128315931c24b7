"""What tasks with one linear layer on one modality's vector share."""

import keras
from keras import ops

from keras_imp.layers.dense import TokenDense
from keras_imp.models.protocols import Encoder
from keras_imp.tasks._inputs import input_of
from keras_imp.tasks.task import Task
from keras_imp.typing import Tensor


class LinearTask(Task):
    """A linear layer on the pooled vector of one modality, in float32.

    Args:
        name: Name of the task.
        modality: Which input to look at.
        units: Numbers that the layer gives for an example.
        loss_weight: Factor of the task's loss.
        **kwargs: Arguments of `Task`, such as `drop_tokens`, and of
            `keras.layers.Layer`, such as `dtype`.

    Call arguments:
        inputs: A dict with the modality.
        encoder: The shared encoder (keyword).
        training: Whether the encoder trains.

    Returns:
        float32, shape `(batch, units)`.
    """

    def __init__(
        self,
        name: str,
        modality: str,
        units: int,
        loss_weight: float = 1.0,
        **kwargs,
    ):
        super().__init__(name=name, loss_weight=loss_weight, **kwargs)
        self.modality = modality
        # Result and loss in float32 whatever the encoder computes in.
        self.head = TokenDense(
            units,
            kernel_initializer="lecun_normal",
            dtype="float32",
            name="head",
        )

    @property
    def modalities(self) -> tuple[str, ...]:
        return (self.modality,)

    def build(self, pooled_shape):
        self.head.build(tuple(pooled_shape[self.modality]))

    def call(
        self,
        inputs: dict[str, Tensor],
        encoder: Encoder | None = None,
        training: bool | None = None,
    ) -> Tensor:
        values = input_of(self.name, self.modality, inputs)
        inputs = {self.modality: values}
        features = self.encode(encoder, inputs, training)
        pooled = features[self.modality]["pooled_output"]
        return self.head(ops.cast(pooled, "float32"))

    # Keras calls it by the argument of `build` too, for `summary`.
    def compute_output_shape(self, pooled_shape):
        batch = pooled_shape[self.modality][0]
        return (batch, self.head.units)

    def compute_output_spec(self, inputs, *args, **kwargs):
        # Keras would announce the compute dtype of the policy.
        batch = inputs[self.modality].shape[0]
        return keras.KerasTensor((batch, self.head.units), dtype="float32")
