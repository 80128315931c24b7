"""Runs on virtual devices: `python -m tests.training.distributed <file>`.

A process of its own, so that the other tests keep their one device. Trains the
same model on one device and on several, and writes what came out as JSON. JAX
wants `--xla_force_host_platform_device_count=4` in XLA_FLAGS.
"""

import contextlib
import json
import sys
import tempfile
import warnings

import keras
import numpy as np

import keras_imp
from keras_imp.data import Arrays

BATCH = 8
SIZES = (8, 12)
WORDS = 6


def make_model(optimizer=None, **options):
    """A sparse encoder under four tasks, always with the same weights."""
    keras.utils.set_random_seed(1)
    encoder = keras_imp.IMPEncoder(
        8, 16, 2, 2,
        modalities=("image", "text"), vocabulary_size=30,
        patch_size=(1, 4, 4), position_buckets=(1, 4, 4),
        max_sequence_length=WORDS,
        num_experts=4, num_moe_layers=2, router_z_loss=0.1,
        **options,
    )  # fmt: skip
    tasks = [
        keras_imp.tasks.Classification("objects", "image", 3),
        keras_imp.tasks.Classification("words", "text", 4),
        keras_imp.tasks.Contrastive(
            "captions", ("image", "text"), projection_dim=8
        ),
        keras_imp.tasks.Classification(
            "scenes", "image", 5, multi_label=True, microbatches=2
        ),
    ]
    model = keras_imp.AlternatingModel(encoder, tasks)
    model.compile(
        optimizer or keras.optimizers.SGD(0.1, momentum=0.9, global_clipnorm=1),
        jit_compile=keras.config.backend() == "jax",
    )
    return model


def make_data(seed=0, count=2 * BATCH):
    rng = np.random.default_rng(seed)

    def images(size):
        return rng.uniform(-1, 1, (count, size, size, 3)).astype("float32")

    def text(captions=()):
        ids = rng.integers(1, 30, (count, *captions, WORDS))
        lengths = rng.integers(1, WORDS + 1, (count, *captions, 1))
        return np.where(np.arange(WORDS) < lengths, ids, 0)

    captions = text((2,))
    captions[1] = captions[6, 0]  # Two examples with one caption.
    captions[3] = 0  # No caption at all.
    weights = rng.uniform(0.1, 2.0, count).astype("float32")
    small, large = ({"image": images(size)} for size in SIZES)
    batches = {
        "objects": (small, rng.integers(0, 3, count)),
        "words": ({"text": text()}, rng.integers(0, 4, count), weights),
        "captions": ({"image": images(SIZES[0]), "text": captions},),
        "scenes": (large, rng.integers(0, 2, (count, 5))),
    }
    return {
        name: Arrays(*arrays, batch_size=BATCH, shuffle=False)
        for name, arrays in batches.items()
    }


def fit(model, epochs=2, **options):
    mixture = keras_imp.TaskMixture(
        make_data(), keras_imp.schedules.RoundRobin(), steps_per_epoch=6
    )
    validation = keras_imp.TaskMixture.sequential(make_data(seed=1))
    return model.fit(
        mixture, epochs=epochs, validation_data=validation, verbose=0, **options
    ).history


def train(model):
    """What a user sees of a run."""
    history = fit(model)
    # Neither the examples nor the batch can be divided by the devices.
    images = make_data(seed=2, count=11)["objects"].x
    predicted = model.predict(images, task="objects", batch_size=6, verbose=0)
    test = keras_imp.TaskMixture.sequential(
        {"captions": make_data(seed=3)["captions"]}
    )
    return {
        "history": history,
        "predicted": predicted.tolist(),
        "evaluated": model.evaluate(test, verbose=0),
        "step": int(model.step_counter),
    }


def error_of(function):
    try:
        function()
    except ValueError as error:
        return str(error)
    return "no error"


def odd_batch(model):
    """A training batch of 6 examples, after one of 8."""
    x = {"image": np.zeros((14, 8, 8, 3), "float32")}
    y = np.zeros(14, "int32")
    batches = [({"image": x["image"][:n]}, y[:n]) for n in (8, 6)]
    source = keras_imp.TaskMixture.sequential({"objects": batches})
    return error_of(lambda: model.evaluate(source, verbose=0))


def resume(make, first, second):
    """One epoch in one scope and the next in another, after a restart."""
    with tempfile.TemporaryDirectory() as folder:
        for scope, epochs in ((first, 1), (second, 2)):
            with scope():
                model = make()
                backup = keras.callbacks.BackupAndRestore(
                    folder, delete_checkpoint=False
                )
                history = fit(model, epochs, callbacks=[backup])
    return {"history": history, "step": int(model.step_counter)}


