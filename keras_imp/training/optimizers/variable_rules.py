"""Learning-rate multiplier and weight-decay mask of each weight."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from keras_imp import _keras_private as keras_private
from keras_imp._errors import message
from keras_imp.layers._runtime.frozen_rows import mark_frozen
from keras_imp.models.weight_places import Place, place_of

# What multiplies activations as a matrix is called a kernel, in Keras and
# here: those of dense layers, attention, experts and routers. Embedding tables,
# positions, norms, biases, temperatures, probes and learned tokens are not, nor
# is a new weight of another kind.
KERNELS = "kernel$"


class Rule(NamedTuple):
    """How one weight is updated.

    Attributes:
        factor: Of the learning rate and of the decay: a number, or an array of
            one number per row of the weight's first axis, shape `(rows, 1,
            ...)`. 0 is frozen.
        decays: Whether the weight decays.
    """

    factor: float | np.ndarray
    decays: bool

    @property
    def is_frozen(self) -> bool:
        """Whether the whole weight is frozen."""
        return not np.any(self.factor)

    @property
    def frozen_rows(self) -> np.ndarray | None:
        """True where a row is frozen, shape of `factor`; None if none is."""
        rows = np.asarray(self.factor) == 0
        return rows if rows.any() else None


def variable_rules(
    variables: Iterable[Any],
    decayed: str = KERNELS,
    multipliers: Mapping[str, float] | None = None,
    layer_decay: float | None = None,
    frozen_layers: Iterable[int] = (),
    frozen_modalities: Iterable[str] = (),
) -> list[Rule]:
    """The rule of each weight; `AdamW` explains the arguments.

    Args:
        variables: Keras variables.
        decayed: Pattern of the paths of weights that decay.
        multipliers: Factors by pattern.
        layer_decay: Factor from each layer to the one below.
        frozen_layers: Indices of layers that do not change.
        frozen_modalities: Modalities whose own weights do not change.

    Returns:
        One rule for each variable.

    Raises:
        ValueError: If a pattern matches no path, or a layer or a modality is
            not there to be frozen.

    Example:
        >>> import keras_imp
        >>> from keras_imp.training.optimizers.variable_rules import (
        ...     variable_rules)
        >>> encoder = keras_imp.IMPEncoder(8, 16, 2, 2, modalities=("image",))
        >>> stacked = encoder.body.stacks[0].trainable_variables[:2]
        >>> [v.name for v in stacked]
        ['attention_norm_gamma', 'query_kernel']
        >>> rules = variable_rules(stacked, layer_decay=0.5)
        >>> [rule.decays for rule in rules]
        [False, True]
        >>> rules[1].factor.ravel().tolist()
        [0.25, 0.5]
    """
    variables = list(variables)
    multipliers = dict(multipliers or {})
    frozen_layers = frozenset(frozen_layers)
    frozen_modalities = frozenset(frozen_modalities)
    places = [place for place in map(place_of, variables) if place is not None]
    _check_patterns(variables, multipliers)
    if layer_decay is not None or frozen_layers or frozen_modalities:
        _check_places(places)
    _check_layers(places, frozen_layers)
    _check_modalities(places, frozen_modalities)
    rules = []
    for variable in variables:
        factor: Any = 1.0
        for pattern, multiplier in multipliers.items():
            if re.search(pattern, variable.path):
                factor *= multiplier
        place = place_of(variable)
        if place is not None:
            rows = _row_factors(
                place, layer_decay, frozen_layers, frozen_modalities
            )
            factor = factor * _along_first_axis(rows, len(variable.shape))
        decays = re.search(decayed, variable.path) is not None
        rules.append(Rule(factor, decays))
    return rules


def mark_frozen_rows(optimizer: Any, variables: Iterable[Any]) -> None:
    """Tell weights which of their rows an optimizer leaves as they are.

    Args:
        optimizer: A built optimizer, which may wrap others; one without rules
            freezes nothing.
        variables: What it was built for.
    """
    for variable in variables:
        part = keras_private.optimizer_of(optimizer, variable)
        has_rules = hasattr(part, "rule")
        rows = part.rule(variable).frozen_rows if has_rules else None
        mark_frozen(variable, rows, part)


def _row_factors(
    place: Place,
    layer_decay: float | None,
    frozen_layers: frozenset[int],
    frozen_modalities: frozenset[str],
) -> list[float]:
    """One factor for each depth of a weight."""
    if place.modalities and frozen_modalities.issuperset(place.modalities):
        return [0.0] * len(place.depths)
    share = 1.0 if layer_decay is None else layer_decay
    return [
        0.0 if depth - 1 in frozen_layers else share ** (place.top - depth)
        for depth in place.depths
    ]


def _along_first_axis(rows: list[float], rank: int) -> float | np.ndarray:
    if len(set(rows)) == 1:
        return rows[0]
    return np.reshape(rows, (-1, *[1] * (rank - 1)))


def _check_patterns(
    variables: list[Any], multipliers: dict[str, float]
) -> None:
    for pattern, multiplier in multipliers.items():
        if not multiplier >= 0:
            raise ValueError(
                message(
                    "A learning rate multiplier must not be negative.",
                    pattern=pattern,
                    multiplier=multiplier,
                )
            )
        if not any(re.search(pattern, v.path) for v in variables):
            raise ValueError(
                message(
                    "Each pattern of `learning_rate_multipliers` must match "
                    "the path of a trainable weight.",
                    "Print `[v.path for v in model.trainable_variables]`.",
                    pattern=pattern,
                )
            )


def _check_places(places: list[Place]) -> None:
    if not places:
        raise ValueError(
            "`layer_decay`, `frozen_layers` and `frozen_modalities` need the "
            "weights of an `IMPEncoder`, and none is among the trainable ones. "
            "Use `learning_rate_multipliers` with patterns of paths."
        )


def _check_layers(places: list[Place], frozen: frozenset[int]) -> None:
    for layer in sorted(frozen):
        if not 0 <= layer < places[0].top - 1:
            raise ValueError(
                message(
                    "`frozen_layers` must be indices of the encoder's "
                    f"{places[0].top - 1} layers, from 0.",
                    layer=layer,
                )
            )


def _check_modalities(places: list[Place], frozen: frozenset[str]) -> None:
    known = dict.fromkeys(m for place in places for m in place.modalities)
    for name in sorted(frozen):
        if name not in known:
            raise ValueError(
                message(
                    "`frozen_modalities` must be modalities with trainable "
                    f"weights of their own: {tuple(known)}.",
                    modality=name,
                )
            )
    for place in places:
        named = frozen.intersection(place.modalities)
        if named and not frozen.issuperset(place.modalities):
            raise ValueError(
                message(
                    f"The modalities {place.modalities} share their weights: "
                    "all or none of them must be frozen.",
                    frozen_modalities=tuple(sorted(frozen)),
                )
            )
