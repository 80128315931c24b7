"""Runs on virtual devices: `python -m tests.helpers.distributed <file>`.

A process of its own, so that the other tests keep their one device. Trains the
same model on one device and on several, and writes what came out as JSON. JAX
wants `--xla_force_host_platform_device_count=4` in XLA_FLAGS.
"""

import contextlib
import functools
import json
import re
import sys
import tempfile
import warnings

import keras
import numpy as np

import keras_imp
from keras_imp.data import Arrays
from keras_imp.training.input.reader import MixtureReader
from tests.helpers import interruption as interrupted

BATCH = 8
EXAMPLES = 2 * BATCH
SIZE = 8
WORDS = 6
CLASSES = 5


def all_tasks():
    return [
        keras_imp.tasks.Classification("words", "text", CLASSES),
        keras_imp.tasks.Contrastive(
            "captions", ("image", "text"), projection_dim=8
        ),
        keras_imp.tasks.Classification(
            "scenes", "image", CLASSES, multi_label=True, microbatches=2
        ),
    ]


def words():
    return all_tasks()[:1]


def rarer_tasks():
    """What is in no other run here."""
    tasks = [
        keras_imp.tasks.Contrastive(
            "groups", ("image", "text"), projection_dim=8,
            loss="sigmoid", bias=-2.0,
        ),
    ]  # fmt: skip
    if (
        keras.config.backend() == "jax"
    ):  # Elsewhere replicas draw for themselves.
        tasks.append(
            keras_imp.tasks.MaskedModeling("masked", "text", mask_id=29, seed=5)
        )
    return tasks


def make_model(
    make_tasks=all_tasks,
    model=keras_imp.AlternatingModel,
    optimizer=None,
    **options,
):
    """A sparse encoder under some tasks, always with the same weights."""
    keras.utils.set_random_seed(1)
    encoder = keras_imp.IMPEncoder(
        8, 16, 1, 2,
        modalities=("image", "text"), vocabulary_size=30,
        patch_size=(1, 4, 4), position_buckets=(1, 4, 4),
        max_sequence_length=WORDS,
        num_experts=4, num_moe_layers=1, router_z_loss=0.1,
        **options,
    )  # fmt: skip
    model = model(encoder, make_tasks())
    model.compile(
        # Gentle: each step of a fast run makes rounding errors grow.
        optimizer
        or keras.optimizers.SGD(0.03, momentum=0.5, global_clipnorm=1.0),
        jit_compile=keras.config.backend() == "jax",
    )
    return model


def make_data(seed, names):
    """Two batches of each task; text has padding, captions repeat."""
    rng = np.random.default_rng(seed)

    def text(captions=()):
        ids = rng.integers(1, 30, (EXAMPLES, *captions, WORDS))
        lengths = rng.integers(1, WORDS + 1, (EXAMPLES, *captions, 1))
        return np.where(np.arange(WORDS) < lengths, ids, 0)

    images = rng.uniform(-1, 1, (EXAMPLES, SIZE, SIZE, 3)).astype("float32")
    captions = text((2,))
    captions[1] = captions[6, 0]  # Two examples with one caption.
    captions[3] = 0  # No caption at all.
    weights = rng.uniform(0.1, 2.0, EXAMPLES).astype("float32")
    batches = {
        "words": (
            {"text": text()},
            rng.integers(0, CLASSES, EXAMPLES),
            weights,
        ),
        "captions": ({"image": images, "text": captions},),
        "scenes": ({"image": images}, rng.integers(0, 2, (EXAMPLES, CLASSES))),
        "groups": (
            {"image": images, "text": text()},
            rng.integers(0, 5, EXAMPLES),
        ),
        "masked": ({"text": text()},),
    }
    return {
        name: Arrays(*batches[name], batch_size=BATCH, shuffle=False)
        for name in names
    }


def fit(model, epochs=2, steps=None, validation=(), **options):
    mixture = keras_imp.TaskMixture(
        make_data(0, model.tasks),
        keras_imp.schedules.RoundRobin(),
        steps_per_epoch=steps or 2 * len(model.tasks),
    )
    if validation:
        options["validation_data"] = keras_imp.TaskMixture.sequential(
            make_data(1, validation)
        )
    return model.fit(mixture, epochs=epochs, verbose=0, **options).history


