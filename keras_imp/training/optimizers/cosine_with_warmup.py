"""Learning rates for training from scratch."""

import keras
from keras import ops

from keras_imp._errors import check_positive, message
from keras_imp._repr import ShowsArguments
from keras_imp.typing import Tensor


@keras.saving.register_keras_serializable(package="keras_imp")
class CosineWithWarmup(
    ShowsArguments, keras.optimizers.schedules.LearningRateSchedule
):
    """Linear pre-warm-up and warm-up, then a cosine decay.

    With s the step, P the pre-warm-up and W the warm-up steps:

        s < P       pre_warmup_start + (initial - pre_warmup_start) s / P
        s - P < W   initial + (peak - initial) (s - P) / W
        else        end + (peak - end) (1 + cos(pi q)) / 2,
                    q = min((s - P - W) / (total_steps - W), 1)

    IMP's pre-warm-up goes down, from a higher rate to `initial`.

    Args:
        peak: Rate at the end of the warm-up.
        total_steps: Steps from the start of the warm-up to the end of the
            cosine, warm-up included.
        warmup_steps: Steps of the warm-up.
        initial: Rate at the start of the warm-up.
        end: Rate at the end of the cosine.
        pre_warmup_steps: Steps before the warm-up.
        pre_warmup_start: Rate at step 0, if there is a pre-warm-up.

    Raises:
        ValueError: If the warm-up does not end before `total_steps`.

    Example:
        >>> import keras_imp
        >>> rate = keras_imp.optimizers.CosineWithWarmup(
        ...     peak=8e-4, total_steps=200_000, warmup_steps=10_000,
        ...     initial=1e-6)
        >>> [round(float(rate(step)), 7) for step in (0, 10_000, 100_000)]
        [1e-06, 0.0008, 0.000433]

    Reference:
        docs/method.md, Optimization.
    """

    def __init__(
        self,
        peak: float,
        total_steps: int,
        warmup_steps: int,
        initial: float = 0.0,
        end: float = 0.0,
        pre_warmup_steps: int = 0,
        pre_warmup_start: float = 0.0,
    ):
        super().__init__()
        check_positive(peak=peak, total_steps=total_steps)
        if not 0 <= warmup_steps < total_steps:
            raise ValueError(
                message(
                    "`warmup_steps` must be at least 0 and less than "
                    "`total_steps`.",
                    warmup_steps=warmup_steps,
                    total_steps=total_steps,
                )
            )
        self.peak = peak
        self.total_steps = total_steps
        self.warmup_steps = warmup_steps
        self.initial = initial
        self.end = end
        self.pre_warmup_steps = pre_warmup_steps
        self.pre_warmup_start = pre_warmup_start

    def __call__(self, step: Tensor) -> Tensor:
        step = ops.cast(step, "float32")
        since = step - self.pre_warmup_steps
        before = _line(
            self.pre_warmup_start, self.initial, step, self.pre_warmup_steps
        )
        rising = _line(self.initial, self.peak, since, self.warmup_steps)
        share = (since - self.warmup_steps) / (
            self.total_steps - self.warmup_steps
        )
        angle = 3.141592653589793 * ops.clip(share, 0.0, 1.0)
        falling = self.end + (self.peak - self.end) * (1 + ops.cos(angle)) / 2
        rate = ops.where(since < self.warmup_steps, rising, falling)
        return ops.where(step < self.pre_warmup_steps, before, rate)

    def get_config(self):
        return {
            "peak": self.peak,
            "total_steps": self.total_steps,
            "warmup_steps": self.warmup_steps,
            "initial": self.initial,
            "end": self.end,
            "pre_warmup_steps": self.pre_warmup_steps,
            "pre_warmup_start": self.pre_warmup_start,
        }


def _line(start: float, end: float, step: Tensor, steps: int) -> Tensor:
    """From start to end in a number of steps."""
    return start + (end - start) * step / max(steps, 1)
