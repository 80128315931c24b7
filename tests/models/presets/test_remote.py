"""Presets on hubs, whose caches work without a network, or say they lack one.

No test asks a hub: Hugging Face is offline by its setting, Kaggle's download
is replaced.
"""

import re
from types import SimpleNamespace

import kagglehub
import kagglehub.exceptions
import pytest
from huggingface_hub import constants
from kagglehub.cache import Cache
from kagglehub.handle import parse_model_handle

import keras_imp
from keras_imp.data import Tokenizer
from tests.helpers.preset_packages import SIZES

pytestmark = pytest.mark.one_backend


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Hugging Face's cache, and no network."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def birds(cache):
    """The folder of a preset in the cache, as it is after a download."""
    model = cache / "models--acme--birds"
    (model / "refs").mkdir(parents=True)
    (model / "refs" / "main").write_text("0" * 40)
    return model / "snapshots" / ("0" * 40)


def save(folder, **arguments):
    tokenizer = Tokenizer.train(["a bird"], 60, length=3)
    sizes = {**SIZES, "vocabulary_size": tokenizer.vocabulary_size}
    keras_imp.IMPEncoder(**sizes).save_to_preset(
        folder,
        preprocessor=keras_imp.IMPPreprocessor(tokenizer=tokenizer),
        **arguments,
    )


def load(handle, **arguments):
    return keras_imp.IMPEncoder.from_preset(handle, **arguments)


def refused(text, error):
    return pytest.raises(error, match=f"^{re.escape(text)}$")


@pytest.mark.parametrize("max_shard_size", [10, 3e-7])
def test_a_preset_in_the_cache_needs_no_network(birds, max_shard_size):
    save(birds, max_shard_size=max_shard_size)
    assert load("hf://acme/birds").hidden_dim == 4
    preprocessor = keras_imp.IMPPreprocessor.from_preset("hf://acme/birds")
    assert preprocessor({"text": "a bird"})["text"].shape == (3,)
    assert Tokenizer.from_preset("hf://acme/birds").length == 3


def test_a_preset_that_is_not_in_the_cache_says_where_that_is(cache):
    with refused(
        f"config.json of the preset is not in the cache, {cache}, and the hub "
        "cannot be reached. Received: preset='hf://acme/birds'. Load the "
        "preset once with a network, or copy that cache from a machine where "
        "it was loaded; HF_HOME says where it is.",
        FileNotFoundError,
    ):
        load("hf://acme/birds")


def test_weights_that_are_not_in_the_cache_are_named(birds):
    save(birds)
    (birds / "model.weights.h5").unlink()
    with pytest.raises(FileNotFoundError, match=r"^model\.weights\.h5 of the"):
        load("hf://acme/birds")
    assert load("hf://acme/birds", load_weights=False).hidden_dim == 4


def test_a_shard_that_is_not_in_the_cache_is_named(birds):
    save(birds, max_shard_size=3e-7)
    (birds / "model_00001.weights.h5").unlink()
    with pytest.raises(FileNotFoundError, match=r"^model_00001\.weights\.h5 "):
        load("hf://acme/birds")


@pytest.mark.parametrize(
    ("handle", "form"),
    [
        ("hf://", "hf://owner/model"),
        ("hf://a/b/c", "hf://owner/model"),
        ("hf://a//b", "hf://owner/model"),
        ("kaggle://a/b", "kaggle://owner/model/keras/variation/version"),
    ],
)
def test_an_address_must_be_complete(cache, handle, form):
    with refused(
        f"The address of a preset must have the form {form!r}. "
        f"Received: preset={handle!r}.",
        ValueError,
    ):
        load(handle)


# Kaggle ---------------------------------------------------------------------

HANDLE = "kaggle://acme/birds/keras/small"


def answer(monkeypatch, download):
    """Let Kaggle answer with what a function returns or raises."""
    monkeypatch.setattr(kagglehub, "model_download", download)


def not_found():
    response = SimpleNamespace(status_code=404)
    return kagglehub.exceptions.KaggleApiHTTPError("404", response=response)


def test_a_preset_of_kaggle_is_downloaded_file_by_file(tmp_path, monkeypatch):
    save(tmp_path)
    asked = []

    def download(handle, file):
        asked.append((handle, file))
        if not (tmp_path / file).exists():
            raise not_found()
        return str(tmp_path / file)

    answer(monkeypatch, download)
    assert load(HANDLE).hidden_dim == 4
    assert asked == [
        ("acme/birds/keras/small", file)
        for file in ("config.json", "metadata.json", "model.weights.h5")
    ]


def test_a_version_of_kaggle_in_the_cache_needs_no_network(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path))
    save(tmp_path / "models" / "acme" / "birds" / "keras" / "small" / "3")
    handle = parse_model_handle("acme/birds/keras/small/3")
    for file in ("config.json", "metadata.json", "model.weights.h5"):
        Cache().mark_as_complete(handle, file)
    assert load(f"{HANDLE}/3").hidden_dim == 4


def test_a_file_that_kaggle_does_not_have_is_named(monkeypatch):
    def download(handle, file):
        raise not_found()

    answer(monkeypatch, download)
    with pytest.raises(FileNotFoundError, match=r"^The preset has no config"):
        load(HANDLE)


def test_kaggle_without_a_network_says_where_the_cache_is(
    tmp_path, monkeypatch
):
    def download(handle, file):
        raise ConnectionError("no route")

    answer(monkeypatch, download)
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path / "cache"))
    with refused(
        "config.json of the preset is not in the cache, "
        f"{tmp_path / 'cache'}, and the hub cannot be reached. Received: "
        f"preset={HANDLE!r}. Load the preset once with a network, or copy that "
        "cache from a machine where it was loaded; KAGGLEHUB_CACHE says where "
        "it is.",
        FileNotFoundError,
    ):
        load(HANDLE)
