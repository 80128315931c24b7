"""Rows that have a sketch of an image, without files."""

import numpy as np

from keras_imp.data import Manifest
from keras_imp.validation.rows import Part, RowKeys


def keys_of(fields, labels=(), groups=(), parts=()):
    """The keys of rows with images.

    Args:
        fields: Colors of 8 x 8 fields of each row, of any shape of 192 numbers.
        labels: A label for each row, or None.
        groups: A group for each row.
        parts: The name of the part of each row; the first one is what the
            others are compared with. Defaults to one part.
    """
    keys = RowKeys()
    names = list(dict.fromkeys(parts)) or ["all"]
    keys.parts = [Part(name, name == names[0]) for name in names]
    if len(groups):
        keys.add_groups(Manifest({"text": groups, "group": groups}))
    for row, colors in enumerate(fields):
        sketch = np.clip(np.round(colors), 0, 255).astype("uint8")
        label = labels[row] if len(labels) else None
        keys.add(
            names.index(parts[row]) if len(parts) else 0,
            {
                "kind": "image",
                "places": {},
                "is_segment": False,
                "hashes": {},
                "sketches": {"image": sketch.tobytes().hex()},
                "texts": [],
                "labels": [label] if label else [],
            },
        )
    if not len(groups):
        keys.group.extend([0] * len(keys))
    return keys
