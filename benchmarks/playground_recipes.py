"""Which recipe trains the playground best? Cross-validation, no test split.

    python benchmarks/playground_recipes.py                 # all arms
    python benchmarks/playground_recipes.py --arms plain "no kinds"
    python benchmarks/playground_recipes.py --sounds        # that task alone
    python benchmarks/playground_recipes.py --smoke

Each arm changes the recipe of `keras-imp train` in one place. Seed k trains on
all folds of the training and validation data but fold k, and is measured on
fold k, with one view of an example:
`keras_imp.data.playground.load(..., fold=k)`. The test split is not read.
Differences to the recipe are paired by fold, with 95 % intervals.

The arms with AdamW take more steps, so that they have as much processor time.

`--sounds` trains on the task of recordings alone, for the steps that it has in
a run of all tasks, which gives the same scores in a fifth of the time. Writes
results/playground_recipes_sounds.json.

Runs go on side by side, each on one core; a finished one is kept, so that the
same command goes on where it stopped. Writes results/playground_recipes.json.
"""

import dataclasses
import functools
import time
from typing import Any

import _study
import numpy as np
from _timing import write_json

PLAIN, FEWER = "plain", "fewer categories"
SOUNDS = "sounds alone"
# More steps than with Muon: as much processor time on the slowest machine of
# results/muon_jax.json, dense.
ADAMW = {"optimizer": "AdamW", "steps": 1.1}
# The recipe until five folds favored more captions that are a category.
FEWER_CATEGORIES = {
    "caption_forms": (
        ("{name}, {subcategory}", 0.42),
        ("{name}, {category}", 0.20),
        ("{keywords}, {subcategory}", 0.12),
        ("{name}", 0.06),
        ("{category}", 0.12),
        ("{subcategory}", 0.08),
    )
}
# More steps where a step is cheaper, for as much time.
OTHER_WEIGHTS = {
    "weights": {"objects": 7.0, "captions": 8.5, "sounds": 5.5, "clips": 1.5},
    "steps": 1.0511,
}
SMALL_BATCHES = {
    "batch_sizes": {"objects": 32, "captions": 96, "sounds": 64, "clips": 48},
    "weights": {"objects": 9.5, "captions": 9.0, "sounds": 4.5, "clips": 2.0},
    "steps": 1.19,
}
# As many patches of a sound, each with all its mel bins.
WHOLE_FRAMES = {"encoder": {"audio_patch_size": (4, 64)}}
# Changes of the recipe, and of the model's encoder and optimizer, by arm.
ARMS: dict[str, dict[str, Any]] = {
    PLAIN: {},
    FEWER: FEWER_CATEGORIES,
    "other weights": OTHER_WEIGHTS,
    "fewer categories, other weights": FEWER_CATEGORIES | OTHER_WEIGHTS,
    "fewer categories, small batches": FEWER_CATEGORIES | SMALL_BATCHES,
    "fewer categories, AdamW, rate 1e-3": FEWER_CATEGORIES
    | ADAMW
    | {"learning_rate": 1e-3},
    "AdamW, rate 2.5e-4": {**ADAMW, "learning_rate": 2.5e-4},
    "AdamW, rate 5e-4": {**ADAMW, "learning_rate": 5e-4},
    "AdamW, rate 1e-3": {**ADAMW, "learning_rate": 1e-3},
    "AdamW, rate 2e-3": {**ADAMW, "learning_rate": 2e-3},
    "Muon, rate 1e-3": {"learning_rate": 1e-3},
    "Muon, rate 2.5e-3": {"learning_rate": 2.5e-3},
    "texts match their own": {"match_kinds": False},
    "weights averaged": {"average": 0.99},
    "no kinds": {"without": "captions/kinds"},
    "no families": {"without": "sounds/families"},
    "kinds x3": {"kinds_weight": 3.0},
    "families x3": {"families_weight": 3.0},
    "Noto only": {"own_style": 1.0},
    "Noto seldom": {"own_style": 0.2},
    "words dropped x2": {"dropped_words": 0.4},
    "no words dropped": {"dropped_words": 0.0},
    "no masks": {"masked": 0},
    "no other pitches": {"semitones": ()},
    "dropout 0.1": {"dropout": 0.1},
    "temperature 0.05": {"temperature": 0.05},
    # Must fall to chance, or the evaluation knows more than the model.
    "shuffled": {"shuffled": True, "without": "clips"},
    "attention pooling": {"encoder": {"pooling": "attention"}},
    "patches of 4": {"encoder": {"patch_size": (4, 4, 4)}},
}

# The same for the task of recordings alone. All arms have a step that equalizes
# them, if by nothing, so that the masks after it are the same ones.
OF_SOUNDS: dict[str, dict[str, Any]] = {
    SOUNDS: {"equalized": 0.0},
    "patches of whole frames": {**WHOLE_FRAMES, "equalized": 0.0},
    "equalized": {"equalized": 0.2},
    "patches of whole frames, equalized": {**WHOLE_FRAMES, "equalized": 0.2},
}


