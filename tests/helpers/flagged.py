"""What the scan of a table finds."""

from pathlib import Path
from typing import Any

import keras_imp
from keras_imp.validation import scan_and_flag


def flags_of(folder: Path, columns: dict[str, Any]) -> list[tuple[str, int]]:
    """The flags of a table of these columns, each with its row."""
    manifest = keras_imp.data.Manifest(columns, root=folder)
    scan = scan_and_flag(manifest, folder, workers=1)
    return [(f.flag, f.row) for f in scan.findings]
