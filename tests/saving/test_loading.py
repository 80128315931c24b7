"""Loading tells what fitted, and changes nothing where it refuses."""

import re
import warnings
import zipfile

import keras
import numpy as np
import pytest

import keras_imp
from tests.helpers import named
from tests.helpers.named import assert_same, make_encoder, make_model, tasks
from tests.helpers.weights import to_numpy

pytestmark = pytest.mark.one_backend


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    model = make_model(seed=1)
    for variable in model.optimizer.variables:
        variable.assign(np.full(variable.shape, 0.5, variable.dtype))
    folder = tmp_path_factory.mktemp("saved")
    model.save_weights(folder / "model.weights.h5")
    model.save(folder / "model.keras")
    model.encoder.save_weights(folder / "encoder.weights.h5")
    return model, folder


def values(model):
    optimizer = getattr(model, "optimizer", None)
    variables = [*model.variables, *(optimizer.variables if optimizer else [])]
    return [to_numpy(v).copy() for v in variables]


def assert_refused(model, path, *lines):
    """A refusal that says what does not fit, and changes no variable."""
    before = values(model)
    expected = (
        "The file and the model must have the same weights. "
        f"{' '.join(lines)} Received: filepath={str(path)!r}. Build the model "
        "as it was when the file was saved, or load what fits with "
        "`skip_mismatch=True`: the rest keeps the values that it has."
    )
    with pytest.raises(ValueError, match=re.escape(expected)):
        model.load_weights(path)
    for a, b in zip(values(model), before, strict=True):
        np.testing.assert_array_equal(a, b)


