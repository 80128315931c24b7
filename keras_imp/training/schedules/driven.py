"""Adaptive schedules that are ready to use."""

import numpy as np

from keras_imp._errors import message
from keras_imp.training.schedules.adaptive import AdaptiveSchedule, Statistics

# Stands in for a loss of 0, that of a task with nothing to learn.
SMALLEST = 1e-12


class LossDriven(AdaptiveSchedule):
    """More steps for the tasks whose loss has fallen least.

    Shares are proportional to `(loss / initial loss) ** exponent`. The ratio
    does not depend on the scale of a loss, nor on the weight of a task.

    Args:
        exponent: 0 gives equal fractions, more prefers the slow tasks more.
        exploration: Part of the steps that all tasks share equally, in [0, 1).
        every: Steps of a round; see `AdaptiveSchedule`.

    Raises:
        ValueError: If `exponent` is negative or another argument is out of
            range; when it decides, if a smoothed loss is negative.

    Example:
        >>> import numpy as np, keras_imp
        >>> schedule = keras_imp.schedules.LossDriven(exploration=0.0)
        >>> schedule = schedule.bind(("learned", "stuck"))
        >>> measured = keras_imp.schedules.Statistics(
        ...     draws=np.array([50, 50]), loss=np.array([0.5, 6.0]),
        ...     initial_loss=np.array([2.0, 8.0]),
        ...     squared_gradient=np.ones(2))
        >>> schedule.decide(measured).tolist()
        [0.25, 0.75]

    Reference:
        [GradNorm](https://arxiv.org/abs/1711.02257), section 3, whose relative
        inverse training rate this is; there it weighs gradients, here it
        shares out steps.
    """

    def __init__(
        self,
        exponent: float = 1.0,
        exploration: float = 0.1,
        every: int = 100,
    ):
        super().__init__(exploration, every)
        if not exponent >= 0:
            raise ValueError(
                message("`exponent` must not be negative.", exponent=exponent)
            )
        self.exponent = exponent

    def shares(self, statistics: Statistics) -> np.ndarray:
        lowest = np.argmin(np.minimum(statistics.loss, statistics.initial_loss))
        if statistics.loss[lowest] < 0 or statistics.initial_loss[lowest] < 0:
            raise ValueError(
                message(
                    "A schedule by relative loss needs losses of at least 0.",
                    "Add a constant to the loss, or use GradientDriven.",
                    task=self.names[lowest],
                    loss=float(statistics.loss[lowest]),
                    initial_loss=float(statistics.initial_loss[lowest]),
                )
            )
        first = np.maximum(statistics.initial_loss, SMALLEST)
        ratio = statistics.loss / first
        if not ratio.any():
            return np.ones_like(ratio)
        # Of the largest, so that a high exponent does not overflow.
        return (ratio / ratio.max()) ** self.exponent


class GradientDriven(AdaptiveSchedule):
    """Most steps for the task from whose step most progress is expected.

    The rule of Gauss and Southwell: a gradient step lowers a loss by about the
    learning rate times the squared norm of its gradient, so the task with the
    largest such norm takes all steps of the round but those of `exploration`.
    Tasks that tie share them. Norms are smoothed over the last 50 steps or so
    of each task.

    Args:
        exploration: Part of the steps that all tasks share equally, in [0, 1).
        every: Steps of a round; see `AdaptiveSchedule`.
        relative: Whether progress is that of the logarithm of the loss: the
            squared norm over the squared loss. Then the scale of a loss, and
            the weight of its task, do not count; losses must be positive.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> import numpy as np, keras_imp
        >>> measured = keras_imp.schedules.Statistics(
        ...     draws=np.array([50, 50]), loss=np.array([4.0, 1.0]),
        ...     initial_loss=np.array([5.0, 2.0]),
        ...     squared_gradient=np.array([0.8, 0.2]))
        >>> for relative in (False, True):
        ...     schedule = keras_imp.schedules.GradientDriven(relative=relative)
        ...     schedule = schedule.bind(("a", "b"))
        ...     print(schedule.decide(measured).round(2))
        [0.95 0.05]
        [0.05 0.95]

    Reference:
        [Nutini et al. 2015](https://arxiv.org/abs/1506.00552), section 2.
    """

    def __init__(
        self,
        exploration: float = 0.1,
        every: int = 100,
        relative: bool = False,
    ):
        super().__init__(exploration, every)
        self.relative = relative

    def shares(self, statistics: Statistics) -> np.ndarray:
        progress = statistics.squared_gradient
        if self.relative:
            progress = progress / np.maximum(statistics.loss**2, SMALLEST)
        return progress == progress.max()
