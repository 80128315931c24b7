"""Folders of small files: readers look at names and places."""

import io
from pathlib import Path

from PIL import Image


def write(root: Path, files: dict[str, str | bytes]) -> Path:
    """Write files by their paths in a folder; return the folder."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        data = content if isinstance(content, bytes) else content.encode()
        path.write_bytes(data)
    return root


def touch(root: Path, *names: str) -> Path:
    """Make empty files by their paths in a folder; return the folder."""
    return write(root, dict.fromkeys(names, b""))


def png(color: str) -> bytes:
    """An image of one color."""
    out = io.BytesIO()
    Image.new("RGB", (4, 4), color).save(out, "PNG")
    return out.getvalue()
