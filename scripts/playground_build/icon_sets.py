"""Icon sets in the Iconify format, drawn as tiles with resvg."""

import io
import json
from pathlib import Path

import numpy as np
import resvg_py
from PIL import Image

from playground_build.emoji_table import key
from playground_build.tiles import SOURCE_SIZE, tile


class IconSet:
    """The icons of one package, by name."""

    def __init__(self, root: Path, package: str) -> None:
        self._folder = root / package / "package"
        self._set = self._read("icons.json")

    def _read(self, file: str) -> dict:
        return json.loads((self._folder / file).read_text("utf-8"))

    def names_of_characters(self) -> dict[str, str]:
        """Return the name of each icon by its code points."""
        characters = self._read("chars.json")
        return {key(points): name for points, name in characters.items()}

    def draw(self, name: str) -> np.ndarray | None:
        """Return the icon as a tile, or None where the set lacks it."""
        aliases = self._set.get("aliases", {})
        while name in aliases:
            name = aliases[name]["parent"]
        if name not in self._set["icons"]:
            return None
        return tile(_render(self._svg(self._set["icons"][name])))

    def _svg(self, icon: dict) -> str:
        """Return an SVG that centers the icon in a square."""
        left, top, width, height = (
            icon.get(side, self._set.get(side, default))
            for side, default in (
                ("left", 0),
                ("top", 0),
                ("width", 16),
                ("height", 16),
            )
        )
        body = icon["body"].replace("currentColor", "#000")
        return (
            '<svg xmlns="http://www.w3.org/2000/svg" '
            'xmlns:xlink="http://www.w3.org/1999/xlink" '
            f'viewBox="{left} {top} {width} {height}" '
            f'width="{SOURCE_SIZE}" height="{SOURCE_SIZE}">{body}</svg>'
        )


def _render(svg: str) -> Image.Image:
    # The fonts of the machine would make the bytes depend on it.
    png = resvg_py.svg_to_bytes(svg_string=svg, skip_system_fonts=True)
    return Image.open(io.BytesIO(bytes(png)))
