"""What an encoder does before and after keras-hub, and a backbone of it, came.

`python -m tests.helpers.with_keras_hub FOLDER STAGE...` goes through the stages
in their order: `alone`, `keras-hub` (it is imported), `functional` (one of its
backbones is made). After each, a new encoder and all that were made before do
everything that an encoder can. What they gave is printed as one line of JSON.
"""

import importlib
import json
import pathlib
import sys

import keras
import numpy as np

import keras_imp

INPUTS = {"text": np.array([[1, 2, 3], [4, 5, 0]], dtype="int32")}
HEAVY = ("keras_hub", "tensorflow", "torch", "jax")


def make_encoder(dtype=None):
    encoder = keras_imp.IMPEncoder(
        hidden_dim=4,
        intermediate_dim=4,
        num_layers=1,
        num_heads=1,
        modalities=("text",),
        vocabulary_size=6,
        max_sequence_length=3,
        pooling="token",
        dtype=dtype,
        name="encoder",
    )
    # Not by `keras.utils.set_random_seed`, which imports TensorFlow.
    rng = np.random.default_rng(0)
    encoder.set_weights([rng.normal(size=v.shape) for v in encoder.weights])
    return encoder


def numbers(features):
    parts = features["text"]
    values = keras.ops.convert_to_numpy(parts["pooled_output"])
    return values.tolist()


def everything(encoder, folder, has_keras_hub):
    """What the encoder gives in every way of using it."""
    outputs = {"call": encoder(INPUTS)}
    outputs["predict"] = encoder.predict(INPUTS, verbose=0)
    outputs["predict again"] = encoder.predict(INPUTS, verbose=0)
    encoder.save(folder / "encoder.keras")
    loaded = keras.models.load_model(folder / "encoder.keras")
    outputs["load_model"] = loaded(INPUTS)
    copy = type(encoder).from_config(encoder.get_config())
    copy.set_weights(encoder.get_weights())
    outputs["from_config"] = copy(INPUTS)
    if has_keras_hub:
        import keras_hub

        assert isinstance(encoder, keras_hub.models.Backbone)
        assert issubclass(keras_imp.IMPEncoder, keras_hub.models.Backbone)
        encoder.save_to_preset(str(folder / "preset"))
        for cls in (keras_hub.models.Backbone, keras_imp.IMPEncoder):
            found = cls.from_preset(str(folder / "preset"))
            assert type(found) is keras_imp.IMPEncoder
            outputs[f"{cls.__name__}.from_preset"] = found(INPUTS)
    named = keras_imp.IMPEncoder.from_preset(
        "imp_tiny", modalities=("text",), vocabulary_size=6, num_layers=1
    )
    named.predict(INPUTS, verbose=0)
    half = make_encoder("mixed_bfloat16")
    return {
        "outputs": {name: numbers(found) for name, found in outputs.items()},
        "config": encoder.get_config(),
        "config of half": half.get_config(),
        "dtype of half": str(half(INPUTS)["text"]["pooled_output"].dtype),
        "weights": [v.path for v in encoder.weights],
        "layers": [layer.name for layer in encoder.layers],
        "bases": [
            cls.__name__
            for cls in type(encoder).__mro__
            if not cls.__module__.startswith("keras_hub")
        ],
    }


def loaded():
    return [name for name in HEAVY if name in sys.modules]


def begin(stage):
    if stage != "alone":
        keras_hub = importlib.import_module("keras_hub")
    if stage == "functional":
        keras_hub.models.BertBackbone(
            vocabulary_size=6,
            num_layers=1,
            num_heads=1,
            hidden_dim=2,
            intermediate_dim=2,
            max_sequence_length=3,
        )
        assert keras.Function in keras_hub.models.Backbone.__mro__


def main(folder, stages):
    encoders, found = {}, {"loaded by Keras": loaded()}
    for stage in stages:
        begin(stage)
        encoders[stage] = make_encoder()
        encoders[stage](INPUTS)
        found[f"loaded {stage}"] = loaded()
        for made, encoder in encoders.items():
            found[f"made {made}, used {stage}"] = everything(
                encoder, folder, "keras_hub" in sys.modules
            )
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), sys.argv[2:])
