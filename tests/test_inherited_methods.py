"""What models inherit from Keras and keras-hub works, or says why not."""

import re

import pytest

import keras_imp

LORA = (
    "`{}` is not possible: keras-hub looks for one layer per block to adapt, "
    "but the weights of all blocks are stacked. It would freeze the encoder "
    "and add no weights. To train a part of the encoder, use "
    "keras_imp.optimizers.AdamW with `frozen_layers` or "
    "`learning_rate_multipliers`."
)
QUANTIZE = (
    "`quantize` is not possible: Keras quantizes single layers of its own, but "
    "the weights of all blocks are stacked. It would change nothing. Export "
    "the model, and quantize the exported file with the tools of its format."
)
TRANSFORMERS = (
    "`export_to_transformers` is not possible: the transformers package has no "
    "such encoder. Use `save_to_preset`, which "
    "keras_imp.IMPEncoder.from_preset reads."
)


def make_encoder():
    return keras_imp.IMPEncoder(
        4, 4, 1, 1, modalities=("text",), vocabulary_size=6
    )


def make_model(cls):
    tasks = keras_imp.tasks
    model = cls(
        make_encoder(),
        [
            tasks.Classification("topics", "text", 3),
            tasks.MaskedModeling("words", "text", mask_id=5),
            tasks.Regression("price", "text", 1),
        ],
    )
    model.compile("sgd", jit_compile=False)
    return model


@pytest.fixture(scope="module")
def encoder():
    return make_encoder()


@pytest.fixture(scope="module", params=["AlternatingModel", "CombinedModel"])
def model(request):
    return make_model(getattr(keras_imp, request.param))


def assert_refused(text, call):
    with pytest.raises(NotImplementedError, match=f"^{re.escape(text)}$"):
        call()


@pytest.mark.parametrize(
    "name",
    [
        "default_lora_layer_names",
        "enable_lora",
        "load_lora_weights",
        "save_lora_weights",
    ],
)
def test_lora_is_refused_and_freezes_nothing(encoder, name):
    before = len(encoder.trainable_weights)
    assert_refused(LORA.format(name), lambda: getattr(encoder, name)(4))
    assert len(encoder.trainable_weights) == before > 0


def test_an_encoder_is_not_quantized(encoder):
    assert_refused(QUANTIZE, lambda: encoder.quantize("int8"))


def test_a_model_is_not_quantized(model):
    assert_refused(QUANTIZE, lambda: model.quantize("int8"))


def test_there_is_no_such_encoder_in_transformers(encoder):
    call = lambda: encoder.export_to_transformers("folder")
    assert_refused(TRANSFORMERS, call)


def test_token_embedding_is_the_layer_that_embeds_token_ids(encoder):
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
