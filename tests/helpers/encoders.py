"""A small encoder and inputs for it, for the tests of models."""

import keras_imp

SMALL = {
    "hidden_dim": 10,
    "intermediate_dim": 13,
    "num_layers": 2,
    "num_heads": 2,
    "vocabulary_size": 11,
    "patch_size": (2, 3, 5),
    "audio_patch_size": (3, 2),
    "waveform_patch_size": 7,
    "position_buckets": (5, 7, 11),
    "audio_position_buckets": (5, 3),
    "waveform_position_buckets": 13,
    "max_sequence_length": 17,
}
ALL = ("image", "video", "audio", "waveform", "text")
# Examples and tokens of `all_inputs`.
BATCH = 3
TOKENS = {"image": 4, "video": 8, "audio": 6, "waveform": 5, "text": 7}


def small_encoder(modalities=ALL, **arguments):
    return keras_imp.IMPEncoder(modalities=modalities, **{**SMALL, **arguments})


def all_inputs(rng):
    """Three examples of each modality; the texts have 5, 7 and 1 tokens."""
    text = rng.integers(1, 11, size=(BATCH, 7), dtype="int32")
    text[0, 5:] = 0
    text[2, 1:] = 0

    def normal(*shape):
        return rng.normal(size=(BATCH, *shape)).astype("float32")

    return {
        "image": normal(6, 10, 3),
        "video": normal(4, 6, 10, 3),
        "audio": normal(9, 4),
        "waveform": normal(35),
        "text": text,
    }
