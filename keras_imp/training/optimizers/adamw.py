"""AdamW whose rate and decay depend on what a weight is and where it sits."""

from collections.abc import Iterable, Mapping
from typing import Any

import keras
from keras import ops

from keras_imp._errors import message
from keras_imp._keras_private import (
    is_decayed,
    moving_averages,
    optimized_variables,
    variable_index,
)
from keras_imp.training.optimizers.gradient_dtypes import in_one_dtype
from keras_imp.training.optimizers.variable_rules import (
    KERNELS,
    Rule,
    mark_frozen_rows,
    variable_rules,
)
from keras_imp.typing import Tensor


@keras.saving.register_keras_serializable(package="keras_imp")
class AdamW(keras.optimizers.AdamW):
    """Keras' AdamW with decay on kernels only, clipping, and groups of weights.

    All groups are factors of the learning rate, which the decay follows, since
    it is multiplied by the rate. They multiply: a weight's factor is the
    product of the multipliers whose pattern matches, of `layer_decay`, and of
    0 if it is frozen.

    A frozen weight, or layer of a stacked weight, stays as it is bit for bit:
    no gradient (none that counts for the clipping either), no decay, no
    change of its moments; nor does the balance of a frozen router. Unlike
    `trainable = False` this is saved with the model and may split a stack, but
    the optimizer state still takes memory. To save it for whole layers, set
    `layer.trainable = False` before `compile`.

    In a plain Keras model, a frozen router's balance stays until the optimizer
    is gone, or another one of this package is built for it: to train on with
    one of Keras, keep no variable of this one. `AlternatingModel` asks the one
    that it is compiled with.

    Args:
        learning_rate: A number or a schedule, such as `CosineWithWarmup`.
        weight_decay: Decoupled weight decay coefficient: a step takes away this
            fraction of a decayed weight, times the learning rate.
        global_clipnorm: Maximum global gradient norm; None for no clipping.
        decayed: Pattern; weights whose path it matches decay. Defaults to
            kernels: dense, attention, expert and router matrices, not tables,
            positions, norms, biases, temperatures or learned tokens.
        learning_rate_multipliers: Factors of the learning rate by pattern, such
            as `{"captions": 10.0}`; patterns are searched in the paths of
            variables.
        layer_decay: Factor from each layer of an `IMPEncoder` to the one below
            it: 1 for what comes after the last layer (heads, too),
            `layer_decay` in the last layer, `layer_decay ** num_layers` in the
            first one and one more in embedders.
        frozen_layers: Indices of layers that do not change, such as `range(6)`.
        frozen_modalities: Modalities whose embedders do not change. Modalities
            that share one, such as image and video, go together.
        **kwargs: Other arguments of `keras.optimizers.AdamW`, such as
            `use_ema=True`, which averages all weights at each step, idle ones
            included.

    Raises:
        ValueError: If an argument is out of range; when it is built, if a
            pattern, a layer or a modality is not there.

    Example:
        >>> import keras, keras_imp
        >>> encoder = keras_imp.IMPEncoder(8, 16, 2, 2, modalities=("image",))
        >>> optimizer = keras_imp.optimizers.AdamW(
        ...     1e-3, layer_decay=0.5, frozen_modalities=("image",))
        >>> optimizer.build(encoder.trainable_variables)
        >>> rule = optimizer.rule(encoder.body.stacks[0].stacked[1])
        >>> rule.decays, rule.factor.ravel().tolist()
        (True, [0.25, 0.5])

    Reference:
        docs/method.md, Optimization; layer-wise rates: [Clark et al.,
        2020](https://arxiv.org/abs/2003.10555), section 3.
    """

    def __init__(
        self,
        learning_rate: Any = 1e-3,
        weight_decay: float = 1e-4,
        *,
        global_clipnorm: float | None = 1.0,
        decayed: str = KERNELS,
        learning_rate_multipliers: Mapping[str, float] | None = None,
        layer_decay: float | None = None,
        frozen_layers: Iterable[int] = (),
        frozen_modalities: Iterable[str] = (),
        **kwargs,
    ):
        super().__init__(
            learning_rate,
            weight_decay,
            global_clipnorm=global_clipnorm,
            **kwargs,
        )
        if layer_decay is not None and not 0 < layer_decay <= 1:
            raise ValueError(
                message(
                    "`layer_decay` must be in (0, 1].", layer_decay=layer_decay
                )
            )
        self.decayed = decayed
        self.learning_rate_multipliers = dict(learning_rate_multipliers or {})
        self.layer_decay = layer_decay
        self.frozen_layers = tuple(int(layer) for layer in frozen_layers)
        self.frozen_modalities = tuple(frozen_modalities)

    def build(self, variables: list[Any]) -> None:
        if self.built:
            return
        # Not tracked: Keras would take it for state.
        self.__dict__["_rules"] = variable_rules(
            variables,
            self.decayed,
            self.learning_rate_multipliers,
            self.layer_decay,
            self.frozen_layers,
            self.frozen_modalities,
        )
        super().build(variables)
        mark_frozen_rows(self, variables)

    def rule(self, variable: Any) -> Rule:
        """How a weight is updated.

        Args:
            variable: A variable that the optimizer was built for.

        Returns:
            Its factor of the learning rate, and whether it decays.
        """
        return self._rules[variable_index(self, variable)]

    def update_step(
        self, gradient: Tensor, variable: Any, learning_rate: Any
    ) -> None:
        if self.rule(variable).is_frozen:
            return
        rate = self._rate(variable, learning_rate)
        self._decay(variable, rate)
        super().update_step(gradient, variable, rate)

    def finalize_variable_values(self, var_list: list[Any]) -> None:
        super().finalize_variable_values(var_list)
        if self.use_ema:
            # On JAX weight and average are one buffer now, which the next step
            # cannot give away twice.
            for average in moving_averages(self):
                average.assign(ops.copy(average))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "decayed": self.decayed,
            "learning_rate_multipliers": dict(self.learning_rate_multipliers),
            "layer_decay": self.layer_decay,
            "frozen_layers": list(self.frozen_layers),
            "frozen_modalities": list(self.frozen_modalities),
        }

    # Steps of `apply`, which has left out the idle weights by now -----------

    def _backend_apply_gradients(
        self, grads: list[Any], trainable_variables: list[Any]
    ) -> None:
        """Clip, decay, move, average."""
        grads = [
            self._without_frozen(gradient, variable)
            for gradient, variable in zip(grads, trainable_variables)
        ]
        super()._backend_apply_gradients(grads, trainable_variables)

    def _clip_gradients(self, grads: list[Any]) -> list[Any]:
        # After they were accumulated, in the dtype of each weight.
        return super()._clip_gradients(in_one_dtype(grads))

    def _without_frozen(self, gradient: Any, variable: Any) -> Tensor:
        """The gradient as a dense tensor, 0 where the weight is frozen."""
        # TensorFlow's gradient of a table lists rows, one of them several
        # times. Keras squares them one by one, which gives another norm and
        # other moments than the sum has.
        gradient = ops.reshape(gradient, tuple(variable.shape))
        frozen = self.rule(variable).frozen_rows
        if frozen is None:
            return gradient
        return ops.where(frozen, ops.zeros_like(gradient), gradient)

    def _rate(self, variable: Any, learning_rate: Any) -> Tensor:
        """The learning rate of a weight, or one for each of its rows."""
        factor = self.rule(variable).factor
        rate = ops.cast(learning_rate, variable.dtype)
        if isinstance(factor, float) and factor == 1.0:
            return rate
        return rate * ops.cast(factor, variable.dtype)

    def _decay(self, variable: Any, rate: Tensor) -> None:
        if self._decays(variable):
            self.assign_sub(variable, variable * self.weight_decay * rate)

    def _decays(self, variable: Any) -> bool:
        known = optimized_variables(self)[variable_index(self, variable)]
        # Asked second: what `exclude_from_weight_decay` was told.
        return self.rule(variable).decays and is_decayed(self, known)

    def _apply_weight_decay(self, variables: list[Any]) -> None:
        """Nothing here: `update_step` decays at the rate of each weight."""

    def _update_model_variables_moving_average(
        self, trainable_variables: list[Any]
    ) -> None:
        """Move the averages of all weights, idle ones included.

        Averages of rarely drawn heads would otherwise be of another time than
        the encoder's. Written as a step towards the weight, so that the average
        of a weight that does not change is that weight, bit for bit.
        """
        if not self.use_ema:
            return
        is_first = ops.equal(self.iterations, 0)
        for variable, average in zip(
            trainable_variables, moving_averages(self)
        ):
            share = ops.where(is_first, 1.0, 1.0 - self.ema_momentum)
            step = ops.cast(share, variable.dtype) * (variable - average)
            average.assign(average + step)
