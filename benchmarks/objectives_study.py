"""Alternating, summed or single tasks? One kind of objective or both?

    python benchmarks/objectives_study.py --rates    # first: the learning rates
    python benchmarks/objectives_study.py            # 5 seeds
    python benchmarks/objectives_study.py --smoke    # one seed, a few steps

The claims of docs/method.md, Results in the paper, at a small scale:
`imp_tiny` on the playground's four tasks, with its recipe. Unless it is said, a
task learns in every arm from the very same batches in the same order, `--steps`
over four of them, whatever the number of updates:

- alternating: one task in each step, in turn;
- summed: one step for one batch of every task, by the sum of their losses;
- summed, equal time: the same, with as many more updates as fit in the time of
  alternating;
- single task: a model for each task;
- contrastive only, classification only: alternating on a part of the
  objectives, compared with alternating on all of them on what they share. A
  task of two objectives keeps its batches and its steps.

The learning rate's schedule spans each arm's own updates. Its peak is chosen on
the validation split for alternating and for summing: `--rates` trains with some
factors of the recipe's, and `RATES` holds the best. All else is measured on the
test split.

Runs go on side by side, each on one core. What is finished is kept: the same
command goes on where it stopped. Writes results/objectives_study.json and .png,
or results/objectives_rates.json.
"""

import dataclasses
import statistics
import time

import _study
import _timing

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
ALTERNATING, SUMMED, SINGLE = "alternating", "summed", "single task"
EQUAL_TIME = "summed, equal time"
CONTRASTIVE_ONLY = "contrastive only"
CLASSIFICATION_ONLY = "classification only"
# The objectives of each of an arm's models.
ARMS = {
    ALTERNATING: [ALL],
    SUMMED: [ALL],
    EQUAL_TIME: [ALL],
    SINGLE: list(TASKS),
    CONTRASTIVE_ONLY: [CONTRASTIVE],
    CLASSIFICATION_ONLY: [CLASSIFICATION],
}
# Updates of the summed arm in the time of alternating, over those that the same
# batches give: the larger of two machines, by the `seconds` of
# results/objectives_rates.json (1.05 and 0.99).
MORE_UPDATES = 1.05
# Factors of the recipe's learning rate that `--rates` tries, and the best of
# them for two arms, in the mean of its seeds. All others have the rate of the
# one that they are like.
FACTORS = (0.5, 1.0, 2.0)
RATE_SEEDS = 2
CHOSEN = (ALTERNATING, SUMMED)
RATES = {ALTERNATING: 0.5, SUMMED: 1.0}
STRATEGIES = [(ALTERNATING, arm) for arm in (SUMMED, EQUAL_TIME, SINGLE)]
# Updates before the clock of a run starts.
WARM_UP = 8


def work(job: dict) -> dict:
    """Be one run: train and evaluate one arm with one seed."""
    arm = job["arm"].partition(" x")[0]
    data = _study.load_playground(job["split"])
    batches = job["steps"] // len(TASKS)
    options = (batches, job["seed"], job["factor"], job["more_updates"])
    found = [train(data, arm, objectives, *options) for objectives in ARMS[arm]]
    return {
        "scores": {k: v for scores, *_ in found for k, v in scores.items()},
        "updates": sum(updates for _, updates, _ in found),
        "batches_per_task": batches,
        "seconds": round(sum(seconds for *_, seconds in found), 1),
    }


def train(
    data: tuple,
    arm: str,
    objectives: tuple[str, ...],
    batches: int,
    seed: int,
    factor: float,
    more_updates: float,
) -> tuple[dict[str, float], int, float]:
    """Train one model; its scores, updates and processor time of training.

    Args:
        data: Tokenizer, training split, and the split to measure on.
        arm: Of `ARMS`.
        objectives: What to learn.
        batches: Batches of each task, where the arm takes no more.
        seed: Of weights, order and augmentation.
        factor: Of the recipe's learning rate.
        more_updates: Updates over those that the batches give.
    """
    import keras

    import keras_imp
    from keras_imp.evaluation.playground import tasks as playground_tasks
    from keras_imp.evaluation.playground.recipe import RECIPE
    from keras_imp.evaluation.playground.sources import training_sources

    keras.utils.set_random_seed(seed)
    tokenizer, train_split, held_out = data
    sources = training_sources(train_split, tokenizer, RECIPE, seed, objectives)
    recipe = dataclasses.replace(
        RECIPE, learning_rate=factor * RECIPE.learning_rate
    )
    if _like(arm) == SUMMED:
        options = {"make_model": keras_imp.CombinedModel}
        updates = round(batches * more_updates)
        mixture = keras_imp.TaskMixture.together(sources)
    else:
        options, updates = {}, batches * len(sources)
        schedule = keras_imp.schedules.RoundRobin()
        mixture = keras_imp.TaskMixture(sources, schedule=schedule)
    model = playground_tasks.build_model(
        tokenizer, updates, recipe=recipe, objectives=objectives, **options
    )
    clock = _Clock(keras)
    model.fit(
        mixture, steps_per_epoch=updates, verbose=0, callbacks=[clock.callback]
    )
    seconds = clock.seconds_per_update * updates
    return _study.scores(model, held_out, tokenizer), updates, seconds