def work(job: dict) -> dict:
    """Be one run: train an arm without one fold, and measure it on the fold."""
    import keras

    from keras_imp.evaluation.playground import captions, measures, tasks
    from keras_imp.evaluation.playground.recipe import OBJECTIVES, RECIPE
    from keras_imp.evaluation.playground.splits import load_split
    from keras_imp.evaluation.playground.views import ONE_VIEW

    fold = job["seed"]
    keras.utils.set_random_seed(fold)
    # From the script: what went through JSON has lists in place of tuples.
    changes = dict((OF_SOUNDS if job["sounds"] else ARMS)[job["arm"]])
    steps = round(job["steps"] * changes.pop("steps", 1.0))
    make_optimizer = make_optimizer_of(changes)
    encoder = changes.pop("encoder", {})
    without = changes.pop("without", None)
    task = "sounds/" if job["sounds"] else ""
    objectives = tuple(
        name for name in OBJECTIVES if name.startswith(task) and name != without
    )
    shuffled = changes.pop("shuffled", False)
    recipe = dataclasses.replace(RECIPE, **changes)
    train, held_out = (
        load_split(name, fold=fold) for name in ("train", "validation")
    )
    if shuffled:
        train = shuffle_answers(train, fold)
    tokenizer = captions.train_tokenizer(train.source, recipe)
    model = tasks.build_model(
        tokenizer,
        steps,
        recipe=recipe,
        objectives=objectives,
        make_optimizer=make_optimizer,
        **encoder,
    )
    mixture = tasks.training_mixture(train, tokenizer, fold, recipe, objectives)
    started = time.process_time()
    model.fit(mixture, steps_per_epoch=steps, verbose=0)
    seconds = time.process_time() - started
    rows = measures.measure(model, held_out, tokenizer, ONE_VIEW)
    return {
        "scores": {row.what: round(row.value, 4) for row in rows},
        "processor_seconds": round(seconds, 1),
    }


def make_optimizer_of(changes: dict[str, Any]) -> Any:
    """From a learning rate to an arm's optimizer; takes its own changes out."""
    import keras_imp

    name = changes.pop("optimizer", "Muon")
    average = changes.pop("average", None)
    options: dict[str, Any] = {}
    if name == "Muon":
        from keras_imp.evaluation.playground.recipe import RECIPE

        options["update_rms"] = RECIPE.update_rms
    if average is not None:
        options |= {"use_ema": True, "ema_momentum": average}
    return functools.partial(getattr(keras_imp.optimizers, name), **options)


def shuffle_answers(split: Any, seed: int) -> Any:
    """A training split whose images and recordings have others' answers."""
    generator = np.random.default_rng(seed)
    source = split.source
    fashion, emoji, sounds = source.fashion, source.emoji, source.sounds
    order = generator.permutation(len(emoji.names))
    words = (
        "names",
        "short_names",
        "keywords",
        "captions",
        "categories",
        "subcategories",
    )
    of_sounds = generator.permutation(len(sounds.captions))
    shuffled = dataclasses.replace(
        source,
        fashion=dataclasses.replace(
            fashion, labels=generator.permutation(fashion.labels)
        ),
        emoji=dataclasses.replace(
            emoji,
            **{w: [getattr(emoji, w)[i] for i in order] for w in words},
        ),
        sounds=dataclasses.replace(
            sounds,
            captions=[sounds.captions[i] for i in of_sounds],
            family_labels=sounds.family_labels[of_sounds],
        ),
    )
    return dataclasses.replace(split, source=shuffled)


def main() -> None:
    from keras_imp.evaluation.playground.views import ONE_VIEW

    parser = _study.make_parser(__doc__, steps=1800)
    add = parser.add_argument
    add("--arms", nargs="+", help="default: all")
    add("--sounds", action="store_true", help="the task of recordings alone")
    arguments = parser.parse_args()
    if _study.serve(arguments, work):
        return
    known, plain, file = ARMS, PLAIN, "playground_recipes"
    if arguments.sounds:
        known, plain, file = OF_SOUNDS, SOUNDS, f"{file}_sounds"
        arguments.steps = round(arguments.steps * sounds_part())
    arms = list(dict.fromkeys([plain, *(arguments.arms or known)]))
    results = _study.run_all(
        __file__,
        file,
        arms,
        arguments,
        {arm: {"changes": known[arm]} for arm in arms},
        sounds=arguments.sounds,
        views=repr(ONE_VIEW),
    )
    of_arms = [set(runs[0]["scores"]) for runs in results.values()]
    names = tuple(
        name
        for name in results[plain][0]["scores"]
        if all(name in scores for scores in of_arms)
    )
    pairs = [(arm, plain) for arm in arms if arm != plain]
    pairs += [
        (arm, FEWER)
        for arm in arms
        if arm.startswith(f"{FEWER}, ") and FEWER in arms
    ]
    differences = _study.compare(results, pairs, names)
    title = f"{arguments.seeds} folds, {arguments.steps} steps"
    _study.print_differences(title, results, plain, differences, names)
    if not arguments.smoke:
        content = {"runs": results, "differences": differences}
        print(write_json(file, content))


def sounds_part() -> float:
    """Fraction of the steps that recordings have in a run of all tasks."""
    from keras_imp.evaluation.playground.recipe import RECIPE

    return RECIPE.weights["sounds"] / sum(RECIPE.weights.values())


if __name__ == "__main__":
    main()
