"""Sizes and parameter counts, from names and shapes alone."""

import numpy as np
import pytest

from keras_imp.models import PRESETS, imp_config
from tests.helpers import first_implementation as first

pytestmark = pytest.mark.one_backend

BASE = {
    "width": 768,
    "inner": 3072,
    "layers": 12,
    "heads": 12,
    "vocabulary": 32100,
    "codes": 2048,
    "common": 1024,
    "hidden": 1024,
    "patches": ((4, 16, 16), (16, 16), (256,)),
    "rows": ((16, 32, 32), (64, 8), (512,), (4096,)),
}
MOE_BASE = {
    **BASE,
    "experts": 16,
    "routed": tuple(range(6, 12)),
    "qk_norm": True,
}
# Of the model that a released notebook lists.
VISION = (10, 100, 51, 1000, 21843, 29593, 400, 600, 700, 339, 101, 29593, 700)
AUDIO = (527, 50, 309)
NOTEBOOK = {
    **BASE,
    "rows": ((1, 16, 16), (4, 4), (4,), (4096,)),
    "classes": tuple(
        ((kind, str(i)), k)
        for kind, every in (("vision", VISION), ("audio", AUDIO))
        for i, k in enumerate(every)
    ),
}


def without_memory(sizes):
    """A mapping of arrays that all are one number."""
    return {
        name: np.broadcast_to(np.float32(0), shape)
        for name, shape in first.shapes(sizes).items()
    }


@pytest.mark.parametrize(
    ("preset", "arguments", "parameters"),
    [
        ("imp_base", BASE, 84_954_624),
        ("imp_moe_base", MOE_BASE, 509_703_168),
    ],
)
@pytest.mark.parametrize("scanned", [True, False])
def test_the_sizes_are_those_of_a_preset(
    preset, arguments, parameters, scanned
):
    sizes = first.Sizes(**arguments, scanned=scanned)
    found = first.shapes(sizes)
    assert first.count(found, sizes.encoder) == parameters
    assert PRESETS[preset]["encoder_parameters"] == parameters
    config = imp_config(without_memory(sizes))
    assert PRESETS[preset]["config"].items() <= config.items()
    assert config["position_buckets"] == (16, 32, 32)
    assert config["audio_position_buckets"] == (64, 8)
    assert config["waveform_position_buckets"] == 512
    assert config["waveform_patch_size"] == 256
    assert config["max_sequence_length"] == 4096
    assert config["vocabulary_size"] == 32100
    assert "pooling" not in config


def test_the_names_are_those_of_a_model_whose_size_is_published():
    found = first.shapes(first.Sizes(**NOTEBOOK), everything=True)
    assert first.count(found) == 399_790_912
