"""Named sizes, as data, and presets with weights.

Each size is one JSON file, each preset with weights a folder. Source of the
sizes: docs/method.md, Model sizes.
"""

import json
from importlib import resources
from pathlib import Path
from typing import Any

from keras_imp.models.presets.files import CONFIG_FILE

_HERE = Path(__file__).parent


def _read() -> dict[str, dict[str, Any]]:
    presets = {
        file.name.removesuffix(".json"): json.loads(file.read_text("utf-8"))
        for file in resources.files(__name__).iterdir()
        if file.name.endswith(".json")
    }
    order = sorted(presets, key=lambda n: presets[n]["encoder_parameters"])
    return {name: presets[name] for name in order}


# From name to description, parameters of the encoder without its embedders
# and of the whole encoder, all of them and those that a token meets, and
# constructor arguments; smallest first.
PRESETS = _read()

# Presets with weights that ship with this package, by name.
BUILT_IN_FOLDERS = {
    folder.name: folder
    for folder in sorted(_HERE.iterdir())
    if (folder / CONFIG_FILE).is_file()
}
