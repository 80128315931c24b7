"""Narrow models to export, and an encoder of one's own."""

import keras

import keras_imp

SIZES = {
    "hidden_dim": 8,
    "intermediate_dim": 16,
    "num_layers": 2,
    "num_heads": 2,
    "vocabulary_size": 31,
    "patch_size": (2, 8, 8),
    "audio_patch_size": (4, 8),
    "waveform_patch_size": 32,
    "max_sequence_length": 24,
    "log_mel": {
        "sampling_rate": 8000,
        "frame_length": 128,
        "frame_step": 64,
        "num_mel_bins": 16,
    },
}
EXPERTS = {"num_experts": 3, "num_moe_layers": 1}
KINDS = {"dense": {}, "sparse": EXPERTS}
MODALITIES = ("image", "video", "audio", "waveform", "text")
# Modality and shape of an example, by what a test calls the input.
INPUTS = {
    "image": ("image", (16, 24, 3)),
    "video": ("video", (4, 16, 16, 3)),
    "spectrogram": ("audio", (16, 16)),
    "audio": ("audio", (1024,)),
    "waveform": ("waveform", (128,)),
    "text": ("text", (9,)),
}


def make_encoder(kind="dense", modalities=MODALITIES, **arguments):
    return keras_imp.IMPEncoder(
        modalities=modalities, **{**SIZES, **KINDS[kind], **arguments}
    )


def make_model(kind="dense", **arguments):
    """A model of image and text with a task of each kind."""
    encoder = make_encoder(kind, ("image", "text"), **arguments)
    tasks = keras_imp.tasks
    return keras_imp.AlternatingModel(
        encoder,
        [
            tasks.Contrastive("captions", projection_dim=6),
            tasks.Classification("objects", "image", num_classes=3),
            tasks.Combined(
                "both",
                [
                    tasks.Regression("height", "image", num_outputs=2),
                    tasks.Classification("colors", "image", num_classes=4),
                ],
            ),
            tasks.MaskedModeling("words", "text", mask_id=30),
            NeedsBoth("pairs"),
        ],
    )


@keras.saving.register_keras_serializable(package="tests_exporting")
class NeedsBoth(keras_imp.tasks.Task):
    """A task that cannot be called with one modality."""

    modalities = ("image", "text")

    def call(self, inputs, encoder=None, training=None):
        features = self.encode(encoder, inputs, training)
        return features["image"]["pooled_output"]

    def compute_loss(self, x, y, y_pred, sample_weight=None):
        return keras.ops.mean(y_pred)


@keras.saving.register_keras_serializable(package="tests_exporting")
class OwnEncoder(keras.Layer):
    """An encoder that is no `IMPEncoder`: it is exported as it is."""

    def __init__(self, inside, **kwargs):
        super().__init__(**kwargs)
        if isinstance(inside, dict):
            inside = keras.saving.deserialize_keras_object(inside)
        self.inside = inside
        self.built = True

    @property
    def modalities(self):
        return self.inside.modalities

    @property
    def hidden_dim(self):
        return self.inside.hidden_dim

    def call(self, inputs, training=None):
        return self.inside(inputs, training=training)

    def compute_output_spec(self, inputs, training=None):
        return self.inside.compute_output_spec(inputs)

    def get_config(self):
        inside = keras.saving.serialize_keras_object(self.inside)
        return {**super().get_config(), "inside": inside}
