"""The table of the real set: `keras-imp train --data` on fetched files.

    python scripts/fetch_real_data.py data/real
    python benchmarks/real_set.py data/real --backend jax
    python benchmarks/real_set.py data/real --backend tensorflow

The run is the command that it prints. A finished one is kept in `--out`, and
one that was stopped is resumed. The rows that are measured are those of the
split `test`: choose nothing by them. Writes results/real_set_<backend>.json.
"""

import argparse
import json
import pathlib
import subprocess
import sys

import _timing

TABLES = ("prompts.csv", "battles.csv", "sounds.csv")
STEPS = 400


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=pathlib.Path, help="what was fetched")
    parser.add_argument("--backend", default="jax")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=pathlib.Path, help="folder of the run")
    options = parser.parse_args()
    name = f"real_set_{options.backend}"
    folder = options.out or _timing.RESULTS / "tmp" / name
    results = folder / "results.json"
    if not results.exists():
        train(options, folder)
    found = json.loads(results.read_text("utf-8"))
    cells = [
        [f"{line['task']}: {line['what']}", str(line["examples"])]
        + [f"{line[key]:.3f}" for key in ("chance", "linear", "keras_imp")]
        for line in found["rows"]
    ]
    header = ["score", "rows", "chance", "linear", "keras_imp"]
    title = f"Rows held out, {options.backend}, {options.steps} steps"
    print(_timing.table(title, header, cells))
    print(f"Training took {found['seconds']:.0f} s.")
    for facts in found["data"].values():
        # A path of this machine.
        facts["data"] = pathlib.Path(facts["data"]).name
    content = {**found, "steps": options.steps, "seed": options.seed}
    print(_timing.write_json(name, content))


def train(options: argparse.Namespace, folder: pathlib.Path) -> None:
    """Train, from where a run in this folder stopped if there is one."""
    if (folder / "config.json").exists():
        arguments = ["--resume", folder]
    else:
        folder.parent.mkdir(parents=True, exist_ok=True)
        tables = [options.data / table for table in TABLES]
        arguments = [x for table in tables for x in ("--data", table)]
        arguments += ["--backend", options.backend, "--out", folder]
        arguments += ["--steps", options.steps, "--seed", options.seed]
    command = ["keras-imp", "train", *map(str, arguments)]
    print(" ".join(command), flush=True)
    program = pathlib.Path(sys.executable).with_name(command[0])
    subprocess.run([str(program), *command[1:]], check=True)


if __name__ == "__main__":
    main()
