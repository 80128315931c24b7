"""Several shapes for each task, and dropped tokens, through `fit`."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_imp
from keras_imp.data import Arrays, ResizedArrays, Shape, drop_tokens
from keras_imp.training.input.task_mixture import signature
from tests.helpers import models
from tests.helpers.gradients import gradients
from tests.helpers.weights import to_numpy
from tests.training.test_alternating_model import compiling

ROWS = 24
SHAPES = {
    "objects": [
        Shape(image=(8, 8)),
        Shape(image=(16, 8)),
        Shape(image=(16, 16), drop={"image": 0.5}),
    ],
    "clips": [
        Shape(video=(2, 8, 8), text=3),
        Shape(video=(4, 8, 8), text=5),
        Shape(video=(4, 16, 16), text=5, drop={"video": 0.75}),
    ],
}


def make_encoder():
    return keras_imp.IMPEncoder(
        8,
        16,
        1,
        2,
        modalities=("image", "video", "text"),
        vocabulary_size=11,
        patch_size=(2, 4, 4),
        scan_layers=False,  # One layer compiles faster without a loop.
    )


def make_tasks():
    return [
        keras_imp.tasks.Classification("objects", "image", 3),
        keras_imp.tasks.Contrastive(
            "clips", ("video", "text"), projection_dim=8
        ),
    ]


def make_model(
    tasks=make_tasks,
    seed=1,
    optimizer=None,
    **options,
):
    keras.utils.set_random_seed(seed)
    model = keras_imp.AlternatingModel(make_encoder(), tasks())
    # Fewer operations to compile than AdamW, and a state to resume too.
    optimizer = optimizer or keras.optimizers.SGD(0.1, momentum=0.9)
    model.compile(optimizer, jit_compile=models.default_jit(), **options)
    return model


def pictures():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, ROWS)
    images = (
        rng.integers(0, 64, (ROWS, 16, 16, 3))
        + 60 * labels[:, None, None, None]
    )
    return {"image": images.astype("uint8")}, labels


def clips():
    rng = np.random.default_rng(1)
    return {
        "video": rng.integers(0, 256, (ROWS, 4, 16, 16, 3), "uint8"),
        "text": rng.integers(1, 11, (ROWS, 5)),
    }


def make_plan(encoder):
    return keras_imp.TokenBudget(tokens_per_batch=40).plan(encoder, SHAPES)


def make_mixture(plan, seed=0, **options):
    x, y = pictures()
    return models.in_turn(
        {
            "objects": ResizedArrays(
                x, y, shapes=plan["objects"], seed=seed, **options
            ),
            "clips": ResizedArrays(
                clips(), shapes=plan["clips"], seed=seed, **options
            ),
        },
        steps_per_epoch=6,
    )


@pytest.fixture(scope="module")
def trained():
    """A model after twelve epochs, its history, and the traces by epoch.

    Two tasks in turn and three shapes in a deck: six steps meet all of them.
    """
    model = make_model(optimizer=keras.optimizers.AdamW(1e-2))
    traces = models.note_traces(model)
    plan, traced = make_plan(model.encoder), []
    count = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: traced.append(
            [(b.task.name, signature(b.arrays)) for b in traces]
        )
    )
    history = model.fit(
        make_mixture(plan), epochs=12, callbacks=[count], verbose=0
    ).history
    return model, history, traced


@compiling
def test_each_task_and_shape_compiles_once_and_no_more(trained):
    model, _, traced = trained
    graphs = make_plan(model.encoder).num_graphs
    assert [len(found) for found in traced] == [graphs] * 12 == [6] * 12
    assert len(set(traced[-1])) == 6
    tasks = [task for task, _ in traced[-1]]
    assert sorted(tasks) == ["clips"] * 3 + ["objects"] * 3


def test_losses_fall_over_all_shapes(trained):
    _, history, _ = trained
    for name in ("objects", "clips"):
        losses = history[f"{name}/loss"]
        assert np.mean(losses[-3:]) < np.mean(losses[:3])


def test_a_mixture_goes_on_in_the_middle_of_a_cycle():
    plan = make_plan(make_encoder())
    whole = make_mixture(plan, seed=4)
    whole.steps_per_epoch = 20
    rest = make_mixture(plan, seed=4)
    rest.steps_per_epoch = 13
    for expected, found in zip(list(whole)[7:], rest.items(7), strict=True):
        keras.tree.map_structure(np.testing.assert_array_equal, found, expected)


def test_cut_inputs_are_predicted_and_evaluated():
    model = make_model()
    x, y = pictures()
    plan = make_plan(model.encoder)
    generator = np.random.default_rng(0)
    cut = drop_tokens(
        x, {"image": 0.5}, plan["objects"][0].patchings, generator
    )
    logits = model.predict(cut, task="objects", batch_size=7, verbose=0)
    expected = model({"objects": cut}, training=False)
    np.testing.assert_allclose(logits, to_numpy(expected), atol=1e-5)
    found = model.evaluate(
        keras_imp.TaskMixture.sequential(
            {"objects": [(cut, y, np.ones(ROWS))]}
        ),
        verbose=0,
    )
    hits = (logits.argmax(1) == y).mean()
    assert found["objects/accuracy"] == pytest.approx(hits)


def test_cut_inputs_go_through_in_parts():
    x, y = pictures()
    generator = np.random.default_rng(0)
    cut = drop_tokens(x, {"image": 0.5}, make_encoder().patchings, generator)
    found = []
    for microbatches in (1, 2):
        model = make_model(
            lambda parts_of=microbatches: [
                keras_imp.tasks.Classification(
                    "objects", "image", 3, microbatches=parts_of
                )
            ]
        )
        mixture = keras_imp.TaskMixture({"objects": [(cut, y)]})
        model.fit(mixture, steps_per_epoch=1, verbose=0)
        found.append(models.values(model.trainable_variables))
    for path, value in found[0].items():
        np.testing.assert_allclose(
            found[1][path], value, atol=1e-5, err_msg=path
        )


@pytest.mark.parametrize("name", ["image", "video"])
def test_dropping_on_the_host_has_the_gradients_of_dropping_in_the_model(name):
    """One frame and several; also through the sum of the kernel over time."""
    encoder = make_encoder()
    rng = np.random.default_rng(2)
    whole = {**pictures()[0], **clips()}[name][:5]
    tokens = encoder.num_tokens(name, whole.shape)
    kept = np.sort(rng.random((5, tokens)).argsort(1)[:, : tokens // 2], 1)
    direction = ops.convert_to_tensor(
        rng.normal(size=(5, tokens // 2, 8)).astype("float32")
    )

    def loss(inputs, **options):
        features = encoder({name: inputs}, **options)[name]
        return ops.sum(features["sequence_output"] * direction)

    cut = encoder.patchings[name].cut(whole, kept)
    variables = encoder.trainable_variables
    in_model = gradients(lambda: loss(whole, kept={name: kept}), variables)
    on_host = gradients(lambda: loss(cut), variables)
    for variable, first, second in zip(variables, in_model, on_host):
        np.testing.assert_allclose(
            second, first, rtol=1e-5, atol=2e-5, err_msg=variable.path
        )
    embedder = encoder.embedders["vision"]
    for layer in (embedder.tokens, embedder.positions):
        for variable in layer.trainable_variables:
            found = in_model[[v is variable for v in variables].index(True)]
            assert abs(found).max() > 0, variable.path


# In the model ---------------------------------------------------------------


def dropping(seed=1):
    def tasks():
        rates = {"image": 0.5}
        return [
            keras_imp.tasks.Classification(
                "objects", "image", 3, drop_tokens=rates
            )
        ]

    return make_model(tasks, seed=seed, **models.few_steps())


def tokens_seen(model, training):
    """Tokens of a picture that the encoder's blocks get."""
    seen, call = [], model.encoder.body.call

    def noted(tokens, **options):
        seen.append(tokens.shape[1])
        return call(tokens, **options)

    model.encoder.body.call = noted
    model({"objects": pictures()[0]}, training=training)
    model.encoder.body.call = call
    return seen


