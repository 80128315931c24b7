"""What objects say of themselves: what they are, not where they lie."""

import re

import keras
import numpy as np
import pytest

import keras_imp
from keras_imp import callbacks, data, models, optimizers, schedules, tasks
from keras_imp._repr import shown
from tests.helpers.encoders import small_encoder

pytestmark = pytest.mark.one_backend

ARRAYS = (
    "Arrays(x={'image': <uint8 (8, 6, 10, 3)>}, y=<int64 (8,)>, "
    "batch_size=2, shuffle=False, drop_last=False)"
)


def arrays(**options):
    return data.Arrays(
        {"image": np.zeros((8, 6, 10, 3), "uint8")},
        np.zeros(8, "int64"),
        batch_size=2,
        shuffle=False,
        **options,
    )


def plan():
    return keras_imp.TokenBudget(tokens_per_batch=64).plan(
        small_encoder(("image",)), {"objects": [data.Shape(image=(6, 10))]}
    )


def modality():
    return models.Modality("depth", ("height", "width"), make_embedder=arrays)


SAID = {
    "task": (
        lambda: tasks.Classification("objects", "image", 3),
        "Classification(name='objects', modality='image', num_classes=3)",
    ),
    "task of parts": (
        lambda: tasks.Combined("both", [tasks.Regression("price", "image")]),
        "Combined(name='both', tasks=[Regression(name='price', "
        "modality='image')])",
    ),
    "arrays": (arrays, ARRAYS),
    "mixture": (
        lambda: keras_imp.TaskMixture(
            {"objects": arrays()}, schedules.RoundRobin(), steps_per_epoch=3
        ),
        f"TaskMixture(sources={{'objects': {ARRAYS}}}, "
        "schedule=RoundRobin(), steps_per_epoch=3)",
    ),
    "mixture of lists": (
        lambda: keras_imp.TaskMixture({"objects": [arrays()[0]]}),
        "TaskMixture(sources={'objects': [({'image': <uint8 (2, 6, 10, 3)>}, "
        "<int64 (2,)>)]}, schedule=Weighted())",
    ),
    "schedule": (
        lambda: schedules.LossDriven(every=10),
        "LossDriven(every=10)",
    ),
    "curriculum": (
        lambda: schedules.Curriculum({0: {"objects": 1.0}}),
        "Curriculum(weights={0: {'objects': 1.0}})",
    ),
    "rate": (
        lambda: optimizers.CosineWithWarmup(0.1, 10, warmup_steps=2),
        "CosineWithWarmup(peak=0.1, total_steps=10, warmup_steps=2)",
    ),
    "modality": (
        modality,
        "Modality(name='depth', axes=('height', 'width'), "
        "make_embedder=arrays, embedder='depth')",
    ),
    "routed layer": (
        lambda: (
            small_encoder(
                ("image",), num_experts=2, num_moe_layers=1
            ).body.feed_forward
        ),
        re.compile(r"MoESpec\(ExpertChoiceMoE\(num_experts=2, .*\)\)"),
    ),
    "budget": (
        lambda: keras_imp.TokenBudget(tokens_per_batch=64),
        "TokenBudget(tokens_per_batch=64, batch_multiple=1)",
    ),
    "plan": (
        plan,
        "Plan(objects=(PlannedShape(task='objects', shape=Shape(image=(6, "
        "10)), batch_size=16, share=1.0),))",
    ),
    "tokenizer": (
        lambda: data.Tokenizer.train(["cat"], 40, length=4),
        re.compile(r"Tokenizer\(vocabulary_size=\d+, length=4\)"),
    ),
    "callback": (
        lambda: callbacks.RoutingLogger(),
        "RoutingLogger()",
    ),
}


@pytest.mark.parametrize("name", SAID)
def test_an_object_says_what_it_is(name):
    make, expected = SAID[name]
    said = repr(make())
    assert " at 0x" not in said
    if isinstance(expected, str):
        assert said == expected
    else:
        assert expected.fullmatch(said)


def test_what_is_long_is_shortened():
    assert shown(list(range(9))) == "[0, 1, 2, 3, ...]"
    assert shown({i: i for i in range(5)}) == "{0: 0, 1: 1, 2: 2, 3: 3, ...}"
    assert len(shown("word " * 99)) == 60
    assert shown((1,)) == "(1,)"


def test_what_users_get_back_has_a_public_name():
    assert models.LoadReport.__name__ == "LoadReport"
    assert isinstance(plan(), data.Plan)
    assert isinstance(plan()["objects"][0], data.PlannedShape)
    loss = tasks.contrastive_loss(keras.ops.zeros((2, 1, 2, 1)))
    assert isinstance(loss, tasks.PairLoss)
    assert {"LoadReport"} <= set(dir(models))
    assert {"Plan", "PlannedShape"} <= set(dir(data))
