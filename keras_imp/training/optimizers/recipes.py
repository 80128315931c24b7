"""The optimizers that the models of the paper were trained with."""

from typing import Any

from keras_imp._errors import check_choice, check_positive
from keras_imp.training.optimizers.adamw import AdamW
from keras_imp.training.optimizers.cosine_with_warmup import CosineWithWarmup

# Arguments of `CosineWithWarmup`, docs/method.md, Optimization.
RATES: dict[str, dict[str, Any]] = {
    "small": {
        "peak": 8e-4,
        "total_steps": 200_000,
        "warmup_steps": 10_000,
        "initial": 1e-6,
    },
    "base": {
        "peak": 1e-3,
        "total_steps": 500_000,
        "warmup_steps": 25_000,
        "initial": 5e-6,
        "end": 1e-6,
        "pre_warmup_steps": 2000,
        "pre_warmup_start": 2e-5,
    },
    "large": {
        "peak": 5e-4,
        "total_steps": 500_000,
        "warmup_steps": 50_000,
        "initial": 1e-6,
        "end": 1e-6,
        "pre_warmup_steps": 5000,
        "pre_warmup_start": 1e-5,
    },
}
LENGTHS = ("warmup_steps", "pre_warmup_steps")


def imp_recipe(
    size: str,
    variant: str = "fixed",
    total_steps: int | None = None,
    **options,
) -> AdamW:
    """The optimizer for a model of one of the published sizes.

    AdamW with betas of 0.9 and 0.999, epsilon 1e-7, a decay of 1e-4 on kernels
    and a warm-up before a cosine. The first implementation decays the weights
    that a step does not reach, too: that is `AlternatingModel(update="all")`.

    Args:
        size: `"small"`, `"base"` or `"large"`.
        variant: `"fixed"`: gradients are clipped at a norm of 1 and the rate
            rises from the first step; `"imp"`: no clipping, since the first
            implementation never applied its own, and before the warm-up of base
            and large the rate goes down for a while, which also delays the
            cosine: it does not quite end.
        total_steps: Length of the training. Warm-ups keep their fraction of it.
            Defaults to the published 200,000 or 500,000.
        **options: Arguments of `AdamW` that replace the recipe's.

    Returns:
        The optimizer.

    Raises:
        ValueError: If size or variant is unknown.

    Example:
        >>> import keras_imp
        >>> optimizer = keras_imp.optimizers.imp_recipe("base", "imp")
        >>> _ = optimizer.iterations.assign(27_000)
        >>> round(float(optimizer.learning_rate), 6)
        0.001

    Reference:
        docs/method.md, Optimization.
    """
    check_choice(tuple(RATES), size=size)
    check_choice(("fixed", "imp"), variant=variant)
    rate = dict(RATES[size])
    if total_steps is not None:
        check_positive(total_steps=total_steps)
        for name in LENGTHS:
            steps = rate.get(name, 0) * total_steps / rate["total_steps"]
            rate[name] = round(steps)
        rate["total_steps"] = total_steps
    if variant == "fixed":
        rate.update(pre_warmup_steps=0, pre_warmup_start=0.0)
    recipe: dict[str, Any] = {
        "learning_rate": CosineWithWarmup(**rate),
        "weight_decay": 1e-4,
        "beta_1": 0.9,
        "beta_2": 0.999,
        "epsilon": 1e-7,
        "global_clipnorm": 1.0 if variant == "fixed" else None,
    }
    return AdamW(**{**recipe, **options})
