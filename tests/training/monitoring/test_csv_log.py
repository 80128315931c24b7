import pytest

from keras_imp.callbacks import ResumableCSVLogger

pytestmark = pytest.mark.one_backend


def write(path, epochs, **more):
    """Log these epochs as one process does."""
    log = ResumableCSVLogger(path)
    log.on_train_begin()
    for epoch in epochs:
        log.on_epoch_begin(epoch)
        log.on_epoch_end(epoch, {"loss": 1.0 / (epoch + 1), **more})


def epochs(path):
    return [line.split(",")[0] for line in path.read_text().splitlines()[1:]]


def test_one_row_for_each_epoch_with_all_digits(tmp_path):
    path = tmp_path / "history.csv"
    write(path, range(3))
    assert path.read_text().split() == [
        "epoch,loss",
        "0,1.0",
        "1,0.5",
        "2,0.3333333333333333",
    ]


@pytest.mark.parametrize("first", [0, 1, 2, 3])
def test_a_resumed_run_has_each_epoch_once(tmp_path, first):
    path, whole = tmp_path / "history.csv", tmp_path / "whole.csv"
    write(path, range(3))
    # Killed after the row of epoch 2, resumed from an earlier backup.
    write(path, range(first, 5))
    write(whole, range(5))
    assert path.read_text() == whole.read_text()


def test_a_new_run_starts_a_new_table(tmp_path):
    path = tmp_path / "history.csv"
    write(path, range(3))
    write(path, range(1))
    assert epochs(path) == ["0"]


def test_a_figure_that_some_epochs_lack_is_an_empty_cell(tmp_path):
    path = tmp_path / "history.csv"
    write(path, [0])
    write(path, [1], val_loss=2.0)
    assert path.read_text().split() == [
        "epoch,loss,val_loss",
        "0,1.0,",
        "1,0.5,2.0",
    ]


def test_a_run_with_nothing_left_to_train_leaves_the_file_alone(tmp_path):
    path = tmp_path / "history.csv"
    write(path, range(3))
    write(path, [])
    assert epochs(path) == ["0", "1", "2"]
