"""Muon for the matrices of an encoder, AdamW for all other weights."""

import re
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_imp._errors import check_positive, message
from keras_imp._keras_private import (
    is_replicated,
    momentum_of,
    optimized_variables,
    variable_index,
)
from keras_imp.models.weight_places import place_of
from keras_imp.training.optimizers.adamw import AdamW
from keras_imp.training.optimizers.orthogonalize import (
    THREE_STEPS,
    Polynomials,
    orthogonalize,
)
from keras_imp.typing import Tensor

# The kernels of an encoder: of attention, feed-forward networks and experts in
# its stacks, and those of its embedders; not its routers.
KERNELS = (
    r"(^|/)(\w*stack(_\d+)?/(experts_)?"
    r"(query|key|value|output|expand|contract)_kernel"
    r"|(tokens/projection|before|after)/kernel)$"
)
# What Adam keeps of a weight, and Muon does not.
OF_ADAM_ALONE = ("velocity", "velocity_hat")


@keras.saving.register_keras_serializable(package="keras_imp")
class Muon(AdamW):
    """Muon for matrices, with all that this package's `AdamW` can do.

    A step of a matrix is its momentum, orthogonalized: all of its singular
    values become about 1, so directions that few examples ask for move as far
    as the others. With g the gradient, clipped, m the momentum and n x k the
    matrix:

        m <- momentum m + (1 - momentum) g
        o  = orthogonal factor of momentum m + (1 - momentum) g    (Nesterov)
        w <- w - rate decay w - rate update_rms sqrt(max(n, k)) o

    In a stacked weight, shape `(layers, in, out)` or `(layers, experts, in,
    out)`, each layer, or each expert of a layer, is a matrix. The heads of an
    attention kernel are one. Matrices of equal shape are orthogonalized in the
    same products, in float32.

    All other weights (heads, tables, positions, norms, biases, routers) are
    trained by `AdamW`, at the same rate. Multipliers, `layer_decay`, freezing,
    decay, clipping and averages work for both, as `AdamW` describes. Matrices
    need no second moment, so the optimizer state is smaller.

    The length of a step does not depend on that of the gradient: a matrix
    without gradients comes to rest only when its momentum is below 1e-7. With
    `AlternatingModel(update="touched")` idle weights stay where they are.

    Args:
        learning_rate: A number or a schedule, such as `CosineWithWarmup`.
        weight_decay: As of `AdamW`.
        matrices: Pattern; weights whose path it matches are trained by Muon.
            Defaults to the kernels of an `IMPEncoder`: of its layers, experts
            included, and of its embedders, without its routers.
        momentum: Fraction of the momentum that a step keeps.
        update_rms: Root mean square of the entries of a step, in learning
            rates. The default is about that of AdamW, whose rates and decay
            can then be kept; higher ones suit short runs.
        polynomials: Coefficients `(a, b, c)` of each step towards the
            orthogonal factor; see `orthogonalize`.
        **kwargs: Other arguments of `AdamW`.

    Raises:
        ValueError: If an argument is out of range; when it is built, if no
            weight is matched by `matrices` or one of them is no matrix, or as
            `AdamW` says.

    Example:
        >>> import keras, keras_imp
        >>> encoder = keras_imp.IMPEncoder(8, 16, 2, 2, modalities=("image",))
        >>> optimizer = keras_imp.optimizers.Muon(1e-3, frozen_layers=[0])
        >>> optimizer.build(encoder.trainable_variables)
        >>> kernel = encoder.body.stacks[0].stacked[1]
        >>> kernel.name, tuple(kernel.shape), optimizer.trains_matrix(kernel)
        ('query_kernel', (2, 8, 8), True)

    Reference:
        [Keller Jordan, 2024](https://kellerjordan.github.io/posts/muon/);
        length of a step: [Liu et al., 2025](https://arxiv.org/abs/2502.16982),
        section 2.2. docs/method.md, Optimization.
    """

    def __init__(
        self,
        learning_rate: Any = 1e-3,
        weight_decay: float = 1e-4,
        *,
        matrices: str = KERNELS,
        momentum: float = 0.95,
        update_rms: float = 0.2,
        polynomials: Polynomials = THREE_STEPS,
        **kwargs,
    ):
        super().__init__(learning_rate, weight_decay, **kwargs)
        if not 0 <= momentum < 1:
            raise ValueError(
                message("`momentum` must be in [0, 1).", momentum=momentum)
            )
        check_positive(update_rms=update_rms)
        self.matrices = matrices
        self.momentum = momentum
        self.update_rms = update_rms
        # Not tracked: numbers, which Keras would wrap.
        self.__dict__["polynomials"] = _checked(polynomials)

    def build(self, variables: list[Any]) -> None:
        if self.built:
            return
        matched = [v for v in variables if re.search(self.matrices, v.path)]
        _check_matrices(matched, self.matrices)
        # Not tracked: Keras would take it for state.
        self.__dict__["_matched"] = {id(variable) for variable in matched}
        super().build(variables)

    def add_variable_from_reference(
        self, reference_variable: Any, name: str | None = None, **kwargs
    ) -> Any:
        """A variable of the optimizer's state; None where it needs none."""
        if name in OF_ADAM_ALONE and id(reference_variable) in self._matched:
            return None
        return super().add_variable_from_reference(
            reference_variable, name=name, **kwargs
        )

    def trains_matrix(self, variable: Any) -> bool:
        """Whether Muon trains a weight, not AdamW.

        Args:
            variable: A variable that the optimizer was built for.

        Returns:
            True if its path matches `matrices`.
        """
        known = optimized_variables(self)[variable_index(self, variable)]
        return id(known) in self._matched

    def update_step(
        self, gradient: Tensor, variable: Any, learning_rate: Any
    ) -> None:
        if self.trains_matrix(variable):
            self._move([(gradient, variable)], learning_rate)
        else:
            super().update_step(gradient, variable, learning_rate)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "matrices": self.matrices,
            "momentum": self.momentum,
            "update_rms": self.update_rms,
            "polynomials": [list(step) for step in self.polynomials],
        }

    # Steps of `apply` -------------------------------------------------------

    def _backend_update_step(
        self,
        grads: list[Any],
        trainable_variables: list[Any],
        learning_rate: Any,
    ) -> None:
        """Matrices of one shape together, all other weights one by one."""
        if is_replicated(self):
            # Keras adds up the replicas' gradients right before it updates
            # each weight.
            super()._backend_update_step(
                grads, trainable_variables, learning_rate
            )
            return
        groups: dict[Any, list[tuple[Tensor, Any]]] = {}
        others = []
        for gradient, variable in zip(grads, trainable_variables):
            if self.trains_matrix(variable):
                shape = _lying(tuple(variable.shape))
                groups.setdefault(shape, []).append((gradient, variable))
            else:
                others.append((gradient, variable))
        for pairs in groups.values():
            self._move(pairs, learning_rate)
        if others:
            rest = map(list, zip(*others))
            super()._backend_update_step(*rest, learning_rate)

    def _move(
        self, pairs: Sequence[tuple[Tensor, Any]], learning_rate: Any
    ) -> None:
        """One step of weights whose matrices lie in equal shapes."""
        pairs = [(g, v) for g, v in pairs if not self.rule(v).is_frozen]
        if not pairs:
            return
        ahead = [self._update_momentum(g, v) for g, v in pairs]
        directions = orthogonalize(ops.stack(ahead), self.polynomials)
        length = self.update_rms * ahead[0].shape[-1] ** 0.5
        for i, (_, variable) in enumerate(pairs):
            direction = directions[i]
            if _stands(tuple(variable.shape)):
                direction = ops.swapaxes(direction, -1, -2)
            rate = self._rate(variable, learning_rate)
            self._decay(variable, rate)
            step = length * ops.cast(direction, variable.dtype)
            self.assign_sub(variable, rate * step)

    def _update_momentum(self, gradient: Tensor, variable: Any) -> Tensor:
        """The momentum as of the next step, its matrices lying, in float32."""
        momentum = momentum_of(self, variable)
        gradient = ops.cast(gradient, momentum.dtype)
        self.assign_add(momentum, (gradient - momentum) * (1 - self.momentum))
        ahead = momentum + (gradient - momentum) * (1 - self.momentum)
        if keras.backend.standardize_dtype(ahead.dtype) != "float64":
            ahead = ops.cast(ahead, "float32")
        if _stands(tuple(variable.shape)):
            ahead = ops.swapaxes(ahead, -1, -2)
        return ahead


