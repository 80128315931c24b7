"""What a preset is on disk: the names of its files, and how they are read.

    config.json            the encoder's class and constructor arguments
    metadata.json          versions, format, parameters, modalities, license
    model.weights.h5       the weights; or `model.weights.json` and shards
    preprocessor.json      the sizes of its inputs, if they were saved
    tokenizer.json         what makes its token ids, if it was saved
    task.json              the tasks of a model that was saved with its encoder
    task.weights.h5        the weights of these tasks
    README.md              its card

keras-hub reads the same folder.
"""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras_imp
from keras_imp._errors import message

# What a newer keras-imp may write and this one cannot read has a higher one.
FORMAT = 1

CONFIG_FILE = "config.json"
METADATA_FILE = "metadata.json"
WEIGHTS_FILE = "model.weights.h5"
# Which shard has which weights.
SHARDS_FILE = "model.weights.json"
PREPROCESSOR_FILE = "preprocessor.json"
TOKENIZER_FILE = "tokenizer.json"
TASK_FILE = "task.json"
TASK_WEIGHTS_FILE = "task.weights.h5"
CARD_FILE = "README.md"


@dataclasses.dataclass(frozen=True)
class PresetFiles:
    """The files of one preset, wherever they are.

    Attributes:
        name: What the user called it.
        get: From the name of a file to its path; None if the preset lacks it.
        size: Name of a size of `PRESETS`, if it is one: it has no files.

    Example:
        >>> from keras_imp.models.presets.files import PresetFiles
        >>> PresetFiles("empty", lambda file: None).read("config.json")
        {}
    """

    name: str
    get: Callable[[str], Path | None]
    size: str = ""

    @classmethod
    def of_folder(cls, folder: Path, name: str = "") -> "PresetFiles":
        """The files of a preset in a folder.

        Args:
            folder: The folder.
            name: What the user called it. Defaults to the folder.

        Returns:
            The files.
        """

        def get(file: str) -> Path | None:
            path = folder / file
            return path if path.is_file() else None

        return cls(name or str(folder), get)

    def need(self, file: str, hint: str) -> Path:
        """The path of a file that must be there.

        Args:
            file: Name of the file.
            hint: What to do if the preset lacks it.

        Returns:
            The path.

        Raises:
            FileNotFoundError: If the preset lacks the file.
        """
        path = self.get(file)
        if path is None:
            raise FileNotFoundError(
                message(f"The preset has no {file}.", hint, preset=self.name)
            )
        return path

    def read(self, file: str) -> dict[str, Any]:
        """The content of a file of JSON.

        Args:
            file: Name of the file.

        Returns:
            The content; empty if the preset lacks the file.

        Raises:
            ValueError: If it is no JSON object.
        """
        path = self.get(file)
        if path is None:
            return {}
        try:
            content = json.loads(path.read_text("utf-8"))
        except (ValueError, RecursionError) as error:
            raise ValueError(_not_json(path, str(error))) from None
        if not isinstance(content, dict):
            raise ValueError(_not_json(path, type(content).__name__))
        return content

    def read_arguments(self, file: str) -> dict[str, Any]:
        """The constructor arguments that a file of JSON holds.

        Args:
            file: Name of the file.

        Returns:
            The arguments.

        Raises:
            ValueError: If it holds none.
        """
        arguments = self.read(file).get("config")
        if not isinstance(arguments, dict):
            raise ValueError(
                message(
                    f"`config` in {file} must hold constructor arguments.",
                    "The file is damaged: save or copy the preset again.",
                    preset=self.name,
                    config=arguments,
                )
            )
        return arguments

    def read_metadata(self) -> dict[str, Any]:
        """The metadata of a preset of a format that is known.

        Returns:
            The metadata; empty if the preset has none.

        Raises:
            ValueError: If the format is newer, or is no number.
        """
        metadata = self.read(METADATA_FILE)
        # Version 0.1.0 wrote none.
        found = metadata.get("format", FORMAT)
        if not isinstance(found, int) or isinstance(found, bool):
            raise ValueError(
                message(
                    f"`format` in {METADATA_FILE} must be an integer.",
                    "The file is damaged: save or copy the preset again.",
                    preset=self.name,
                    format=found,
                )
            )
        if found > FORMAT:
            raise ValueError(
                message(
                    f"keras-imp {keras_imp.__version__} reads presets up to "
                    f"format {FORMAT}.",
                    "Install a newer one: pip install --upgrade keras-imp",
                    preset=self.name,
                    format=found,
                    keras_imp_version=metadata.get("keras_imp_version"),
                )
            )
        return metadata


def _not_json(path: Path, error: str) -> str:
    return message(
        f"{path.name} of a preset must be a JSON object.",
        "The file is damaged: save or copy the preset again.",
        file=str(path),
        error=error,
    )
