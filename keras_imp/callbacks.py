"""Callbacks for `fit`: what a run of weeks needs."""

from keras_imp.training.backup import Backup, StoppedBySignal
from keras_imp.training.csv_log import ResumableCSVLogger

__all__ = ["Backup", "ResumableCSVLogger", "StoppedBySignal"]