def _stands(shape: tuple[int, ...]) -> bool:
    """Whether matrices have more rows than columns."""
    return shape[-2] > shape[-1]


def _lying(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape with the longer side last."""
    return (*shape[:-2], *sorted(shape[-2:]))


def _checked(polynomials: Polynomials) -> tuple[tuple[float, ...], ...]:
    """Polynomials as tuples of numbers."""
    found = tuple(tuple(float(c) for c in step) for step in polynomials)
    if not found or any(len(step) != 3 for step in found):
        raise ValueError(
            message(
                "`polynomials` must be at least one `(a, b, c)`.",
                polynomials=polynomials,
            )
        )
    return found


def _check_matrices(matched: list[Any], pattern: str) -> None:
    if not matched:
        raise ValueError(
            message(
                "`matrices` must match the path of a trainable weight.",
                "Print `[v.path for v in model.trainable_variables]`; where "
                "there are no matrices to train, use "
                "keras_imp.optimizers.AdamW.",
                matrices=pattern,
            )
        )
    for variable in matched:
        if not _is_matrix(variable):
            raise ValueError(
                message(
                    "`matrices` must match matrices only: the last two axes "
                    "of a weight, after that of the layers in a stack.",
                    "Choose a pattern that leaves this weight to AdamW.",
                    matrices=pattern,
                    weight=variable.path,
                    shape=tuple(variable.shape),
                )
            )


def _is_matrix(variable: Any) -> bool:
    place = place_of(variable)
    is_stacked = place is not None and 0 < place.depths[0] < place.top
    shape = tuple(variable.shape)
    if is_stacked:  # The bias of an expert is a matrix of one row.
        return len(shape) > 2 and min(shape[-2:]) > 1
    return len(shape) >= 2
