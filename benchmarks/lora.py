"""A few examples of new classes: LoRA, full fine-tuning or a linear probe?

    keras-imp train --out RUN                     # a start, if there is none
    python benchmarks/lora.py --start RUN
    python benchmarks/lora.py --start RUN --choose   # the learning rates

From an encoder that has learned the playground's tasks to handwritten digits:
the 1,797 images of 8 x 8 pixels that scikit-learn ships, enlarged to 32 x 32.
They are real, and no task of the start has seen their classes; the encoder
takes images in two of these tasks, so that there is something to forget.
Each seed draws `--shots` images of each digit, the same ones for all arms.
Measured are the accuracy on 797 other digits, and what the tasks of the start
have lost: their figures on the test split of the playground, by the heads that
they had, less those of the start.

The linear probe trains no weight of the encoder and forgets nothing. LoRA is
measured with its weights in place: without them, the encoder is the start.
The learning rate of each arm is the best of three on 500 further digits, with
seeds of their own (`--choose`), the first of its rates below. What is finished
is kept: the same command goes on where it stopped. Writes results/lora.json
and .png.
"""

import hashlib
import math
import pathlib
import statistics
import time

import _study
import _timing

BATCH = 50
TASK = "digits"
QUERY_VALUE = ("query", "value")
ALL_KERNELS = ("query", "key", "value", "output", "expand", "contract")
# Arms that train: optimizer, rank and targets of LoRA, and rates to choose
# from, of which the first one is chosen.
ARMS = {
    "full fine-tuning": ("AdamW", None, (), (1e-3, 3e-4, 3e-3)),
    "LoRA": ("AdamW", 4, QUERY_VALUE, (1e-2, 3e-3, 3e-2)),
    "LoRA, all kernels": ("AdamW", 4, ALL_KERNELS, (3e-3, 1e-3, 1e-2)),
    "LoRA, Muon": ("Muon", 4, QUERY_VALUE, (1e-2, 3e-3, 3e-2)),
}
PROBE, PIXELS = "linear probe", "logistic regression on pixels"
COMPARED_ARMS = ("full fine-tuning", "LoRA", "LoRA, all kernels")
COMPARED = [
    ("LoRA", PROBE),
    ("LoRA", "full fine-tuning"),
    ("LoRA, all kernels", "full fine-tuning"),
]
LOST = "lost"
# Added to the seeds that choose a rate.
CHOOSING = 100


# --- One run ----------------------------------------------------------------


def digits(seed: int, shots: int, choosing: bool) -> tuple:
    """Images and classes to train on, and to measure on."""
    import numpy as np
    from sklearn.datasets import load_digits

    data = load_digits()
    images = np.kron(data.images * 15.9, np.ones((4, 4)))[..., None]
    images = np.repeat(images.astype("uint8"), 3, axis=-1)
    order = np.random.default_rng(0).permutation(len(images))
    pool, choice, test = order[:500], order[500:1000], order[1000:]
    random = np.random.default_rng(seed)
    rows = np.concatenate(
        [
            random.permutation(pool[data.target[pool] == digit])[:shots]
            for digit in range(10)
        ]
    )
    measured = choice if choosing else test
    return tuple((images[part], data.target[part]) for part in (rows, measured))


def load_start(folder: str | None) -> tuple:
    """The model of a run and its tokenizer; an untrained one for a smoke."""
    import keras

    from keras_imp.data import Tokenizer

    if folder is None:
        from keras_imp.evaluation.playground.tasks import build_model

        tokenizer, _, _ = _study.load_playground()
        return build_model(tokenizer, steps=1), tokenizer
    path = pathlib.Path(folder)
    model = keras.models.load_model(path / "model.keras", compile=False)
    return model, Tokenizer.load(path / "tokenizer.json")


