"""Parameter counts of docs/method.md, Model sizes, as it prints them."""

import functools

import keras
import pytest

import keras_imp
from keras_imp.models import PRESETS
from tests.helpers.weights import to_numpy

pytestmark = pytest.mark.one_backend

# The table's exact counts of the encoder; sizes printed to 0.01M follow.
EXACT = {"imp_small": 21_243_648, "imp_base": 84_954_624}
# name: width, feed-forward width, layers, heads, millions in the encoder,
# millions with the vision path (None where the table has none).
ROWS = {
    "imp_small": (384, 1536, 12, 6, 21.24, 22.75),
    "imp_base": (768, 3072, 12, 12, 84.95, 88.56),
    "imp_medium": (1024, 4096, 12, 16, 151.02, 156.35),
    "imp_large": (1024, 4096, 24, 16, 302.04, 307.37),
    "imp_xlarge": (1536, 4096, 24, 24, 528.56, 538.13),
    "imp_xxlarge": (1536, 4096, 32, 24, 704.74, 714.31),
    "imp_huge": (1536, 8192, 32, 24, 1107.40, 1116.97),
    "imp_xhuge": (2048, 8192, 32, 32, 1610.75, None),
    "imp_giant": (3072, 10240, 32, 48, 3221.43, None),
    "imp_gigantic": (4096, 16384, 32, 64, 6442.72, None),
    "imp_ginormous": (4096, 32768, 32, 64, 10737.69, None),
}
# Millions of the text path by width.
TEXT_PATHS = {384: 14.20, 768: 28.98, 1024: 39.17, 1536: 60.32}


@functools.cache
def count_without_memory(name):
    """Counts of a whole preset whose variables never get values."""
    try:
        with keras.StatelessScope(initialize_variables=False):
            encoder = keras_imp.IMPEncoder.from_preset(name)
            active = encoder.count_active_params()
            return {**counts(encoder), "active": active}
    finally:
        # Keras keeps a list of variables without values and fills them when
        # the next scope ends: 11 billion numbers, in somebody else's test.
        keras.utils.clear_session(free_memory=False)


def counts(encoder):
    parts = {
        "encoder": encoder.body.count_params()
        + encoder.final_norm.count_params(),
        **{k: v.count_params() for k, v in encoder.embedders.items()},
    }
    assert sum(parts.values()) == encoder.count_params()
    return parts


def encoder_formula(width, inner, layers):
    """L (4 D^2 + 2 D F + 2 D) + 2 D, docs/method.md, Model sizes."""
    block = 4 * width**2 + 2 * width * inner + 2 * width
    return layers * block + 2 * width


def vision_formula(width):
    tables = (16 + 32 + 32) * width + 2 * width
    return (3072 + 1) * width + tables + 2 * (width**2 + width)


def text_formula(width):
    tables = 32100 * width + 4096 * width + 2 * width
    return tables + 2 * (width**2 + width)


def millions(count):
    return round(count / 1e6, 2)


@pytest.fixture(scope="module")
def small():
    return keras_imp.IMPEncoder.from_preset(
        "imp_small", modalities=("image", "text")
    )


def test_small_really_built_has_the_counts_of_the_table(small):
    found = counts(small)
    assert found["encoder"] == 21_243_648
    assert 21_243_648 + found["vision"] == 22_750_848
    assert millions(found["text"]) == 14.20
    arrays = sum(to_numpy(v).size for v in small.weights)
    assert arrays == small.count_params()


@pytest.mark.parametrize("name", ROWS)
def test_encoder_count_is_that_of_the_table(name):
    width, inner, layers, _, in_encoder, with_vision = ROWS[name]
    found = count_without_memory(name)
    assert found["encoder"] == encoder_formula(width, inner, layers)
    assert found["encoder"] == EXACT.get(name, found["encoder"])
    assert found["vision"] == vision_formula(width)
    assert millions(found["encoder"]) == in_encoder
    if with_vision is not None:
        assert millions(found["encoder"] + found["vision"]) == with_vision


@pytest.mark.parametrize(
    ("name", "width"),
    [
        ("imp_small", 384),
        ("imp_base", 768),
        ("imp_large", 1024),
        ("imp_xlarge", 1536),
    ],
)
def test_text_path_count_is_that_of_the_table(name, width):
    found = count_without_memory(name)["text"]
    assert found == text_formula(width)
    assert millions(found) == TEXT_PATHS[width]


def test_presets_are_the_sizes_of_the_table_and_a_tiny_one():
    sparse = {f"imp_moe_{size}" for size in ("tiny", "small", "base", "large")}
    assert set(PRESETS) == {*ROWS, "imp_tiny", *sparse}


@pytest.mark.parametrize("name", ROWS)
def test_arguments_are_those_of_the_table(name):
    width, inner, layers, heads, _, _ = ROWS[name]
    assert PRESETS[name]["config"] == {
        "hidden_dim": width,
        "intermediate_dim": inner,
        "num_layers": layers,
        "num_heads": heads,
    }
    # "d_h = D / H = 64 in every named size", docs/method.md, Encoder.
    assert width == 64 * heads


@pytest.mark.parametrize("name", PRESETS)
def test_the_counts_that_a_preset_states_are_true(name):
    found = dict(count_without_memory(name))
    stated = PRESETS[name]
    assert found.pop("active") == stated["active_parameters"]
    assert found["encoder"] == stated["encoder_parameters"]
    assert sum(found.values()) == stated["parameters"]


def test_presets_are_ordered_by_size():
    sizes = [preset["encoder_parameters"] for preset in PRESETS.values()]
    assert sizes == sorted(sizes)


def test_arguments_replace_those_of_a_preset():
    encoder = keras_imp.IMPEncoder.from_preset(
        "imp_tiny", modalities=("text",), num_layers=2, vocabulary_size=11
    )
    assert encoder.num_layers == 2
    assert encoder.hidden_dim == PRESETS["imp_tiny"]["config"]["hidden_dim"]
    assert list(encoder.embedders) == ["text"]