def train(model):
    """What a user sees of a run."""
    conflict = keras_imp.callbacks.GradientConflictLogger(
        make_data(4, ["captions", "scenes"]), every=6
    )
    history = fit(model, validation=("words", "captions"), callbacks=[conflict])
    # Neither the examples nor the batch can be divided by the devices.
    images = make_data(2, ["captions"])["captions"].x["image"][:11]
    predicted = model.predict(images, task="scenes", batch_size=6, verbose=0)
    on_a_batch = model.predict_on_batch(images, task="scenes")
    test = keras_imp.TaskMixture.sequential(make_data(3, ["captions"]))
    return {
        "history": history,
        "predicted": predicted.tolist(),
        "predicted on a batch": np.asarray(on_a_batch).tolist(),
        "evaluated": model.evaluate(test, verbose=0),
        "step": int(model.step_counter.numpy()),
    }


def error_of(function):
    try:
        function()
    except ValueError as error:
        return str(error)
    return "no error"


def odd_batch(model):
    """A batch of 8 examples and one of 7."""
    text = make_data(0, ["words"])["words"].x["text"]
    batches = [({"text": text[:n]}, np.zeros(n, "int32")) for n in (8, 7)]
    source = keras_imp.TaskMixture.sequential({"words": batches})
    return error_of(lambda: model.evaluate(source, verbose=0))


def train_padded():
    """All tasks in each step, in one padded pass."""
    model = make_model(
        rarer_tasks,
        functools.partial(keras_imp.CombinedModel, strategy="padded"),
    )
    mixture = keras_imp.TaskMixture.together(
        make_data(0, model.tasks), steps_per_epoch=2
    )
    return model.fit(mixture, verbose=0).history


def make_muon():
    return make_model(words, optimizer=keras_imp.optimizers.Muon(1e-3, 0.1))


def resume(first, second):
    """Break off in the second epoch in one scope and go on in another."""
    with tempfile.TemporaryDirectory() as folder:
        for scope, stop in ((first, interrupted.StopAfter(5)), (second, None)):
            backup = keras_imp.callbacks.Backup(folder, every=1)
            with scope(), contextlib.suppress(interrupted.InterruptedRunError):
                callbacks = [backup, stop] if stop else [backup]
                history = fit(make_model(words), steps=3, callbacks=callbacks)
    return history


def resumed(one, several):
    return {
        "never": fit(make_model(words), steps=3),
        "on one device": resume(several, one),
        "on several": resume(one, several),
    }


# JAX -------------------------------------------------------------------------


def jax_runs():
    one, data = contextlib.nullcontext, keras.distribution.DataParallel().scope
    settings = {
        "one device": one,
        "data 4": data,
        "batch 2, expert 2": model_parallel(batch=2, expert=2),
    }
    runs, shards, collectives, errors, padded = {}, {}, {}, {}, {}
    muon = {}
    for name, scope in settings.items():
        with scope():
            model = make_model()
            runs[name] = train(model)
            shards[name] = shapes_on_one_device(model)
            padded[name] = train_padded()
            model_of_muon = make_muon()
            muon[name] = fit(model_of_muon)
            if name == "batch 2, expert 2":
                collectives["muon"] = collectives_of(model_of_muon, "words")
                gentle = make_model(words)
                fit(gentle, epochs=1)
                collectives["gentle"] = collectives_of(gentle, "words")
            if scope is data:
                errors["odd batch"] = odd_batch(model)
                for task in ("captions", "scenes"):
                    collectives[task] = collectives_of(model, task)
    outside = make_model(words)
    with data():
        errors["model made outside"] = error_of(lambda: fit(outside))
    with model_parallel(batch=1, expert=4)():
        layer = keras_imp.layers.ExpertChoiceMoE(6, 8)
        errors["experts"] = error_of(lambda: layer.build((None, 4, 8)))
    return {
        "runs": runs,
        "padded": padded,
        "muon": muon,
        "shards": shards,
        "errors": errors,
        "collectives": collectives,
        "resumed": resumed(one, model_parallel(batch=1, expert=2, model=2)),
    }


