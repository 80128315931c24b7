"""What models inherit from Keras and keras-hub works, or says why not."""

import re

import keras_hub
import pytest

import keras_imp
from tests.helpers import inherited
from tests.helpers.inherited import Case

QUANTIZE = (
    "`quantize` is not possible: Keras quantizes single layers of its own, but "
    "the weights of all blocks are stacked. It would change nothing. Use "
    'keras_imp.export(model, path, format="onnx", quantize="int8"), or '
    'format="litert".'
)
TRANSFORMERS = (
    "`export_to_transformers` is not possible: the transformers package has no "
    "such encoder. Use `save_to_preset`, which "
    "keras_imp.IMPEncoder.from_preset reads."
)


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    """A case of each kind of model."""
    assert keras_hub.models.Backbone in keras_imp.IMPEncoder.__mro__
    makers = {
        "dense encoder": (inherited.make_encoder, inherited.X),
        "sparse encoder": (
            lambda: inherited.make_encoder(**inherited.EXPERTS),
            inherited.X,
        ),
        "model": (
            inherited.make_model,
            {"objects": {"image": inherited.X["image"]}},
        ),
    }
    return {
        kind: Case(make(), make, x, tmp_path_factory.mktemp(kind))
        for kind, (make, x) in makers.items()
    }


ROWS = {
    "dense encoder": inherited.ENCODER,
    "sparse encoder": inherited.ENCODER,
    "model": inherited.MODEL,
}


def once_each():
    """Each row of each kind, with the names of the methods that it calls."""
    for kind, rows in ROWS.items():
        names = {}
        for name, row in rows.items():
            names.setdefault(row, []).append(name)
        for row, several in names.items():
            yield pytest.param(kind, row, id=f"{kind}, {', '.join(several)}")


@pytest.mark.filterwarnings("ignore:`model.*is deprecated")
@pytest.mark.parametrize(("kind", "row"), list(once_each()))
def test_a_method_does_what_it_says_or_says_why_not(cases, kind, row):
    row(cases[kind])


@pytest.mark.parametrize("kind", ROWS)
def test_every_method_of_keras_and_keras_hub_has_a_row(cases, kind):
    names = {
        *ROWS[kind],
        *inherited.ATTRIBUTES,
        *inherited.LISTS,
        *inherited.OTHERS,
    }
    without_row = inherited.inherited(cases[kind].model) - names
    assert not without_row, (
        f"Keras has new methods: {sorted(without_row)}. Call each in a row of "
        "tests/helpers/inherited.py, and let it work or say why not."
    )


@pytest.mark.parametrize("kind", ROWS)
def test_attributes_say_what_a_model_is(cases, kind):
    model = cases[kind].model
    for name, value in inherited.ATTRIBUTES.items():
        assert getattr(model, name) == value, name
    for name in inherited.LISTS:
        assert len(getattr(model, name)) > 0, name
    assert model.path == model.name
    for name in ("input", "output"):
        with pytest.raises(
            AttributeError, match=r"never been called|no attribute"
        ):
            getattr(model, name)


def assert_refused(text, call):
    with pytest.raises(NotImplementedError, match=f"^{re.escape(text)}$"):
        call()


@pytest.mark.parametrize("kind", ROWS)
def test_nothing_is_quantized(cases, kind):
    assert_refused(QUANTIZE, lambda: cases[kind].model.quantize("int8"))


def test_there_is_no_such_encoder_in_transformers(cases):
    encoder = cases["dense encoder"].model
    call = lambda: encoder.export_to_transformers("folder")
    assert_refused(TRANSFORMERS, call)


def test_a_saved_model_of_an_encoder_is_refused(cases):
    text = (
        "A SavedModel of an encoder is not possible: its outputs must be "
        "tensors or one flat dict of them. Received: format='tf_saved_model'. "
        "Use keras_imp.export(encoder, path, modality=...), one file for each "
        "modality."
    )
    encoder = cases["dense encoder"].model
    assert_refused(text, lambda: encoder.export("folder"))


@pytest.mark.parametrize(
    ("inputs", "received"),
    [
        ({"image": inherited.X["image"]}, "['image']"),
        ({}, "[]"),
        (inherited.X["image"], "'ndarray'"),
        ({"objects": {}, "price": {}}, "['objects', 'price']"),
    ],
    ids=["no task", "nothing", "an array", "two tasks"],
)
def test_a_call_without_its_task_is_refused(cases, inputs, received):
    text = (
        "A call must have the inputs of one task of ['objects', 'price']. "
        f"Received: inputs={received}. Use model({{task: {{modality: "
        "values}}), or model.predict({modality: values}, task=task)."
    )
    with pytest.raises(ValueError, match=re.escape(text)):
        cases["model"].model.call(inputs)


@pytest.mark.parametrize("shapes", [(None, 3), {"touch": (None, 3)}])
def test_an_encoder_is_not_built_for_what_it_does_not_take(cases, shapes):
    encoder = cases["dense encoder"].model
    with pytest.raises((TypeError, ValueError), match="modality"):
        encoder.build(shapes)
    encoder.build({"image": (None, 4, 4, 3), "text": (None, None)})
    encoder.summary(print_fn=lambda *args, **kwargs: None)


def test_token_embedding_is_the_layer_that_embeds_token_ids(cases):
    encoder = cases["dense encoder"].model
    embedding = encoder.token_embedding
    assert embedding is encoder.embedder_of("text").tokens
    audio = keras_imp.IMPEncoder(4, 4, 1, 1, modalities=("audio",))
    assert audio.token_embedding is None


def test_the_package_says_that_it_is_typed():
    from importlib import resources

    assert resources.files("keras_imp").joinpath("py.typed").is_file()


def test_all_of_data_is_listed():
    data = keras_imp.data
    assert {"Arrays", "LogMel", "Tokenizer", "playground"} <= set(dir(data))
    assert data.playground.SPLITS
