"""Modalities of a user, added from outside of the package."""

import dataclasses
import functools
import re

import keras
import numpy as np
import pytest

import keras_imp
from keras_imp.data import ResizedArrays, Shape, drop_tokens
from keras_imp.models import (
    Modality,
    patch_embedder,
    register_modality,
    token_embedder,
)
from keras_imp.models.modalities import BUILT_IN, MODALITIES, modality_of
from keras_imp.models.weight_places import place_of
from tests.helpers.encoders import small_encoder
from tests.helpers.modalities import restored_registry
from tests.helpers.weights import assert_near, copy_weights, to_numpy

# Patches of 4 x 4: the depth maps below have 2 x 3 of them.
SIZE = (8, 12)


def depth_embedder(options):
    return patch_embedder(
        options,
        patch_size=(4, 4),
        buckets=(8, 8),
        axis_names=("height", "width"),
    )


def halve(values, size, generator):
    assert size == (4, 8)
    return values[:, ::2][:, :4, :8]


def positive(values):
    if (values <= 0).any():
        raise ValueError("Depth must be positive.")


def depth(**changes):
    fields = {
        "name": "depth",
        "axes": ("height", "width"),
        "make_embedder": depth_embedder,
        "resize": halve,
        "check_values": positive,
    }
    return Modality(**{**fields, **changes})


def dna():
    """Another kind of token ids."""
    return Modality(
        name="dna",
        axes=("length",),
        make_embedder=functools.partial(
            token_embedder, vocabulary_size=6, max_length=9
        ),
        token_ids=True,
    )


@pytest.fixture(scope="module", autouse=True)
def registered():
    with restored_registry():
        register_modality(depth())
        register_modality(dna())
        yield


@pytest.fixture(scope="module")
def encoder(registered):
    return small_encoder(("image", "depth", "dna", "text"), pooling="token")


@pytest.fixture
def maps(rng):
    return rng.uniform(1, 2, (6, *SIZE)).astype("float32")


def test_its_inputs_become_tokens(encoder, maps):
    found = encoder({"depth": maps})["depth"]
    assert tuple(found["sequence_output"].shape) == (6, 6, 10)
    assert encoder.num_tokens("depth", (None, *SIZE)) == 6
    symbol = encoder({"depth": keras.Input(SIZE)})["depth"]
    assert symbol["sequence_output"].shape == (None, 6, 10)


def test_its_embedder_has_its_name_and_its_own_weights(encoder):
    assert list(encoder.embedders) == ["vision", "depth", "dna", "text"]
    embedder = encoder.embedder_of("depth")
    assert embedder.tokens.patch_size == (4, 4)
    assert embedder.name == "depth"
    place = place_of(embedder.trainable_variables[0])
    assert (place.depths, place.top, place.modalities) == ((0,), 3, ("depth",))
    assert place_of(encoder.first_tokens["depth"]) == place


def test_a_record_is_as_good_as_its_name(maps):
    keras.utils.set_random_seed(3)
    by_name = small_encoder(("depth",))
    by_record = small_encoder((modality_of("depth"),))
    assert by_record.get_config()["modalities"] == ("depth",)
    copy_weights(by_name, by_record)
    assert_near(
        by_record({"depth": maps})["depth"]["pooled_output"],
        to_numpy(by_name({"depth": maps})["depth"]["pooled_output"]),
        0,
    )


def test_the_config_of_an_encoder_names_it(encoder):
    copy = keras_imp.IMPEncoder.from_config(encoder.get_config())
    assert copy.modalities == ("image", "depth", "dna", "text")
    assert [v.shape for v in copy.weights] == [v.shape for v in encoder.weights]


def test_a_modality_may_share_the_embedder_of_another(rng):
    with restored_registry():
        thermal = dataclasses.replace(modality_of("image"), name="thermal")
        register_modality(thermal)
        encoder = small_encoder(("image", "thermal"))
        assert list(encoder.embedders) == ["vision"]
        image = rng.normal(size=(2, 6, 10, 3)).astype("float32")
        found = encoder({"image": image, "thermal": image})
    assert_near(
        found["thermal"]["pooled_output"],
        to_numpy(found["image"]["pooled_output"]),
        0,
    )
    place = place_of(encoder.embedders["vision"].trainable_variables[0])
    assert place.modalities == ("image", "thermal")


