"""Boxes and places: inside, spread as they should, functions of the draws."""

import re

import numpy as np
import pytest

from keras_imp.data.augment import Draws, crops

pytestmark = pytest.mark.one_backend

MANY = 5000
SIGMAS = 5.0


def assert_inside(boxes, height, width):
    assert np.all(boxes[:, :2] >= 0)
    assert np.all(boxes[:, 2:] > 0)
    ends = boxes[:, :2] + boxes[:, 2:]
    assert np.all(ends <= np.stack([height, width], -1) + 1e-9)


@pytest.mark.parametrize("size", [(60, 80), (500, 40), (1, 1), (3, 4000)])
def test_inception_boxes_are_inside_with_areas_and_shapes_of_their_range(size):
    boxes = crops.inception_boxes(*size, Draws(0, 0, MANY))
    assert boxes.shape == (MANY, 4)
    assert_inside(boxes, *size)
    areas = boxes[:, 2] * boxes[:, 3] / np.prod(size)
    shapes = boxes[:, 3] / boxes[:, 2]
    is_whole = np.all(boxes == (0, 0, *size), axis=1)
    assert np.all((areas >= 0.5 - 1e-9) | is_whole)
    assert np.all(((shapes >= 0.5) & (shapes <= 2)) | is_whole)


def test_an_image_that_no_box_fits_is_taken_whole():
    boxes = crops.inception_boxes(3, 4000, Draws(0, 0, 20))
    assert np.all(boxes == (0, 0, 3, 4000))


def test_boxes_are_everywhere():
    boxes = crops.inception_boxes(100, 100, Draws(0, 0, MANY))
    room = 100 - boxes[:, 2:]
    place = (boxes[:, :2] / np.maximum(room, 1e-9))[room.min(axis=1) > 1]
    # Uniform in [0, 1): mean 1/2, standard deviation 1/sqrt(12).
    limit = SIGMAS / np.sqrt(12 * len(place))
    assert np.all(np.abs(place.mean(axis=0) - 0.5) < limit)
    shapes = boxes[:, 3] / boxes[:, 2]
    assert 0.3 < np.mean(shapes < 1) < 0.7


@pytest.mark.parametrize(
    "draw",
    [
        lambda h, w, d: crops.inception_boxes(h, w, d),
        lambda h, w, d: crops.random_boxes(h, w, (32, 48), d),
    ],
    ids=["inception", "random"],
)
def test_a_row_gets_its_box_alone_and_among_others(draw):
    heights, widths = np.array([60, 90, 70]), np.array([80, 50, 70])
    rows = [5, 900, 2]
    together = draw(heights, widths, Draws(0, 3, rows))
    assert_inside(together, heights, widths)
    for i, row in enumerate(rows):
        alone = draw(heights[i], widths[i], Draws(0, 3, [row]))
        np.testing.assert_array_equal(alone[0], together[i])
    assert len(np.unique(together, axis=0)) == 3
    others = draw(heights, widths, Draws(0, 4, rows))
    assert np.any(together != others, axis=1).all()


@pytest.mark.parametrize(
    ("size", "expected"), [(128, 144), (224, 256), (256, 288), (512, 584)]
)
def test_the_short_side_of_a_test(size, expected):
    assert crops.short_side(size) == expected


def test_the_short_side_is_never_below_the_crop():
    sides = [crops.short_side(n) for n in (1, 7, 10, 16, 32)]
    assert sides == [1, 8, 10, 16, 32]


def test_the_center_box_is_the_crop_of_the_scaled_image():
    # 512 / 256 = 2: 224 of the result are 448 pixels, in the middle.
    assert crops.center_box(512, 1024, (224, 224)).tolist() == [
        32,
        288,
        448,
        448,
    ]
    # The largest square.
    assert crops.center_box(60, 80, (32, 32), short=32).tolist() == [
        0,
        10,
        60,
        60,
    ]
    # The largest box of half the height of its width.
    assert crops.center_box(60, 80, (16, 32), short=16).tolist() == [
        10,
        0,
        40,
        80,
    ]


def test_views_go_from_one_end_of_the_longer_side_to_the_other():
    wide = crops.view_boxes(60, 100, (32, 32), 3, short=32)
    assert wide.tolist() == [[0, 0, 60, 60], [0, 20, 60, 60], [0, 40, 60, 60]]
    tall = crops.view_boxes(100, 60, (32, 32), 2, short=32)
    assert tall.tolist() == [[0, 0, 60, 60], [40, 0, 60, 60]]
    one = crops.view_boxes(100, 60, (32, 32), 1, short=32)
    assert one.tolist() == [
        crops.center_box(100, 60, (32, 32), short=32).tolist()
    ]


def test_random_boxes_have_the_size_of_the_center_box():
    boxes = crops.random_boxes(300, 400, (64, 64), Draws(0, 0, MANY))
    center = crops.center_box(300, 400, (64, 64))
    np.testing.assert_allclose(boxes[:, 2:], np.tile(center[2:], (MANY, 1)))
    assert_inside(boxes, 300, 400)
    spread = boxes[:, :2].std(axis=0)
    room = np.array((300, 400)) - center[2:]
    np.testing.assert_allclose(spread, room / np.sqrt(12), rtol=0.05)


def test_all_modalities_of_an_example_have_one_place():
    draws = Draws(0, 5, [3, 1])
    video = crops.places(draws.within("video", "0"))
    assert np.all(video == crops.places(draws.within("audio", "0")))
    assert np.all(video != crops.places(Draws(0, 6, [3, 1])))
    assert np.all((video >= 0) & (video < 1))


def test_places_of_views():
    assert crops.place_of_views(1).tolist() == [0.5]
    assert crops.place_of_views(2).tolist() == [0.0, 1.0]
    assert crops.place_of_views(5).tolist() == [0.0, 0.25, 0.5, 0.75, 1.0]


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (
            lambda: crops.inception_boxes(0, 9, Draws(0, 0, 2)),
            "`height` and `width` must be at least 1, a number or one for each "
            "row of `draws`. Received: height=0.0, width=9.0, rows=2.",
        ),
        (
            lambda: crops.inception_boxes([9, 9, 9], 9, Draws(0, 0, 2)),
            "`height` and `width` must be at least 1, a number or one for each "
            "row of `draws`. Received: height=[9.0, 9.0, 9.0], width=9.0, "
            "rows=2.",
        ),
        (
            lambda: crops.inception_boxes(
                9, 9, Draws(0, 0, 2), area=(0.9, 0.5)
            ),
            "`area` must be two numbers above 0, the lower one first. "
            "Received: area=(0.9, 0.5).",
        ),
        (
            lambda: crops.inception_boxes(
                9, 9, Draws(0, 0, 2), area=(0.5, 2.0)
            ),
            "`area` must be a number of at least 0.0 and at most 1.0. "
            "Received: area=2.0.",
        ),
        (
            lambda: crops.center_box(9, 9, (32, 32), short=31),
            "`short` must not be below `size`. Received: short=31, "
            "size=(32, 32).",
        ),
        (
            lambda: crops.view_boxes(9, 9, (32, 32), 0),
            "`views` must be an integer of at least 1. Received: views=0.",
        ),
    ],
    ids=["height", "rows", "order", "area", "short", "views"],
)
def test_bad_arguments(call, text):
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        call()