# JAX -------------------------------------------------------------------------


def jax_runs():
    distribution = keras.distribution
    mesh = distribution.DeviceMesh
    parallel = lambda shape: distribution.ModelParallel(
        layout_map=keras_imp.distribution.layout_map(
            mesh(shape, ("batch", "expert"))
        )
    )
    three_axes = distribution.ModelParallel(
        layout_map=keras_imp.distribution.layout_map(
            mesh((1, 2, 2), ("batch", "expert", "model")), model="model"
        )
    )
    settings = {
        "one device": contextlib.nullcontext,
        "data 4": distribution.DataParallel().scope,
        "batch 2, expert 2": parallel((2, 2)).scope,
        "batch 1, expert 4": parallel((1, 4)).scope,
        "expert 2, model 2": three_axes.scope,
    }
    results, shards = {}, {}
    for name, scope in settings.items():
        with scope():
            model = make_model()
            results[name] = train(model)
            shards[name] = shapes_on_one_device(model)
    errors = {}
    with settings["data 4"]():
        model = make_model()
        fit(model, epochs=1)
        errors["odd batch"] = odd_batch(model)
        collectives = {
            task: collectives_of(model, task) for task in model.tasks
        }
    outside = make_model()
    with settings["data 4"]():
        errors["model made outside"] = error_of(lambda: fit(outside))
    with settings["batch 1, expert 4"]():
        errors["indivisible experts"] = error_of(
            lambda: keras_imp.layers.ExpertChoiceMoE(6, 8).build((None, 4, 8))
        )
    one, sharded = settings["one device"], settings["batch 2, expert 2"]
    return {
        "runs": results,
        "shards": shards,
        "errors": errors,
        "collectives": collectives,
        "resumed": {
            "on one device": resume(make_model, sharded, one),
            "on several": resume(make_model, one, sharded),
        },
    }


def shapes_on_one_device(model):
    """Shapes of an expert kernel and of its momentum, as one device has it."""
    path = "sparse_stack/experts_expand"
    kernels = [v for v in model.trainable_variables if path in v.path]
    moments = [
        v for v in model.optimizer.variables if "experts_expand" in v.path
    ]
    return [
        list(v.value.addressable_shards[0].data.shape)
        for v in (kernels[0], moments[0])
    ]


def collectives_of(model, task):
    """Shapes of what moves between devices in a compiled train step."""
    import re

    import jax

    source = keras_imp.TaskMixture.sequential({task: make_data()[task]})
    source.bind(model.prepare_batch, model.placement)
    next(source.get_jax_iterator())
    state = [
        [v.value for v in group]
        for group in (
            model.trainable_variables,
            model.non_trainable_variables,
            model.optimizer.variables,
            model.metrics_variables,
        )
    ]
    step = jax.jit(model.train_step).lower(tuple(state), source.take_placed())
    found = re.findall(
        r"= (.*?) (all-gather|all-to-all|collective-permute|all-reduce|"
        r"reduce-scatter)(?:-start)?\(",
        step.compile().as_text(),
    )
    return sorted({(kind, shape) for shape, kind in found})


# TensorFlow ------------------------------------------------------------------


def tensorflow_runs():
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(
        cpu, [tf.config.LogicalDeviceConfiguration()] * 2
    )
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    results = {"one device": train(make_model())}
    with strategy.scope():
        model = make_model()
    results["mirrored 2"] = train(model)
    errors = {"odd batch": odd_batch(model)}
    outside = make_model()
    with strategy.scope():
        errors["model made outside"] = error_of(lambda: fit(outside))
    with strategy.scope():
        grouped = make_model(router_options={"group_size": 8})
    errors["groups"] = error_of(lambda: fit(grouped))
    with strategy.scope():
        balanced = make_model(
            router="token_choice", router_options={"balance_rate": 0.1}
        )
    errors["balance"] = error_of(lambda: fit(balanced))
    alone = contextlib.nullcontext
    return {
        "runs": results,
        "errors": errors,
        "resumed": {
            "on one device": resume(make_model, strategy.scope, alone),
            "on several": resume(make_model, alone, strategy.scope),
        },
    }


def main(file):
    warnings.simplefilter("ignore")
    runs = {"jax": jax_runs, "tensorflow": tensorflow_runs}
    result = runs[keras.config.backend()]()
    with open(file, "w") as opened:  # noqa: PTH123
        json.dump(result, opened, indent=1)


if __name__ == "__main__":
    main(*sys.argv[1:])
