"""A small foreign encoder, three tasks and their data.

The encoder is not an `IMPEncoder` on purpose: training must work with any
layer that maps modalities to pooled vectors, and this one compiles fast.
"""

import keras
import numpy as np
from keras import ops

import keras_imp

WIDTHS = {"image": 5, "audio": 7, "video": 3}
VOCABULARY = 11
HIDDEN = 8
BATCHES = {"objects": 3, "captions": 4, "sounds": 2}


@keras.saving.register_keras_serializable(package="tests")
class TinyEncoder(keras.layers.Layer):
    """One dense layer for each modality, one that all of them share."""

    def __init__(self, hidden_dim=HIDDEN, dropout=0.0, added=0.0, **kwargs):
        super().__init__(**kwargs)
        self.hidden_dim = hidden_dim
        self.rate = dropout
        self.added = added
        self.modalities = (*WIDTHS, "text")
        common = {"dtype": self.dtype_policy}
        self.own = {
            name: keras.layers.Dense(hidden_dim, name=name, **common)
            for name in WIDTHS
        }
        self.words = keras.layers.Embedding(
            VOCABULARY, hidden_dim, name="words", **common
        )
        self.shared = keras.layers.Dense(hidden_dim, name="shared", **common)
        # On torch, a Dropout without a seed draws from a global generator,
        # which no checkpoint holds.
        self.dropout = keras.layers.Dropout(dropout, seed=7, **common)
        for name, width in WIDTHS.items():
            self.own[name].build((None, width))
        self.words.build((None, None))
        self.shared.build((None, hidden_dim))
        self.built = True

    def call(self, inputs, training=None):
        features = {}
        for name, values in inputs.items():
            if name == "text":
                x = ops.mean(self.words(values), axis=1)
            else:
                x = self.own[name](ops.cast(values, self.compute_dtype))
            x = self.shared(self.dropout(ops.tanh(x), training=training))
            features[name] = {"pooled_output": x}
            if self.added:
                self.add_loss(self.added * ops.ones(()))
        return features

    def get_config(self):
        return {
            **super().get_config(),
            "hidden_dim": self.hidden_dim,
            "dropout": self.rate,
            "added": self.added,
        }


def tasks():
    return [
        keras_imp.tasks.Classification("objects", "image", 3),
        keras_imp.tasks.Contrastive(
            "captions", ("image", "text"), projection_dim=8
        ),
        keras_imp.tasks.Classification("sounds", "audio", 2),
    ]


def two_tasks():
    """Cheaper than three where two will do."""
    objects, _, sounds = tasks()
    return [objects, sounds]


def one_task():
    return tasks()[:1]


def make_model(
    make_tasks=tasks, encoder=None, seed=1, compiled=True, **options
):
    """A model with fresh weights that depend on the seed only.

    Give the function that makes the tasks: heads draw seeds when they are made.
    """
    keras.utils.set_random_seed(seed)
    names = ("update", "hidden_dim")
    model = keras_imp.AlternatingModel(
        encoder or TinyEncoder(dropout=options.pop("dropout", 0.0)),
        make_tasks() if callable(make_tasks) else make_tasks,
        **{name: options.pop(name) for name in names if name in options},
    )
    if compiled:
        options.setdefault("optimizer", keras.optimizers.AdamW(1e-2))
        options.setdefault("jit_compile", default_jit())
        model.compile(**options)
    return model


def default_jit():
    """XLA on TensorFlow compiles slowly; one test uses it, the others not."""
    return keras.config.backend() == "jax"


def few_steps():
    """Options of `compile` where graphs are not what is tested.

    TensorFlow traces a graph as long as it takes some dozens of eager steps.
    """
    return {"run_eagerly": keras.config.backend() == "tensorflow"}


def note_traces(model):
    """A list that gets the batch of each step that is traced from now on."""
    traced, run = [], model.program.run

    def noting(batch, training):
        traced.append(batch)
        return run(batch, training)

    model.program.run = noting
    return traced


def make_data(seed=0):
    """Batches of each task, which a linear model can learn."""
    rng = np.random.default_rng(seed)
    return {
        name: [makers[name](rng) for _ in range(count)]
        for name, count in BATCHES.items()
    }


def _objects(rng):
    labels = rng.integers(0, 3, 6)
    return {"image": _around(labels, 5, rng)}, labels


def _sounds(rng):
    labels = rng.integers(0, 2, 4)
    return {"audio": _around(labels, 7, rng)}, labels


def _captions(rng):
    labels = rng.permutation(5)
    text = np.stack([labels + 1, labels + 6], axis=1)
    return ({"image": _around(labels, 5, rng), "text": text},)


def _around(labels, width, rng):
    centers = 2.0 * np.eye(width, dtype="float32")[labels]
    noise = 0.1 * rng.standard_normal((len(labels), width))
    return centers + noise.astype("float32")


makers = {"objects": _objects, "captions": _captions, "sounds": _sounds}


def data_of(*names):
    return {name: make_data()[name] for name in names}


def make_mixture(data=None, seed=3, **options):
    return keras_imp.TaskMixture(
        make_data() if data is None else data, seed=seed, **options
    )


def in_turn(data=None, **options):
    options.setdefault("schedule", keras_imp.schedules.RoundRobin())
    return make_mixture(data, **options)


class Always(keras_imp.schedules.Schedule):
    """One task in every step."""

    def __init__(self, name):
        self.name = name

    def draw(self, block):
        return np.full(len(self.steps(block)), self.names.index(self.name))


def all_once(data=None):
    return keras_imp.TaskMixture.sequential(data or make_data())


def values(variables):
    """NumPy copies of variables, by path."""
    return {v.path: np.array(ops.convert_to_numpy(v)) for v in variables}


def state(model):
    """Everything that a checkpoint must hold, random states included."""
    return [
        np.array(ops.convert_to_numpy(v))
        for v in [*model.variables, *model.optimizer.variables]
    ]


def assert_same(first, second):
    """Equal bit for bit."""
    assert len(first) == len(second)
    for a, b in zip(first, second):
        np.testing.assert_array_equal(a, b)