def load_what_fits(model, path, *lines):
    """Load with one warning that says what does not fit."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        report = model.load_weights(path, skip_mismatch=True)
    caught = [w for w in caught if w.category is UserWarning]
    counts = f"{report.loaded} of {report.total} weights were loaded."
    assert [str(w.message) for w in caught] == [
        " ".join([f"{path}: {counts}", *lines])
    ]
    assert caught[0].filename == __file__
    return report


KEPT = "What was not loaded keeps the values that it had."


def test_what_fits_is_loaded_without_a_word(saved):
    model, folder = saved
    other = make_model(seed=2)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        report = other.load_weights(folder / "model.weights.h5")
    assert_same(other, model)
    assert report.is_complete
    assert report.loaded == report.total == len(model.trainable_variables)


def test_a_model_that_gains_a_task_keeps_the_new_head(saved):
    model, folder = saved
    more = [*named.make_tasks(), tasks.Regression("speed", "image")]
    path = folder / "model.weights.h5"
    new = "Not in the file: task 'speed'."
    other = make_model(seed=2, of=more)
    assert_refused(other, path, new)
    before = values(other.tasks["speed"])
    what = (
        "158 of 162 variables of the optimizer were loaded; the others keep "
        "the values that they had."
    )
    report = load_what_fits(other, path, new, KEPT, what)
    assert report.new == ("task 'speed'",)
    assert_same(other.encoder, model.encoder)
    for name, task in model.tasks.items():
        assert_same(other.tasks[name], task)
    for a, b in zip(values(other.tasks["speed"]), before, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_model_that_loses_a_task_loads_the_others(saved):
    model, folder = saved
    path = folder / "model.weights.h5"
    other = make_model(seed=2, of=named.make_tasks()[1:])
    unused = "Only in the file: task 'objects'."
    assert_refused(other, path, unused)
    load_what_fits(other, path, unused)
    for name, task in other.tasks.items():
        assert_same(task, model.tasks[name])


def test_an_encoder_that_gains_a_modality_keeps_its_embedder(saved):
    model, folder = saved
    path = folder / "encoder.weights.h5"
    other = make_encoder((*named.MODALITIES, "waveform"))
    new = (
        "Not in the file: first_token_waveform; embedder 'waveform' (waveform)."
    )
    assert_refused(other, path, new)
    load_what_fits(other, path, new, KEPT)
    for name, embedder in model.encoder.embedders.items():
        assert_same(other.embedders[name], embedder)
    assert_same(other.body, model.encoder.body)


def test_an_encoder_that_loses_a_modality_loads_the_others(saved):
    model, folder = saved
    path = folder / "encoder.weights.h5"
    other = make_encoder(("text", "image"))
    unused = "Only in the file: embedder 'audio'."
    assert_refused(other, path, unused)
    load_what_fits(other, path, unused)
    for name, embedder in other.embedders.items():
        assert_same(embedder, model.encoder.embedders[name])


def test_a_head_of_another_shape_is_named_with_both_shapes(saved):
    model, folder = saved
    path = folder / "model.weights.h5"
    others = [tasks.Classification("objects", "image", 5)]
    other = make_model(seed=2, of=[*others, *named.make_tasks()[1:]])
    different = (
        "Of another shape: task 'objects', head: (8, 5) here, (8, 3) in the "
        "file."
    )
    assert_refused(other, path, different)
    before = values(other.tasks["objects"])
    what = (
        "154 of 158 variables of the optimizer were loaded; the others keep "
        "the values that they had."
    )
    load_what_fits(other, path, different, KEPT, what)
    for a, b in zip(values(other.tasks["objects"]), before, strict=True):
        np.testing.assert_array_equal(a, b)
    assert_same(other.encoder, model.encoder)


def test_parts_and_heads_inside_of_a_task_are_named(saved):
    _, folder = saved
    path = folder / "model.weights.h5"
    pairs = [named.PAIRS[0], ("image", "text", 1.0)]
    other = make_model(
        seed=2, of=named.make_tasks(pairs=pairs, parts=("kind", "size"))
    )
    assert_refused(
        other,
        path,
        "Not in the file: task 'clips', temperature_image_text; task 'clips', "
        "bias_image_text; task 'clips', head 'image_to_text'; task 'clips', "
        "head 'text_to_image'; task 'clothes', part 'size'.",
        "Only in the file: task 'clips', head 'audio_to_text'; task 'clips', "
        "head 'text_to_audio'; task 'clothes', part 'color'.",
    )


def test_the_optimizer_of_each_weight_follows_its_task(saved):
    _, folder = saved
    first = make_model(seed=3)
    rng = np.random.default_rng(0)
    for variable in first.optimizer.variables:
        variable.assign(rng.uniform(size=variable.shape).astype(variable.dtype))
    first.save_weights(folder / "first.weights.h5")
    other = make_model(
        seed=2,
        of=named.make_tasks()[::-1],
        encoder=make_encoder(named.MODALITIES[::-1]),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        other.load_weights(folder / "first.weights.h5")
    for place, variables in enumerate(zip(*map(_by_name, (first, other)))):
        np.testing.assert_array_equal(*variables, err_msg=str(place))


def _by_name(model):
    names = model.run_state.names()["optimizer"]
    found = dict(zip(names, values(model)[len(model.variables) :]))
    return [found[name] for name in sorted(found)]


def test_an_encoder_takes_its_weights_from_the_file_of_a_model(saved):
    model, folder = saved
    for path in ("model.weights.h5", "model.keras"):
        other = make_encoder()
        report = other.load_weights(folder / path)
        assert_same(other, model.encoder)
        assert report.is_complete


def test_a_model_takes_its_weights_from_a_keras_file(saved):
    model, folder = saved
    other = make_model(seed=2, of=named.make_tasks()[::-1])
    other.load_weights(folder / "model.keras")
    assert_same(other.tasks["objects"], model.tasks["objects"])


def test_shards_are_loaded_by_name(saved, tmp_path):
    model, _ = saved
    encoder = model.encoder
    encoder.save_weights(tmp_path / "model.weights.json", max_shard_size=2e-6)
    assert len(list(tmp_path.glob("*.h5"))) > 2
    other = make_encoder(named.MODALITIES[::-1])
    other.load_weights(tmp_path / "model.weights.json")
    for name, embedder in encoder.embedders.items():
        assert_same(other.embedders[name], embedder)
    unused = "Only in the file: embedder 'audio'."
    fewer = make_encoder(("text", "image"))
    load_what_fits(fewer, tmp_path / "model.weights.json", unused)
    assert_same(fewer.embedders["text"], encoder.embedders["text"])


def test_a_preset_folder_loads_modalities_by_name(saved, tmp_path):
    model, _ = saved
    model.encoder.save_to_preset(str(tmp_path))
    other = keras_imp.IMPEncoder.from_preset(
        str(tmp_path), modalities=named.MODALITIES[::-1]
    )
    for name, embedder in model.encoder.embedders.items():
        assert_same(other.embedders[name], embedder)


def test_a_preset_loads_into_fewer_modalities_that_are_named(
    saved, tmp_path, caplog
):
    model, _ = saved
    model.encoder.save_to_preset(str(tmp_path / "preset"))
    with caplog.at_level("INFO", "keras_imp"), warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        encoder = keras_imp.IMPEncoder.from_preset(
            str(tmp_path / "preset"), modalities=("text",)
        )
    (said,) = [r.getMessage() for r in caplog.records if r.name == "keras_imp"]
    assert re.search(r": (\d+) of \1 weights were loaded\. Only in the", said)
    assert "embedder 'vision'" in said
    assert encoder.modalities == ("text",)
    assert_same(encoder.embedder_of("text"), model.encoder.embedder_of("text"))
    assert_same(encoder.body, model.encoder.body)


def test_a_preset_does_not_load_into_modalities_that_it_lacks(saved, tmp_path):
    saved[0].encoder.save_to_preset(str(tmp_path / "preset"))
    with pytest.raises(ValueError, match=r"Not in the file: .*'waveform'"):
        keras_imp.IMPEncoder.from_preset(
            str(tmp_path / "preset"), modalities=("text", "waveform")
        )


def test_a_damaged_file_is_named(saved, tmp_path):
    _, folder = saved
    path = tmp_path / "model.weights.h5"
    path.write_bytes((folder / path.name).read_bytes()[:2000])
    model = make_model(seed=1)
    before = values(model)
    with pytest.raises(OSError, match=re.escape(f"filepath={str(path)!r}")):
        model.load_weights(path)
    for a, b in zip(values(model), before, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_keras_file_without_weights_is_named(tmp_path):
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "{}")
    expected = (
        'The file of weights cannot be read: "There is no item named '
        "'model.weights.h5' in the archive\". Received: "
        f"filepath={str(path)!r}. It is damaged or of another kind: copy or "
        "save it again."
    )
    with pytest.raises(OSError, match=re.escape(expected)):
        make_encoder().load_weights(path)


def test_a_file_that_is_not_there_is_left_to_keras(tmp_path):
    with pytest.raises(FileNotFoundError):
        make_encoder().load_weights(tmp_path / "none.weights.h5")


def test_weights_of_half_precision_are_loaded(tmp_path):
    encoder = make_encoder(dtype="bfloat16")
    encoder.save_weights(tmp_path / "model.weights.h5")
    other = make_encoder((*named.MODALITIES, "waveform"), dtype="bfloat16")
    other.load_weights(tmp_path / "model.weights.h5", skip_mismatch=True)
    for name, embedder in encoder.embedders.items():
        assert_same(other.embedders[name], embedder)


def test_an_encoder_of_ones_own_is_compared_too(tmp_path):
    """It has lists of its own; Keras knows their places."""

    class Encoder(keras.layers.Layer):
        hidden_dim, modalities = 4, ("image",)

        def __init__(self, units=4):
            super().__init__()
            self.towers = [keras.layers.Dense(n) for n in (units, 4)]
            self.towers[0].build((None, 3))
            self.towers[1].build((None, units))
            self.built = True

        def call(self, inputs, training=None):
            x = self.towers[1](self.towers[0](inputs["image"]))
            return {"image": {"pooled_output": x}}

    def make(units=4):
        return keras_imp.AlternatingModel(
            Encoder(units), [tasks.Classification("objects", "image", 3)]
        )

    path = tmp_path / "model.weights.h5"
    make().save_weights(path)
    other = make()
    other.load_weights(path)
    assert_refused(
        make(units=5),
        path,
        "Of another shape: encoder/towers/dense: (3, 5) here, (3, 4) in the "
        "file; encoder/towers/dense_1: (5, 4) here, (4, 4) in the file.",
    )
