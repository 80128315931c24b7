import re
import warnings

import pytest

import keras_imp
from keras_imp.data import Shape
from tests.data.shapes.test_token_budget import plan, small_encoder


@pytest.fixture(scope="module")
def encoder():
    return small_encoder(max_sequence_length=16)


def rows(found):
    return {axis: list(map(int, own)) for axis, own in found.items()}


# docs/method.md, Positions, through a plan: what each size reaches in tables
# of (16, 32, 32).
@pytest.mark.parametrize(
    ("name", "size", "frames", "height"),
    [
        ("image", (256, 256), [0], list(range(0, 32, 2))),
        ("video", (16, 128, 128), [0, 4, 8, 12], list(range(0, 32, 4))),
        (
            "video",
            (32, 224, 224),
            list(range(0, 16, 2)),
            [0, 2, 4, 6, 9, 11, 13, 16, 18, 20, 22, 25, 27, 29],
        ),
        (
            "image",
            (192, 192),
            [0],
            [0, 2, 5, 8, 10, 13, 16, 18, 21, 24, 26, 29],
        ),
        ("image", (112, 112), [0], [0, 4, 9, 13, 18, 22, 27]),
        ("video", (64, 512, 512), list(range(16)), list(range(32))),
    ],
)
def test_rows_of_each_size_are_those_of_imp(
    encoder, name, size, frames, height
):
    found = plan(encoder, Shape(image=(32, 32))).rows_reached(name, size)
    assert rows(found) == {"frames": frames, "height": height, "width": height}


def test_image_and_video_train_one_table(encoder):
    found = plan(
        encoder, Shape(image=(64, 32)), Shape(video=(16, 32, 32)), Shape(text=3)
    )
    trained = {
        "frames": [0, 4, 8, 12],
        "height": [0, 8, 16, 24],
        "width": [0, 16],
    }
    for name in ("image", "video"):
        assert rows(found.trained_rows(name)) == trained
    assert rows(found.trained_rows("text")) == {"length": [0, 1, 2]}
    assert found.trained_rows("audio") == {}


def test_a_size_with_untrained_rows_warns(encoder):
    found = plan(encoder, Shape(image=(64, 64)), Shape(text=7))
    assert found.untrained_rows("image", (96, 64)) == {
        "height": [5, 10, 21, 26]
    }
    text = (
        "The input 'image' uses position rows that no shape of the plan "
        "trains: height 5, 10, 21, 26. Received: image=(96, 64). Add its size "
        "to the plan, or set interpolate_positions=True."
    )
    with pytest.warns(UserWarning, match=f"^{re.escape(text)}$"):
        found.check_sizes(image=(96, 64), text=5)
    text = (
        "The input 'text' uses position rows that no shape of the plan trains: "
        "length 7-8. Received: text=(9,). Add its size to the plan, or set "
        "interpolate_positions=True."
    )
    with pytest.warns(UserWarning, match=f"^{re.escape(text)}$"):
        found.check_sizes(text=9)


def test_a_modality_without_any_shape_warns_too(encoder):
    found = plan(encoder, Shape(image=(64, 64)))
    assert found.untrained_rows("audio", (32, 32)) == {
        "frames": [0, 32],
        "bins": [0, 4],
    }


def test_a_size_within_the_trained_rows_does_not_warn(encoder):
    found = plan(encoder, Shape(image=(64, 64)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found.check_sizes(image=(32, 64))


def test_interpolation_trains_the_rows_between():
    encoder = small_encoder(("image",), interpolate_positions=True)
    found = plan(encoder, Shape(image=(112, 64)))
    # 32 / 7 = 4.57: each place but the first also takes a share of the next.
    height = [0, 4, 5, 9, 10, 13, 14, 18, 19, 22, 23, 27, 28]
    assert rows(found.trained_rows("image"))["height"] == height


def test_graphs_are_counted_once_for_each_task_and_shape(encoder):
    shapes = [
        Shape(image=(32, 32)),
        Shape(image=(64, 64)),
        # The same arrays on the device: 8 of 16 and of 32 patches.
        Shape(image=(64, 64), drop={"image": 0.5}),
        Shape(image=(128, 64), drop={"image": 0.75}),
        # The same batch size and tokens, but another array.
        Shape(image=(64, 32)),
    ]
    budget = keras_imp.TokenBudget(tokens_per_batch=64)
    found = budget.plan(encoder, {"a": shapes, "b": shapes[:2]})
    assert found.num_graphs == 4 + 2


def test_a_plan_is_a_mapping_of_tasks(encoder):
    found = plan(encoder, Shape(text=7), Shape(text=3, weight=3))
    assert list(found) == ["clips"]
    assert len(found) == 1
    assert [one.share for one in found["clips"]] == [0.25, 0.75]
    # 585 x 7 and 1365 x 3 tokens.
    assert found.examples_per_step("clips") == 0.25 * 585 + 0.75 * 1365
    one, other = found["clips"]
    assert found.flops_per_step("clips") == pytest.approx(
        0.25 * one.flops_per_step + 0.75 * other.flops_per_step
    )


def test_a_plan_prints_as_a_table_with_its_rows(encoder):
    budget = keras_imp.TokenBudget(tokens_per_batch=4096)
    shapes = {
        "objects": [Shape(image=(64, 64)), Shape(image=(128, 128), weight=3)],
        "clips": [Shape(video=(16, 64, 64), text=12, drop={"video": 0.75})],
    }
    assert str(budget.plan(encoder, shapes)) == EXPECTED


EXPECTED = """\
task     shape                    tokens        drop  kept  batch  tokens/step  GFLOPs  share
-------  -----------------------  ------  ----------  ----  -----  -----------  ------  -----
objects  image 64x64                  16           -    16    256        4,096    0.01   25 %
objects  image 128x128                64           -    64     64        4,096    0.01   75 %
clips    video 16x64x64, text 12      76  video 0.75    28    146        4,088    0.01  100 %
3 graphs to compile.
Position rows of image 64x64: frames 0; height 0, 8, 16, 24; width 0, 8, 16, 24.
Position rows of image 128x128: frames 0; height 0, 4, ..., 28; width 0, 4, ..., 28.
Position rows of video 16x64x64: frames 0, 4, 8, 12; height 0, 8, 16, 24; width 0, 8, 16, 24.
Rows that no image or video reaches: frames 1-3, 5-7, 9-11, 13-15; height 24 rows of 1-31; width 24 rows of 1-31.
Position rows of text 12: length 0-11.
Rows that no text reaches: length 12-15."""  # noqa: E501


def test_a_task_that_the_plan_lacks_is_named(encoder):
    found = plan(encoder, Shape(text=8), task="objects")
    text = "The plan has the tasks ('objects',). Received: task='object'."
    with pytest.raises(KeyError, match=re.escape(text)):
        found["object"]
    assert "object" not in found
    assert found.get("object") is None
