import re

import pytest

from keras_imp.data import Shape

pytestmark = pytest.mark.one_backend

MODALITIES = "('image', 'video', 'audio', 'waveform', 'text')"


def test_a_shape_knows_its_sizes_and_sequences():
    shape = Shape(video=(8, 32, 48), text=(5, 12), waveform=256)
    assert shape.sizes == {
        "video": (8, 32, 48),
        "text": (5, 12),
        "waveform": (256,),
    }
    assert shape.size_of("text") == (12,)
    assert shape.sequences_of("text") == 5
    assert shape.sequences_of("video") == 1


def test_a_shape_shows_itself_as_it_was_written():
    shape = Shape(drop={"video": 0.5}, weight=2, video=(8, 32, 48), text=12)
    assert str(shape) == "video 8x32x48, text 12"
    assert repr(shape) == (
        "Shape(video=(8, 32, 48), text=(12,), drop={'video': 0.5}, weight=2)"
    )


def test_a_share_of_zero_is_no_drop():
    assert Shape(video=(8, 32, 48), drop={"video": 0}).drop == {}


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            {},
            "A shape must have the size of at least one modality. Received: "
            "sizes={}. Use Shape(image=(32, 32)), for example.",
        ),
        (
            {"touch": 3},
            f"A modality must be one of {MODALITIES}. Received: "
            "modality='touch'. Use one of these names. A modality of your own "
            "is known once the module that calls "
            "keras_imp.models.register_modality is imported.",
        ),
        (
            {"image": 32},
            "The size of 'image' must be (height, width). Received: image=32.",
        ),
        (
            {"text": (1, 2, 3)},
            "The size of 'text' must be (length). Received: text=(1, 2, 3).",
        ),
        (
            {"image": (0, 32)},
            "`image` must be greater than 0. Received: image=0.",
        ),
        (
            {"image": (8, 8), "drop": {"image": 1.0}},
            "`drop['image']` must be in [0, 1). Received: drop['image']=1.0.",
        ),
        (
            {"image": (8, 8), "drop": {"video": 0.5}},
            "`drop` must name modalities of the shape, ('image',). Received: "
            "modality='video'.",
        ),
        (
            {"image": (8, 8), "weight": 0.5},
            "`weight` must be an integer of at least 1. Received: weight=0.5.",
        ),
        (
            {"image": (8, 8), "weight": 0},
            "`weight` must be an integer of at least 1. Received: weight=0.",
        ),
    ],
)
def test_a_bad_shape_is_refused(arguments, text):
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        Shape(**arguments)


@pytest.mark.parametrize("method", ["size_of", "sequences_of"])
def test_a_modality_that_the_shape_lacks_is_refused(method):
    shape = Shape(video=(8, 32, 48), text=12)
    text = (
        "The shape has sizes of ('video', 'text'). Received: "
        "modality='image'. Give it one of this modality too: "
        "Shape(..., name=size)."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        getattr(shape, method)("image")
