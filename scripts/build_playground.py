"""Rebuild the bundled playground data, byte for byte.

    python scripts/build_playground.py                    # fetch, then build
    python scripts/build_playground.py --sources DIR      # packages in DIR
    python scripts/build_playground.py --sources DIR --check

The sources are three public packages of fixed version, fetched with the
user's own `apt-get download` and `npm pack` and checked by SHA-256. The same
bytes come out with the versions below; other versions of the PNG and MP3
encoders may write other bytes for the same content, and `--check` then says
which files differ.

    Python 3.11, numpy 2.4.6, Pillow 13.0.0, soundfile 0.14.0 (libsndfile
    1.2.2, bundled), scipy 1.17.1, on x86-64
"""

import argparse
import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import NamedTuple

from playground_build import emoji, fashion, sounds

DATA = Path(__file__).parents[1] / "keras_imp" / "data" / "playground" / "files"
DEBIAN_DOC = "usr/share/doc"

# What is kept by hand beside the built files.
KEPT = frozenset(
    {"README.md", "NOTICE", "LICENSE-Apache-2.0.txt", "baselines.json"}
)


class Package(NamedTuple):
    """A source package: its file, its SHA-256 and the command for it."""

    file: str
    sha256: str
    command: tuple[str, ...]


PACKAGES = (
    Package(
        "dataset-fashion-mnist_0.0~git20200523.55506a9-1_all.deb",
        "39e172fe32dd318ebb3e512220c3beea2fa47d7e20bab348fb4e0922d6beefc0",
        (
            "apt-get",
            "download",
            "dataset-fashion-mnist=0.0~git20200523.55506a9-1",
        ),
    ),
    Package(
        "fluidr3mono-gm-soundfont_2.315-7_all.deb",
        "4098301bf29f4253c2f5799a844f42dd4aa733d91a210071ad16d7757dea51d6",
        ("apt-get", "download", "fluidr3mono-gm-soundfont=2.315-7"),
    ),
    Package(
        "emoji-datasource-google-16.0.0.tgz",
        "fb5fd131b362aab7a55542d2a147a79708cce0a8b1c1bbacd470172708b5c438",
        ("npm", "pack", "emoji-datasource-google@16.0.0"),
    ),
)

# The packages' own licence files, copied as they are.
LICENSES = {
    f"{DEBIAN_DOC}/dataset-fashion-mnist/copyright": (
        "LICENSE-fashion-mnist.txt"
    ),
    f"{DEBIAN_DOC}/fluidr3mono-gm-soundfont/copyright": (
        "LICENSE-fluidr3mono.txt"
    ),
    "package/LICENSE": "LICENSE-emoji-data.txt",
}


def locate(package: Package, folder: Path) -> Path:
    """Return the package's file in a folder, fetched if it is missing."""
    path = folder / package.file
    if not path.exists():
        subprocess.run(package.command, cwd=folder, check=True)
    if not path.exists():
        raise SystemExit(
            f"The fetch left no file of the expected name. "
            f"Received: command={' '.join(package.command)!r}. "
            f"Put {package.file} into {folder} by hand."
        )
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != package.sha256:
        raise SystemExit(
            f"A source package must have its pinned SHA-256. "
            f"Received: {package.file} with {found}. Fetch version "
            f"{package.command[-1]} again."
        )
    return path


def unpack(path: Path, folder: Path) -> None:
    """Unpack a Debian or npm package without installing it."""
    if path.suffix == ".deb":
        subprocess.run(["dpkg-deb", "-x", path, folder], check=True)
        return
    with tarfile.open(path) as archive:
        wanted = [
            member
            for member in archive.getmembers()
            if not member.name.startswith("package/img/google/sheets")
        ]
        archive.extractall(folder, members=wanted, filter="data")


def build(sources: Path, out: Path) -> None:
    """Build every data file from unpacked sources."""
    fashion.build(sources, out)
    emoji.build(sources, out)
    sounds.build(sources, out)
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
            unpack(locate(package, folder), unpacked)
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
