"""Files of LoRA weights: what is in them, and where they belong."""

import re

import h5py
import numpy as np
import pytest

from keras_imp._saving.names import from_array, to_array
from tests.helpers import adapted
from tests.helpers.weights import to_numpy

OPTIONS = "{{'rank': {}, 'targets': {}, 'alpha': {}}}"
OTHER = (
    "LoRA weights must be loaded into the encoder that they were trained on."
)


def refused(text, error=ValueError):
    return pytest.raises(error, match=f"^{re.escape(text)}$")


def make(seed=0, rank=2, targets=("query", "expand"), alpha=None, **options):
    encoder = adapted.make_encoder(seed, **options)
    encoder.enable_lora(rank, targets, alpha)
    return encoder


@pytest.fixture
def saved(tmp_path, rng):
    """A file, and the encoder that it was saved from."""
    encoder = adapted.randomized(make(**adapted.EXPERTS), rng)
    path = tmp_path / "birds.lora.h5"
    encoder.save_lora_weights(path)
    return path, encoder


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_lora_weights_are_loaded_bit_for_bit(tmp_path, rng, dtype):
    encoder = adapted.randomized(make(dtype=dtype), rng)
    encoder.save_lora_weights(str(tmp_path / "a.lora.h5"))
    again = make(dtype=dtype)
    again.load_lora_weights(str(tmp_path / "a.lora.h5"))
    np.testing.assert_array_equal(
        adapted.outputs(again), adapted.outputs(encoder)
    )
    assert [path.name for path in tmp_path.iterdir()] == ["a.lora.h5"]


def test_a_base_that_was_rounded_is_known_again(saved):
    path, _ = saved
    rounded = make(**adapted.EXPERTS)
    for variable in rounded.weights:
        variable.assign(to_numpy(variable.value).astype("float16"))
    rounded.load_lora_weights(path)


def loaded(path, **options):
    encoder = make(**options)
    before = [to_numpy(v.value) for v in encoder.weights]
    try:
        encoder.load_lora_weights(path)
    finally:
        for now, then in zip(encoder.weights, before, strict=True):
            np.testing.assert_array_equal(to_numpy(now.value), then)


@pytest.mark.parametrize(
    "options",
    [{"rank": 3}, {"targets": ("query", "value")}, {"alpha": 5.0}],
    ids=["rank", "targets", "alpha"],
)
def test_rank_targets_and_alpha_are_those_of_the_file(saved, options):
    path, _ = saved
    rank = options.get("rank", 2)
    targets = options.get("targets", ("query", "expand"))
    here = OPTIONS.format(rank, targets, options.get("alpha", float(rank)))
    text = (
        "LoRA weights must have the rank, targets and alpha of the encoder. "
        f"Received: filepath={str(path)!r}, "
        f"file={OPTIONS.format(2, ('query', 'expand'), 2.0)}, encoder={here}. "
        "Call encoder.enable_lora(rank=2, targets=('query', 'expand'), "
        "alpha=2) on an encoder without LoRA, and load them into that."
    )
    with refused(text):
        loaded(path, **options, **adapted.EXPERTS)


def test_the_call_that_is_missing_is_told(saved):
    path, _ = saved
    text = (
        "LoRA must be enabled before its weights are loaded. Received: "
        f"filepath={str(path)!r}, lora_rank=None. Call encoder.enable_lora("
        "rank=2, targets=('query', 'expand'), alpha=2) first."
    )
    with refused(text):
        adapted.make_encoder().load_lora_weights(path)


@pytest.mark.parametrize(
    "options",
    [{}, {"num_layers": 3}, {"hidden_dim": 12}, {"num_experts": 2}],
    ids=["dense", "layers", "width", "experts"],
)
def test_another_architecture_is_told(saved, options):
    path, _ = saved
    text = (
        f"{OTHER} Received: filepath={str(path)!r}. Its layers, widths or "
        "experts are other ones."
    )
    experts = adapted.EXPERTS if options else {}
    with refused(text):
        loaded(path, **{**experts, **options})


def test_another_encoder_of_the_same_shape_is_told(saved):
    path, _ = saved
    text = (
        f"{OTHER} Received: filepath={str(path)!r}. Its kernels have other "
        "values: first load the weights that the LoRA weights were trained on."
    )
    with refused(text):
        loaded(path, seed=1, **adapted.EXPERTS)


def test_a_file_of_another_kind_is_told(tmp_path):
    encoder = make()
    path = tmp_path / "a.weights.h5"
    encoder.save_weights(path)
    text = (
        "The file must be one that `save_lora_weights` wrote. Received: "
        f"filepath={str(path)!r}. Use load_weights for the weights of an "
        "encoder or a model."
    )
    with refused(text):
        encoder.load_lora_weights(path)


def test_a_newer_format_is_told(saved):
    path, encoder = saved
    with h5py.File(path, "r+") as file:
        facts = from_array(file["vars/facts"][()])
        del file["vars/facts"]
        newer = {**facts, "format": 2, "keras_imp_version": "9.0"}
        file["vars/facts"] = to_array(newer)
    text = (
        f"LoRA weights must have the format 1. Received: filepath="
        f"{str(path)!r}, format=2. keras-imp 9.0 wrote them: install that "
        "version or a newer one."
    )
    with refused(text):
        encoder.load_lora_weights(path)


def test_a_damaged_or_missing_file_is_named(saved, tmp_path):
    path, encoder = saved
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(OSError, match=re.escape(f"filepath={str(path)!r}")):
        encoder.load_lora_weights(path)
    missing = tmp_path / "no.lora.h5"
    text = f"The file must exist. Received: filepath={str(missing)!r}."
    with refused(text, FileNotFoundError):
        encoder.load_lora_weights(missing)


def test_the_ending_is_that_of_keras_hub(tmp_path):
    path = str(tmp_path / "a.h5")
    text = (
        f"A file of LoRA weights must end in '.lora.h5'. Received: "
        f"filepath={path!r}."
    )
    with refused(text):
        make().save_lora_weights(path)
