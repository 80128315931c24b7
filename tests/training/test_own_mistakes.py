"""An encoder or a task of one's own that is wrong is told what to write."""

import re

import keras
import numpy as np
import pytest
from keras import ops

import keras_imp
from keras_imp.tasks import Classification, Task

X = np.random.default_rng(0).uniform(-1, 1, (4, 6)).astype("float32")
Y = np.array([0, 1, 2, 0])


class Encoder(keras.layers.Layer):
    """Returns what `result` makes of the pooled features."""

    modalities: tuple[str, ...] | str = ("image",)

    def __init__(self, result=None, width=8):
        super().__init__()
        self.result = result or (lambda p: {"image": {"pooled_output": p}})
        self.hidden_dim = width
        self.dense = keras.layers.Dense(8)
        self.dense.build((None, 6))
        self.built = True

    def call(self, inputs, training=None):
        return self.result(self.dense(inputs["image"]))


class Named(Task):
    """A task of one's own without a mistake."""

    modalities = ("image",)

    def __init__(self, name="own", **kwargs):
        super().__init__(name=name, **kwargs)
        self.head = keras.layers.Dense(3, name="head")

    def build(self, pooled_shape):
        self.head.build(pooled_shape["image"])

    def call(self, inputs, encoder=None, training=None):
        features = self.encode(encoder, inputs, training)
        return self.head(features["image"]["pooled_output"])

    def losses_of(self, y, y_pred):
        return keras.losses.sparse_categorical_crossentropy(
            y, y_pred, from_logits=True
        )

    def compute_loss(self, x, y, y_pred, sample_weight=None):
        return ops.mean(self.losses_of(y, y_pred))


def fit(encoder=None, task=None):
    model = keras_imp.AlternatingModel(
        encoder or Encoder(), [task or Classification("objects", "image", 3)]
    )
    model.compile("sgd", jit_compile=False)
    mixture = keras_imp.TaskMixture(
        {name: [({"image": X}, Y)] for name in model.tasks}
    )
    model.fit(mixture, steps_per_epoch=1, verbose=0)
    return model


def refused(text, error=ValueError):
    return pytest.raises(error, match=re.escape(text))


# Encoders -------------------------------------------------------------------

RETURNED = {
    "an array": (lambda p: p, "(4, 8)"),
    "an array for a modality": (lambda p: {"image": p}, "{'image': (4, 8)}"),
    "no modality": (
        lambda p: {"pooled_output": p},
        "{'pooled_output': (4, 8)}",
    ),
    "several arrays": (lambda p: (p, p), "[(4, 8), (4, 8)]"),
    "no pooled output": (
        lambda p: {"image": {"sequence_output": p}},
        "{'image': {'sequence_output': (4, 8)}}",
    ),
    "tokens that are not pooled": (
        lambda p: {"image": {"pooled_output": p[:, None]}},
        "{'image': {'pooled_output': (4, 1, 8)}}",
    ),
    "another width": (
        lambda p: {"image": {"pooled_output": p[:, :5]}},
        "{'image': {'pooled_output': (4, 5)}}",
    ),
    "nothing": (lambda p: None, "'NoneType'"),
}


@pytest.mark.parametrize(("result", "seen"), RETURNED.values(), ids=RETURNED)
def test_what_an_encoder_returns_is_checked(result, seen):
    text = (
        "An encoder must return {modality: {'pooled_output': features}} for "
        "its inputs, with features of shape (batch, 8). Received: "
        f"encoder='Encoder', inputs=('image',), returned={seen}. Return "
        "{'image': {'pooled_output': features}}."
    )
    model = keras_imp.AlternatingModel(
        Encoder(result), [Classification("objects", "image", 3)]
    )
    with refused(text):
        model({"objects": {"image": X}})


@pytest.mark.parametrize(
    ("encoder", "seen"),
    [("imp_tiny", "imp_tiny"), (Encoder, "Encoder"), (fit, "fit")],
    ids=["a name", "a class", "a function"],
)
def test_an_encoder_must_be_a_layer(encoder, seen):
    text = (
        "`encoder` must be a Keras layer or model. Received: "
        f'encoder={seen!r}. Use keras_imp.IMPEncoder.from_preset("imp_tiny"),'
        " or an instance of a layer of your own: see keras_imp.models.Encoder."
    )
    with refused(text, TypeError):
        fit(encoder)


