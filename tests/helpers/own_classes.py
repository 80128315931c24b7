"""Models of a user's own classes, and a process that lacks these.

`python -m tests.helpers.own_classes FOLDER` loads what `save` wrote without
the classes, prints what it is told, and loads with them.
"""

import json
import pathlib
import sys
import textwrap

import numpy as np

# A module of a user's, which the process that saves has imported.
OWN = """
import dataclasses

import keras

import keras_imp
from keras_imp.models.modalities import modality_of

register = keras.saving.register_keras_serializable(package="mine")


@register
class Turns(keras_imp.tasks.Classification):
    pass


@register
class Small(keras.layers.Layer):
    hidden_dim = 4

    def __init__(self, units=4, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.dense = keras.layers.Dense(units)
        self.dense.build((None, 3))
        self.built = True

    def call(self, inputs, training=None):
        pooled = keras.ops.mean(inputs["image"], axis=(1, 2))
        return {"image": {"pooled_output": self.dense(pooled)}}


thermal = keras_imp.models.register_modality(
    dataclasses.replace(modality_of("image"), name="thermal"))
"""
IMAGES = np.linspace(-1, 1, 96, dtype="float32").reshape(2, 4, 4, 3)


def models():
    """Models by what is a user's own in them."""
    import own_classes as own

    import keras_imp

    tasks = keras_imp.tasks

    def encoder(*modalities):
        return keras_imp.IMPEncoder(
            4, 4, 1, 1, modalities=modalities, patch_size=(1, 2, 2)
        )

    parts = [own.Turns("kind", "image", 3), tasks.Regression("price", "image")]
    return {
        name: keras_imp.AlternatingModel(*arguments)
        for name, arguments in {
            "task": (encoder("image"), [own.Turns("turns", "image", 3)]),
            "part": (encoder("image"), [tasks.Combined("both", parts)]),
            "encoder": (own.Small(), [tasks.Regression("price", "image")]),
            "modality": (
                encoder("thermal"),
                [tasks.Regression("heat", "thermal")],
            ),
        }.items()
    }


def predict(model):
    (name,) = next(iter(model.tasks.values())).modalities
    return model.predict({name: IMAGES}, verbose=0)


def save(folder):
    """Write the module and the models; return what they predict."""
    (folder / "own_classes.py").write_text(textwrap.dedent(OWN))
    sys.path.insert(0, str(folder))
    try:
        made = models()
    finally:
        sys.path.remove(str(folder))
        sys.modules.pop("own_classes", None)
    for name, model in made.items():
        model.save(folder / f"{name}.keras")
    return {name: predict(model) for name, model in made.items()}


def load(folder):
    import keras

    import keras_imp  # noqa: F401

    files = sorted(folder.glob("*.keras"))
    said = {}
    for file in files:
        try:
            keras.models.load_model(file)
        except Exception as error:
            said[file.stem] = [
                type(error).__name__,
                str(error),
                type(error.__cause__).__name__,
            ]
    sys.path.insert(0, str(folder))
    import own_classes  # noqa: F401

    loaded = {file.stem: keras.models.load_model(file) for file in files}
    found = {
        name: {
            key: np.asarray(value).tolist()
            for key, value in _named(predict(model)).items()
        }
        for name, model in loaded.items()
    }
    (folder / "found.json").write_text(
        json.dumps({"said": said, "predicted": found})
    )


def _named(predicted):
    return predicted if isinstance(predicted, dict) else {"": predicted}


if __name__ == "__main__":
    load(pathlib.Path(sys.argv[1]))
