"""What the encoder says to an input or an argument that does not fit."""

import re

import numpy as np
import pytest

from keras_imp.models.modalities import BUILT_IN
from tests.helpers.encoders import ALL, small_encoder

pytestmark = pytest.mark.one_backend

CHOICES = "('image', 'video', 'audio', 'waveform', 'text')"
RENAME = "Rename the key, or add the modality to `modalities` of the encoder."

# What is wrong: modality, shape, message.
BAD_SHAPES = {
    "an image without channels": (
        "image",
        (2, 6, 10),
        "The input 'image' must have shape (batch, height, width, 3). "
        "Received: shape=(2, 6, 10).",
    ),
    "a video as an image": (
        "image",
        (2, 4, 6, 10, 3),
        "The input 'image' must have shape (batch, height, width, 3). "
        "Received: shape=(2, 4, 6, 10, 3).",
    ),
    "an image as a video": (
        "video",
        (2, 6, 10, 3),
        "The input 'video' must have shape (batch, frames, height, width, 3). "
        "Received: shape=(2, 6, 10, 3).",
    ),
    "a spectrogram with channels": (
        "audio",
        (2, 9, 4, 1),
        "The input 'audio' must have shape (batch, frames, bins) or (batch, "
        "samples). Received: shape=(2, 9, 4, 1).",
    ),
    "a waveform with channels": (
        "waveform",
        (2, 35, 1),
        "The input 'waveform' must have shape (batch, samples). Received: "
        "shape=(2, 35, 1).",
    ),
    "text as one sequence": (
        "text",
        (7,),
        "The input 'text' must have shape (batch, length). Received: "
        "shape=(7,).",
    ),
    "a gray image": (
        "image",
        (2, 6, 10, 1),
        "`inputs` must have 3 channel(s) on the last axis. Received: "
        "shape=(2, 6, 10, 1).",
    ),
    "an image that patches do not divide": (
        "image",
        (2, 6, 11, 3),
        "`width` must be a multiple of the patch of 5. Received: width=11. "
        'Sizes that fit are 10 and 15; or set padding="same" to pad with '
        "zeros.",
    ),
    "too few frames": (
        "video",
        (2, 1, 6, 10, 3),
        "`frames` must be at least one patch of 2. Received: frames=1. Give "
        '2 or more, or set padding="same" to pad with zeros.',
    ),
    "frames that patches do not divide": (
        "video",
        (2, 3, 6, 10, 3),
        "`frames` must be a multiple of the patch of 2. Received: frames=3. "
        'Sizes that fit are 2 and 4; or set padding="same" to pad with zeros.',
    ),
    "mel bins that patches do not divide": (
        "audio",
        (2, 9, 5),
        "`bins` must be a multiple of the patch of 2. Received: bins=5. "
        'Sizes that fit are 4 and 6; or set padding="same" to pad with zeros.',
    ),
    "a waveform of less than a patch": (
        "waveform",
        (2, 6),
        "`samples` must be at least one patch of 7. Received: samples=6. Give "
        '7 or more, or set padding="same" to pad with zeros.',
    ),
}


@pytest.fixture(scope="module")
def encoder():
    return small_encoder()


def zeros(name, shape):
    return np.zeros(shape, "int32" if name == "text" else "float32")


@pytest.mark.parametrize("bad", BAD_SHAPES.values(), ids=BAD_SHAPES.keys())
@pytest.mark.parametrize("how", ["call", "check_inputs"])
def test_a_shape_that_does_not_fit_is_refused(encoder, bad, how):
    name, shape, text = bad
    function = encoder if how == "call" else encoder.check_inputs
    with pytest.raises(ValueError, match=re.escape(text)):
        function({name: zeros(name, shape)})


def test_text_longer_than_its_table_is_refused(encoder):
    text = (
        "A sequence must not be longer than the 17 positions of its table. "
        "Received: length=18. Cut the sequence, or use more position buckets."
    )
    with pytest.raises(ValueError, match=re.escape(text)):
        encoder({"text": zeros("text", (2, 18))})


