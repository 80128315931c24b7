r"""Fetch two real data sets from Debian packages, as files with a table each.

    python scripts/fetch_real_data.py data/real
    keras-imp train --data data/real/prompts.csv --data data/real/battles.csv \
        --data data/real/sounds.csv

`prompts.csv` has telephone prompts, spoken in five languages, with their
transcripts: asterisk-core-sounds, CC-BY-SA-3.0 and CC-BY-3.0. `battles.csv` has
drawn animations of the game Battle for Wesnoth as videos, with what happens as
a text and as a label, and `sounds.csv` those that have sound: GPL-2+ and
CC-BY-SA-4.0. These licences keep all out of this repository: they are fetched
by your own command, and what is made of them stays under their licences.

`group` joins the recordings of one prompt, and of prompts with one text, and
the videos of one unit, and of units that share an image. `split` holds 20 % of
the groups out for testing.

Needs `apt-get` and `dpkg-deb`, 250 MB of packages and 400 MB of disk, and the
extras `data` and `video`. `--packages FOLDER` takes packages that are there.
"""

import argparse
import subprocess
import sys
from pathlib import Path

from real_data import battles, prompts

PACKAGES = (*prompts.PACKAGES, *battles.PACKAGES)


def main() -> None:
    """Fetch, unpack and write both data sets."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("out", type=Path, help="folder to write")
    parser.add_argument("--packages", type=Path, help="folder of .deb files")
    arguments = parser.parse_args()
    out = arguments.out
    root = out / "packages" / "unpacked"
    root.mkdir(parents=True, exist_ok=True)
    for name in PACKAGES:
        unpack(name, arguments.packages or out / "packages", root)
    for path, rows in (prompts.write(root, out), *battles.write(root, out)):
        sys.stdout.write(f"{path}: {rows} rows\n")


def unpack(name: str, folder: Path, root: Path) -> None:
    """Unpack a package, fetched if its file is not in the folder."""
    found = sorted(folder.glob(f"{name}_*.deb"))
    if not found:
        subprocess.run(["apt-get", "download", name], cwd=folder, check=True)
        found = sorted(folder.glob(f"{name}_*.deb"))
    subprocess.run(["dpkg-deb", "-x", found[-1], root], check=True)


if __name__ == "__main__":
    main()
