import keras
import pytest

from keras_imp.training.monitoring.adapted import adapt

pytestmark = pytest.mark.one_backend

HOOKS = [name for name in dir(keras.callbacks.Callback) if name[:3] == "on_"]


class Noting(keras.callbacks.EarlyStopping):
    """Notes each hook."""

    def __init__(self):
        super().__init__("a/loss", mode="min")
        self.called = []

    def __getattribute__(self, name):
        if name in HOOKS:
            return lambda *args, **kwargs: self.called.append(name)
        return super().__getattribute__(name)


def test_a_callback_without_need_is_itself():
    callback = keras.callbacks.LearningRateScheduler(lambda epoch: 0.1)
    assert adapt(callback, frozenset()) is callback


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_arrives(hook):
    callback = Noting()
    adapted = adapt(callback, frozenset({"a/loss"}))
    arguments = {"logs": None}
    if "epoch" in hook:
        arguments["epoch"] = 0
    elif "batch" in hook:
        arguments["batch"] = 0
    getattr(adapted, hook)(**arguments)
    assert callback.called == [hook]


def test_model_and_parameters_arrive():
    callback = keras.callbacks.EarlyStopping("a/loss", mode="min")
    adapted = adapt(callback, frozenset())
    adapted.set_params({"epochs": 3})
    adapted.set_model("model")
    assert callback.params == {"epochs": 3}
    assert callback._model == "model"


def test_hooks_that_do_nothing_can_still_be_told():
    """Else Keras waits for the logs of each step."""
    is_default = keras.callbacks.CallbackList
    stop = keras.callbacks.EarlyStopping("a/loss", mode="min")
    model = keras.Sequential()
    plain = is_default([stop], model=model)
    adapted = is_default([adapt(stop, frozenset())], model=model)
    assert adapted._async_train == plain._async_train
