"""What the studies on the playground share: runs that are kept, comparisons.

A study trains several arms with several seeds and compares them seed by seed.
Each run is a process of its own on one core; as many go on at a time as there
are cores. A finished run is kept with its job, so that the same command goes on
where it stopped, and one with other settings says which files are of others.
"""

import argparse
import json
import math
import os
import pathlib
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

import _timing
from _kept_runs import keep, kept_result

# Rows of the playground's table that stand for what is learned, one each.
HEADLINES = {
    "objects": "Fashion-MNIST class, accuracy",
    "captions/texts": "emoji image to caption, R@10",
    "sounds/families": "instrument family, accuracy",
    "sounds/texts": "sound to caption, R@1",
    "clips": "rendered clip's motion, zero-shot accuracy",
}
MEAN = "mean over tasks"
SMOKE_SEEDS, SMOKE_STEPS = 1, 15


def make_parser(description: str, steps: int) -> argparse.ArgumentParser:
    """The options that every study has.

    Args:
        description: Text of the help.
        steps: Default of `--steps`.

    Returns:
        The parser, for a study to add its own to.
    """
    parser = argparse.ArgumentParser(
        description=description,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    add = parser.add_argument
    add("--smoke", action="store_true", help="one seed, a few steps")
    add("--steps", type=int, default=steps, help="training steps of each run")
    add("--seeds", type=int, default=5, help="runs of each arm")
    add("--adopt", action="store_true", help="take kept runs that say no job")
    add("--worker", help=argparse.SUPPRESS)
    return parser


def serve(arguments: argparse.Namespace, work: Callable[[dict], dict]) -> bool:
    """In the process of one run: train, and print the result as the last line.

    Args:
        arguments: Of the command line; `worker` holds the job.
        work: From the job to its result, JSON-ready.

    Returns:
        Whether this process was a run.
    """
    if not arguments.worker:
        return False
    print(json.dumps(work(json.loads(arguments.worker))))
    return True


def load_playground(held_out: str = "test") -> tuple:
    """The tokenizer, the training split and another one of the playground.

    Args:
        held_out: Name of the split to measure on.
    """
    from keras_imp.evaluation.playground.captions import train_tokenizer
    from keras_imp.evaluation.playground.recipe import RECIPE
    from keras_imp.evaluation.playground.splits import load_split

    train, other = (load_split(name) for name in ("train", held_out))
    return train_tokenizer(train.source, RECIPE), train, other


def views() -> str:
    """The test-time views of `scores`, as part of a job."""
    from keras_imp.evaluation.playground.views import VIEWS

    return repr(VIEWS)


def scores(model, held_out, tokenizer) -> dict[str, float]:
    """One figure for each objective of a model.

    Args:
        model: The trained model.
        held_out: The split to measure on.
        tokenizer: The one it was trained with.

    Returns:
        The headline figures by objective.
    """
    from keras_imp.evaluation.playground import measures

    rows = measures.measure(model, held_out, tokenizer)
    values = {row.what: row.value for row in rows}
    return {
        name: values[HEADLINES[name]]
        for name in measures.learned(model)
        if name in HEADLINES
    }


# --- The runs ---------------------------------------------------------------


def run_all(
    script: str,
    name: str,
    arms: list[str],
    arguments: argparse.Namespace,
    own: Mapping[str, dict] | None = None,
    **job,
) -> dict[str, list[dict]]:
    """All arms with all seeds, or their kept results.

    Args:
        script: File of the study.
        name: Folder of the kept results.
        arms: Names of the arms.
        arguments: With `steps`, `seeds` and `adopt`; a smoke run replaces the
            first two.
        own: What else decides the runs of each arm.
        **job: What else decides all runs.

    Returns:
        Results of each arm, by seed.

    Raises:
        ValueError: If a kept run is of another job, or does not say which.
    """
    if arguments.smoke:
        arguments.steps, arguments.seeds = SMOKE_STEPS, SMOKE_SEEDS
    folder = _timing.RESULTS / "tmp" / name
    folder.mkdir(parents=True, exist_ok=True)
    common = {
        "steps": arguments.steps,
        "backend": os.environ.get("KERAS_BACKEND", "jax"),
        **job,
    }
    jobs = [
        {"arm": arm, "seed": seed, **common, **(own or {}).get(arm, {})}
        for seed in range(arguments.seeds)
        for arm in arms
    ]
    for each in jobs:
        kept_result(each, folder, arguments.adopt)
    cores = sorted(os.sched_getaffinity(0))
    # Each core takes every n-th job: no two runs share one.
    shares = [jobs[i :: len(cores)] for i in range(len(cores))]
    with ThreadPoolExecutor(len(cores)) as pool:
        found = pool.map(
            lambda pair: [
                _run(script, job, pair[0], folder) for job in pair[1]
            ],
            zip(cores, shares),
        )
        finished = {
            (job["arm"], job["seed"]): result
            for share, results in zip(shares, found)
            for job, result in zip(share, results)
        }
    return {
        arm: [finished[arm, seed] for seed in range(arguments.seeds)]
        for arm in arms
    }


def _run(script: str, job: dict, core: int, folder: pathlib.Path) -> dict:
    """One run in its own process on one core, or its kept result."""
    kept = kept_result(job, folder)
    if kept is not None:
        return kept
    environment = {
        **os.environ,
        "KERAS_BACKEND": job["backend"],
        "TF_CPP_MIN_LOG_LEVEL": "3",
        # One core each: runs side by side are faster than in turn.
        "OMP_NUM_THREADS": "1",
    }
    pin = ["taskset", "-c", str(core)]
    command = [sys.executable, script, "--worker", json.dumps(job)]
    process = subprocess.run(
        [*pin, *command],
        env=environment,
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    result = json.loads(process.stdout.splitlines()[-1])
    keep(job, folder, result)
    print(f"done: {job['arm']}, seed {job['seed']}", flush=True)
    return result


# --- The comparison ---------------------------------------------------------


def interval(differences: list[float]) -> tuple[float, float]:
    """Mean and half width of its 95 % confidence interval (Student's t)."""
    from scipy import stats

    count = len(differences)
    mean = statistics.mean(differences)
    if count < 2:
        return mean, math.nan
    error = statistics.stdev(differences) / math.sqrt(count)
    return mean, float(stats.t.ppf(0.975, count - 1)) * error


def score_of(result: dict, task: str, tasks: tuple[str, ...]) -> float:
    """A run's figure for one of some tasks, or its mean over them all."""
    scores = result["scores"]
    if task == MEAN:
        return statistics.mean(scores[name] for name in tasks)
    return scores[task]


def compare(
    results: dict[str, list[dict]],
    pairs: list[tuple[str, str]],
    tasks: tuple[str, ...] = tuple(HEADLINES),
) -> dict[str, dict]:
    """Paired differences, seed by seed, of each task and of their mean.

    Args:
        results: Results of each arm, by seed, with the `scores` of tasks.
        pairs: Arms to compare.
        tasks: Tasks that both arms of all pairs have.

    Returns:
        By "first - second" and task the difference and the half width of its
        95 % confidence interval.
    """
    comparisons: dict[str, dict] = {}
    for first, second in pairs:
        found = comparisons[f"{first} - {second}"] = {}
        for task in (MEAN, *tasks):
            mean, half = interval(
                [
                    score_of(a, task, tasks) - score_of(b, task, tasks)
                    for a, b in zip(results[first], results[second])
                ]
            )
            found[task] = {
                "difference": round(mean, 4),
                "half_width_95": round(half, 4),
            }
    return comparisons


def print_scores(
    title: str,
    results: dict[str, list[dict]],
    columns: dict[str, list[str]],
    tasks: tuple[str, ...] = tuple(HEADLINES),
) -> None:
    """A table of the arms' mean scores.

    Args:
        title: Line above the table.
        results: Results of each arm, by seed.
        columns: Further cells of each arm, by the name of the column.
        tasks: Tasks to show; one that an arm has not learned is a dash.
    """
    rows = []
    for index, (arm, runs) in enumerate(results.items()):
        scores = [
            statistics.mean(run["scores"][task] for run in runs)
            if task in runs[0]["scores"]
            else None
            for task in tasks
        ]
        whole = None if None in scores else statistics.mean(scores)
        cells = ["-" if s is None else f"{s:.3f}" for s in (whole, *scores)]
        rows.append([arm, *(c[index] for c in columns.values()), *cells])
    header = ["arm", *columns, "mean", *tasks]
    print(_timing.table(f"\n{title}", header, rows))


def print_comparisons(comparisons: dict[str, dict]) -> None:
    """A table of differences, for comparisons on the same tasks."""
    rows = [
        [
            name,
            *(
                f"{t['difference']:+.3f} ±{t['half_width_95']:.3f}"
                for t in tasks.values()
            ),
        ]
        for name, tasks in comparisons.items()
    ]
    tasks = list(next(iter(comparisons.values())))
    header = ["difference, 95 % interval", *tasks]
    print(_timing.table("", header, rows))


def print_differences(
    title: str,
    results: dict[str, list[dict]],
    plain: str,
    differences: dict[str, dict],
    tasks: tuple[str, ...],
) -> None:
    """A table of one arm's mean scores, and how far the others are from it.

    Args:
        title: Line above the table.
        results: Results of each arm, by seed.
        plain: The arm.
        differences: From `compare`, with those of all arms to it.
        tasks: Tasks that all arms have.
    """
    others = [arm for arm in results if arm != plain]
    rows = []
    for task in (MEAN, *tasks):
        values = [score_of(run, task, tasks) for run in results[plain]]
        found = [differences[f"{arm} - {plain}"][task] for arm in others]
        rows.append(
            [
                task,
                f"{statistics.mean(values):.3f}",
                *(
                    f"{t['difference']:+.3f} +-{t['half_width_95']:.3f}"
                    for t in found
                ),
            ]
        )
    print(_timing.table(title, ["score", plain, *others], rows))


def draw(comparisons: dict[str, dict], path: pathlib.Path) -> None:
    """Differences with their confidence intervals, as a picture."""
    from keras_imp.evaluation.figures import new_figure, save_figure

    count = len(comparisons)
    figure, axes = new_figure(1, count, (4.2 * count, 3.2))
    for axis, (name, tasks) in zip(axes, comparisons.items()):
        labels = list(tasks)[::-1]
        means = [tasks[task]["difference"] for task in labels]
        halves = [tasks[task]["half_width_95"] for task in labels]
        axis.errorbar(
            means, range(len(labels)), xerr=halves, fmt="o", color="#0072B2"
        )
        axis.locator_params(axis="x", nbins=5)
        axis.axvline(0.0, color="#888888", linewidth=0.8)
        axis.set_yticks(range(len(labels)), labels)
        axis.set_title(name, fontsize=10)
        axis.set_xlabel("difference, 95 % confidence interval", fontsize=8)
        axis.grid(axis="x", alpha=0.3)
    save_figure(figure, path)


def write(
    name: str, arguments: argparse.Namespace, comparisons: dict, **content
) -> None:
    """The JSON file and the picture; a smoke run's go to `results/tmp`.

    Args:
        name: Name of the study.
        arguments: Of the command line.
        comparisons: What to draw.
        **content: What else to write.
    """
    path = _timing.write_json(
        f"tmp/{name}_smoke" if arguments.smoke else name,
        {
            "steps": arguments.steps,
            "seeds": arguments.seeds,
            **content,
            "comparisons": comparisons,
        },
    )
    draw(comparisons, path.with_suffix(".png"))
    print(f"\nWritten: {path} and the .png beside it")
