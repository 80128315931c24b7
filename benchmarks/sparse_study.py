"""Does the sparse encoder beat its dense twin on the playground?

    python benchmarks/sparse_study.py            # 3 arms x 5 seeds; < 1 hour
    python benchmarks/sparse_study.py --smoke    # one seed, a few steps

Three encoders of equal active parameters (experts choose, tokens choose, dense
twin) learn the playground's four tasks from the same batches, seed by seed.
Two runs go on at a time, each on one core. What is finished is kept: the same
command goes on where it stopped. Writes results/sparse_study.json and .png.
"""

import _study

ARMS = {
    "expert choice": {"router": "expert_choice"},
    "token choice": {"router": "token_choice"},
    "dense twin": {},
}
PAIRS = [
    ("expert choice", "dense twin"),
    ("token choice", "dense twin"),
    ("expert choice", "token choice"),
]


def work(job: dict) -> dict:
    """Be one run: train and evaluate one arm with one seed."""
    import keras

    from keras_imp.evaluation.playground import tasks as playground_tasks

    keras.utils.set_random_seed(job["seed"])
    tokenizer, train, test = _study.load_playground()
    model = playground_tasks.build_model(
        tokenizer,
        job["steps"],
        preset=job["preset"],
        dense_twin=job["arm"] == "dense twin",
        **ARMS[job["arm"]],
    )
    model.fit(
        playground_tasks.training_mixture(train, tokenizer, job["seed"]),
        steps_per_epoch=job["steps"],
        verbose=0,
    )
    return {
        "scores": _study.scores(model, test, tokenizer),
        "active_parameters": model.encoder.count_active_params(),
        "parameters": model.encoder.count_params(),
    }


def main() -> None:
    parser = _study.make_parser(__doc__, steps=500)
    parser.add_argument(
        "--preset", default="imp_moe_tiny", help="the sparse encoder"
    )
    arguments = parser.parse_args()
    if _study.serve(arguments, work):
        return
    preset = arguments.preset
    results = _study.run_all(
        __file__,
        f"sparse_study_{preset}",
        list(ARMS),
        arguments,
        preset=preset,
        views=_study.views(),
    )
    active = [f"{runs[0]['active_parameters']:,}" for runs in results.values()]
    _study.print_scores(
        f"Test split, {arguments.steps} steps, mean of {arguments.seeds} seeds",
        results,
        {"active parameters": active},
    )
    comparisons = _study.compare(results, PAIRS)
    _study.print_comparisons(comparisons)
    _study.write(
        "sparse_study", arguments, comparisons, preset=preset, runs=results
    )


if __name__ == "__main__":
    main()
