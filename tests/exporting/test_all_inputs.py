"""Every input in every format, from dense and sparse encoders.

Which backend a model comes from makes no difference here: see
`test_export_files.py`.
"""

import json
import subprocess
import sys

import numpy as np
import onnx
import pytest

from keras_imp.exporting import ExportError, ExportReport
from keras_imp.exporting.export_files import Request, export_all
from tests.helpers.exporting import INPUTS, OwnEncoder, make_encoder

pytestmark = pytest.mark.one_backend

CASES = [
    (format, kind, name)
    for format, names in (
        ("onnx", tuple(INPUTS)),
        ("litert", tuple(INPUTS)),
        ("tf_saved_model", ("video", "audio")),
        ("stablehlo", ("video", "audio")),
    )
    for kind in ("dense", "sparse")
    for name in names
]
ROUTED = {
    "token_choice": {"router": "token_choice"},
    "soft": {"router": "soft", "router_options": {"slots_per_expert": 2}},
    "shared_expert": {"router_options": {"shared_expert": True}},
    "groups": {"router_options": {"group_size": 8}},
}


def shape_of(kind, name):
    """A text may have any length where no layer is routed."""
    return None if (kind, name) == ("dense", "text") else INPUTS[name][1]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    encoders = {kind: make_encoder(kind) for kind in ("dense", "sparse")}
    requests = [
        Request(
            encoders[kind],
            folder / f"{kind}_{name}.{format}",
            INPUTS[name][0],
            format=format,
            input_shape=shape_of(kind, name),
        )
        for format, kind, name in CASES
    ]
    routed = {
        name: make_encoder("sparse", ("image",), **arguments)
        for name, arguments in ROUTED.items()
    }
    routed["own"] = OwnEncoder(make_encoder("sparse", ("image",)))
    requests += [
        Request(
            encoder,
            folder / f"{name}.onnx",
            format="onnx",
            input_shape=INPUTS["image"][1],
        )
        for name, encoder in routed.items()
    ]
    requests += [
        Request(
            make_encoder("dense", ("text",), pooling=pooling),
            folder / f"{pooling}.litert",
            format="litert",
        )
        for pooling in ("token", "attention")
    ]
    requests += [
        Request(
            encoder,
            folder / f"{kind}_int8.onnx",
            "image",
            format="onnx",
            quantize="int8",
            input_shape=INPUTS["image"][1],
        )
        for kind, encoder in encoders.items()
    ]
    return {r.path.name: o for r, o in zip(requests, export_all(requests))}


@pytest.mark.parametrize(("format", "kind", "name"), CASES)
def test_every_input_in_every_format(format, kind, name, outcomes):
    report = outcomes[f"{kind}_{name}.{format}"]
    assert isinstance(report, ExportReport), report
    assert report.max_difference < 1e-4
    assert report.input_name == INPUTS[name][0]
    shape = shape_of(kind, name) or (None,)
    assert report.input_shape == (None, *shape)


@pytest.mark.parametrize("router", ROUTED)
def test_every_router(router, outcomes):
    report = outcomes[f"{router}.onnx"]
    assert isinstance(report, ExportReport), report


@pytest.mark.parametrize("pooling", ["token", "attention"])
def test_text_of_any_length_under_every_pooling(pooling, outcomes):
    report = outcomes[f"{pooling}.litert"]
    assert isinstance(report, ExportReport), report
    assert report.input_shape == (None, None)


def test_a_file_that_computes_something_else_is_not_kept(outcomes):
    """ONNX sums no rows of equal indices, and says nothing about it.

    The options of an encoder that is no `IMPEncoder` stay as they are.
    """
    error = outcomes["own.onnx"]
    assert isinstance(error, ExportError)
    assert "this one is not kept" in str(error)
    kept = outcomes["soft.onnx"].path
    assert not kept.with_name("own.onnx").exists()
    assert not kept.with_name("own.README.md").exists()


@pytest.mark.parametrize("kind", ["dense", "sparse"])
def test_onnx_in_8_bits_is_near(kind, outcomes):
    report = outcomes[f"{kind}_int8.onnx"]
    assert isinstance(report, ExportReport), report
    assert report.least_cosine > 0.95
    assert report.max_difference > 1e-4


@pytest.mark.parametrize("kind", ["dense", "sparse"])
def test_int8_weights_of_onnx_overflow_on_no_processor(kind, outcomes):
    """Two products of an input (at most 255) and a weight fit into 16 bits."""
    graph = onnx.load(outcomes[f"{kind}_int8.onnx"].path).graph
    weights = [
        onnx.numpy_helper.to_array(array)
        for array in graph.initializer
        if array.data_type == onnx.TensorProto.INT8 and array.dims
    ]
    assert max(array.size for array in weights) > 100
    largest = max(np.abs(array.astype("int16")).max() for array in weights)
    assert 2 * 255 * largest < 2**15


def test_settings_of_a_spectrogram_lie_beside_the_file(outcomes):
    path = outcomes["dense_spectrogram.onnx"].path
    file = path.with_name("dense_spectrogram.log_mel.json")
    settings = json.loads(file.read_text())
    assert settings["sampling_rate"] == 8000
    assert settings["num_mel_bins"] == 16


def test_the_code_of_a_readme_runs_without_this_package(outcomes):
    """That of three formats, in one process; of text and images."""
    names = ("dense_text.onnx", "sparse_image.litert", "sparse_video.stablehlo")
    code = "import sys\n"
    for name in names:
        readme = outcomes[name].path.with_suffix(".README.md").read_text()
        code += readme.split("```python\n")[1].split("```")[0]
    code += 'print({"keras", "keras_imp"} & {*sys.modules})\n'
    ran = subprocess.run(
        [sys.executable, "-c", code],
        cwd=outcomes[names[0]].path.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    lines = ran.stdout.splitlines()
    assert lines == ["embedding (2, 8) float32"] * 3 + ["set()"]
