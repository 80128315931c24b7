"""Which task gets the next step.

The task of global step s is a pure function of (seed, s), and for an adaptive
schedule also of the state that the model's weights hold. So a run that stops
and resumes continues as if it had not, and all hosts of a job agree without
talking. To write a schedule, subclass `Schedule` and define `draw`, or
`AdaptiveSchedule` and define `shares`.
"""

from keras_imp.training.schedules.adaptive import (
    AdaptiveSchedule,
    Rounds,
    Statistics,
)
from keras_imp.training.schedules.base import BLOCK, Schedule
from keras_imp.training.schedules.curriculum import Curriculum
from keras_imp.training.schedules.driven import GradientDriven, LossDriven
from keras_imp.training.schedules.fixed import Intervals, RoundRobin
from keras_imp.training.schedules.weighted import Proportional, Weighted

__all__ = [
    "BLOCK",
    "AdaptiveSchedule",
    "Curriculum",
    "GradientDriven",
    "Intervals",
    "LossDriven",
    "Proportional",
    "RoundRobin",
    "Rounds",
    "Schedule",
    "Statistics",
    "Weighted",
]