def work(job: dict) -> dict:
    """Be all arms of one seed, one after the other from the same start."""
    seed = job["seed"] + CHOOSING * job["choosing"]
    data = digits(seed, job["shots"], job["choosing"])
    model, tokenizer = load_start(job["start"])
    encoder = model.encoder
    start = encoder.get_weights()
    if job["choosing"]:
        return {
            f"{arm} @ {rate:g}": trained(encoder, start, data, job, arm, rate)
            for arm, (*_, rates) in ARMS.items()
            for rate in sorted(rates)
        }
    found = {}
    for arm in (PROBE, PIXELS, *COMPARED_ARMS):
        if arm == PIXELS:
            found[arm] = {"accuracy": pixels(*data), "trained": 0}
            continue
        if arm == PROBE:
            found[arm] = {"accuracy": probe(encoder, *data), "trained": 0}
        else:
            found[arm] = trained(encoder, start, data, job, arm)
        found[arm]["old"] = old_scores(model, tokenizer)
    return found


def old_scores(model, tokenizer) -> dict[str, float]:
    """Figures of the tasks of the start, on the test split."""
    from keras_imp.evaluation.playground.splits import load_split

    return _study.scores(model, load_split("test"), tokenizer)


def trained(
    encoder, start: list, data: tuple, job: dict, arm: str, rate=None
) -> dict:
    """Train one arm; LoRA weights are merged into the encoder after it."""
    import keras

    keras.utils.set_random_seed(job["seed"])
    encoder.set_weights(start)
    began = time.process_time()
    (x, y), (test_x, test_y) = data
    adapted, count = adapt(encoder, x, y, job, arm, rate)
    seconds = time.process_time() - began
    logits = adapted.predict({"image": test_x}, task=TASK, verbose=0)
    if encoder.lora_rank is not None:
        encoder.merge_lora()
    return {
        "accuracy": float((logits.argmax(-1) == test_y).mean()),
        "trained": count,
        "seconds": round(seconds, 1),
    }


def adapt(encoder, x, y, job: dict, arm: str, rate: float | None) -> tuple:
    """Train on digits; the model, and the number of weights that trained."""
    import keras_imp
    from keras_imp.data import Arrays

    optimizer, rank, targets, rates = ARMS[arm]
    if rank is not None:
        encoder.enable_lora(rank, targets)
    trained = sum(math.prod(v.shape) for v in encoder.trainable_variables)
    task = keras_imp.tasks.Classification(TASK, "image", num_classes=10)
    model = keras_imp.AlternatingModel(encoder, [task])
    schedule = keras_imp.optimizers.CosineWithWarmup(
        rate or rates[0],
        total_steps=job["steps"],
        warmup_steps=job["steps"] // 10,
    )
    options = {"matrices": "lora_"} if optimizer == "Muon" else {}
    make = getattr(keras_imp.optimizers, optimizer)
    model.compile(make(schedule, weight_decay=0.01, **options))
    source = Arrays(
        {"image": x}, y, batch_size=min(BATCH, len(x)), seed=job["seed"]
    )
    model.fit(
        keras_imp.TaskMixture({TASK: source}, seed=job["seed"]),
        steps_per_epoch=job["steps"],
        verbose=0,
    )
    return model, trained


def probe(encoder, train: tuple, test: tuple) -> float:
    """Accuracy of a linear probe; nothing of the encoder is trained."""
    from keras_imp.evaluation import LinearProbe

    names = [str(digit) for digit in range(10)]
    fitted = LinearProbe(encoder, "image", names).fit(*train)
    return float((fitted.predict(test[0]).argmax(-1) == test[1]).mean())