def test_modalities_must_be_several_names():
    encoder = Encoder()
    encoder.modalities = "image"
    text = (
        "`modalities` of an encoder must be a tuple of names. Received: "
        "modalities='image'. Use (\"image\",), with a comma."
    )
    with refused(text, TypeError):
        fit(encoder)


class Subclass(keras.Model):
    """Layers are made in the constructor, and built in the first call."""

    modalities = ("image",)
    hidden_dim = 8

    def __init__(self):
        super().__init__()
        self.flat = keras.layers.Flatten()
        self.dense = keras.layers.Dense(8, name="dense")

    def call(self, inputs, training=None):
        pooled = self.dense(self.flat(inputs["image"]))
        return {"image": {"pooled_output": pooled}}


def test_an_encoder_without_weights_is_refused():
    text = (
        "The encoder must have all its weights before a model is made of it: a "
        "run meets one task at a time. Received: encoder='Subclass', "
        "not_built=['dense']. Build its layers in its constructor, such as "
        "self.dense.build(input_shape), or call it on inputs of every modality "
        "before."
    )
    with refused(text):
        fit(Subclass())


@pytest.mark.parametrize("how", ["called", "layers built"])
def test_a_subclassed_model_trains(how):
    encoder = Subclass()
    if how == "called":
        encoder({"image": X})
    else:
        encoder.dense.build((None, 6))
    model = fit(encoder)
    assert len(model.trainable_variables) == 4


# Tasks ----------------------------------------------------------------------


def test_a_right_task_trains():
    fit(task=Named())


@pytest.mark.parametrize(
    ("loss", "seen"),
    [
        (lambda self, x, y, p, w=None: self.losses_of(y, p), "(4,)"),
        (lambda self, x, y, p, w=None: None, "'NoneType'"),
    ],
    ids=["a loss for each example", "nothing"],
)
def test_a_loss_must_be_one_number(loss, seen):
    class Own(Named):
        compute_loss = loss

    text = (
        "`compute_loss` of task 'own' must return one number, the mean over "
        f"examples. Received: returned={seen}. Use keras.ops.mean(losses), or "
        "with the weights of examples keras_imp.tasks.task.weighted_mean("
        "losses, sample_weight)."
    )
    with refused(text):
        fit(task=Own())


def test_a_task_must_build_its_layers():
    class Own(Named):
        build = Task.build

    text = (
        "Task 'own' must build all its layers in `build`: the optimizer must "
        "know all weights before the first step. Received: "
        "not_built=['head']. Define build(self, pooled_shape), where "
        "pooled_shape is {modality: (None, hidden_dim)}, and build each layer "
        "there, such as self.head.build(pooled_shape['image'])."
    )
    with refused(text):
        fit(task=Own())


def test_a_task_must_say_its_modalities():
    class Own(Named):
        modalities = Task.modalities

    text = (
        "A task must say which modalities it needs. Received: task='Own'. "
        'Define them in its class, such as modalities = ("image",).'
    )
    with refused(text, NotImplementedError):
        fit(task=Own())


def test_modalities_of_a_task_must_be_several_names():
    class Own(Named):
        modalities = "image"

    text = (
        "`modalities` of task 'own' must be a tuple of names. Received: "
        "modalities='image'. Use (\"image\",), with a comma."
    )
    with refused(text, TypeError):
        fit(task=Own())


def test_a_task_must_take_the_encoder():
    class Own(Named):
        def call(self, inputs):
            return self.head(inputs["image"])

    text = (
        "`call` of task 'own' must take the encoder. Received: "
        "arguments=['inputs']. Write call(self, inputs, encoder=None, "
        "training=None)."
    )
    with refused(text, TypeError):
        fit(task=Own())


@pytest.mark.parametrize(
    ("task", "seen"),
    [(Named, "Named"), (keras.layers.Dense(3), "Dense")],
    ids=["a class", "another layer"],
)
def test_a_task_must_be_one(task, seen):
    text = (
        "Each of `tasks` must be an instance of a subclass of "
        f"keras_imp.tasks.Task. Received: task={seen!r}. Use "
        'keras_imp.tasks.Classification("objects", "image", 10), for example.'
    )
    with refused(text, TypeError):
        fit(task=task)


def test_tasks_must_be_a_list():
    text = (
        "`tasks` must be a list of tasks. Received: type='Named'. Use [task]."
    )
    for make in (
        lambda task: keras_imp.AlternatingModel(Encoder(), task),
        lambda task: keras_imp.CombinedModel(Encoder(), task),
        lambda task: keras_imp.tasks.Combined("both", task),
    ):
        with refused(text, TypeError):
            make(Named())