@pytest.mark.parametrize(
    ("ids", "wrong", "row"),
    [
        ([[1, 2], [3, 11]], 11, 1),
        ([[1, 99], [3, 11]], 99, 0),
        ([[1, 2], [0, 0], [-1, 5]], -1, 2),
    ],
    ids=["the size itself", "the largest", "negative"],
)
def test_ids_outside_the_vocabulary_are_refused(encoder, ids, wrong, row):
    text = (
        "Token ids of 'text' must be in [0, 11), the size of the vocabulary. "
        f"Received: id={wrong}, row={row}. Use the tokenizer that the model "
        "was built for, or set `vocabulary_size`."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        encoder.check_inputs({"text": np.array(ids)})


def test_every_id_of_the_vocabulary_passes(encoder):
    encoder.check_inputs({"text": np.arange(11)[None]})


def test_an_empty_batch_passes(encoder):
    encoder.check_inputs({"text": np.zeros((0, 7), "int32")})


@pytest.mark.parametrize("how", ["call", "check_inputs"])
def test_a_modality_that_was_not_configured_is_refused(how):
    encoder = small_encoder(("image", "text"))
    function = encoder if how == "call" else encoder.check_inputs
    text = (
        "A modality must be one of ('image', 'text'). Received: "
        f"modality='audio'. {RENAME}"
    )
    with pytest.raises(ValueError, match=re.escape(text)):
        function({"audio": zeros("audio", (2, 9, 4))})


def test_an_unknown_modality_is_refused_by_the_constructor():
    text = (
        f"A modality must be one of {CHOICES}. Received: modality='touch'. "
        "Use one of these names. A modality of your own is known once the "
        "module that calls keras_imp.models.register_modality is imported."
    )
    with pytest.raises(ValueError, match=re.escape(text)):
        small_encoder(("image", "touch"))


def test_the_table_of_modalities_is_complete():
    assert tuple(BUILT_IN) == ALL


@pytest.mark.parametrize(
    ("modalities", "kind", "text"),
    [
        (
            "text",
            TypeError,
            "`modalities` must be a tuple of names. Received: "
            "modalities='text'. Put it in parentheses, with a comma behind it.",
        ),
        (
            (),
            ValueError,
            "`modalities` must have at least one name, and each only once. "
            "Received: modalities=().",
        ),
        (
            ("image", "text", "image"),
            ValueError,
            "`modalities` must have at least one name, and each only once. "
            "Received: modalities=('image', 'text', 'image').",
        ),
    ],
    ids=["one name", "none", "twice"],
)
def test_modalities_that_are_no_set_of_names_are_refused(
    modalities, kind, text
):
    with pytest.raises(kind, match=f"^{re.escape(text)}$"):
        small_encoder(modalities)


def test_kept_tokens_of_an_input_that_is_not_there_are_refused(encoder):
    text = (
        "`kept` must name inputs of the call, ('text',). Received: "
        "modality='image'."
    )
    with pytest.raises(ValueError, match=re.escape(text)):
        encoder(
            {"text": zeros("text", (2, 7))},
            kept={"image": np.zeros((2, 1), "int32")},
        )


@pytest.mark.parametrize("how", ["call", "check_inputs"])
def test_an_empty_dict_is_refused(encoder, how):
    function = encoder if how == "call" else encoder.check_inputs
    text = "`inputs` must have at least one modality."
    with pytest.raises(ValueError, match=re.escape(text)):
        function({})


@pytest.mark.parametrize("how", ["call", "check_inputs"])
def test_something_else_than_a_dict_is_refused(encoder, how):
    function = encoder if how == "call" else encoder.check_inputs
    text = (
        "`inputs` must be a dict from modality to its values. Received: "
        "type='{}'. Use {{\"image\": images}}, for example."
    ).format("list" if how == "call" else "ndarray")
    given = np.zeros((2, 6, 10, 3), "float32")
    with pytest.raises(TypeError, match=re.escape(text)):
        function([given] if how == "call" else given)


def test_heads_that_do_not_divide_the_width_are_refused():
    text = (
        "The width of the tokens must be a multiple of `num_heads`. Received: "
        "hidden_dim=10, num_heads=3."
    )
    with pytest.raises(ValueError, match=re.escape(text)):
        small_encoder(num_heads=3)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            {"variant": "new"},
            "`variant` must be one of ('fixed', 'imp'). Received: "
            "variant='new'.",
        ),
        (
            {"pooling": "max"},
            "`pooling` must be one of ('mean', 'token', 'attention'). "
            "Received: pooling='max'.",
        ),
        (
            {"dropout": 1.0},
            "`dropout` must be in [0, 1). Received: dropout=1.0.",
        ),
        (
            {"padding": "full"},
            "`padding` must be one of ('valid', 'same'). Received: "
            "padding='full'.",
        ),
        (
            {"num_layers": 0},
            "`num_layers` must be greater than 0. Received: num_layers=0.",
        ),
        (
            {"num_heads": 0},
            "`num_heads` must be greater than 0. Received: num_heads=0.",
        ),
        (
            {"vocabulary_size": 0},
            "`vocabulary_size` must be greater than 0. Received: "
            "vocabulary_size=0.",
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_bad_arguments_are_refused(arguments, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        small_encoder(**arguments)


@pytest.mark.parametrize("sparse", [False, True])
def test_blocks_refuse_tokens_of_an_unknown_modality(sparse):
    experts = {"num_experts": 2, "num_moe_layers": 1} if sparse else {}
    body = small_encoder(("image", "text"), **experts).body
    text = (
        "A modality must be one of ('image', 'text'). Received: "
        f"modality='audio'. {RENAME}"
    )
    with pytest.raises(ValueError, match=re.escape(text)):
        body(np.zeros((2, 3, 10), "float32"), modality="audio", training=True)
