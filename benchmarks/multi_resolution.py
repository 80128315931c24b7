"""Is half of the work enough where the inputs are larger than they need be?

    python scripts/fetch_large_inputs.py data/large
    python benchmarks/multi_resolution.py data/large          # 3 arms, 5 seeds
    python benchmarks/multi_resolution.py data/large --smoke  # a few steps
    python benchmarks/multi_resolution.py data/large --plan   # only the plans

`imp_tiny` learns three tasks in turn: emoji as 64x64 images, with a caption and
their subcategory; the same emoji moving, as videos of 16 frames of 64x64, with
a caption; which of 32 pieces of music an excerpt of 8.2 seconds is from. Three
arms:

- full resolution: one shape for each task;
- multi-resolution: smaller images and videos, cropped audio, and DropToken on
  the host, in turn, with batch sizes such that a step takes half of the work;
- half the batch: full resolution at that same work, to compare with.

All arms take the same number of steps, with the same task in each: the
learning rate's schedule is the same. Work is counted from the plans: matrix
products and attention of the encoder blocks, forward and backward (three times
forward). All arms are tested at full resolution, on concepts and parts of the
music that are new. Runs go on side by side, each on one core. What is finished
is kept: the same command goes on where it stopped. Writes
results/multi_resolution.json and .png.
"""

import pathlib
import statistics
import time

import _study
import numpy as np
from _large_inputs import AUDIO, IMAGE, VIDEO, Split

FRACTION = 0.5
FULL, MULTI, SMALL = "full resolution", "multi-resolution", "half the batch"
ARMS = (FULL, MULTI, SMALL)
PAIRS = [(MULTI, FULL), (MULTI, SMALL), (SMALL, FULL)]
BATCH_SIZES = {"captions": 64, "clips": 24, "music": 32}
TEXT = 12
SCORES = (
    "image to caption, R@10",
    "subcategory, accuracy",
    "motion, zero-shot accuracy",
    "piece of music, accuracy",
)


# --- The shapes -------------------------------------------------------------


def full_shapes() -> dict:
    """One shape for each task: the data as it is."""
    from keras_imp.data import Shape

    return {
        "captions": [Shape(image=IMAGE, text=TEXT)],
        "clips": [Shape(video=VIDEO, text=TEXT)],
        "music": [Shape(audio=AUDIO)],
    }


def half_shapes() -> dict:
    """About half of the tokens, each time in two ways."""
    from keras_imp.data import Shape

    return {
        "captions": [
            Shape(image=(48, 48), text=TEXT),
            Shape(image=IMAGE, text=TEXT, drop={"image": 0.5}),
        ],
        "clips": [
            Shape(video=(16, 48, 48), text=TEXT),
            Shape(video=VIDEO, text=TEXT, drop={"video": 0.5}),
        ],
        "music": [
            Shape(audio=(256, 64)),
            Shape(audio=AUDIO, drop={"audio": 0.5}),
        ],
    }


def make_plans(encoder) -> dict:
    """The plan of each arm."""
    import keras_imp

    shapes = full_shapes()
    one = keras_imp.TokenBudget(tokens_per_batch=1000).plan(encoder, shapes)
    tokens = {
        task: size * one[task][0].kept_tokens
        for task, size in BATCH_SIZES.items()
    }
    full = keras_imp.TokenBudget(tokens_per_batch=tokens).plan(encoder, shapes)
    half = keras_imp.TokenBudget(
        flops_per_batch={
            task: FRACTION * full.flops_per_step(task) for task in full
        }
    )
    return {
        FULL: full,
        MULTI: half.plan(encoder, half_shapes()),
        SMALL: half.plan(encoder, shapes),
    }


# --- A run ------------------------------------------------------------------


def work(job: dict) -> dict:
    """Be one run: train and evaluate one arm with one seed."""
    import keras

    import keras_imp
    from keras_imp.data import ResizedArrays, playground
    from keras_imp.evaluation.playground.captions import train_tokenizer
    from keras_imp.evaluation.playground.recipe import RECIPE

    seed, folder = job["seed"], pathlib.Path(job["folder"])
    keras.utils.set_random_seed(seed)
    train, test = Split("train", folder), Split("test", folder)
    tokenizer = train_tokenizer(train.source, RECIPE)
    kinds = sorted(set(train.source.emoji.subcategories))
    model = build_model(tokenizer, job["steps"], train, len(kinds))
    plan = make_plans(model.encoder)[job["arm"]]
    video, motions = train.clips
    moving = playground.clip_captions(train.names, motions)
    labels = train.kinds(kinds)
    data = {
        "captions": (
            {"image": train.images, "text": tokenizer(train.captions)},
            {"texts": labels, "kinds": labels},
        ),
        "clips": ({"video": video, "text": tokenizer(moving)}, None),
        "music": ({"audio": train.music[0]}, train.music[1]),
    }
    mixture = keras_imp.TaskMixture(
        {
            name: ResizedArrays(x, y, shapes=plan[name], seed=seed)
            for name, (x, y) in data.items()
        },
        schedule=keras_imp.schedules.RoundRobin(),
        seed=seed,
    )
    start = time.process_time()
    model.fit(mixture, steps_per_epoch=job["steps"], verbose=0)
    seconds = time.process_time() - start
    counts = mixture.schedule.counts(job["steps"])
    return {
        "scores": measure(model, test, tokenizer, kinds, train.names),
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
        # With what is compiled: one graph for each shape.
        "seconds": round(seconds, 1),
    }


