"""Does the sparse encoder beat its dense twin on the playground?

    python benchmarks/sparse_study.py            # 3 arms x 5 seeds; < 1 hour
    python benchmarks/sparse_study.py --smoke    # one seed, a few steps

Three encoders of equal active parameters (experts choose, tokens choose, dense
twin) learn the playground's five tasks from the same batches, seed by seed.
Two runs go on at a time, each on one core. What is finished is kept: the same
command goes on where it stopped. Writes results/sparse_study.json and .png.
"""

import argparse
import json
import math
import os
import pathlib
import statistics
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import _timing

ARMS = {
    "expert choice": {"router": "expert_choice"},
    "token choice": {"router": "token_choice"},
    "dense twin": {},
}
# Rows of the playground's table that stand for its tasks, one each.
HEADLINES = {
    "objects": "Fashion-MNIST class, accuracy",
    "captions": "emoji picture to caption, R@10",
    "sounds": "instrument family, accuracy",
    "sound_captions": "sound to caption, R@1",
    "clips": "rendered clip's motion, zero-shot accuracy",
}
# Two-sided 95 % quantiles of Student's t, by degrees of freedom.
STUDENT = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 9: 2.262}


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add = parser.add_argument
    add("--smoke", action="store_true", help="one seed, a few steps")
    add("--steps", type=int, default=500, help="training steps of each run")
    add("--seeds", type=int, default=5, help="runs of each arm")
    add("--preset", default="imp_moe_tiny", help="the sparse encoder")
    add("--worker", help=argparse.SUPPRESS)
    return parser.parse_args()


def work(job: dict) -> None:
    """Be one run: train and evaluate one arm with one seed."""
    import keras

    from keras_imp.cli import playground_report, playground_tasks

    keras.utils.set_random_seed(job["seed"])
    tokenizer = playground_tasks.train_tokenizer()
    train, test = (
        playground_tasks.load_split(name, tokenizer)
        for name in ("train", "test")
    )
    model = playground_tasks.build_model(
        tokenizer,
        job["steps"],
        preset=job["preset"],
        dense_twin=job["arm"] == "dense twin",
        **ARMS[job["arm"]],
    )
    model.fit(
        playground_tasks.training_mixture(train, job["seed"]),
        steps_per_epoch=job["steps"],
        verbose=0,
    )
    rows = playground_report.evaluate(model, test, tokenizer)
    values = {row.what: row.value for row in rows}
    print(
        json.dumps(
            {
                "scores": {k: values[what] for k, what in HEADLINES.items()},
                "active_parameters": model.encoder.count_active_params(),
                "parameters": model.encoder.count_params(),
            }
        )
    )


def run(job: dict, core: int, folder: pathlib.Path) -> dict:
    """One run in its own process on one core, or its kept result."""
    name = f"{job['arm'].replace(' ', '_')}-{job['seed']}-{job['steps']}.json"
    kept = folder / name
    if kept.exists():
        return json.loads(kept.read_text())
    environment = {
        **os.environ,
        "KERAS_BACKEND": os.environ.get("KERAS_BACKEND", "jax"),
        "TF_CPP_MIN_LOG_LEVEL": "3",
        # One core each: two runs side by side are faster than in turn.
        "OMP_NUM_THREADS": "1",
    }
    pin = ["taskset", "-c", str(core)]
    command = [sys.executable, __file__, "--worker", json.dumps(job)]
    result = subprocess.run(
        [*pin, *command],
        env=environment,
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    kept.write_text(result.stdout.splitlines()[-1] + "\n")
    print(f"done: {job['arm']}, seed {job['seed']}", flush=True)
    return json.loads(kept.read_text())


def interval(differences: list[float]) -> tuple[float, float]:
    """Mean and half width of its 95 % confidence interval (Student's t)."""
    count = len(differences)
    mean = statistics.mean(differences)
    if count < 2:
        return mean, math.nan
    error = statistics.stdev(differences) / math.sqrt(count)
    return mean, STUDENT[count - 1] * error


def compare(results: dict, first: str, second: str, seeds: int) -> dict:
    """Paired differences, seed by seed, of each task and of their mean."""

    def score(arm: str, seed: int, task: str) -> float:
        scores = results[arm][seed]["scores"]
        if task == "mean over tasks":
            return statistics.mean(scores.values())
        return scores[task]

    comparison = {}
    for task in ("mean over tasks", *HEADLINES):
        differences = [
            score(first, seed, task) - score(second, seed, task)
            for seed in range(seeds)
        ]
        mean, half = interval(differences)
        comparison[task] = {
            "difference": round(mean, 4),
            "half_width_95": round(half, 4),
        }
    return comparison


def draw(comparisons: dict, path: pathlib.Path) -> None:
    """Differences with their confidence intervals, as a picture."""
    from keras_imp.evaluation.report import new_figure, save_figure

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


def main() -> None:
    arguments = parse_arguments()
    if arguments.worker:
        work(json.loads(arguments.worker))
        return
    steps = 12 if arguments.smoke else arguments.steps
    seeds = 1 if arguments.smoke else arguments.seeds
    folder = _timing.RESULTS / "tmp" / f"sparse_study_{arguments.preset}"
    folder.mkdir(parents=True, exist_ok=True)
    jobs = [
        {"arm": arm, "seed": seed, "steps": steps, "preset": arguments.preset}
        for seed in range(seeds)
        for arm in ARMS
    ]
    cores = sorted(os.sched_getaffinity(0))
    # Each core takes every n-th job: no two runs share one.
    shares = [jobs[i :: len(cores)] for i in range(len(cores))]
    with ThreadPoolExecutor(len(cores)) as pool:
        found = pool.map(
            lambda pair: [run(job, pair[0], folder) for job in pair[1]],
            zip(cores, shares),
        )
        finished = {
            (job["arm"], job["seed"]): result
            for share, results in zip(shares, found)
            for job, result in zip(share, results)
        }
    results = {
        arm: [finished[arm, seed] for seed in range(seeds)] for arm in ARMS
    }
    comparisons = {
        "expert choice - dense twin": compare(
            results, "expert choice", "dense twin", seeds
        ),
        "token choice - dense twin": compare(
            results, "token choice", "dense twin", seeds
        ),
        "expert choice - token choice": compare(
            results, "expert choice", "token choice", seeds
        ),
    }
    report(results, comparisons, steps, seeds)
    name = "tmp/sparse_study_smoke" if arguments.smoke else "sparse_study"
    path = _timing.write_json(
        name,
        {
            "preset": arguments.preset,
            "steps": steps,
            "seeds": seeds,
            "runs": results,
            "comparisons": comparisons,
        },
    )
    draw(comparisons, path.with_suffix(".png"))
    print(f"\nWritten: {path} and the .png beside it")


def report(results: dict, comparisons: dict, steps: int, seeds: int) -> None:
    """Print scores by arm, then differences."""
    rows = []
    for arm, runs in results.items():
        scores = [
            statistics.mean(run["scores"][task] for run in runs)
            for task in HEADLINES
        ]
        cells = [f"{s:.3f}" for s in (statistics.mean(scores), *scores)]
        rows.append([arm, f"{runs[0]['active_parameters']:,}", *cells])
    header = ["arm", "active parameters", "mean", *HEADLINES]
    title = f"\nTest split, {steps} steps, mean of {seeds} seeds"
    print(_timing.table(title, header, rows))
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
    header = ["difference, 95 % interval", "mean", *HEADLINES]
    print(_timing.table("", header, rows))


if __name__ == "__main__":
    main()
