"""Files of a dense and a sparse model, in every format, on every backend."""

import json

import numpy as np
import pytest

import keras_imp
from keras_imp.data import Tokenizer
from keras_imp.exporting.export_files import Request, export_all
from keras_imp.exporting.formats import FORMATS
from tests.helpers.exporting import make_model

TOWERS = [
    (format, kind, modality)
    for format in FORMATS
    for kind, modality in (("dense", "text"), ("sparse", "image"))
]


def preprocessor():
    texts = ["a red heart", "a green leaf"]
    return keras_imp.IMPPreprocessor(
        image=(16, 24),
        tokenizer=Tokenizer.train(texts, vocabulary_size=31, length=7),
    )


def adapted_model():
    """With LoRA weights of experts and of attention that are not 0."""
    model = make_model("sparse")
    model.encoder.enable_lora(2, ("query", "expand"))
    rng = np.random.default_rng(0)
    for variable in model.encoder.trainable_variables:
        variable.assign(0.3 * rng.normal(size=variable.shape))
    return model


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    """All files of this module, by name: one process for each backend."""
    folder = tmp_path_factory.mktemp("exported")
    models = {kind: make_model(kind) for kind in ("dense", "sparse")}
    given = {"preprocessor": preprocessor()}
    requests = [
        Request(
            models[kind],
            folder / f"{kind}_{modality}.{format}",
            modality,
            format=format,
            **given,
        )
        for format, kind, modality in TOWERS
    ]
    requests += [
        Request(
            models["sparse"],
            folder / "captions.onnx",
            "text",
            "captions",
            "onnx",
            **given,
        ),
        Request(
            models["dense"],
            folder / "objects.litert",
            task="objects",
            format="litert",
            quantize="int8",
            **given,
        ),
        Request(
            make_model("sparse", dtype="mixed_bfloat16"),
            folder / "colors.stablehlo",
            task="both/colors",
            format="stablehlo",
            **given,
        ),
        Request(
            adapted_model(),
            folder / "adapted.onnx",
            "image",
            format="onnx",
            **given,
        ),
    ]
    outcomes = export_all(requests)
    return {r.path.name: o for r, o in zip(requests, outcomes)}


@pytest.mark.parametrize(("format", "kind", "modality"), TOWERS)
def test_the_embedding_of_a_modality(format, kind, modality, reports):
    report = reports[f"{kind}_{modality}.{format}"]
    assert isinstance(report, keras_imp.exporting.ExportReport), report
    assert report.max_difference < 1e-4
    assert report.bytes > 1000
    assert report.path.exists()
    assert report.outputs == {"embedding": (None, 8)}
    image = ("image", (None, 16, 24, 3), "uint8")
    text = ("text", (None, None), "int32")
    expected = {"image": image, "text": text}[modality]
    found = (report.input_name, report.input_shape, report.input_dtype)
    assert found == expected


def test_a_vector_of_a_contrastive_task(reports):
    report = reports["captions.onnx"]
    assert report.max_difference < 1e-4
    assert report.outputs == {"text_to_image": (None, 6)}
    # Routed layers need to know how many tokens there are.
    assert report.input_shape == (None, 7)


def test_a_part_of_a_combined_task_of_a_model_in_bfloat16(reports):
    report = reports["colors.stablehlo"]
    assert report.max_difference < 1e-4
    assert report.outputs == {"logits": (None, 4)}


def test_an_encoder_with_lora_weights(reports):
    assert reports["adapted.onnx"].max_difference < 1e-4


def test_logits_of_a_task_in_8_bits(reports):
    report = reports["objects.litert"]
    assert report.outputs == {"logits": (None, 3)}
    assert report.least_cosine > 0.9
    assert 0 < report.max_difference < 0.5
    assert "int8, least cosine" in str(report)


def test_a_tokenizer_and_a_readme_lie_beside_the_file(reports):
    path = reports["captions.onnx"].path
    saved = json.loads(path.with_name("captions.tokenizer.json").read_text())
    assert saved["truncation"]["max_length"] == 7
    readme = path.with_name("captions.README.md").read_text()
    assert "| input | `text` | `(None, 7)` | int32 |" in readme
    assert "| output | `text_to_image` | `(None, 6)` | float32 |" in readme
    assert "captions.tokenizer.json" in readme