def test_a_task_trains_on_fewer_tokens_and_predicts_on_all():
    model = dropping()
    # 4 x 4 patches, half of them.
    assert tokens_seen(model, training=True) == [8]
    assert tokens_seen(model, training=False) == [16]


def test_a_run_that_drops_tokens_resumes_exactly(tmp_path):
    def fit(model, epochs, **options):
        source = Arrays(*pictures(), batch_size=8)
        mixture = models.in_turn({"objects": source}, steps_per_epoch=4)
        model.fit(mixture, epochs=epochs, verbose=0, **options)

    whole = dropping()
    fit(whole, epochs=2)
    for seed, epochs in ((1, 1), (77, 2)):
        resumed = dropping(seed)
        backup = keras.callbacks.BackupAndRestore(
            tmp_path, delete_checkpoint=False
        )
        fit(resumed, epochs=epochs, callbacks=[backup])
    models.assert_same(models.state(resumed), models.state(whole))


def test_a_saved_model_drops_the_same_tokens_on(tmp_path):
    source, inputs = dropping(), {"objects": pictures()[0]}
    model = keras_imp.AlternatingModel.from_config(source.get_config())
    model(inputs, training=True)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.tasks["objects"].drop_tokens == {"image": 0.5}
    first, again, other = (
        to_numpy(one(inputs, training=True)) for one in (model, loaded, model)
    )
    np.testing.assert_allclose(again, first, atol=1e-6)
    assert abs(other - first).max() > 1e-3
