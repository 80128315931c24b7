"""Fetch larger inputs than the playground has, for a study.

    python scripts/fetch_large_inputs.py data/large
    python benchmarks/multi_resolution.py data/large

`emoji_<split>.npy` are the playground's emoji in the style of Noto as 64x64
images, uint8, on white, in the order of `keras_imp.data.playground.load`: from
the npm package emoji-datasource-google (Apache-2.0).

`music_<split>.npz` are excerpts of 8.2 seconds from 32 pieces of music of the
game Battle for Wesnoth, as log-mel spectrograms, with the number of the piece.
The first three quarters of a piece are for training, by excerpts that overlap
by half; the last fifth is for testing. They are from the Debian package
wesnoth-1.16-music (GPL-2+ and CC-BY-SA-4.0) and stay out of this repository.

Needs `apt-get`, `dpkg-deb` and `npm`, 200 MB of packages and the extra `data`.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from fetch_real_data import unpack as unpack_debian
from PIL import Image
from playground_build import emoji_table
from playground_build.packages import PACKAGES, locate, unpack
from playground_build.tiles import on_white

from keras_imp.data import LogMel, playground
from keras_imp.data.decoding.audio import decode_audio
from keras_imp.evaluation.playground.splits import LOG_MEL

MUSIC = "wesnoth-1.16-music"
EMOJI = "emoji-datasource-google"
FRAMES = 512
SAMPLES = FRAMES * LOG_MEL["frame_step"]
RATE = LOG_MEL["sampling_rate"]
# Fractions of a piece: where training ends, and where testing begins.
TRAINED, TESTED = 0.75, 0.8
# Shorter pieces are jingles, with no room for either.
SHORTEST_SECONDS = 60.0


def main() -> None:
    """Fetch, unpack and write both."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("out", type=Path, help="folder to write")
    out = parser.parse_args().out
    root = out / "packages" / "unpacked"
    root.mkdir(parents=True, exist_ok=True)
    (package,) = (each for each in PACKAGES if each.folder == EMOJI)
    unpack(package, locate(package, root.parent), root)
    unpack_debian(MUSIC, root.parent, root)
    for split in ("train", "test"):
        images = emoji_images(root, playground.load(split).emoji.names)
        np.save(out / f"emoji_{split}.npy", images)
        sys.stdout.write(f"emoji of {split}: {len(images)}\n")
    for split, (audio, labels) in music(root).items():
        np.savez(out / f"music_{split}.npz", audio=audio, labels=labels)
        pieces = len(np.unique(labels))
        sys.stdout.write(
            f"music of {split}: {len(labels)} excerpts of {pieces} pieces\n"
        )


def emoji_images(root: Path, names: list[str]) -> np.ndarray:
    """The drawings of emoji: uint8, shape `(emoji, 64, 64, 3)`, on white."""
    folder = root / emoji_table.NOTO / "img" / "google" / "64"
    # Some share a name: they are in this order in a split.
    files: dict[str, list[str]] = {}
    for record in emoji_table.read_records(root):
        files.setdefault(record["name"].lower(), []).append(record["image"])
    drawings = (Image.open(folder / files[name].pop(0)) for name in names)
    return np.stack([np.asarray(on_white(drawing)) for drawing in drawings])


def music(root: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Spectrograms and pieces of the excerpts of each split."""
    audio: dict[str, list] = {"train": [], "test": []}
    labels: dict[str, list] = {"train": [], "test": []}
    paths = sorted((root / "usr/share/games/wesnoth").rglob("music/*.ogg"))
    pieces = [path for path in paths if _seconds(path) >= SHORTEST_SECONDS]
    for number, path in enumerate(pieces):
        wave = decode_audio(path, RATE).values
        parts = {
            "train": (wave[: int(TRAINED * len(wave))], SAMPLES // 2),
            "test": (wave[int(TESTED * len(wave)) :], SAMPLES),
        }
        for split, (part, step) in parts.items():
            starts = range(0, len(part) - SAMPLES + 1, step)
            found = [part[start : start + SAMPLES] for start in starts]
            audio[split].append(np.asarray(LogMel(**LOG_MEL)(np.stack(found))))
            labels[split] += [number] * len(found)
    return {
        split: (np.concatenate(audio[split]), np.array(labels[split], "int32"))
        for split in audio
    }


def _seconds(path: Path) -> float:
    import soundfile

    return soundfile.info(path).duration


if __name__ == "__main__":
    main()
