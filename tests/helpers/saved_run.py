"""The run whose files version 0.1.0 (commit 06d0fbf) left in tests/files.

`KERAS_BACKEND=jax python -m tests.helpers.saved_run FOLDER` writes them. The
files in the repository must stay as that version wrote them: what a user
saved with it has to load for ever.
"""

import pathlib
import sys

import keras
import numpy as np

import keras_imp

FILES = pathlib.Path(__file__).parents[1] / "files" / "saved_by_0_1_0"


def make_encoder():
    return keras_imp.IMPEncoder(
        hidden_dim=8,
        intermediate_dim=16,
        num_layers=2,
        num_heads=2,
        modalities=("image", "video", "audio", "text"),
        vocabulary_size=12,
        patch_size=(2, 4, 4),
        audio_patch_size=(4, 4),
        position_buckets=(4, 4, 4),
        audio_position_buckets=(4, 4),
        max_sequence_length=7,
        num_experts=2,
        num_moe_layers=1,
    )


def make_model(encoder=None):
    """Five tasks of four kinds; two heads have one shape."""
    tasks = keras_imp.tasks
    model = keras_imp.AlternatingModel(
        encoder or make_encoder(),
        [
            tasks.Classification("objects", "image", 3),
            tasks.Contrastive("captions", ("image", "text"), projection_dim=8),
            tasks.Classification("sounds", "audio", 3),
            tasks.MaskedModeling("words", "text", mask_id=11),
            tasks.Regression("speed", "video", 1),
        ],
    )
    model.compile(keras_imp.optimizers.AdamW(1e-3))
    return model


def make_data():
    """Two equal batches of each task, and inputs of each modality."""
    rng = np.random.default_rng(0)
    text = rng.integers(1, 11, (4, 5)).astype("int32")
    labels = np.array([0, 1, 2, 0])
    data = {
        "objects": [({"image": _images(rng)}, labels)] * 2,
        "captions": [({"image": _images(rng), "text": text},)] * 2,
        "sounds": [({"audio": _normal(rng, (4, 8, 8))}, labels)] * 2,
        "words": [({"text": text},)] * 2,
        "speed": [({"video": _video(rng)}, _normal(rng, (4, 1)))] * 2,
    }
    inputs = {
        "image": _images(rng),
        "text": text,
        "audio": data["sounds"][0][0]["audio"],
        "video": data["speed"][0][0]["video"],
    }
    return data, inputs


def make_mixture(data):
    return keras_imp.TaskMixture(
        data, schedule=keras_imp.schedules.RoundRobin(), seed=3
    )


def outputs_of(model, inputs):
    """What encoder and heads return, by name."""
    if keras.config.backend() == "torch":
        model.jit_compile = False  # Tracing takes minutes there.
    features = model.encoder(inputs)
    outputs = {
        f"encoder_{name}": keras.ops.convert_to_numpy(found["pooled_output"])
        for name, found in features.items()
    }
    for task, names in (
        ("objects", ["image"]),
        ("sounds", ["audio"]),
        ("captions", ["image", "text"]),
    ):
        found = model.predict(
            {name: inputs[name] for name in names}, task=task, verbose=0
        )
        if isinstance(found, dict):
            outputs |= {f"{task}_{key}": v for key, v in found.items()}
        else:
            outputs[task] = found
    return outputs


def write(folder):
    keras.utils.set_random_seed(1)
    model = make_model()
    data, inputs = make_data()
    model.fit(
        make_mixture(data),
        steps_per_epoch=10,
        epochs=2,
        verbose=0,
        callbacks=[keras_imp.callbacks.Backup(folder / "backup", keep=1)],
    )
    model.save(folder / "model.keras")
    model.save_weights(folder / "model.weights.h5")
    model.encoder.save_to_preset(str(folder / "preset"))
    np.savez(folder / "inputs.npz", **inputs)
    outputs = outputs_of(model, inputs)
    more = model.fit(
        make_mixture(data), steps_per_epoch=10, epochs=3, initial_epoch=2
    )
    # The losses of a run that continues from the backup.
    outputs["loss_after"] = np.array(more.history["loss"])
    np.savez(folder / "outputs.npz", **outputs)


def _images(rng):
    return _normal(rng, (4, 8, 8, 3)).clip(-1, 1)


def _video(rng):
    return rng.uniform(-1, 1, (4, 4, 8, 8, 3)).astype("float32")


def _normal(rng, shape):
    return rng.standard_normal(shape).astype("float32")


if __name__ == "__main__":
    target = pathlib.Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    write(target)
