"""Keras' optimizers by rank or by norm, and the stacks of an encoder."""

import re
import warnings

import keras
import pytest

import keras_imp
from tests.helpers import models
from tests.helpers.bad_batches import exactly

optimizers = keras.optimizers


@pytest.fixture(scope="module")
def make():
    def make(num_layers):
        encoder = keras_imp.IMPEncoder(
            8, 16, num_layers, 2, modalities=("image",)
        )
        return keras_imp.AlternatingModel(
            encoder, [keras_imp.tasks.Classification("objects", "image", 3)]
        )

    made = {num_layers: make(num_layers) for num_layers in (1, 2)}
    return made.__getitem__


def by_path(optimizer):
    return optimizers.MultiOptimizer(
        optimizers.OptimizerMap(optimizers.AdamW(), {".*kernel": optimizer})
    )


@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize(
    "optimizer",
    [
        lambda: "muon",
        optimizers.Muon,
        lambda: optimizers.LossScaleOptimizer(optimizers.Muon()),
        lambda: by_path(optimizers.Muon()),
    ],
    ids=["by name", "itself", "scaled", "for kernels alone"],
)
def test_muon_which_leaves_stacked_kernels_to_adam_is_refused(
    make, num_layers, optimizer
):
    model = make(num_layers)
    kernel = next(
        v for v in model.encoder.body.stacks[0].stacked if len(v.shape) > 2
    )
    text = (
        "keras.optimizers.Muon trains 2-D weights only, and all others by "
        "Adam: the kernels of an encoder, which are stacked over its layers, "
        "would be Adam's, and its tables Muon's. Received: "
        f"weight={kernel.path!r}, shape={tuple(kernel.shape)!r}. Use "
        "keras_imp.optimizers.Muon, for which each layer is a matrix."
    )
    with exactly(ValueError, text):
        model.compile(optimizer())


def test_muon_trains_an_encoder_whose_kernels_are_not_stacked():
    model = models.make_model(
        models.one_task, optimizer=optimizers.Muon(), **models.few_steps()
    )
    mixture = models.in_turn(models.data_of("objects"), steps_per_epoch=1)
    model.fit(mixture, verbose=0)
    kernel = model.encoder.shared.kernel
    index = model.optimizer._get_variable_index(kernel)
    assert model.optimizer.adam_velocities[index] is None


@pytest.mark.parametrize(
    ("optimizer", "what"),
    [
        (optimizers.Lamb, ["Lamb"]),
        (optimizers.Adafactor, ["Adafactor"]),
        (lambda: optimizers.SGD(clipnorm=0.5), ["clipnorm=0.5"]),
        (lambda: optimizers.Lamb(clipnorm=0.5), ["Lamb", "clipnorm=0.5"]),
    ],
    ids=["Lamb", "Adafactor", "clipnorm", "both"],
)
def test_one_norm_for_all_layers_of_a_stack_is_warned_of(make, optimizer, what):
    text = (
        "An encoder keeps all layers of a stack in one weight: what an "
        "optimizer does by the norm of a weight, it does by one norm for all "
        f"of these layers. Received: optimizer={what!r}. Use "
        "keras_imp.optimizers.AdamW, or clip by `global_clipnorm`."
    )
    with pytest.warns(UserWarning, match=f"^{re.escape(text)}$"):
        make(2).compile(optimizer())


@pytest.mark.parametrize(
    ("num_layers", "optimizer"),
    [
        (1, optimizers.Lamb),
        (2, lambda: optimizers.AdamW(global_clipnorm=1.0)),
        (2, keras_imp.optimizers.AdamW),
        (2, keras_imp.optimizers.Muon),
        (2, optimizers.Lion),
    ],
    ids=["one layer", "global norm", "own", "own Muon", "by element"],
)
def test_what_treats_layers_one_by_one_is_taken_without_a_word(
    make, num_layers, optimizer
):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make(num_layers).compile(optimizer())
