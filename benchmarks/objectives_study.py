"""Alternating, summed or single tasks? One kind of objective or both?

    python benchmarks/objectives_study.py            # 5 seeds; < 1 hour
    python benchmarks/objectives_study.py --smoke    # one seed, a few steps

The claims of docs/method.md, Results in the paper, at a small scale:
`imp_tiny` on the playground's four tasks. In every arm a task learns from the
very same batches in the same order, `--steps` over four of them, whatever the
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

import dataclasses
import math

import _study

CONTRASTIVE = ("captions/texts", "sounds/texts", "clips")
CLASSIFICATION = ("objects", "captions/kinds", "sounds/families")
# The objectives of each task.
TASKS = (
    ("objects",),
    ("captions/texts", "captions/kinds"),
    ("sounds/texts", "sounds/families"),
    ("clips",),
)
ALL = tuple(name for objectives in TASKS for name in objectives)
# How an arm takes its steps, and the objectives of each of its models.
ARMS = {
    "alternating": ("alternating", [ALL]),
    "summed": ("summed", [ALL]),
    "summed, higher rate": ("summed, higher rate", [ALL]),
    "single task": ("alternating", list(TASKS)),
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
    found = [
        train(data, way, objectives, batches, job["seed"])
        for objectives in models
    ]
    return {
        "scores": {
            name: s for scores, _ in found for name, s in scores.items()
        },
        "updates": sum(updates for _, updates in found),
        "batches_per_task": batches,
    }


def train(data, way: str, objectives: tuple, batches: int, seed: int) -> tuple:
    """Train one model; its scores and its number of updates."""
    import keras

    import keras_imp
    from keras_imp.evaluation.playground import tasks as playground_tasks
    from keras_imp.evaluation.playground.recipe import RECIPE
    from keras_imp.evaluation.playground.sources import training_sources

    keras.utils.set_random_seed(seed)
    tokenizer, train_split, test_split = data
    sources = training_sources(train_split, tokenizer, RECIPE, seed, objectives)
    recipe = RECIPE
    if way == "alternating":
        options, updates = {}, batches * len(sources)
        schedule = keras_imp.schedules.RoundRobin()
        mixture = keras_imp.TaskMixture(sources, schedule=schedule)
    else:
        options, updates = {"make_model": keras_imp.CombinedModel}, batches
        mixture = keras_imp.TaskMixture.together(sources)
    if way == "summed, higher rate":
        rate = math.sqrt(len(sources)) * RECIPE.learning_rate
        recipe = dataclasses.replace(RECIPE, learning_rate=rate)
    model = playground_tasks.build_model(
        tokenizer, updates, recipe=recipe, objectives=objectives, **options
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
        results,
        [("alternating", "classification only")],
        ("objects", "sounds/families"),
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
