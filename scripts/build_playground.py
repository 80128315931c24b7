"""Rebuild the bundled playground data, byte for byte.

    python scripts/build_playground.py                    # fetch, then build
    python scripts/build_playground.py --sources DIR      # packages in DIR
    python scripts/build_playground.py --sources DIR --check

The sources are public packages of fixed version (`playground_build/
packages.py`), fetched with the user's own `apt-get download` and `npm pack`
and checked by SHA-256. Only the build draws vector pictures; it needs
`pip install resvg-py==0.5.0`. The same bytes come out with the versions
below; other versions of the encoders may write other bytes for the same
content, and `--check` then says which files differ.

    Python 3.11, numpy 2.4.6, Pillow 13.0.0 (libwebp 1.6.0, FreeType 2.14.3,
    bundled), resvg-py 0.5.0, soundfile 0.14.0 (libsndfile 1.2.2, bundled),
    scipy 1.17.1, on x86-64
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from playground_build import emoji, fashion, sounds, unseen_sounds
from playground_build.packages import PACKAGES, locate, unpack

DATA = Path(__file__).parents[1] / "keras_imp" / "data" / "playground" / "files"
DEBIAN_DOC = "debian/usr/share/doc"

# What is kept by hand beside the built files.
KEPT = frozenset(
    {
        "README.md",
        "NOTICE",
        "LICENSE-Apache-2.0.txt",
        "LICENSE-MIT.txt",
        "baselines.json",
    }
)


# The packages' own licence files, copied as they are.
LICENSES = {
    f"{DEBIAN_DOC}/dataset-fashion-mnist/copyright": (
        "LICENSE-fashion-mnist.txt"
    ),
    f"{DEBIAN_DOC}/fluidr3mono-gm-soundfont/copyright": (
        "LICENSE-fluidr3mono.txt"
    ),
    f"{DEBIAN_DOC}/musescore-general-soundfont/copyright": (
        "LICENSE-musescore-general.txt"
    ),
    f"{DEBIAN_DOC}/fonts-symbola/copyright": "LICENSE-symbola.txt",
    "emoji-datasource-google/package/LICENSE": "LICENSE-emoji-data.txt",
    "cldr-annotations-full/package/LICENSE": "LICENSE-unicode.txt",
}


def build(sources: Path, out: Path) -> None:
    """Build every data file from unpacked sources."""
    fashion.build(sources, out)
    emoji.build(sources, out)
    sounds.build(sources, out)
    unseen_sounds.build(sources, out)
    for source, target in LICENSES.items():
        shutil.copyfile(sources / source, out / target)


def compare(built: Path, stored: Path) -> list[str]:
    """Return one line for each file that differs."""
    names = {path.name for path in built.iterdir()}
    there = {path.name for path in stored.iterdir()} - KEPT
    lines = [f"{name}: not built" for name in sorted(there - names)]
    for name in sorted(names):
        if name not in there:
            lines.append(f"{name}: missing in {stored}")
        elif (built / name).read_bytes() != (stored / name).read_bytes():
            lines.append(f"{name}: other bytes")
    return lines


def main() -> int:
    """Run the command line; return 1 if a check finds a difference."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sources", type=Path, help="folder with packages")
    parser.add_argument("--out", type=Path, default=DATA)
    parser.add_argument("--check", action="store_true", help="only compare")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        unpacked, built = Path(scratch, "unpacked"), Path(scratch, "built")
        unpacked.mkdir()
        built.mkdir()
        for package in PACKAGES:
            folder = options.sources or Path(scratch)
            unpack(package, locate(package, folder), unpacked)
        build(unpacked, built)
        if options.check:
            lines = compare(built, options.out)
            print("\n".join(lines) or "Every file is the same, byte for byte.")
            return int(bool(lines))
        options.out.mkdir(parents=True, exist_ok=True)
        for path in sorted(built.iterdir()):
            shutil.copyfile(path, options.out / path.name)
            print(f"{path.stat().st_size:9,d}  {path.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
