"""Values on another scale, or of another kind, are refused before training."""

import functools
import re

import keras
import numpy as np
import pytest
from keras import ops

import keras_imp
from keras_imp.models.value_checks import (
    check_pixels,
    check_spectrogram,
    check_waveform,
)
from tests.helpers.encoders import small_encoder

PIXELS = "Pixels must be uint8, or float in [-1, 1]."
WAVEFORM = "A waveform must be float in [-1, 1]."
SPECTROGRAM = "A spectrogram must be float, a log-mel in about [-1, 1]."
LOG_MEL = (
    "Make it with keras_imp.data.LogMel, and shift and scale it: (x + 5) / 9; "
    "decibels: (x + 40) / 40."
)
IMAGE = (2, 6, 10, 3)
# What is wrong: check, values, message.
BAD = {
    "float 0..255": (
        check_pixels,
        np.linspace(0, 255, 360, dtype="float32").reshape(IMAGE),
        f"{PIXELS} Received: dtype='float32', min=0.0, max=255.0. Scale them: "
        'x / 127.5 - 1; or cast them: x.astype("uint8").',
    ),
    "float of 16 bits": (
        check_pixels,
        np.linspace(0, 65535, 360).reshape(IMAGE),
        f"{PIXELS} Received: dtype='float64', min=0.0, max=65535.0. Scale 16 "
        "bits by x / 32767.5 - 1.",
    ),
    "float of another scale": (
        check_pixels,
        np.linspace(-1000, 3000, 360).reshape(IMAGE),
        f"{PIXELS} Received: dtype='float64', min=-1000.0, max=3000.0. Scale "
        "them: 2 * (x - min) / (max - min) - 1.",
    ),
    **{
        f"{dtype} 0..255": (
            check_pixels,
            (np.arange(360).reshape(IMAGE) % 256).astype(dtype),
            f"{PIXELS} Received: dtype={dtype!r}, min=0, max=255. Cast them: "
            'x.astype("uint8").',
        )
        for dtype in ("int16", "int32", "int64", "uint16")
    },
    "uint16 of 16 bits": (
        check_pixels,
        np.full(IMAGE, 65535, "uint16"),
        f"{PIXELS} Received: dtype='uint16', min=65535, max=65535. Scale 16 "
        "bits by x / 32767.5 - 1.",
    ),
    "an integer video": (
        check_pixels,
        np.zeros((1, 4, 6, 10, 3), "int32"),
        f"{PIXELS} Received: dtype='int32', min=0, max=0. Cast them: "
        'x.astype("uint8").',
    ),
    "complex": (
        check_pixels,
        np.zeros(IMAGE, "complex64"),
        f"{PIXELS} Received: dtype='complex64'. Use x.astype(\"float32\").",
    ),
    "strings": (
        check_pixels,
        np.full(IMAGE, "a"),
        f"{PIXELS} Received: dtype='<U1'. Use x.astype(\"float32\").",
    ),
    "objects": (
        check_waveform,
        np.full((2, 3), None),
        f"{WAVEFORM} Received: dtype='object'. Use x.astype(\"float32\").",
    ),
    "booleans": (
        check_pixels,
        np.ones(IMAGE, bool),
        f"{PIXELS} Received: dtype='bool'. Use x.astype(\"float32\").",
    ),
    "an int16 waveform": (
        check_waveform,
        np.array([[-32768, 0, 32767]], "int16"),
        f"{WAVEFORM} Received: dtype='int16', min=-32768, max=32767. Divide it "
        "by the range of its type: x / 32768.",
    ),
    "a uint16 waveform": (
        check_waveform,
        np.array([[0, 65535]], "uint16"),
        f"{WAVEFORM} Received: dtype='uint16', min=0, max=65535. Scale it by "
        "the range of its type: x / 32768 - 1.",
    ),
    "int16 samples as float": (
        check_waveform,
        np.array([[-900.0, 0, 32767]], "float32"),
        f"{WAVEFORM} Received: dtype='float32', min=-900.0, max=32767.0. "
        "Divide samples of 16 bits by 32768: x / 32768.",
    ),
    "decibels": (
        check_spectrogram,
        np.full((2, 9, 4), -80.0, "float32"),
        f"{SPECTROGRAM} Received: dtype='float32', min=-80.0, max=-80.0. "
        f"{LOG_MEL}",
    ),
    "an integer spectrogram": (
        check_spectrogram,
        np.zeros((2, 9, 4), "int64"),
        f"{SPECTROGRAM} Received: dtype='int64', min=0, max=0. {LOG_MEL}",
    ),
}


def refused(text):
    return pytest.raises(ValueError, match=f"^{re.escape(text)}$")


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
def test_values_of_another_scale_or_kind_are_refused(bad):
    check, values, text = bad
    with refused(text):
        check(values)


