"""Does the playground need its full resolution, or is half the work enough?

    python benchmarks/multi_resolution.py            # 3 arms x 5 seeds
    python benchmarks/multi_resolution.py --smoke    # one seed, a few steps
    python benchmarks/multi_resolution.py --plan     # print the plans, and end

Three arms train `imp_tiny` on the playground's four tasks:

- full resolution: one shape for each task, the playground's batch sizes;
- multi-resolution: smaller pictures, cropped sounds and DropToken on the host,
  batch sizes such that a step of a task takes half of the work;
- half the batch: full resolution at that same work, to compare with.

All arms take the same number of steps, with the same task in each: the
learning rate's schedule is the same, and so is the order of tasks of a seed.
The numbers of examples differ and are printed. Work is counted from the plans:
matrix products and attention of the encoder blocks, forward and backward (three
times forward). All arms are tested at full resolution. Runs go on side by side,
each on one core. What is finished is kept: the same command goes on where it
stopped. Writes results/multi_resolution.json and .png.
"""

import statistics

import _study

SHARE = 0.5
FULL, MULTI, SMALL = "full resolution", "multi-resolution", "half the batch"
PAIRS = [(MULTI, FULL), (MULTI, SMALL), (SMALL, FULL)]


def full_shapes() -> dict:
    """One shape for each task: the data as it is."""
    from keras_imp.data import Shape

    picture, sound, clip = (32, 32), (64, 64), (8, 32, 32)
    return {
        "objects": [Shape(image=picture)],
        "captions": [Shape(image=picture, text=16)],
        "sounds": [Shape(audio=sound, text=16)],
        "clips": [Shape(video=clip, text=16)],
    }


def short_shapes() -> dict:
    """About half of the tokens, each time in two ways.

    Captions of pictures and sounds are seldom longer than 8 and 10 tokens; a
    clip's caption ends with what moves, so it stays whole.
    """
    from keras_imp.data import Shape

    return {
        "objects": [
            Shape(image=(24, 24)),
            Shape(image=(32, 32), drop={"image": 0.5}),
        ],
        "captions": [
            Shape(image=(24, 24), text=8),
            Shape(image=(32, 32), text=16, drop={"image": 0.5}),
        ],
        "sounds": [
            Shape(audio=(32, 64), text=10),
            Shape(audio=(64, 64), text=10, drop={"audio": 0.5}),
        ],
        "clips": [
            Shape(video=(8, 24, 24), text=16, drop={"video": 0.5}),
            Shape(video=(8, 32, 32), text=16, drop={"video": 0.75}),
        ],
    }


def make_plans(encoder) -> dict:
    """The plan of each arm."""
    import keras_imp
    from keras_imp.evaluation.playground.recipe import RECIPE

    shapes = full_shapes()
    one = keras_imp.TokenBudget(tokens_per_batch=1000).plan(encoder, shapes)
    tokens = {
        task: size * one[task][0].kept_tokens
        for task, size in RECIPE.batch_sizes.items()
    }
    full = keras_imp.TokenBudget(tokens_per_batch=tokens).plan(encoder, shapes)
    half = keras_imp.TokenBudget(
        flops_per_batch={
            task: SHARE * full.flops_per_step(task) for task in full
        }
    )
    return {
        FULL: full,
        MULTI: half.plan(encoder, short_shapes()),
        SMALL: half.plan(encoder, shapes),
    }


def work(job: dict) -> dict:
    """Be one run: train and evaluate one arm with one seed."""
    import keras

    from keras_imp.evaluation.playground import tasks as playground_tasks

    keras.utils.set_random_seed(job["seed"])
    tokenizer, train, test = _study.load_playground()
    model = playground_tasks.build_model(tokenizer, job["steps"])
    plan = make_plans(model.encoder)[job["arm"]]
    mixture = playground_tasks.resized_mixture(
        train, tokenizer, plan, job["seed"]
    )
    model.fit(mixture, steps_per_epoch=job["steps"], verbose=0)
    counts = mixture.schedule.counts(job["steps"])
    return {
        "scores": _study.scores(model, test, tokenizer),
        "training_flops": sum(
            3 * count * plan.flops_per_step(task)
            for task, count in counts.items()
        ),
        "examples": round(
            sum(
                count * plan.examples_per_step(task)
                for task, count in counts.items()
            )
        ),
        "graphs": plan.num_graphs,
    }


def print_plans() -> None:
    """The plan of each arm as a table."""
    from keras_imp.evaluation.playground import tasks as playground_tasks

    tokenizer, *_ = _study.load_playground()
    encoder = playground_tasks.build_model(tokenizer, steps=1).encoder
    for arm, plan in make_plans(encoder).items():
        print(f"{arm}\n{plan}\n")


def main() -> None:
    parser = _study.make_parser(__doc__, steps=500)
    parser.add_argument("--plan", action="store_true", help="print the plans")
    arguments = parser.parse_args()
    if arguments.plan:
        print_plans()
        return
    if _study.serve(arguments, work):
        return
    arms = [FULL, MULTI, SMALL]
    results = _study.run_all(__file__, "multi_resolution", arms, arguments)

    def mean(runs: list[dict], figure: str) -> float:
        return statistics.mean(run[figure] for run in runs)

    most = mean(results[FULL], "training_flops")
    flops = {arm: mean(r, "training_flops") for arm, r in results.items()}
    _study.print_scores(
        f"Test split, {arguments.steps} steps, mean of {arguments.seeds} seeds",
        results,
        {
            "TFLOPs": [f"{value / 1e12:.2f}" for value in flops.values()],
            "share": [f"{value / most:.3f}" for value in flops.values()],
            "examples": [
                f"{mean(runs, 'examples'):,.0f}" for runs in results.values()
            ],
            "graphs": [str(runs[0]["graphs"]) for runs in results.values()],
        },
    )
    comparisons = _study.compare(results, PAIRS)
    _study.print_comparisons(comparisons)
    _study.write(
        "multi_resolution",
        arguments,
        comparisons,
        share_of_flops={arm: value / most for arm, value in flops.items()},
        runs=results,
    )


if __name__ == "__main__":
    main()