def model_parallel(**axes):
    mesh = keras.distribution.DeviceMesh(tuple(axes.values()), tuple(axes))
    layouts = keras_imp.distribution.layout_map(
        mesh, model="model" if "model" in axes else None
    )
    return keras.distribution.ModelParallel(layout_map=layouts).scope


def shapes_on_one_device(model):
    """Shapes of an expert kernel and of its momentum, as one device has it."""
    variables = [*model.trainable_variables, *model.optimizer.variables]
    return [
        list(variable.value.addressable_shards[0].data.shape)
        for variable in variables
        if "experts_expand_kernel" in variable.path
    ]


def collectives_of(model, task):
    """What moves between devices in a compiled train step: kind and shapes."""
    source = keras_imp.TaskMixture.sequential(make_data(0, [task]))
    placement = model.program.devices.placement
    source = MixtureReader(source, model.prepare_batch, placement)
    next(source.get_jax_iterator())
    state = tuple(
        [variable.value for variable in group]
        for group in (
            model.trainable_variables,
            model.non_trainable_variables,
            model.optimizer.variables,
            model.metrics_variables,
        )
    )
    step = compiled_in(model.train_function).lower(state, source.take_placed())
    kinds = "all-gather|all-to-all|collective-permute|all-reduce|reduce-scatter"
    found = re.findall(rf"= (.*?) ({kinds})\(", step.compile().as_text())
    return sorted({(kind, shape) for shape, kind in found})


def compiled_in(function):
    """The jitted step inside of the function that Keras calls."""
    cells = getattr(function, "__closure__", None) or ()
    for found in filter(callable, [cell.cell_contents for cell in cells]):
        if not hasattr(found, "lower"):
            found = compiled_in(found)
        if found is not None:
            return found
    return None


# TensorFlow ------------------------------------------------------------------


def tensorflow_runs():
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(
        cpu, [tf.config.LogicalDeviceConfiguration()] * 2
    )
    # Each graph runs a few times only.
    tf.config.optimizer.set_experimental_options(
        {"disable_meta_optimizer": True}
    )
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    runs = {"one device": train(make_model())}
    padded = {"one device": train_padded()}
    muon = {"one device": fit(make_muon())}
    with strategy.scope():
        padded["mirrored 2"] = train_padded()
        muon["mirrored 2"] = fit(make_muon())
        model = make_model()
    runs["mirrored 2"] = train(model)
    errors = {"odd batch": odd_batch(model)}
    outside = make_model(words)
    with strategy.scope():
        errors["model made outside"] = error_of(lambda: fit(outside))
    refused = {
        "groups": {"router_options": {"group_size": 8}},
        "balance": {
            "router": "token_choice",
            "router_options": {"balance_rate": 0.1},
        },
    }
    for name, options in refused.items():
        with strategy.scope():
            model = make_model(words, **options)
        errors[name] = error_of(lambda model=model: fit(model))
    for name, options in {
        "mean of parts": {"microbatches": 2, "accumulate": "mean"},
        "odd parts": {"microbatches": 8},
    }.items():
        with strategy.scope():
            model = make_model(
                lambda options=options: [
                    keras_imp.tasks.Classification(
                        "words", "text", CLASSES, **options
                    )
                ]
            )
        errors[name] = error_of(lambda model=model: fit(model))
    return {
        "runs": runs,
        "padded": padded,
        "muon": muon,
        "errors": errors,
        "resumed": resumed(contextlib.nullcontext, strategy.scope),
    }


def main(file):
    warnings.simplefilter("ignore")
    runs = {"jax": jax_runs, "tensorflow": tensorflow_runs}
    result = runs[keras.config.backend()]()
    with open(file, "w") as opened:  # noqa: PTH123
        json.dump(result, opened, indent=1)


if __name__ == "__main__":
    main(*sys.argv[1:])