def pixels(train: tuple, test: tuple) -> float:
    """Accuracy without an encoder, its strength chosen by cross-validation."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV

    x, test_x = (
        images[:, ::4, ::4, 0].reshape(len(images), -1) / 255
        for images, _ in (train, test)
    )
    strengths = {"C": [10.0**power for power in range(-3, 4)]}
    model = GridSearchCV(LogisticRegression(max_iter=2000), strengths, cv=3)
    model.fit(x, train[1])
    return float(model.score(test_x, test[1]))


# --- All runs ---------------------------------------------------------------


def fingerprint(start: str | None) -> str:
    """What tells runs from one start from those from another."""
    if start is None:
        return "untrained"
    content = (pathlib.Path(start) / "model.keras").read_bytes()
    return hashlib.sha256(content).hexdigest()[:12]


def run(arguments, choosing: bool) -> dict[str, list[dict]]:
    """Results of each arm, by seed."""
    kept = f"lora_{fingerprint(arguments.start)}_{arguments.shots}"
    seeds = _study.run_all(
        __file__,
        f"{kept}_choosing" if choosing else kept,
        ["all arms"],
        arguments,
        start=arguments.start,
        shots=arguments.shots,
        choosing=choosing,
    )["all arms"]
    return {arm: [found[arm] for found in seeds] for arm in seeds[0]}


def choose(arguments) -> None:
    """Print the accuracy of each arm at each rate, on digits of their own."""
    rows = [
        [arm, f"{statistics.mean(run['accuracy'] for run in runs):.4f}"]
        for arm, runs in run(arguments, choosing=True).items()
    ]
    title = f"500 digits to choose by, mean of {arguments.seeds} seeds"
    print(_timing.table(title, ["arm @ rate", "accuracy"], rows))


def with_scores(results: dict, start: dict[str, float]) -> dict:
    """Results with what `_study.compare` compares: accuracy, and what is lost.

    Args:
        results: Of each arm, by seed.
        start: Scores of the start on its tasks.

    Returns:
        The same, each with `scores`.
    """
    scored: dict[str, list[dict]] = {}
    for arm, runs in results.items():
        for run in runs:
            lost = {
                f"{LOST}: {name}": start[name] - run["old"][name]
                for name in start
                if "old" in run
            }
            scored.setdefault(arm, []).append(
                {**run, "scores": {TASK: run["accuracy"], **lost}}
            )
    return scored


def show(scored: dict[str, list[dict]], arguments, start: dict) -> None:
    """Two tables: the new classes, and the old tasks."""

    def mean(runs: list[dict], name: str, sign: str = "") -> str:
        values = [run["scores"][name] for run in runs if name in run["scores"]]
        if not values:
            return "-"
        value, half = _study.interval(values)
        return f"{value:{sign}.3f} ±{half:.3f}"

    lost = [f"{LOST}: {name}" for name in start]
    rows = [
        [
            arm,
            f"{runs[0]['trained']:,}",
            mean(runs, TASK),
            *(mean(runs, name, "+") for name in lost),
        ]
        for arm, runs in scored.items()
    ]
    title = (
        f"{arguments.shots} images of each digit, {arguments.steps} steps, "
        f"mean of {arguments.seeds} seeds with its 95 % interval (Student's t)"
    )
    header = ["arm", "trained in encoder", "digits, accuracy", *lost]
    print(_timing.table(title, header, rows))
    print(f"The start: { ({k: round(v, 3) for k, v in start.items()}) }")


def main() -> None:
    parser = _study.make_parser(__doc__, steps=200)
    add = parser.add_argument
    add("--start", help="folder of a finished `keras-imp train`")
    add("--shots", type=int, default=10, help="images of each digit")
    add("--choose", action="store_true", help="compare learning rates")
    arguments = parser.parse_args()
    if _study.serve(arguments, work):
        return
    if arguments.start is None and not arguments.smoke:
        parser.error("--start is needed: keras-imp train --out RUN makes one")
    if arguments.choose:
        choose(arguments)
        return
    results = run(arguments, choosing=False)
    start = results[PROBE][0]["old"]
    scored = with_scores(results, start)
    show(scored, arguments, start)
    lost = tuple(f"{LOST}: {name}" for name in start)
    comparisons = _study.compare(scored, COMPARED, (TASK, *lost))
    for found in comparisons.values():
        del found[_study.MEAN]  # Of accuracies and losses together.
    _study.print_comparisons(comparisons)
    _study.write(
        "lora",
        arguments,
        comparisons,
        shots=arguments.shots,
        start=start,
        runs=scored,
    )


if __name__ == "__main__":
    main()
