"""A backup has the weights that training continues with, and their averages."""

import keras
import pytest

from keras_imp.callbacks import Backup, StoppedBySignal
from keras_imp.training.optimizers import AdamW
from tests.helpers import models
from tests.helpers.interruption import (
    EAGERLY,
    InterruptedRunError,
    assert_whole,
)
from tests.training.checkpoint.test_backup import Send

pytestmark = pytest.mark.one_backend

STEPS, EPOCHS = 3, 2


class Stop(keras.callbacks.Callback):
    """Break off in the second validation."""

    validations = 0

    def on_test_end(self, logs=None):
        self.validations += 1
        if self.validations == 2:
            raise InterruptedRunError


def fit(callbacks, epochs=EPOCHS, seed=77):
    model = models.make_model(
        models.one_task,
        seed=seed,
        dropout=0.2,
        optimizer=AdamW(1e-2, use_ema=True, ema_momentum=0.5),
        run_eagerly=EAGERLY,
    )
    data = models.data_of("objects")
    history = model.fit(
        models.in_turn(data, steps_per_epoch=STEPS),
        epochs=epochs,
        verbose=0,
        validation_data=models.all_once(data),
        callbacks=callbacks,
    )
    return model, history.history


def whole(*swaps):
    model, history = fit(list(swaps), seed=1)
    return models.state(model), history


@pytest.mark.parametrize("first", [True, False], ids=["before", "after"])
def test_a_save_in_a_validation_has_the_weights_and_not_the_averages(
    tmp_path, first
):
    def callbacks():
        both = [keras.callbacks.SwapEMAWeights(), Backup(tmp_path, every=STEPS)]
        return both if first else both[::-1]

    expected = whole(keras.callbacks.SwapEMAWeights())
    with pytest.raises(InterruptedRunError):
        fit([*callbacks(), Stop()], seed=1)
    assert_whole(*fit(callbacks()), expected)


@pytest.mark.parametrize(
    ("first", "batch"), [(True, 0), (False, 1)], ids=["before", "after"]
)
def test_a_signal_in_a_validation_saves_the_weights(tmp_path, first, batch):
    def callbacks():
        both = [keras.callbacks.SwapEMAWeights(), Backup(tmp_path)]
        return both if first else both[::-1]

    expected = whole(keras.callbacks.SwapEMAWeights())
    send = Send("SIGTERM", batch, "on_test_batch_begin")
    with pytest.raises(StoppedBySignal):
        fit([*callbacks(), send], seed=1)
    assert_whole(*fit(callbacks()), expected)


def test_a_save_changes_no_bit_of_the_run(tmp_path):
    swap = keras.callbacks.SwapEMAWeights
    model, history = fit([swap(), Backup(tmp_path, every=1)], seed=1)
    assert_whole(model, history, whole(swap()))


def test_a_complete_run_with_averages_can_be_made_longer(tmp_path):
    state, history = whole()
    fit([Backup(tmp_path)], epochs=1, seed=1)
    assert_whole(*fit([Backup(tmp_path)]), (state, history))
    # It is not trained again, and ends with the averages once more.
    again, history = fit([Backup(tmp_path)])
    assert history == {}
    models.assert_same(models.state(again), state)


@pytest.mark.parametrize("first", [True, False], ids=["before", "after"])
def test_so_can_one_whose_averages_are_in_the_model_between_epochs(
    tmp_path, first
):
    def callbacks():
        swap = keras.callbacks.SwapEMAWeights(swap_on_epoch=True)
        both = [swap, Backup(tmp_path)]
        return both if first else both[::-1]

    expected = whole(keras.callbacks.SwapEMAWeights(swap_on_epoch=True))
    fit(callbacks(), epochs=1, seed=1)
    assert_whole(*fit(callbacks()), expected)
