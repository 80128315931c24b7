import re

import pytest

import keras_imp
from keras_imp.data import Shape
from keras_imp.data.shapes.token_budget import forward_flops

# docs/method.md, Multi-resolution and DropToken: (frames, size, share
# dropped), tokens, examples at 2 ** 21 tokens.
IMP_BUDGET = [
    ((4, 128, 0), 64, 32_768),
    ((16, 128, 0), 256, 8192),
    ((16, 256, 0.75), 256, 8192),
    ((16, 256, 0.5), 512, 4096),
    ((16, 256, 0), 1024, 2048),
    ((32, 256, 0.75), 512, 4096),
    ((4, 512, 0), 1024, 2048),
    ((64, 512, 0), 16_384, 128),
]
# docs/method.md, Multi-resolution and DropToken: GFLOPs of a sequence of 16,
# 64, 256 and 1024 tokens.
IMP_GFLOPS = {
    "small": ((384, 1536, 12), ("0.68", "2.79", "12.08", "62.8")),
    "base": ((768, 3072, 12), ("2.73", "11.02", "45.9", "212.6")),
    "large": ((1024, 4096, 24), ("9.69", "39.1", "161.1", "721.6")),
}


def small_encoder(modalities=("image", "video", "audio", "text"), **options):
    """Patches of 4 x 16 x 16 and the tables of docs/method.md."""
    return keras_imp.IMPEncoder(
        8, 16, 1, 2, modalities=modalities, vocabulary_size=11, **options
    )


@pytest.fixture(scope="module")
def encoder():
    return small_encoder()


def plan(encoder, *shapes, task="clips", **budget):
    budget = budget or {"tokens_per_batch": 4096}
    return keras_imp.TokenBudget(**budget).plan(encoder, {task: list(shapes)})


@pytest.mark.parametrize(("choice", "tokens", "batch"), IMP_BUDGET)
def test_batch_sizes_are_those_of_imp(encoder, choice, tokens, batch):
    frames, size, rate = choice
    shape = Shape(video=(frames, size, size), drop={"video": rate})
    (one,) = plan(encoder, shape, tokens_per_batch=2**21)["clips"]
    assert (one.kept_tokens, one.batch_size) == (tokens, batch)
    assert one.tokens_per_step == 2**21


@pytest.mark.parametrize("size", IMP_GFLOPS)
def test_operations_are_those_of_imp(size):
    (width, hidden, layers), expected = IMP_GFLOPS[size]
    for tokens, text in zip((16, 64, 256, 1024), expected):
        found = forward_flops(tokens, width, hidden, layers) / 1e9
        assert f"{found:.{len(text.split('.')[1])}f}" == text


