"""Functions of each modality as one `augment` of a data source."""

import json
import pickle
import re
from functools import partial

import numpy as np
import pytest

import keras_imp
from keras_imp.data import Arrays, ResizedArrays, Shape, augment
from keras_imp.data.augment import Compose, Draws

pytestmark = pytest.mark.one_backend

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (24, 16, 16, 3), "uint8")
X = {"image": IMAGES, "text": RNG.integers(1, 50, (24, 3, 4))}
Y = np.arange(24)

affine = partial(augment.images.affine, rotation=12, shift=0.1)


def compose(**options):
    return Compose(
        image=[affine, augment.images.flip],
        text=augment.texts.choose,
        **options,
    )


def arrays(function=None, **options):
    options = {"batch_size": 6, "seed": 3, **options}
    return Arrays(X, Y, augment=function or compose(), **options)


def test_functions_are_applied_in_order_with_draws_of_their_own():
    batch = ({"image": IMAGES, "text": X["text"]}, Y)
    draws = Draws(0, 5, 24)
    x, y = compose().augment_rows(batch, draws)
    expected = affine(IMAGES, draws.within("image", "0"))
    expected = augment.images.flip(expected, draws.within("image", "1"))
    np.testing.assert_array_equal(x["image"], expected)
    assert x["text"].shape == (24, 4)
    assert y is Y
    assert batch[0]["image"] is IMAGES


def test_a_row_is_augmented_by_seed_batch_and_row_whatever_its_batch():
    data = arrays()
    x, y = data.batch_at(5)
    for place, row in enumerate(y):
        alone, _ = compose().augment_rows(
            ({name: values[[row]] for name, values in X.items()}, y[[place]]),
            Draws(3, 5, [row]),
        )
        for name in X:
            np.testing.assert_array_equal(alone[name][0], x[name][place])


def test_each_pass_sees_another_augmentation_of_a_row():
    data = arrays(shuffle=False)
    first, again, later = (data.batch_at(i)[0]["image"] for i in (1, 1, 5))
    np.testing.assert_array_equal(first, again)
    assert (first != later).any(axis=(1, 2, 3)).all()


def test_resized_arrays_augment_the_rows_at_their_full_size():
    encoder = keras_imp.IMPEncoder.from_preset(
        "imp_tiny", modalities=("image",), num_layers=2
    )
    plan = keras_imp.TokenBudget(tokens_per_batch=64).plan(
        encoder, {"objects": [Shape(image=(16, 16)), Shape(image=(8, 8))]}
    )
    seen = []

    def note(images, draws):
        seen.append((images, draws))
        return images

    data = ResizedArrays(
        {"image": IMAGES},
        Y,
        shapes=plan["objects"],
        augment=Compose(image=note),
        seed=3,
    )
    for index in range(4):
        y = data.batch_at(index)[1]
        images, draws = seen[-1]
        np.testing.assert_array_equal(images, IMAGES[y])
        assert (draws.seed, draws.index) == (3, index)
        assert draws.rows.tolist() == y.tolist()


def test_a_call_with_a_generator_repeats_itself():
    batch = ({"image": IMAGES, "text": X["text"]},)
    first, second = (
        compose()(batch, np.random.default_rng(0))[0]["image"] for _ in range(2)
    )
    np.testing.assert_array_equal(first, second)


def test_a_function_without_draws_gets_the_values_alone():
    def lengths(texts):
        return np.array([[len(text)] for text in texts])

    function = Compose(text=[augment.texts.choose, lengths])
    captions = np.array([["a", "bb"], ["ccc", ""]])
    (x,) = function.augment_rows(({"text": captions},), Draws(0, 0, 2))
    assert x["text"][1] == 3
    assert x["text"].shape == (2, 1)


@pytest.mark.parametrize("together", [(), [("image", "depth")]])
def test_modalities_together_get_equal_draws(together):
    function = Compose(
        image=augment.images.flip,
        depth=augment.images.flip,
        together=together,
    )
    batch = ({"image": IMAGES, "depth": IMAGES},)
    (x,) = function.augment_rows(batch, Draws(0, 0, 24))
    assert (x["image"] == x["depth"]).all() == bool(together)


