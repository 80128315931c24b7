"""Named sizes, as data: one JSON file for each.

Source: docs/method.md, Model sizes.
"""

import json
from importlib import resources
from typing import Any


def _read() -> dict[str, dict[str, Any]]:
    presets = {
        file.name.removesuffix(".json"): json.loads(file.read_text("utf-8"))
        for file in resources.files(__name__).iterdir()
        if file.name.endswith(".json")
    }
    order = sorted(presets, key=lambda n: presets[n]["encoder_parameters"])
    return {name: presets[name] for name in order}


# From name to description, parameters of the encoder without its embedders,
# and constructor arguments; smallest first.
PRESETS = _read()
