"""The source packages of the playground: versions, checks, unpacking.

Each is fetched with the user's own `apt-get download` or `npm pack`, checked
by SHA-256 and unpacked without being installed: Debian packages together into
`debian/`, each npm package into a folder of its own name.
"""

import hashlib
import subprocess
import tarfile
from pathlib import Path
from typing import NamedTuple


class Package(NamedTuple):
    """A source package: its file, its folder, its SHA-256, its command."""

    file: str
    folder: str
    sha256: str
    command: tuple[str, ...]


def debian(name: str, version: str, sha256: str) -> Package:
    """Return a Debian package of one version."""
    return Package(
        f"{name}_{version}_all.deb",
        "debian",
        sha256,
        ("apt-get", "download", f"{name}={version}"),
    )


def npm(name: str, version: str, sha256: str) -> Package:
    """Return an npm package of one version."""
    folder = name.removeprefix("@").replace("/", "-")
    return Package(
        f"{folder}-{version}.tgz",
        folder,
        sha256,
        ("npm", "pack", f"{name}@{version}"),
    )


PACKAGES = (
    debian(
        "dataset-fashion-mnist",
        "0.0~git20200523.55506a9-1",
        "39e172fe32dd318ebb3e512220c3beea2fa47d7e20bab348fb4e0922d6beefc0",
    ),
    debian(
        "fluidr3mono-gm-soundfont",
        "2.315-7",
        "4098301bf29f4253c2f5799a844f42dd4aa733d91a210071ad16d7757dea51d6",
    ),
    debian(
        "fonts-symbola",
        "2.60-1.1",
        "408244997437d4103e9cdc9dd75db29d0e5fbee6e6874536173995204033a6df",
    ),
    debian(
        "musescore-general-soundfont",
        "0.2.1-1",
        "21ab87e4b15711817f84130a370bdb51003c90f3bf53e4015f3b410b9ed8c6a5",
    ),
    npm(
        "emoji-datasource-google",
        "16.0.0",
        "fb5fd131b362aab7a55542d2a147a79708cce0a8b1c1bbacd470172708b5c438",
    ),
    npm(
        "cldr-annotations-full",
        "48.2.0",
        "28576e51225deb51e3ddd734b0f824a0079682cb5d8c27faa9f68149317a14d1",
    ),
    npm(
        "cldr-annotations-derived-full",
        "48.2.0",
        "4be946ff5815f806ec78b50363d577a769f2fbfb90c6380a44e161a92436996e",
    ),
    npm(
        "@iconify-json/noto-v1",
        "1.2.5",
        "2bf62c26c2c2884aa99e90aec942cdaee17a5921f05690694f4978ad4b017c37",
    ),
    npm(
        "@iconify-json/fluent-emoji-flat",
        "1.2.6",
        "7d064769dee690815f823bc5bcc511d957198caf9f5edd8dd9c1aa48a6aeb175",
    ),
    npm(
        "@iconify-json/fluent-emoji",
        "1.2.7",
        "8044210dbf11e016d4de85f15d01a243423bd832457e7e2491df1b751c0e272b",
    ),
    npm(
        "@iconify-json/fluent-emoji-high-contrast",
        "1.2.6",
        "0b92d48c90d2200bd499e3cdd09a127ca6a8c8ddefd34c35eb5a1e4994012ae0",
    ),
    npm(
        "@lobehub/fluent-emoji-3d",
        "1.1.0",
        "c1bb7eee7de090205a232518a9ab4adb3df458bfbe8a1f78232991194c8b2e58",
    ),
    npm(
        "@iconify-json/circle-flags",
        "1.2.11",
        "ee9a03f6a6fdd79cc6325bdcb7bb93b83d331e60b16e226188f154a64b6bb4a9",
    ),
    npm(
        "@iconify-json/flag",
        "1.2.12",
        "42246bc20f6154739a192172d71ffe477747ad38278f2e912ec43f4dcb5a15e0",
    ),
    npm(
        "@iconify-json/flagpack",
        "1.2.8",
        "165ea189ef6ee00b8c10d66c0a2702a6afe1d89d7feafdc3a02a459d65580483",
    ),
)


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


def unpack(package: Package, path: Path, root: Path) -> None:
    """Unpack a package into its folder below the root."""
    folder = root / package.folder
    folder.mkdir(exist_ok=True)
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
