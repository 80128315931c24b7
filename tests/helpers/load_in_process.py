"""Load all that another process saved, having imported and touched no more.

`python -m tests.helpers.load_in_process FOLDER keras|keras_imp`: what
to import first. Writes what the loaded objects give to `FOLDER/found-*.npz`.

`save` writes such a folder in the process that calls it.
"""

import copy
import importlib
import json
import pathlib
import sys

import numpy as np

INPUTS = {
    "image": np.linspace(-1, 1, 192, dtype="float32").reshape(4, 4, 4, 3),
    "text": np.arange(1, 13, dtype="int32").reshape(4, 3) % 11,
}

TEXTS = ["a red heart", "a red apple", "moving to the left"]


def make_objects():
    """What a file can name beside models, by the module that loads it."""
    import keras

    import keras_imp

    rate = keras_imp.optimizers.CosineWithWarmup(0.5, 10, warmup_steps=2)
    mean = keras.metrics.Mean()
    return {
        "optimizers": keras_imp.optimizers.AdamW(rate, weight_decay=0.25),
        "layers": keras_imp.layers.FeedForward(8),
        "metrics": keras_imp.tasks.TaskMetric(mean, name="objects/mean"),
    }


def make_model():
    import keras

    import keras_imp

    encoder = keras_imp.IMPEncoder(
        hidden_dim=8,
        intermediate_dim=8,
        num_layers=2,
        num_heads=2,
        modalities=("image", "text"),
        vocabulary_size=11,
        patch_size=(1, 2, 2),
        position_buckets=(1, 2, 2),
        max_sequence_length=3,
        num_experts=2,
        num_moe_layers=1,
    )
    model = keras_imp.AlternatingModel(
        encoder, [keras_imp.tasks.Classification("objects", "image", 3)]
    )
    optimizer = keras_imp.optimizers.Muon(
        keras_imp.optimizers.CosineWithWarmup(1e-2, 4, warmup_steps=1)
    )
    model.compile(optimizer, jit_compile=keras.config.backend() == "jax")
    return model


def fit(model, epochs, backup=None):
    import keras_imp

    batch = ({"image": INPUTS["image"]}, np.array([0, 1, 2, 0]))
    model.fit(
        keras_imp.TaskMixture({"objects": [batch]}),
        epochs=epochs,
        steps_per_epoch=2,
        verbose=0,
        callbacks=[keras_imp.callbacks.Backup(backup)] if backup else [],
    )


def save(folder):
    """One epoch is saved; what a second one gives is returned."""
    import keras

    import keras_imp

    model = make_model()
    fit(model, 1, folder / "backup")
    model.save(folder / "model.keras")
    model.save_weights(folder / "model.weights.h5")
    model.encoder.save_to_preset(str(folder / "preset"))
    tokenizer = keras_imp.data.Tokenizer.train(TEXTS, 60, length=4)
    tokenizer.save(folder / "preset" / "tokenizer.json")
    configs = {
        kind: keras.saving.serialize_keras_object(value)
        for kind, value in make_objects().items()
    }
    (folder / "configs.json").write_text(json.dumps(configs))
    expected = {
        "predicted": predict(model),
        "ids": tokenizer(TEXTS),
        **encode(model.encoder),
    }
    fit(model, 2, folder / "backup")
    return {**expected, "resumed": predict(model)}


def predict(model):
    return model.predict({"image": INPUTS["image"]}, verbose=0)


def encode(encoder):
    import keras

    return {
        name: keras.ops.convert_to_numpy(parts["pooled_output"])
        for name, parts in encoder(INPUTS).items()
    }


def load(folder, first):
    for name in (first, "keras", "keras_imp"):
        importlib.import_module(name)
    import keras

    configs = json.loads((folder / "configs.json").read_text("utf-8"))
    objects = {
        # Keras changes what it is given.
        kind: getattr(keras, kind).deserialize(copy.deepcopy(config))
        for kind, config in configs.items()
    }
    again = {
        kind: keras.saving.serialize_keras_object(value)
        for kind, value in objects.items()
    }
    assert again == configs, (again, configs)
    model = keras.models.load_model(folder / "model.keras")
    found = {"model": {"predicted": predict(model), **encode(model.encoder)}}
    # An optimizer goes on where it was, its rate and its averages too.
    fit(model, 2)
    found["trained"] = {"resumed": predict(model)}
    import keras_hub

    import keras_imp

    for backbone in (keras_hub.models.Backbone, keras_imp.IMPEncoder):
        encoder = backbone.from_preset(str(folder / "preset"))
        assert isinstance(encoder, keras_hub.models.Backbone)
        found[f"preset of {backbone.__name__}"] = encode(encoder)
    path = folder / "preset" / "tokenizer.json"
    found["tokenizer"] = {"ids": keras_imp.data.Tokenizer.load(path)(TEXTS)}
    model = make_model()
    model.load_weights(folder / "model.weights.h5")
    found["weights"] = {"predicted": predict(model), **encode(model.encoder)}
    model = make_model()
    fit(model, 2, folder / f"backup-{first}")
    found["backup"] = {"resumed": predict(model)}
    arrays = {
        f"{what}/{name}": value
        for what, values in found.items()
        for name, value in values.items()
    }
    np.savez(folder / f"found-{first}.npz", **arrays)


if __name__ == "__main__":
    load(pathlib.Path(sys.argv[1]), sys.argv[2])
