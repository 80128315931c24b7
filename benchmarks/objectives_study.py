"""Alternating, summed or single tasks? One kind of objective or both?

    python benchmarks/objectives_study.py            # 5 seeds; < 1 hour
    python benchmarks/objectives_study.py --smoke    # one seed, a few steps

The claims of docs/method.md, Results in the paper, at a small scale:
`imp_tiny` on the playground's five tasks. In every arm a task learns from the
very same batches in the same order, `--steps` over five of them, whatever the
number of updates:

- alternating: one task in each step, in turn;
- summed: one step for one batch of every task, by the sum of their losses; also
  with the learning rate of alternating times the root of the number of tasks,
  since its updates are fewer and their gradients less noisy;
- single task: a model for each task;
- contrastive only, classification only: alternating on a part of the tasks,
  compared with alternating on all of them on the tasks they share.

The learning rate's schedule spans each arm's own updates. Runs go on side by
side, each on one core. What is finished is kept: the same command goes on where
it stopped. Writes results/objectives_study.json and .png.
"""

import math

import _study

CONTRASTIVE = ("captions", "sound_captions", "clips")
CLASSIFICATION = ("objects", "sounds")
TASKS = tuple(_study.HEADLINES)
# How an arm takes its steps, and the tasks of each of its models.
ARMS = {
    "alternating": ("alternating", [TASKS]),
    "summed": ("summed", [TASKS]),
    "summed, higher rate": ("summed, higher rate", [TASKS]),
    "single task": ("alternating", [(name,) for name in TASKS]),
    "contrastive only": ("alternating", [CONTRASTIVE]),
    "classification only": ("alternating", [CLASSIFICATION]),
}
STRATEGIES = [
    ("alternating", "summed"),
    ("alternating", "summed, higher rate"),
    ("alternating", "single task"),
]


def work(job: dict) -> dict:
    """Be one run: train and evaluate one arm with one seed."""
    data = _study.load_playground()
    way, models = ARMS[job["arm"]]
    batches = job["steps"] // len(TASKS)
    found = [train(data, way, tasks, batches, job["seed"]) for tasks in models]
    return {
        "scores": {
            name: s for scores, _ in found for name, s in scores.items()
        },
        "updates": sum(updates for _, updates in found),
        "batches_per_task": batches,
    }


def train(data, way: str, tasks: tuple, batches: int, seed: int) -> tuple:
    """Train one model; its scores and its number of updates."""
    import keras

    import keras_imp
    from keras_imp.evaluation.playground import tasks as playground_tasks

    keras.utils.set_random_seed(seed)
    tokenizer, train_split, test_split = data
    sources = playground_tasks.training_sources(train_split, seed, tasks)
    if way == "alternating":
        options, updates = {}, batches * len(tasks)
        schedule = keras_imp.schedules.RoundRobin()
        mixture = keras_imp.TaskMixture(sources, schedule=schedule)
    else:
        options, updates = {"make_model": keras_imp.CombinedModel}, batches
        mixture = keras_imp.TaskMixture.together(sources)
    if way == "summed, higher rate":
        root = math.sqrt(len(tasks))
        options["peak"] = root * playground_tasks.PEAK_LEARNING_RATE
    model = playground_tasks.build_model(
        tokenizer, updates, tasks=tasks, **options
    )
    model.fit(mixture, steps_per_epoch=updates, verbose=0)
    return _study.scores(model, test_split, tokenizer), updates


def main() -> None:
    arguments = _study.make_parser(__doc__, steps=500).parse_args()
    if _study.serve(arguments, work):
        return
    results = _study.run_all(
        __file__, "objectives_study", list(ARMS), arguments
    )
    updates = [str(runs[0]["updates"]) for runs in results.values()]
    batches = results["alternating"][0]["batches_per_task"]
    _study.print_scores(
        f"Test split, {batches} batches of each task, mean of "
        f"{arguments.seeds} seeds",
        results,
        {"updates": updates},
    )
    strategies = _study.compare(results, STRATEGIES)
    contrastive = _study.compare(
        results, [("alternating", "contrastive only")], CONTRASTIVE
    )
    classification = _study.compare(
        results, [("alternating", "classification only")], CLASSIFICATION
    )
    for comparisons in (strategies, contrastive, classification):
        _study.print_comparisons(comparisons)
    _study.write(
        "objectives_study",
        arguments,
        strategies | contrastive | classification,
        batches_per_task=batches,
        runs=results,
    )


if __name__ == "__main__":
    main()