def test_its_values_are_checked_on_the_host(encoder, maps):
    encoder.check_inputs({"depth": maps})
    maps[3, 2, 1] = 0
    with pytest.raises(
        ValueError, match=r"^Input 'depth': Depth must be positive\.$"
    ):
        encoder.check_inputs({"depth": maps})
    with pytest.raises(ValueError, match="must be in \\[0, 6\\)"):
        encoder.check_inputs({"dna": np.array([[6]])})


def test_its_shape_is_checked(encoder):
    text = (
        "The input 'depth' must have shape (batch, height, width). Received: "
        "shape=(2, 8, 12, 1)."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        encoder.check_inputs({"depth": np.ones((2, *SIZE, 1))})


def test_it_has_shapes_budgets_sizes_and_dropped_tokens(encoder, maps):
    plan = keras_imp.TokenBudget(tokens_per_batch=12).plan(
        encoder,
        {
            "views": [
                Shape(depth=SIZE, drop={"depth": 0.5}),
                Shape(depth=(4, 8)),
            ]
        },
    )
    assert [one.batch_size for one in plan["views"]] == [4, 6]
    assert plan.rows_reached("depth", (4, 8))["width"].tolist() == [0, 4]
    assert plan.untrained_rows("depth", (16, 8)) == {"height": [2, 6]}
    data = ResizedArrays({"depth": maps}, shapes=plan["views"])
    batches = [data.batch_at(i)[0]["depth"] for i in range(2)]
    cut, small = sorted(batches, key=lambda x: not isinstance(x, dict))
    assert cut["patches"].shape == (4, 3, 16)
    assert cut["positions"].shape == (4, 3, 2)
    assert small.shape == (6, 4, 8)
    for batch in (cut, small):
        found = encoder({"depth": batch})["depth"]
        assert np.isfinite(to_numpy(found["pooled_output"])).all()


def test_dropping_on_the_host_equals_dropping_in_the_model(encoder, maps):
    rates = {"depth": 0.5}
    cut = drop_tokens(
        {"depth": maps}, rates, encoder.patchings, np.random.default_rng(1)
    )
    rows = cut["depth"]["positions"]  # 2 x 3 patches on tables of 8 rows.
    kept = rows[..., 0] // 4 * 3 + -(-rows[..., 1] * 3 // 8)
    assert_near(
        encoder(cut)["depth"]["pooled_output"],
        to_numpy(
            encoder({"depth": maps}, kept={"depth": kept})["depth"][
                "pooled_output"
            ]
        ),
        1e-5,
    )


def test_a_size_without_a_resize_must_be_that_of_the_data(maps):
    text = (
        "The size of 'depth' must be that of the data: this modality has no "
        "`resize`. Received: asked=(4, 8), stored=(8, 12). Give its `Modality` "
        "a function `resize`, or resize the data before."
    )
    plain = depth(resize=None)
    plain.check_size(maps.shape, SIZE)
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        plain.check_size(maps.shape, (4, 8))


def test_every_task_and_optimizer_takes_it(rng, maps):
    encoder = small_encoder(("image", "depth", "dna"))
    tasks = keras_imp.tasks
    model = keras_imp.AlternatingModel(
        encoder,
        [
            tasks.Classification("names", "depth", 2),
            tasks.Regression("far", "depth", 1, drop_tokens={"depth": 0.5}),
            tasks.Contrastive("views", ("image", "depth"), projection_dim=4),
            tasks.MaskedModeling(
                "holes",
                "depth",
                decoder_dim=8,
                decoder_layers=1,
                decoder_heads=2,
            ),
            tasks.MaskedModeling("bases", "dna", mask_id=5),
        ],
    )
    model.compile(
        keras_imp.optimizers.AdamW(
            1e-2, layer_decay=0.5, frozen_modalities=("depth",)
        ),
        run_eagerly=keras.config.backend() == "tensorflow",
        jit_compile=keras.config.backend() == "jax",
    )
    image = rng.normal(size=(6, 6, 10, 3)).astype("float32")
    bases = rng.integers(1, 5, (6, 9))
    embedder = encoder.embedder_of("depth")
    before = [to_numpy(v.value) for v in embedder.weights]
    history = model.fit(
        keras_imp.TaskMixture(
            {
                "names": [({"depth": maps}, np.arange(6) % 2)],
                "far": [({"depth": maps}, maps[:, 0, :1])],
                "views": [({"depth": maps, "image": image},)],
                "holes": [({"depth": maps},)],
                "bases": [({"dna": bases},)],
            },
            schedule=keras_imp.schedules.RoundRobin(),
        ),
        steps_per_epoch=5,
        verbose=0,
    ).history
    for task in model.tasks:
        assert np.isfinite(history[f"{task}/loss"]).all(), task
    for old, variable in zip(before, embedder.weights):
        np.testing.assert_array_equal(old, to_numpy(variable.value))


# What is refused ------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (
            {"name": "depth map"},
            "`name` of a modality must be a Python identifier without "
            "\"_to_\", other than ('drop', 'weight'). Received: "
            "name='depth map'.",
        ),
        (
            {"name": "drop"},
            "`name` of a modality must be a Python identifier without "
            "\"_to_\", other than ('drop', 'weight'). Received: name='drop'.",
        ),
        (
            {"embedder": "from_to_x"},
            "`embedder` of a modality must be a Python identifier without "
            "\"_to_\", other than ('drop', 'weight'). Received: "
            "embedder='from_to_x'.",
        ),
        (
            {"axes": (3,)},
            "A modality must have at least one named axis. Received: "
            'name=\'depth\', axes=(3,). Use ("height", "width"), for example.',
        ),
        (
            {"keeps": ("bins",)},
            "`only_shrinks` and `keeps` must name axes of the modality, "
            "('height', 'width'). Received: name='depth', axis='bins'.",
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_bad_record_is_refused(changes, text):
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        depth(**changes)


@pytest.mark.parametrize("name", ["depth", "image"])
def test_a_name_that_is_taken_is_refused(name):
    text = (
        "A modality must not have the name of one that is registered. "
        f"Received: name={name!r}, replace=False. Choose another name, or "
        "replace one of your own with replace=True."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        register_modality(depth(name=name))
    assert MODALITIES["image"] is BUILT_IN["image"]


def test_one_of_the_package_is_never_replaced():
    with pytest.raises(ValueError, match="name='image', replace=True"):
        register_modality(depth(name="image"), replace=True)


def test_one_of_a_user_can_be_replaced(encoder, maps):
    with restored_registry():
        new = register_modality(depth(check_values=None), replace=True)
        assert small_encoder((new,)).modalities == ("depth",)
        small_encoder(("depth",)).check_inputs({"depth": -maps})
        with pytest.raises(ValueError, match="Depth must be positive"):
            encoder.check_inputs({"depth": -maps})


def test_a_shared_embedder_is_made_by_one_function():
    text = (
        "Modalities that share an embedder must have the same "
        "`make_embedder`, that of 'image' here. Received: name='infrared', "
        "embedder='vision'. Choose another name for the embedder."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        register_modality(depth(name="infrared", embedder="vision"))


def test_something_else_than_a_record_is_refused():
    text = (
        "`modality` must be a keras_imp.models.Modality. Received: type='str'."
    )
    with pytest.raises(TypeError, match=f"^{re.escape(text)}$"):
        register_modality("depth")


def test_a_record_that_is_not_registered_is_refused():
    text = (
        "A `Modality` must be registered before an encoder uses it: the "
        "encoder is saved with its name only. Received: modality='infrared'. "
        "Call keras_imp.models.register_modality where its module is imported."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        small_encoder(("image", depth(name="infrared")))


def test_what_makes_no_embedder_is_refused():
    text = (
        "`make_embedder` of a modality must return a keras_imp.models."
        "Embedder. Received: modality='infrared', returned='Dense'. Use "
        "models.patch_embedder or models.token_embedder."
    )
    with restored_registry():
        register_modality(
            depth(
                name="infrared",
                make_embedder=lambda options: keras.layers.Dense(
                    options.hidden_dim
                ),
            )
        )
        with pytest.raises(TypeError, match=f"^{re.escape(text)}$"):
            small_encoder(("infrared",))