def build_model(tokenizer, steps: int, train: Split, kinds: int):
    """`imp_tiny` with the three tasks, and the playground's optimizer."""
    import keras_imp
    from keras_imp.evaluation.playground import tasks as playground_tasks
    from keras_imp.evaluation.playground.recipe import RECIPE
    from keras_imp.tasks import Classification, Combined, Contrastive

    space = {
        "projection_dim": RECIPE.projection_dim,
        "temperature": RECIPE.temperature,
    }
    texts = Contrastive("texts", ("image", "text"), **space)
    model = keras_imp.AlternatingModel(
        playground_tasks.build_encoder(tokenizer),
        [
            Combined(
                "captions", [texts, Classification("kinds", "image", kinds)]
            ),
            Contrastive("clips", ("video", "text"), **space),
            Classification("music", "audio", 1 + int(train.music[1].max())),
        ],
    )
    playground_tasks.compile_model(model, steps)
    return model


def measure(
    model, test: Split, tokenizer, kinds: list[str], known_names: list[str]
) -> dict:
    """The scores at full resolution.

    Args:
        model: The trained model.
        test: The test split.
        tokenizer: The one it was trained with.
        kinds: The subcategories that it knows.
        known_names: Names of emoji that it has seen move.
    """
    import keras_imp
    from keras_imp.data import playground
    from keras_imp.evaluation.parts import predict_part
    from keras_imp.evaluation.retrieval import recall_at, same_text

    def predict(task: str, **x):
        return predict_part(model, task, x, 50)

    captions, labels = test.captions, test.kinds(kinds)
    images = predict("captions/texts", image=test.images)["image_to_text"]
    texts = predict("captions/texts", text=tokenizer(captions))
    similar = images @ texts["text_to_image"].T
    found = predict("captions/kinds", image=test.images).argmax(axis=1)
    video, motions = test.clips
    prompts = [f"{name} {{}}" for name in known_names[::40]]
    classify = keras_imp.ZeroShotClassifier(
        model, "clips", list(playground.MOTIONS), prompts, tokenizer
    )
    moves = predict("clips", video=video)["video_to_text"]
    audio, pieces = test.music
    values = (
        recall_at(similar, same_text(captions, captions))["recall@10"],
        np.mean(found[labels >= 0] == labels[labels >= 0]),
        np.mean(
            (moves @ classify.class_vectors("video").T).argmax(1) == motions
        ),
        np.mean(predict("music", audio=audio).argmax(axis=1) == pieces),
    )
    return dict(zip(SCORES, map(float, values)))


# --- The command ------------------------------------------------------------


def print_plans(folder: pathlib.Path) -> None:
    """The plan of each arm as a table."""
    from keras_imp.evaluation.playground.captions import train_tokenizer
    from keras_imp.evaluation.playground.recipe import RECIPE

    train = Split("train", folder)
    tokenizer = train_tokenizer(train.source, RECIPE)
    encoder = build_model(tokenizer, 1, train, kinds=2).encoder
    for arm, plan in make_plans(encoder).items():
        print(f"{arm}\n{plan}\n")


def main() -> None:
    parser = _study.make_parser(__doc__, steps=400)
    parser.add_argument(
        "folder", nargs="?", help="what fetch_large_inputs.py has written"
    )
    parser.add_argument("--plan", action="store_true", help="print the plans")
    arguments = parser.parse_args()
    if _study.serve(arguments, work):
        return
    if not arguments.folder:
        parser.error("name the folder of scripts/fetch_large_inputs.py")
    if arguments.plan:
        print_plans(pathlib.Path(arguments.folder))
        return
    results = _study.run_all(
        __file__,
        "multi_resolution",
        list(ARMS),
        arguments,
        folder=str(pathlib.Path(arguments.folder).resolve()),
    )

    def mean(runs: list[dict], figure: str) -> float:
        return statistics.mean(run[figure] for run in runs)

    most = mean(results[FULL], "training_flops")
    flops = {arm: mean(r, "training_flops") for arm, r in results.items()}
    _study.print_scores(
        f"Test split, {arguments.steps} steps, mean of {arguments.seeds} seeds",
        results,
        {
            "TFLOPs": [f"{value / 1e12:.2f}" for value in flops.values()],
            "fraction": [f"{value / most:.3f}" for value in flops.values()],
            "examples": [
                f"{mean(runs, 'examples'):,.0f}" for runs in results.values()
            ],
            "graphs": [str(runs[0]["graphs"]) for runs in results.values()],
            "processor s": [
                f"{mean(runs, 'seconds'):.0f}" for runs in results.values()
            ],
        },
        SCORES,
    )
    comparisons = _study.compare(results, PAIRS, SCORES)
    _study.print_comparisons(comparisons)
    _study.write(
        "multi_resolution",
        arguments,
        comparisons,
        fraction_of_flops={arm: value / most for arm, value in flops.items()},
        runs=results,
    )


if __name__ == "__main__":
    main()