def test_shared_draws_agree_between_modalities():
    seen = {}

    def cut(name):
        def function(values, draws):
            seen[name] = draws.shared.uniform("proportion")
            return values

        return function

    function = Compose(image=cut("image"), depth=[np.array, cut("depth")])
    function.augment_rows(
        ({"image": IMAGES, "depth": IMAGES},), Draws(0, 0, 24)
    )
    np.testing.assert_array_equal(seen["image"], seen["depth"])


def test_functions_of_the_batch_come_last():
    def mix(batch, draws):
        x, y = batch
        images, y = augment.mix(x["image"], np.eye(24)[y], draws)
        return {**x, "image": images}, y

    x, y = arrays(Compose(mix, image=affine)).batch_at(0)
    assert x["image"].shape == (6, 16, 16, 3)
    assert y.shape == (6, 24)


def test_all_settings_are_described():
    def described(**settings):
        function = Compose(image=[partial(affine, **settings)])
        return json.loads(json.dumps(function.describe()))

    found = described(scale=(0.9, 1.1))
    assert found["of_modality"]["image"]["0"] == {
        "function": "affine",
        "rotation": 12,
        "scale": [0.9, 1.1],
        "keep_aspect": False,
        "shift": 0.1,
        "fill": "edge",
    }
    assert described() == described(scale=(1.0, 1.0))
    assert described() != described(rotation=13)
    assert arrays().describe()["augment"] == compose().describe()


def test_settings_that_are_arrays_are_described():
    flags = Y % 2 == 0
    function = Compose(image=[partial(augment.images.flip, where=flags)])
    where = function.describe()["of_modality"]["image"]["0"]["where"]
    assert json.dumps(where)
    assert where["shape"] == [24]


def test_it_shows_its_functions_and_settings():
    function = Compose(
        image=[affine, augment.images.flip],
        depth=affine,
        together=[("image", "depth")],
    )
    assert repr(function) == (
        "Compose(together=[('image', 'depth')], "
        "image=[affine(rotation=12, shift=0.1), flip()], "
        "depth=[affine(rotation=12, shift=0.1)])"
    )


def test_it_can_be_sent_to_another_process():
    data = pickle.loads(pickle.dumps(arrays()))
    for name, values in arrays().batch_at(2)[0].items():
        np.testing.assert_array_equal(data.batch_at(2)[0][name], values)


def few(images):
    return images[:2]


def needs_more(images, draws, strength):
    return images


@pytest.mark.parametrize(
    ("call", "kind", "text"),
    [
        (
            lambda: Compose(audio=few).augment_rows(({"image": IMAGES},), 0),
            ValueError,
            "`Compose` augments ['audio'], which the batch does not have. "
            "Received: modalities=['image']. Give each data source the "
            "functions of its modalities.",
        ),
        (
            lambda: arrays(Compose(image=few)).batch_at(0),
            ValueError,
            "few() must keep the number of examples of 'image'. Received: "
            "before=6, after=2.",
        ),
        (
            lambda: Compose(),
            ValueError,
            "There must be a function. Name the modality: "
            "Compose(image=[augment.images.flip]).",
        ),
        (
            lambda: Compose(image=["flip"]),
            TypeError,
            "Each augmentation must be a function. Received: image='flip'.",
        ),
        (
            lambda: Compose(image=few, together=[("image", "depth")]),
            ValueError,
            "Each modality of `together` must have functions, and be in one "
            "group. Received: modality='depth', together=[('image', "
            "'depth')].",
        ),
    ],
    ids=["modality", "examples", "nothing", "no function", "together"],
)
def test_bad_arguments(call, kind, text):
    with pytest.raises(kind, match=f"^{re.escape(text)}$"):
        call()


def test_a_function_that_needs_more_is_refused_at_once():
    text = "An augmentation must be called as function(values, draws) or "
    with pytest.raises(TypeError, match=re.escape(text)) as error:
        Compose(image=needs_more)
    assert "needs=['images', 'draws', 'strength']" in str(error.value)
    Compose(image=partial(needs_more, strength=1))
