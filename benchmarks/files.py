"""Decoding files to batches: keras_imp, tf.data, grain, torch, in one run.

    python benchmarks/files.py            # three media, minutes
    python benchmarks/files.py --smoke    # a few small files: does it run?

JPEG of 500x375 pixels, its middle scaled to 224x224 (antialiased); 8 s of
stereo WAV at 16 kHz to one channel; 16 frames of an H.264 video of 256x256,
scaled to 224x224. Needs the extras `data` and `video`, tensorflow, torch and
`pip install grain`. Writes results/files.json.
"""

import argparse
import dataclasses
import functools
import json
import pathlib
import tempfile

import _timing
import numpy as np
from _files_sides import SIDES, Work
from _timing import Side

MINE = "keras-imp Records"
GOAL = 1.0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add = parser.add_argument
    add("--smoke", action="store_true", help="few files, one round")
    add("--rounds", type=int, default=7, help="turns of each side")
    add("--steps", type=int, default=3, help="measured batches of a turn")
    add("--worker", help=argparse.SUPPRESS)
    return parser.parse_args()


def write_files(folder: pathlib.Path, count: int) -> None:
    """Files of all media. Smooth colors and noise, as photographs have."""
    import av
    import soundfile
    from PIL import Image

    generator = np.random.default_rng(0)

    def photograph(height: int, width: int) -> Image.Image:
        coarse = generator.integers(0, 256, (12, 16, 3), "uint8")
        image = Image.fromarray(coarse).resize(
            (width, height), Image.Resampling.BICUBIC
        )
        noise = generator.normal(0, 6, (height, width, 3))
        return Image.fromarray(
            np.clip(np.asarray(image) + noise, 0, 255).astype("uint8")
        )

    for i in range(count):
        photograph(375, 500).save(folder / f"{i}.jpg", quality=90)
        wave = generator.normal(0, 0.1, (128_000, 2))
        soundfile.write(folder / f"{i}.wav", wave, 16_000)
        with av.open(str(folder / f"{i}.mp4"), "w") as container:
            stream = container.add_stream("libx264", rate=25)
            stream.height = stream.width = 256
            stream.pix_fmt = "yuv420p"
            scene = np.asarray(photograph(256, 320))
            for shift in range(64):
                moved = np.ascontiguousarray(scene[:, shift : shift + 256])
                frame = av.VideoFrame.from_ndarray(moved)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))


def make_side(name: str, work: Work) -> Side:
    backend, _ = SIDES[name]
    job = {"side": name, "work": dataclasses.asdict(work)}
    return _timing.make_side(name, __file__, backend, job)


def serve(job: dict) -> None:
    """Be one side: what the driver starts."""
    _timing.find_package()
    _, side = SIDES[job["side"]]
    _timing.serve(functools.partial(side, Work(**job["work"])))


def measure(arguments: argparse.Namespace, work: Work) -> dict:
    ready = _timing.start_all([make_side(name, work) for name in SIDES], print)
    steps = 1 if arguments.smoke else arguments.steps
    foreign = _timing.take_turns(ready, arguments.rounds, 1, steps)
    for side in ready:
        side.stop()
    records = {
        side.name: {
            "cpu_ms": round(
                1e3 * _timing.CORES * side.median("cpu") / work.batch, 3
            ),
            "wall_ms": round(1e3 * side.median("wall") / work.batch, 3),
            "mean": round(side.facts["mean"], 3),
            "std": round(side.facts["std"], 3),
            "shape": side.facts["shape"],
        }
        for side in ready
    }
    fastest = min(
        one["cpu_ms"] for name, one in records.items() if name != MINE
    )
    return {
        "foreign_share": round(foreign, 3),
        "sides": records,
        "fastest_other_over_ours": round(fastest / records[MINE]["cpu_ms"], 3),
    }


def main() -> None:
    arguments = parse_arguments()
    if arguments.worker:
        serve(json.loads(arguments.worker))
        return
    content: dict[str, dict] = {}
    with tempfile.TemporaryDirectory() as name:
        count = 4 if arguments.smoke else 64
        write_files(pathlib.Path(name), count)
        if arguments.smoke:
            arguments.rounds = 1
        for medium in ("image", "audio", "video"):
            batch = 4 if arguments.smoke or medium == "video" else 16
            work = Work(medium, name, count, batch)
            content[medium] = report(medium, arguments, work)
    path = "tmp/files_smoke" if arguments.smoke else "files"
    print(_timing.write_json(path, content))


def report(medium: str, arguments: argparse.Namespace, work: Work) -> dict:
    content = measure(arguments, work)
    header = [medium, "cpu ms each", "wall ms each", "mean", "std"]
    rows = [
        [name, *(f"{one[key]:.3f}" for key in list(one)[:4])]
        for name, one in content["sides"].items()
    ]
    print(_timing.table(f"\n{medium}: batches of {work.batch}", header, rows))
    print(f"Other programs took {content['foreign_share']:.0%} of the machine.")
    ratio = content["fastest_other_over_ours"]
    print(f"fastest of the others / ours: {ratio:.2f}, goal >= {GOAL:g}")
    return content


if __name__ == "__main__":
    main()
