"""A model as a program that knows neither batch nor length, of each backend."""

import keras
import numpy as np


def exported(model, name, example, most, folder):
    """Export a functional model of one input of shape `(batch, length)`.

    Args:
        model: A functional model of a dict with one input.
        name: The input.
        example: Values for it.
        most: Greatest length.
        folder: Where to write.

    Returns:
        A function from an array to an array, which runs what was read back.
    """
    by_backend = {
        "jax": _stable_hlo,
        "tensorflow": _saved_model,
        "torch": _torch_program,
    }
    return by_backend[keras.config.backend()](
        model, name, example, most, folder
    )


def _stable_hlo(model, name, example, most, folder):
    import jax

    weights = (
        [v.value for v in model.trainable_variables],
        [v.value for v in model.non_trainable_variables],
    )

    def run(x):
        return model.stateless_call(*weights, {name: x}, training=False)[0]

    shape = jax.export.symbolic_shape("batch, length")
    spec = jax.ShapeDtypeStruct(shape, example.dtype)
    file = folder / "model.stablehlo"
    file.write_bytes(jax.export.export(jax.jit(run))(spec).serialize())
    program = jax.export.deserialize(file.read_bytes())
    return lambda x: np.asarray(program.call(x))


def _saved_model(model, name, example, most, folder):
    import tensorflow as tf

    model.export(folder / "model", verbose=False)
    program = tf.saved_model.load(folder / "model")
    return lambda x: program.serve({name: tf.constant(x)}).numpy()


def _torch_program(model, name, example, most, folder):
    import torch

    class Module(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, x):
            return self.model({name: x}, training=False)

    sizes = {
        0: torch.export.Dim("batch", min=1, max=64),
        1: torch.export.Dim("length", min=2, max=most),
    }
    program = torch.export.export(
        Module(), (torch.tensor(example),), dynamic_shapes=(sizes,)
    )
    torch.export.save(program, folder / "model.pt2")
    program = torch.export.load(folder / "model.pt2").module()
    return lambda x: program(torch.tensor(x)).detach().numpy()
