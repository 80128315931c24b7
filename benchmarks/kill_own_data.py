"""Kill runs on files at random moments; they must end as if they had lived.

A folder per class, a table of images with captions and recordings in the layout
of ESC-50 become three tasks of one encoder. Some files are empty, which the
scan finds; others are cut off behind their first bytes, in rows that the scan
does not decode, so that training meets them. A run is started, killed with
SIGKILL at a moment drawn uniformly from the length of a whole run, resumed,
killed again, until it gets through; its variables, rows and epochs must then
equal those of a run that was never killed, bit for bit.

    python benchmarks/kill_own_data.py --backend jax --kills 10

Each life is a process of its own, forked from one that has imported everything
and computed nothing.
"""

import argparse
import functools
import json
import os
import pathlib
import random
import sys
import tempfile

import _lives
from _lives import choose_backend, save_variables, saved_variables
from _timing import table, write_json

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.helpers import own_files  # noqa: E402

# Found by the scan, and later: the first bytes of these are right.
EMPTY = ("classes/blue/0.png", "photos/images/0.jpg")
CUT = ("classes/red/3.png", "photos/images/11.jpg")
RECIPE = """
steps = {steps}
[sizes]
image = [16, 16]
audio_seconds = 0.5
[tasks.classes]
data = "classes"
batch_size = 8
[tasks.photos]
data = "photos/photos.csv"
batch_size = 8
[tasks.audio]
data = "audio"
batch_size = 8
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backend", default="jax")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--smoke", action="store_true", help="few steps")
    parser.add_argument("--output", help="name of the JSON file")
    options = parser.parse_args()
    if options.smoke:
        options.steps, options.kills = 6, 1
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        make_files(folder, options.steps)
        prepare(options.backend, folder / "cache")
        facts = measure(options, folder)
    rows = [[key.replace("_", " "), str(facts[key])] for key in facts]
    print(table("Kill and resume on files", ["", ""], rows))
    name = options.output or f"kill_own_data_{options.backend}"
    if options.output or not options.smoke:
        print(f"Written: {write_json(name, facts)}")
    if not facts["equal"]:
        sys.exit("A run that was killed ended with other numbers.")


def make_files(folder: pathlib.Path, steps: int) -> None:
    """Three data sets, some files of which are bad, and a recipe."""
    own_files.class_folders(folder / "classes")
    own_files.captions(folder / "photos")
    own_files.esc_50(folder / "audio")
    for name in EMPTY:
        (folder / name).write_bytes(b"")
    for name in CUT:
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(whole[: len(whole) // 2])
    (folder / "recipe.toml").write_text(RECIPE.format(steps=steps))


def prepare(backend: str, cache: pathlib.Path) -> None:
    """Import everything, compute nothing: a fork must find no threads' work."""
    choose_backend(backend, cache)
    from keras_imp.evaluation.own_data import run

    del run


def measure(options, folder: pathlib.Path) -> dict:
    """Kill, compare, until enough kills are done."""
    random.seed(options.seed)
    live(folder, "first")  # Fills JAX's cache; the others start as this one.
    seconds, _ = live(folder, "whole")
    expected = contents(folder / "whole")
    kills, stages, equal = 0, [], [contents(folder / "first") == expected]
    while kills < options.kills:
        name = f"run-{len(equal)}"
        while True:
            over = kills >= options.kills
            moment = None if over else random.uniform(0, seconds)
            _, killed = live(folder, name, moment)
            if not killed:
                break
            kills += 1
            stages.append(stage(folder / name))
            print(f"kill {kills}: {moment:.1f} s, {stages[-1]}", flush=True)
        equal.append(contents(folder / name) == expected)
        print(f"{name}: {'equal' if equal[-1] else 'DIFFERENT'}", flush=True)
    return {
        "backend": options.backend,
        "steps": options.steps,
        "seconds_of_a_whole_run": round(seconds, 1),
        "kills": kills,
        "kills_before_the_first_backup": stages.count("before a backup"),
        "kills_after_it": stages.count("after a backup"),
        "runs_compared": len(equal),
        "variables_compared": expected["variables"],
        "files_found_by_the_scan": expected["scanned"],
        "files_found_in_training": expected["later"],
        "equal": all(equal),
    }


def live(
    folder: pathlib.Path, name: str, moment: float | None = None
) -> tuple[float, bool]:
    """One process: its seconds, and whether it was killed."""
    work = functools.partial(train, folder / "recipe.toml", folder / name)
    return _lives.live(work, moment)


def stage(folder: pathlib.Path) -> str:
    saved = list((folder / "backup").glob("*.weights.h5"))
    return "after a backup" if saved else "before a backup"


def contents(folder: pathlib.Path) -> dict:
    """What a run ended with, to compare."""
    found = saved_variables(folder / "result.npz")
    lines = (folder / "quarantine.jsonl").read_text().splitlines()
    scans = json.loads((folder / "scan.json").read_text())
    scanned = sum(len(scan["bad"]) for scan in scans.values())
    return {
        "arrays": found,
        "variables": len(found),
        "history": (folder / "history.csv").read_bytes(),
        "scans": scans,
        "quarantine": sorted(set(lines)),
        "scanned": scanned,
        "later": len(set(lines)) - scanned,
    }


def train(recipe: pathlib.Path, folder: pathlib.Path) -> None:
    """Train to the end, from wherever the life before came to."""
    from keras_imp.evaluation.own_data.inference import RowsOfTasks
    from keras_imp.evaluation.own_data.recipe import DataRecipe
    from keras_imp.evaluation.own_data.rows import Limits
    from keras_imp.evaluation.own_data.run import OwnDataRun, understand

    folder.mkdir(exist_ok=True)
    with (folder / "log.txt").open("a") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    chosen, manifests = understand(DataRecipe.read(recipe), RowsOfTasks())
    limits = Limits(max_bad=0.5, scanned=4)
    run = OwnDataRun(folder, chosen, manifests, limits, backup_steps=2)
    run.fit()
    save_variables(run.model, folder / "result.npz")


if __name__ == "__main__":
    main()
