"""What routed layers do, in the logs of any model."""

import inspect

import keras

from keras_imp._errors import check_choice, message
from keras_imp._repr import ShowsArguments
from keras_imp.layers.moe.reporting import check_routed, routing_figures
from keras_imp.layers.moe.totals import FIGURES


class RoutingLogger(ShowsArguments, keras.callbacks.Callback):
    """Log what routed layers do, in `fit` of any Keras model.

    `AlternatingModel` does so by itself; this is for one's own model with a
    sparse `IMPEncoder`, or with a routed layer such as `ExpertChoiceMoE`. The
    logs of an epoch get `routing/<name>/<figure>`, means over its batches, and
    `val_routing/...` of the validation data. The name is the path of the layer,
    in a stack followed by `layer_<i>`; in an `IMPEncoder` it is the modality.

    Put it before the callbacks that read the logs.

    Args:
        figures: Which to log. `left_behind`: the fraction of tokens that no
            expert took. `confidence`: the mean gate. `z_loss`: before its
            weight. `min_load`, `max_load`: the least and most loaded expert's
            fraction of the (token, expert) pairs. `min_importance`: the least
            fraction of the gates.

    Raises:
        ValueError: If a figure is unknown; in `fit`, if the model has no routed
            layer, or cannot tell its layers that they train.

    Example:
        >>> import keras, keras_imp, numpy as np
        >>> inputs = keras.Input((6, 8))
        >>> layer = keras_imp.layers.ExpertChoiceMoE(4, 16, name="experts")
        >>> model = keras.Model(inputs, layer(inputs))
        >>> model.compile("sgd", "mse")
        >>> x = np.ones((2, 6, 8), "float32")
        >>> logger = keras_imp.callbacks.RoutingLogger(("max_load",))
        >>> history = model.fit(x, x, verbose=0, callbacks=[logger]).history
        >>> history["routing/experts/max_load"]
        [0.25]
    """

    def __init__(self, figures: tuple[str, ...] = FIGURES):
        super().__init__()
        for figure in figures:
            check_choice(FIGURES, figures=figure)
        self.figures = tuple(figures)
        self._training: dict[str, float] | None = None
        self._validation: dict[str, float] = {}
        self._in_fit = False

    def on_train_begin(self, logs: dict | None = None) -> None:
        self._check_model()
        self._in_fit = True

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self._training, self._validation = None, {}

    def on_test_begin(self, logs: dict | None = None) -> None:
        # Keras resets what was counted next.
        if self._in_fit:
            self._training = self._found()
        else:
            self._check_model()

    def on_test_end(self, logs: dict | None = None) -> None:
        if self._in_fit:
            self._validation = self._found()
        elif logs is not None:
            logs.update(self._found())

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        if self._training is None:
            self._training = self._found()
        if logs is not None:
            logs.update(self._training)
            logs.update({f"val_{k}": v for k, v in self._validation.items()})

    def on_train_end(self, logs: dict | None = None) -> None:
        self._in_fit = False

    def _found(self) -> dict[str, float]:
        return {
            name: value
            for name, value in routing_figures(self.model).items()
            if name.rsplit("/", 1)[1] in self.figures
        }

    def _check_model(self) -> None:
        model = self.model
        check_routed(model, "RoutingLogger")
        arguments = inspect.signature(model.call).parameters
        if "training" not in arguments:
            raise ValueError(
                message(
                    "The `call` of the model must have an argument `training`: "
                    "without it routed layers neither add their losses nor "
                    "count.",
                    "Write `def call(self, inputs, training=None)`; Keras sets "
                    "it for the layers inside.",
                    model=type(model).__name__,
                    arguments=list(arguments),
                )
            )
