"""An adapted encoder is saved, loaded and resumed bit for bit."""

import keras
import numpy as np
import pytest

import keras_imp
from tests.helpers import adapted, models
from tests.helpers.weights import to_numpy

KINDS = pytest.mark.parametrize(
    "options", [{}, adapted.BALANCED], ids=["dense", "experts"]
)


def trained(**options):
    encoder = adapted.make_encoder(**options)
    encoder.enable_lora(2, ("query", "contract"), alpha=3)
    model = adapted.make_model(encoder)
    adapted.fit(model)
    return model


def weights(model):
    """Weights and the state of the optimizer."""
    variables = [*model.weights, *model.optimizer.variables]
    return [to_numpy(v.value) for v in variables]


@KINDS
def test_a_model_is_saved_with_it_and_trains_on(tmp_path, options):
    model = trained(**options)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    models.assert_same(weights(loaded), weights(model))
    assert loaded.encoder.lora_options == model.encoder.lora_options
    for again in (model, loaded):
        adapted.fit(again)
    models.assert_same(weights(loaded), weights(model))


@KINDS
def test_a_preset_has_it(tmp_path, options):
    encoder = trained(**options).encoder
    encoder.save_to_preset(tmp_path / "birds")
    loaded = keras_imp.IMPEncoder.from_preset(tmp_path / "birds")
    np.testing.assert_array_equal(
        adapted.outputs(loaded), adapted.outputs(encoder)
    )
    names = [v.name for v in loaded.trainable_variables]
    assert names == [v.name for v in encoder.trainable_variables]
    assert loaded.lora_alpha == 3


@KINDS
def test_a_run_resumes_with_it(tmp_path, options):
    def run(seed, epochs, callbacks=()):
        encoder = adapted.make_encoder(seed, rank=2, **options)
        model = adapted.make_model(encoder)
        adapted.fit(model, epochs=epochs, callbacks=list(callbacks))
        return model

    whole = run(0, epochs=2)
    backup = lambda: keras_imp.callbacks.Backup(tmp_path / "backup")
    run(0, 1, [backup()])
    resumed = run(7, 2, [backup()])
    models.assert_same(models.state(resumed), models.state(whole))


def test_a_backup_of_another_rank_is_refused(tmp_path):
    backup = lambda: keras_imp.callbacks.Backup(tmp_path)
    model = adapted.make_model(adapted.make_encoder(rank=2))
    adapted.fit(model, callbacks=[backup()])
    other = adapted.make_model(adapted.make_encoder(rank=3))
    with pytest.raises(ValueError, match=r"lora_rank. differs"):
        adapted.fit(other, epochs=2, callbacks=[backup()])


def test_a_clone_has_it():
    encoder = adapted.make_encoder(rank=2)
    clone = type(encoder).from_config(encoder.get_config())
    assert clone.lora_options == encoder.lora_options
    plain = adapted.make_encoder().get_config()
    assert not [name for name in plain if "lora" in name]


def test_weights_with_it_do_not_fit_an_encoder_without(tmp_path, rng):
    path = tmp_path / "a.weights.h5"
    encoder = adapted.randomized(adapted.make_encoder(rank=2), rng)
    encoder.save_weights(path)
    plain = adapted.make_encoder(1)
    only = r"Only in the file: adapter 'layers_0_to_1'\."
    with pytest.raises(ValueError, match=only):
        plain.load_weights(path)


def test_weights_without_it_are_loaded_beside_it(tmp_path, rng):
    path = tmp_path / "a.weights.h5"
    plain = adapted.make_encoder(1)
    plain.save_weights(path)
    encoder = adapted.make_encoder(rank=2)
    lacks = r"Not in the file: adapter 'layers_0_to_1'\."
    with pytest.raises(ValueError, match=lacks):
        encoder.load_weights(path)
    with pytest.warns(UserWarning, match=lacks):
        encoder.load_weights(path, skip_mismatch=True)
    np.testing.assert_array_equal(
        adapted.outputs(encoder), adapted.outputs(plain)
    )


def test_a_merged_encoder_is_saved_as_any_other(tmp_path, rng):
    encoder = adapted.randomized(adapted.make_encoder(rank=2), rng)
    encoder.merge_lora()
    encoder.save_weights(tmp_path / "a.weights.h5")
    plain = adapted.make_encoder(1)
    assert plain.load_weights(tmp_path / "a.weights.h5").is_complete
    np.testing.assert_array_equal(
        adapted.outputs(plain), adapted.outputs(encoder)
    )
