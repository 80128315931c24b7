"""The playground's table: `keras-imp train` with several seeds.

    python benchmarks/playground.py --backend jax --seeds 5
    python benchmarks/playground.py --backend tensorflow --seeds 5
    python benchmarks/playground.py --backend jax --seeds 6 --steps 6000
    python benchmarks/playground.py --smoke

Each run is the command of the README, in a process of its own with all cores.
The test split is read by these runs: choose nothing by them, but by
`playground_recipes.py`. So the recipe must be committed; its commit and the
time are written with the figures. A finished run is kept, so that the same
command goes on where it stopped. Writes results/playground_<backend>.json, and
for other steps than those of the README playground_<backend>_<steps>.json.
"""

import argparse
import datetime
import json
import pathlib
import statistics
import subprocess
import sys
from typing import Any

import _timing

ROOT = pathlib.Path(__file__).parents[1]
STEPS, SMOKE_STEPS = 1800, 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backend", default="jax")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--smoke", action="store_true")
    options = parser.parse_args()
    if options.smoke:
        options.seeds, options.steps = 1, SMOKE_STEPS
    commit = committed(options.smoke)
    runs = [
        run(options.backend, seed, options.steps, commit)
        for seed in range(options.seeds)
    ]
    rows = [row(runs, i) for i in range(len(runs[0]["rows"]))]
    cells = [
        [
            line["name"],
            f"{line['chance']:.3f}",
            *(
                "-" if line[name] is None else f"{line[name]:.3f}"
                for name in ("linear", "keras")
            ),
            f"{statistics.mean(line['seeds']):.3f} "
            f"({min(line['seeds']):.3f} - {max(line['seeds']):.3f})",
        ]
        for line in rows
    ]
    title = f"Test split, {options.backend}, {options.seeds} seeds"
    header = ["score", "chance", "linear", "plain Keras", "mean (range)"]
    print(_timing.table(title, header, cells))
    seconds = [run["seconds"] for run in runs]
    print(f"Training took {min(seconds):.0f} to {max(seconds):.0f} s.")
    if not options.smoke:
        content = {
            "rows": rows,
            "seconds": seconds,
            "steps": options.steps,
            "commit": commit,
            "read_at": [run["read_at"] for run in runs],
        }
        name = f"playground_{options.backend}"
        if options.steps != STEPS:
            name += f"_{options.steps}"
        print(_timing.write_json(name, content))


def run(backend: str, seed: int, steps: int, commit: str) -> dict[str, Any]:
    """One run of the command, or what it left."""
    folder = _timing.RESULTS / "tmp" / f"playground-{commit[:12]}"
    folder = folder / f"{backend}-{steps}-{seed}"
    results = folder / "results.json"
    if not results.exists():
        command = ["keras-imp", "train", "--backend", backend]
        command += ["--steps", str(steps), "--seed", str(seed)]
        folder.parent.mkdir(parents=True, exist_ok=True)
        launched = [str(pathlib.Path(sys.executable).with_name(command[0]))]
        subprocess.run(
            [*launched, *command[1:], "--out", str(folder)],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        print(f"done: {backend}, seed {seed}", flush=True)
    read_at = datetime.datetime.fromtimestamp(
        results.stat().st_mtime, datetime.UTC
    )
    content = json.loads(results.read_text("utf-8"))
    return {**content, "read_at": f"{read_at:%Y-%m-%d %H:%M} UTC"}


def row(runs: list[dict], index: int) -> dict[str, Any]:
    """One line of the table over all seeds."""
    lines = [run["rows"][index] for run in runs]
    first = lines[0]
    return {
        "name": f"{first['task']}: {first['what']}",
        "chance": first["chance"],
        "linear": first["linear"],
        "keras": first["keras"],
        "seeds": [line["keras_imp"] for line in lines],
    }


def committed(smoke: bool) -> str:
    """The commit of the recipe; an error if files have changed since."""

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", *arguments],
            cwd=ROOT,
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()

    changed = git("status", "--porcelain", "--", "keras_imp")
    if changed and not smoke:
        raise SystemExit(
            "The recipe must be committed before the test split is read. "
            f"Received: changed files:\n{changed}\nCommit them."
        )
    return git("rev-parse", "HEAD")


if __name__ == "__main__":
    main()