def settings(arms: list[str]) -> dict[str, dict]:
    """What decides the runs of each arm, beside its name."""
    found = {}
    for named in arms:
        arm, _, factor = named.partition(" x")
        found[named] = {
            "factor": float(factor or RATES[_like(arm)]),
            "more_updates": MORE_UPDATES if arm == EQUAL_TIME else 1,
            "views": _study.views(),
        }
    return found


def _like(arm: str) -> str:
    """Which of the arms with a rate of its own an arm is like."""
    return SUMMED if arm.startswith(SUMMED) else ALTERNATING


def _scored(objectives: tuple[str, ...]) -> tuple[str, ...]:
    """Those of the objectives that have a figure."""
    return tuple(name for name in _study.HEADLINES if name in objectives)


class _Clock:
    """Processor time of an update, without what is compiled at first."""

    def __init__(self, keras):
        times = self._times = []

        class Callback(keras.callbacks.Callback):
            def on_train_batch_end(self, batch, logs=None):
                times.append(time.process_time())

        self.callback = Callback()

    @property
    def seconds_per_update(self) -> float:
        warm = self._times[WARM_UP:]
        if len(warm) < 2:
            return float("nan")
        return (warm[-1] - warm[0]) / (len(warm) - 1)


def compare_rates(arguments) -> None:
    """Train each arm with each factor of the rate, on the validation split."""
    arguments.seeds = RATE_SEEDS
    arms = [f"{arm} x{factor:g}" for arm in CHOSEN for factor in FACTORS]
    results = _study.run_all(
        __file__,
        "objectives_rates",
        arms,
        arguments,
        settings(arms),
        split="validation",
    )
    _study.print_scores("Validation split, by learning rate", results, {})
    means = {
        arm: round(
            statistics.mean(
                statistics.mean(run["scores"].values()) for run in runs
            ),
            4,
        )
        for arm, runs in results.items()
    }
    best = {
        arm: max(FACTORS, key=lambda factor: means[f"{arm} x{factor:g}"])
        for arm in CHOSEN
    }
    print(f"Best factors: {best}")
    if not arguments.smoke:
        content = {"means": means, "best": best, "runs": results}
        print(_timing.write_json("objectives_rates", content))


def main() -> None:
    parser = _study.make_parser(__doc__, steps=400)
    parser.add_argument(
        "--rates", action="store_true", help="choose the learning rates"
    )
    arguments = parser.parse_args()
    if _study.serve(arguments, work):
        return
    if arguments.rates:
        compare_rates(arguments)
        return
    results = _study.run_all(
        __file__,
        "objectives_study",
        list(ARMS),
        arguments,
        settings(list(ARMS)),
        split="test",
    )
    batches = results[ALTERNATING][0]["batches_per_task"]
    _study.print_scores(
        f"Test split, {batches} batches of each task, mean of "
        f"{arguments.seeds} seeds",
        results,
        {
            "updates": [str(runs[0]["updates"]) for runs in results.values()],
            "processor s": [
                f"{statistics.median(run['seconds'] for run in runs):.0f}"
                for runs in results.values()
            ],
        },
    )
    strategies = _study.compare(results, STRATEGIES)
    contrastive = _study.compare(
        results,
        [(ALTERNATING, CONTRASTIVE_ONLY)],
        _scored(CONTRASTIVE),
    )
    classification = _study.compare(
        results,
        [(ALTERNATING, CLASSIFICATION_ONLY)],
        _scored(CLASSIFICATION),
    )
    for comparisons in (strategies, contrastive, classification):
        _study.print_comparisons(comparisons)
    _study.write(
        "objectives_study",
        arguments,
        strategies | contrastive | classification,
        batches_per_task=batches,
        rates=RATES,
        runs=results,
    )


if __name__ == "__main__":
    main()