@pytest.mark.parametrize(
    ("check", "values"),
    [
        (check_pixels, np.full(IMAGE, 255, "uint8")),
        (check_pixels, np.full(IMAGE, 2.64, "float32")),
        (check_pixels, np.full(IMAGE, -9.0, "float16")),
        (check_pixels, np.zeros((0, 6, 10, 3))),
        (check_pixels, np.full(IMAGE, np.nan)),
        (check_pixels, np.full(IMAGE, np.inf)),
        (check_waveform, np.full((2, 7), 40.0)),
        (check_spectrogram, np.full((2, 9, 4), np.log(1e-10))),
    ],
    ids=[
        "uint8",
        "pixels of ImageNet's mean and deviation",
        "a bright spot of half precision",
        "no example",
        "not a number: the step says so",
        "infinite: the step says so",
        "a waveform of unit variance",
        "a log-mel as it is",
    ],
)
def test_what_is_normalized_otherwise_passes(check, values):
    check(values)


def test_some_rows_of_every_example_are_looked_at():
    images = np.zeros((64, 224, 224, 3), "float32")
    for row in (0, 63):
        bad = images.copy()
        bad[row] = 255
        with refused(BAD["float 0..255"][2]):
            check_pixels(bad)


@pytest.fixture(scope="module")
def encoder():
    return small_encoder()


WRONG = {
    "image": BAD["float 0..255"],
    "video": BAD["an integer video"],
    "waveform": (None, np.full((2, 7), 3, "int16"), ""),
    "audio": BAD["decibels"],
    "text": (None, np.array([[1, 11]]), "Token ids of 'text' must be in [0, "),
}


@pytest.mark.parametrize("how", ["call", "tensors", "predict", "check_inputs"])
@pytest.mark.parametrize("name", WRONG)
def test_an_encoder_refuses_them_however_it_is_called(encoder, name, how):
    _, values, text = WRONG[name]
    function = {
        "check_inputs": encoder.check_inputs,
        "predict": functools.partial(encoder.predict, verbose=0),
    }.get(how, encoder)
    if how == "tensors":
        values = ops.convert_to_tensor(values)
    start = text if name == "text" else f"Input {name!r}: {text}"
    if keras.backend.standardize_dtype(values.dtype) != str(
        WRONG[name][1].dtype
    ):
        start = start.split("Received")[0]  # JAX has no int64.
    with pytest.raises(ValueError, match=f"^{re.escape(start)}"):
        function({name: values})


def test_patches_that_were_cut_on_the_host_are_checked(encoder):
    values = np.full(IMAGE, 255.0, "float32")
    kept = np.zeros((2, 1), "int32")
    cut = encoder.patchings["image"].cut(values, kept)
    text = f"Input 'image': {PIXELS} Received: dtype='float32', min=255.0"
    with pytest.raises(ValueError, match=f"^{re.escape(text)}"):
        encoder.check_inputs({"image": cut})
    with pytest.raises(ValueError, match=f"^{re.escape(text)}"):
        encoder({"image": cut})


def test_a_task_names_itself(encoder):
    model = keras_imp.AlternatingModel(
        encoder, [keras_imp.tasks.Classification("objects", "image", 3)]
    )
    model.compile("sgd")
    _, values, text = BAD["float 0..255"]
    batch = ({"image": values}, np.array([0, 1]))
    mixture = keras_imp.TaskMixture.sequential({"objects": [batch]})
    start = "^" + re.escape(f"Task 'objects': Input 'image': {text}")
    for run in (model.fit, model.evaluate):
        with pytest.raises(ValueError, match=start):
            run(mixture, verbose=0)
    with pytest.raises(ValueError, match=start):
        model.predict(values, task="objects", verbose=0)


def test_text_that_is_no_ids_names_the_tokenizer(encoder):
    text = (
        "The input 'text' must be token ids, not text. Received: dtype='<U5'. "
        "Turn text into ids with keras_imp.data.Tokenizer."
    )
    with refused(text):
        encoder.check_inputs({"text": np.array([["a cat"]])})


def test_a_list_is_no_array(encoder):
    text = (
        "The input 'text' must be an array of shape (batch, length). Received: "
        "type='list'. Use np.asarray(values)."
    )
    with pytest.raises(TypeError, match=f"^{re.escape(text)}$"):
        encoder({"text": [[1, 2]]})


def test_a_model_around_an_encoder_can_be_made_and_traced(encoder):
    inputs = {"image": keras.Input(IMAGE[1:], name="image")}
    outputs = encoder(inputs)["image"]["pooled_output"]
    model = keras.Model(inputs, outputs)
    image = np.full(IMAGE, 0.5, "float32")
    found = model.predict({"image": image}, verbose=0)
    expected = encoder({"image": image})["image"]["pooled_output"]
    np.testing.assert_allclose(
        found, ops.convert_to_numpy(expected), rtol=1e-4, atol=1e-5
    )
