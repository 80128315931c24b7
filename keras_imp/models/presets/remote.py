"""Presets on Hugging Face and Kaggle: each file is downloaded when needed.

Both keep what was downloaded in a cache, which works without a network.
"""

import functools
from collections.abc import Callable
from pathlib import Path

from keras_imp._errors import message
from keras_imp._optional import require
from keras_imp.models.presets.files import PresetFiles


class UnreachableError(FileNotFoundError):
    """A file is not in the cache, and its hub cannot be asked for it."""


def is_handle(preset: str) -> bool:
    """Whether a preset is named by an address, such as `"hf://name/model"`.

    Args:
        preset: What the user typed.

    Returns:
        Whether it has a scheme.

    Example:
        >>> from keras_imp.models.presets.remote import is_handle
        >>> is_handle("hf://acme/birds"), is_handle("acme/birds")
        (True, False)
    """
    return "://" in preset


def remote_files(handle: str) -> PresetFiles | None:
    """The files of a preset on a hub.

    Args:
        handle: `"hf://owner/model"` or
            `"kaggle://owner/model/keras/variation[/version]"`.

    Returns:
        The files; None for other schemes, which keras-hub may know.

    Raises:
        ValueError: If the address is incomplete.

    Example:
        >>> from keras_imp.models.presets.remote import remote_files
        >>> remote_files("hf://acme/birds").name
        'hf://acme/birds'
    """
    scheme, _, path = handle.partition("://")
    if scheme.lower() not in _HUBS:
        return None
    counts, form, download = _HUBS[scheme.lower()]
    parts = path.split("/")
    if len(parts) not in counts or not all(parts):
        raise ValueError(
            message(
                f"The address of a preset must have the form {form!r}.",
                preset=handle,
            )
        )
    # An encoder and its preprocessor ask for some files twice.
    return PresetFiles(
        handle, functools.cache(functools.partial(download, handle, path))
    )


def _from_hugging_face(handle: str, path: str, file: str) -> Path | None:
    hub = require("huggingface_hub", extra="hub")
    errors = require("huggingface_hub.errors", extra="hub")
    constants = require("huggingface_hub.constants", extra="hub")
    try:
        return Path(hub.hf_hub_download(path, file))
    # A kind of the next one: not to be told from a file that is not there.
    except errors.LocalEntryNotFoundError as error:
        raise _unreachable(
            handle, file, constants.HF_HUB_CACHE, "HF_HOME"
        ) from error
    except errors.EntryNotFoundError:
        return None
    except errors.RepositoryNotFoundError as error:
        raise FileNotFoundError(
            message(
                "Hugging Face has no such model, or you must log in to see it.",
                "Check its name, or log in: hf auth login",
                preset=handle,
            )
        ) from error


def _from_kaggle(handle: str, path: str, file: str) -> Path | None:
    hub = require("kagglehub", extra="hub")
    errors = require("kagglehub.exceptions", extra="hub")
    config = require("kagglehub.config", extra="hub")
    try:
        return Path(hub.model_download(path, file))
    except errors.KaggleApiHTTPError as error:
        if error.response is not None and error.response.status_code == 404:
            return None
        raise
    except ValueError as error:
        if "not present in the model files" in str(error):
            return None
        raise
    # Of the `requests` package: no connection, or none in time.
    except OSError as error:
        cache = config.get_cache_folder()
        raise _unreachable(handle, file, cache, "KAGGLEHUB_CACHE") from error


def _unreachable(
    handle: str, file: str, cache: str, variable: str
) -> UnreachableError:
    return UnreachableError(
        message(
            f"{file} of the preset is not in the cache, {cache}, and the hub "
            "cannot be reached.",
            "Load the preset once with a network, or copy that cache from a "
            f"machine where it was loaded; {variable} says where it is.",
            preset=handle,
        )
    )


# By scheme: how many parts an address has, its form, how a file is downloaded.
_HUBS: dict[
    str, tuple[tuple[int, ...], str, Callable[[str, str, str], Path | None]]
] = {
    "hf": ((1, 2), "hf://owner/model", _from_hugging_face),
    "kaggle": (
        (4, 5),
        "kaggle://owner/model/keras/variation/version",
        _from_kaggle,
    ),
}
