"""A run on own data in a process of its own, which may kill itself.

python -m tests.helpers.own_data_run RECIPE FOLDER [KILL_AT_STEP]
"""

import os
import signal
import sys
from pathlib import Path

from keras_imp.callbacks import Backup
from keras_imp.evaluation import run_folder
from keras_imp.evaluation.own_data.inference import RowsOfTasks
from keras_imp.evaluation.own_data.recipe import DataRecipe
from keras_imp.evaluation.own_data.rows import Limits
from keras_imp.evaluation.own_data.run import OwnDataRun, understand

LIMITS = Limits(max_bad=0.5, scanned=4)


class Killed(Backup):
    """As if the machine lost its power before some step."""

    kill_at = -1

    def on_train_batch_begin(self, batch, logs=None):
        if int(self.model.step_counter) == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        super().on_train_batch_begin(batch, logs)


def main(recipe: Path, folder: Path, kill_at: int) -> None:
    Killed.kill_at = kill_at
    run_folder.Backup = Killed
    folder.mkdir(exist_ok=True)
    recipe, manifests = understand(DataRecipe.read(recipe), RowsOfTasks())
    run = OwnDataRun(folder, recipe, manifests, LIMITS, backup_steps=2)
    run.fit()
    run.save()


if __name__ == "__main__":
    path, folder, *step = sys.argv[1:]
    main(Path(path), Path(folder), int(step[0]) if step else -1)
