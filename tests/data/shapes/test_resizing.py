import re

import numpy as np
import pytest

from keras_imp.data.shapes.resizing import check_size, resize

pytestmark = pytest.mark.one_backend


@pytest.mark.parametrize(
    ("name", "stored", "size", "shape"),
    [
        ("image", (2, 16, 16, 3), (8, 4), (2, 8, 4, 3)),
        ("image", (2, 16, 16, 3), (20, 20), (2, 20, 20, 3)),
        ("video", (2, 8, 16, 16, 3), (4, 8, 4), (2, 4, 8, 4, 3)),
        ("audio", (2, 9, 4), (5, 4), (2, 5, 4)),
        ("waveform", (2, 9), (5,), (2, 5)),
        ("text", (2, 9), (5,), (2, 5)),
        ("text", (2, 3, 9), (5,), (2, 3, 5)),
    ],
)
def test_every_modality_gets_its_size(rng, name, stored, size, shape):
    values = rng.integers(0, 9, stored).astype("float32")
    assert resize(name, values, size, rng).shape == shape


def test_text_keeps_its_first_tokens(rng):
    text = np.arange(12).reshape(2, 6)
    assert resize("text", text, (2,), rng).tolist() == [[0, 1], [6, 7]]


@pytest.mark.parametrize(
    ("name", "stored", "size", "text"),
    [
        (
            "video",
            (2, 4, 8, 8, 3),
            (5, 8, 8),
            "The size of 'video' must be at most that of the data along the "
            "axis 'frames'. Received: asked=5, stored=4.",
        ),
        (
            "waveform",
            (2, 9),
            (10,),
            "The size of 'waveform' must be at most that of the data along the "
            "axis 'samples'. Received: asked=10, stored=9.",
        ),
        (
            "text",
            (2, 3, 9),
            (10,),
            "The size of 'text' must be at most that of the data along the "
            "axis 'length'. Received: asked=10, stored=9.",
        ),
        (
            "audio",
            (2, 9, 4),
            (9, 2),
            "The size of 'audio' must be that of the data along the axis "
            "'bins'. Received: asked=2, stored=4. Prepare the data with "
            "another number of bins.",
        ),
    ],
)
def test_a_size_that_cannot_be_had_is_refused(name, stored, size, text):
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        check_size(name, stored, size)
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        resize(name, np.zeros(stored), size, np.random.default_rng(0))


def test_an_unknown_modality_is_refused():
    text = (
        "A modality must be one of ('image', 'video', 'audio', 'waveform', "
        "'text'). Received: modality='depht'. Use one of these names. A "
        "modality of your own is known once the module that calls "
        "keras_imp.models.register_modality is imported."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        check_size("depht", (2, 8, 8), (4, 4))
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        resize("depht", np.zeros((2, 8, 8)), (4, 4), np.random.default_rng(0))


@pytest.mark.parametrize(
    ("stored", "size"), [((2, 8, 8, 3), (4,)), ((8, 3), (4, 4))]
)
def test_a_size_of_another_number_of_axes_is_refused(stored, size):
    text = (
        "The size of 'image' must be (height, width), that of inputs of shape "
        f"(batch, height, width, 3). Received: size={size}, stored={stored}."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        check_size("image", stored, size)
