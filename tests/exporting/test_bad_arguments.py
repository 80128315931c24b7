"""What `export` refuses, before any conversion."""

import importlib.util
import re

import pytest

import keras_imp
from tests.helpers.exporting import make_encoder, make_model

pytestmark = pytest.mark.one_backend
SHAPE = (16, 24, 3)


@pytest.fixture(scope="module")
def model():
    return make_model()


def refused(kind, text, *arguments, **options):
    with pytest.raises(kind, match=re.escape(text)):
        keras_imp.export(*arguments, **options)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (
            {"format": "tflite"},
            "`format` must be one of ('tf_saved_model', 'onnx', 'litert', "
            "'stablehlo'). Received: format='tflite'. Did you mean 'litert'?",
        ),
        (
            {"format": "stablehlo", "quantize": "int8"},
            '`quantize` must be None, or "int8" with one of the formats '
            "('onnx', 'litert'). Received: quantize='int8', "
            "format='stablehlo'.",
        ),
        (
            {"modality": None},
            "`modality` must be given: a file has one input, and the encoder "
            "takes ('image', 'text'). Received: modality=None. Export one "
            "file for each, and compare their outputs.",
        ),
        (
            {"modality": "video"},
            "`modality` must be one that the encoder has: ('image', 'text'). "
            "Received: modality='video'.",
        ),
        (
            {"modality": "text", "task": "objects"},
            "`modality` must be one that the task 'objects' has: ('image',).",
        ),
        (
            {"modality": None, "task": "captions"},
            "`modality` must be given: a file has one input, and the task "
            "'captions' takes ('image', 'text').",
        ),
        (
            {"task": "none"},
            "`task` must be one of the model's: ['captions', 'objects', "
            "'both', 'both/height', 'both/colors', 'words', 'pairs']. "
            "Received: task='none'.",
        ),
        (
            {"task": "both"},
            "A file has one task: a combined one has several. Received: "
            "task='both'. Export its parts, each into a file of its own: "
            "['both/height', 'both/colors'].",
        ),
        (
            {"task": "words"},
            "Masked modeling has no output for a file: it masks at random.",
        ),
        (
            {"task": "pairs"},
            "A file has one input: this task needs several. Received: "
            "task='pairs', modalities=('image', 'text'). Leave `task` out and "
            "export the encoder, one file for each of these modalities; "
            "compute the rest from their embeddings.",
        ),
        (
            {"input_shape": None},
            "The shape of the input must be given: a file has one, but for "
            "the batch. Received: modality='image', input_shape=None. Set "
            "`input_shape` to (height, width, 3), or give the `preprocessor`.",
        ),
        (
            {"input_shape": (16, 20, 3)},
            "`width` must be a multiple of the patch of 8.",
        ),
    ],
)
def test_arguments_that_do_not_fit(options, text, model, tmp_path):
    options = {"modality": "image", "input_shape": SHAPE, **options}
    refused(ValueError, text, model, tmp_path / "x", **options)
    assert list(tmp_path.iterdir()) == []


def test_text_needs_a_length_for_routed_layers(tmp_path):
    encoder = make_encoder("sparse", ("text",))
    text = "Set `input_shape` to (length,), or give the `preprocessor`."
    refused(ValueError, text, encoder, tmp_path / "x")


@pytest.mark.parametrize(
    "options",
    [{"variant": "imp"}, {"router_options": {"group_size": "batch"}}],
)
def test_groups_of_a_whole_batch(options, tmp_path):
    encoder = make_encoder("sparse", ("image",), **options)
    text = "A group of the routed layers must not be a whole batch"
    shape = {"input_shape": SHAPE}
    refused(ValueError, text, encoder, tmp_path / "x", **shape)


def test_what_is_no_model(tmp_path):
    text = "`encoder` must be a Keras layer or model."
    refused(TypeError, text, "imp_tiny", tmp_path / "x")


@pytest.mark.parametrize("name", ["x.onnx", "x.README.md", "x.log_mel.json"])
def test_a_file_that_is_there_stays(name, model, tmp_path):
    (tmp_path / name).write_text("mine")
    refused(
        FileExistsError,
        "There must be no file of this name, and none beside it",
        model,
        tmp_path / "x.onnx",
        "image",
        input_shape=SHAPE,
    )
    assert (tmp_path / name).read_text() == "mine"


def test_a_missing_package_is_named_with_its_extra(
    model, tmp_path, monkeypatch
):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name: None if name == "tf2onnx" else find(name),
    )
    text = (
        "This needs the package 'tf2onnx', which is not installed. Received: "
        "module='tf2onnx'. Install it with: pip install 'keras-imp[export]'"
    )
    options = {"format": "onnx", "input_shape": SHAPE}
    refused(ImportError, text, model, tmp_path / "x", "image", **options)


def test_a_class_of_the_program_that_runs(model, tmp_path, monkeypatch):
    own = type("Own", (keras_imp.IMPEncoder,), {"__module__": "__main__"})
    encoder = own(8, 16, 1, 2, modalities=("image",))
    text = "must be in a module to be exported: another process imports it."
    refused(ValueError, text, encoder, tmp_path / "x", input_shape=(16, 16, 3))