def test_equal_operations_give_fewer_examples_of_long_sequences():
    encoder = small_encoder(("video",))
    short, long = (
        Shape(video=(4, 128, 128)),  # 64 tokens
        Shape(video=(16, 256, 256)),  # 1024 tokens
    )
    # At width 8 attention is most of the work: T (8 * 64 + 4 * 8 * 16 + 32 T).
    one, other = plan(encoder, short, long, flops_per_batch=1e9)["clips"]
    assert one.flops_per_example == 64 * (1024 + 32 * 64)
    assert other.flops_per_example == 1024 * (1024 + 32 * 1024)
    assert one.batch_size == int(1e9 // one.flops_per_example) == 5086
    assert other.batch_size == int(1e9 // other.flops_per_example) == 28


def test_a_step_never_costs_more_than_the_budget(encoder):
    shapes = [
        Shape(image=(size, size), text=(captions, 7))
        for size in (32, 64, 112)
        for captions in (1, 3)
    ]
    for budget in ({"tokens_per_batch": 1000}, {"flops_per_batch": 3e6}):
        for one in plan(encoder, *shapes, **budget)["clips"]:
            ((unit, amount),) = budget.items()
            tokens = unit == "tokens_per_batch"
            cost = one.tokens_per_step if tokens else one.flops_per_step
            example = one.kept_tokens if tokens else one.flops_per_example
            assert amount - example < cost <= amount


def test_all_modalities_and_captions_count(encoder):
    shape = Shape(image=(64, 32), text=(3, 5), drop={"image": 0.5})
    (one,) = plan(encoder, shape)["clips"]
    # 4 x 2 patches, half of them, and three captions of 5 tokens.
    assert (one.full_tokens, one.kept_tokens) == (8 + 15, 4 + 15)
    each = forward_flops(4, 8, 16, 1) + 3 * forward_flops(5, 8, 16, 1)
    assert one.flops_per_example == each


def test_the_learned_token_of_a_pooling_is_work_too():
    (one,) = plan(small_encoder(pooling="token"), Shape(text=7))["clips"]
    assert one.kept_tokens == 7
    assert one.flops_per_example == forward_flops(8, 8, 16, 1)


@pytest.mark.parametrize(("multiple", "batch"), [(1, 13), (4, 12), (8, 8)])
def test_batch_sizes_are_multiples(encoder, multiple, batch):
    budget = {"tokens_per_batch": 100, "batch_multiple": multiple}
    (one,) = plan(encoder, Shape(text=7), **budget)["clips"]
    # 14 fit: 98 of 100 tokens.
    assert one.batch_size == (14 if multiple == 1 else batch)


def test_tasks_may_have_budgets_of_their_own(encoder):
    budget = keras_imp.TokenBudget(tokens_per_batch={"a": 70, "b": 14})
    found = budget.plan(encoder, {"a": [Shape(text=7)], "b": [Shape(text=7)]})
    assert [found[task][0].batch_size for task in found] == [10, 2]


# Errors ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            {},
            "Exactly one of `tokens_per_batch` and `flops_per_batch` must be "
            "given. Received: tokens_per_batch=None, flops_per_batch=None.",
        ),
        (
            {"tokens_per_batch": 1, "flops_per_batch": 2},
            "Exactly one of `tokens_per_batch` and `flops_per_batch` must be "
            "given. Received: tokens_per_batch=1, flops_per_batch=2.",
        ),
        (
            {"tokens_per_batch": 0},
            "`tokens_per_batch` must be greater than 0. Received: "
            "tokens_per_batch=0.",
        ),
        (
            {"flops_per_batch": {"a": 1.0, "b": -1.0}},
            "`flops_per_batch` must be greater than 0. Received: "
            "flops_per_batch=-1.0.",
        ),
        (
            {"tokens_per_batch": 8, "batch_multiple": 0},
            "`batch_multiple` must be greater than 0. Received: "
            "batch_multiple=0.",
        ),
    ],
)
def test_a_bad_budget_is_refused(arguments, text):
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        keras_imp.TokenBudget(**arguments)


def test_a_budget_below_one_batch_tells_the_smallest(encoder):
    text = (
        "`tokens_per_batch` must hold at least 2 example(s) of every shape of "
        "task 'clips'. Received: tokens_per_batch=100, "
        "shape=Shape(video=(8, 128, 128)). The smallest budget is 256; or drop "
        "more tokens, or take a smaller size."
    )
    shapes = [Shape(video=(4, size, size)) for size in (64, 112)]
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        plan(
            encoder,
            *shapes,
            Shape(video=(8, 128, 128)),
            tokens_per_batch=100,
            batch_multiple=2,
        )
    found = plan(
        encoder,
        *shapes,
        Shape(video=(8, 128, 128)),
        tokens_per_batch=256,
        batch_multiple=2,
    )
    assert found["clips"][-1].batch_size == 2


def test_the_smallest_budget_of_operations(encoder):
    least = forward_flops(7, 8, 16, 1)
    text = (
        "`flops_per_batch` must hold at least 1 example(s) of every shape of "
        "task 'clips'. Received: flops_per_batch=10.0, shape=Shape(text=(7,)). "
        f"The smallest budget is {least}; or drop more tokens, or take a "
        "smaller size."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        plan(encoder, Shape(text=7), flops_per_batch=10.0)


def test_a_task_without_shapes_is_refused(encoder):
    text = "Each task must have a shape. Received: task='clips'."
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        plan(encoder)


def test_a_task_without_a_budget_is_refused(encoder):
    text = (
        "`tokens_per_batch` must have an entry for each task. Received: "
        "task='clips', tasks=['a']."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        plan(encoder, Shape(text=7), tokens_per_batch={"a": 7})


def test_a_size_that_does_not_fit_the_encoder_is_refused(encoder):
    text = "`width` must be a multiple of the patch of 16. Received: width=40."
    with pytest.raises(ValueError, match=f"^{re.escape(text)}"):
        plan(encoder, Shape(image=(32, 40)))
    text = "A modality must be one of ('text',). Received: modality='image'."
    with pytest.raises(ValueError, match=f"^{re.escape(text)}"):
        plan(small_encoder(("text",)), Shape(image=(32, 32)))
