"""What a run writes into a terminal of 80 columns, and into a file."""

import fcntl
import io
import logging
import os
import pathlib
import pty
import re
import struct
import subprocess
import sys
import termios
import types

import keras
import pytest

from keras_imp.training.monitoring import progress
from tests.helpers import models

ROOT = pathlib.Path(__file__).parents[3]
STEPS, EPOCHS = 20, 3
# Of an epoch: one for the whole, three for captions, one for each other task.
LINES = 6


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    encoding = "utf-8"

    def isatty(self):
        return True


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    system = types.SimpleNamespace(stdout=stream, modules={})
    monkeypatch.setattr(progress, "sys", system)
    monkeypatch.setattr(progress, "INTERVAL", 0.0)  # Every step is drawn.
    return stream


def screen(output):
    """Lines as a terminal shows them; each drawing must fit into 80 columns."""
    lines = []
    for line in output.replace("\r\n", "\n").split("\n"):
        cells = ""
        for drawn in line.split("\r"):
            assert len(drawn) < 80, drawn
            cells = drawn + cells[len(drawn) :]
        lines.append(cells.rstrip())
    return lines


def make_model(**options):
    options.setdefault("run_eagerly", keras.config.backend() == "tensorflow")
    return models.make_model(**options)


def fit(model=None, **options):
    """Three tasks for three epochs."""
    model = model or make_model()
    options.setdefault("validation_data", models.all_once())
    history = model.fit(
        models.in_turn(), steps_per_epoch=STEPS, epochs=EPOCHS, **options
    )
    return model, history


# In a terminal --------------------------------------------------------------


def test_a_terminal_shows_a_short_table_for_each_epoch(terminal):
    _, history = fit()
    lines = screen(terminal.getvalue())
    assert len(lines) == EPOCHS * LINES + 1
    for epoch in range(EPOCHS):
        table = lines[LINES * epoch : LINES * (epoch + 1)]
        loss = history.history["loss"][epoch]
        assert table[0].startswith(f"Epoch {epoch + 1}/{EPOCHS}  20/20  ")
        assert f"loss {loss:.4f}" in table[0]
        assert [line.split()[0] for line in table[1:]] == [
            "objects",
            "captions",
            "val_loss",
            "val_text_to_image_top_1",
            "sounds",
        ]
    written = terminal.getvalue()
    assert set(written) >= {"\r", "━", "─"}
    assert not set(written) & {"\b", "\x1b"}


def test_the_line_shows_the_losses_so_far(terminal):
    fit()
    first, *_ = terminal.getvalue().split("\n")
    drawn = first.split("\r")
    # Each step, each batch of the validation, and the end.
    assert len(drawn) == 1 + STEPS + 9 + 1
    assert drawn[1].startswith("Epoch 1/3   1/20 ────────────  ")
    assert "objects " in drawn[STEPS]
    assert "captions " in drawn[STEPS]
    assert any("  validation, batch " in line for line in drawn)


@pytest.mark.parametrize("columns", [30, 50, 132])
def test_it_fits_other_terminals(terminal, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    fit()
    for line in terminal.getvalue().split("\n"):
        assert max(map(len, line.split("\r"))) < columns


def test_evaluate_and_predict_show_the_same(terminal):
    model = make_model()
    model.evaluate(models.all_once())
    lines = screen(terminal.getvalue())
    assert lines[0].startswith("9/9  ")
    assert [line.split()[0] for line in lines[1:-1]] == [
        "objects",
        "captions",
        "sounds",
    ]
    x, _ = models.make_data()["objects"][0]
    model.predict(x, task="objects", batch_size=4)
    lines = screen(terminal.getvalue())
    assert lines[-2].startswith("2/2  ")


def test_an_error_leaves_the_line(terminal):
    class Stop(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 3:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(callbacks=[Stop()])
    assert terminal.getvalue().endswith("\n")


def test_a_terminal_without_unicode_gets_ascii(terminal):
    terminal.encoding = "ascii"
    fit()
    assert terminal.getvalue().isascii()


# Elsewhere ------------------------------------------------------------------


def assert_one_line_an_epoch(output):
    lines = output.splitlines()
    assert len(lines) == EPOCHS
    for epoch, line in enumerate(lines):
        assert line.startswith(f"Epoch {epoch + 1}/{EPOCHS} - 20/20 - ")
        for name in ("objects", "captions", "sounds"):
            task = line.split(f" - {name}: loss ")[1].split(" - ")[0]
            float(task.split(",")[0])
            assert ", val_loss " in task
    assert not set(output) & {"\r", "\b", "\x1b", "\0"}


def test_without_a_terminal_each_epoch_is_one_line(capsys):
    fit()
    assert_one_line_an_epoch(capsys.readouterr().out)


def test_verbose_2_is_one_line_an_epoch_in_a_terminal_too(terminal):
    fit(verbose=2)
    assert_one_line_an_epoch(terminal.getvalue())


@pytest.mark.parametrize("name", ["TERM", "PYCHARM_HOSTED"])
def test_where_a_line_can_be_drawn_again(terminal, monkeypatch, name):
    monkeypatch.setenv(name, "dumb")
    if name == "PYCHARM_HOSTED":
        monkeypatch.setattr(terminal, "isatty", lambda: False)
    fit()
    assert ("\r" in terminal.getvalue()) == (name == "PYCHARM_HOSTED")


def test_verbose_0_shows_nothing(capsys):
    model, _ = fit(verbose=0)
    model.evaluate(models.all_once(), verbose=0)
    model.predict(
        models.make_data()["objects"][0][0], task="objects", verbose=0
    )
    assert capsys.readouterr() == ("", "")


def test_without_interactive_logging_the_log_has_the_lines(capsys, caplog):
    keras.config.disable_interactive_logging()
    try:
        with caplog.at_level(logging.INFO, logger="keras_imp"):
            fit()
    finally:
        keras.config.enable_interactive_logging()
    assert capsys.readouterr().out == ""
    messages = [record.getMessage() for record in caplog.records]
    assert_one_line_an_epoch("".join(f"{line}\n" for line in messages))


def test_the_bar_of_keras_is_used_if_it_is_asked_for(capsys):
    fit(callbacks=[keras.callbacks.ProgbarLogger()], verbose=2)
    shown = capsys.readouterr().out
    assert f"{STEPS}/{STEPS} - " in shown
    assert "objects/loss: " in shown


def test_an_epoch_that_ends_early_says_how_far_it_came(capsys):
    class Stop(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.stop_training = batch == 6

    fit(callbacks=[Stop()])
    assert capsys.readouterr().out.startswith("Epoch 1/3 - 7/20 - ")


def test_a_bar_counts_steps_that_come_out_of_order(terminal):
    bar = progress.TaskProgress()
    bar.set_params({"verbose": 1, "epochs": 1, "steps": 4})
    bar.on_epoch_begin(0)
    for batch in (1, 0, 2):
        bar.on_train_batch_end(batch, {"loss": 1.0})
    bar.on_epoch_end(0, {"loss": 1.0})
    drawn = terminal.getvalue().strip("\r\n").split("\r")
    assert [line[:3] for line in drawn] == ["2/4", "2/4", "3/4", "3/4"]


# A process of its own -------------------------------------------------------


@pytest.fixture(scope="module")
def process(tmp_path_factory):
    """What a process writes into a terminal, a file and to standard error."""
    file = tmp_path_factory.mktemp("progress") / "log.txt"
    main, terminal = pty.openpty()
    size = struct.pack("HHHH", 24, 80, 0, 0)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, size)
    environment = {
        **os.environ,
        "KERAS_BACKEND": keras.config.backend(),
        "TERM": "xterm",
        "PYTHONWARNINGS": "default",
    }
    environment.pop("COLUMNS", None)
    with subprocess.Popen(
        [sys.executable, "-m", __name__, str(file)],
        cwd=ROOT,
        env=environment,
        stdin=terminal,
        stdout=terminal,
        stderr=subprocess.PIPE,
    ) as running:
        os.close(terminal)
        output = b""
        while part := _read(main):
            output += part
        errors = running.stderr.read().decode()
    os.close(main)
    assert running.returncode == 0, errors
    return output.decode(), file.read_text("utf-8"), errors


def _read(main):
    try:
        return os.read(main, 65536)
    except OSError:  # The other side was closed.
        return b""


def test_a_real_terminal_of_80_columns_shows_six_lines_an_epoch(process):
    output, _, _ = process
    assert len(screen(output)) == EPOCHS * LINES + 1
    assert "\b" not in output
    assert "\x1b" not in output


def test_a_file_gets_one_line_an_epoch(process):
    _, logged, _ = process
    assert_one_line_an_epoch(logged)
    assert len(logged) < 500 * EPOCHS


def test_nothing_is_warned_of(process):
    """Neither by Python nor by TensorFlow, which counts traces."""
    _, _, errors = process
    # What TensorFlow writes while it is imported, whatever its settings, and
    # where it has CUDA's libraries but no driver.
    start = re.compile(
        r"WARNING: All log messages before absl::|I0000 "
        r"|(E0000 .*|\S+ \S+: E .*)\bcuda_\w+\.cc:\d+\] "
    )
    lines = errors.splitlines()
    # What Keras' own conversion of torch tensors warns of: two lines each.
    keras_lines = {
        number + offset
        for number, line in enumerate(lines)
        if "keras/src/backend/torch/core.py" in line
        for offset in (0, 1)
    }
    assert [
        line
        for number, line in enumerate(lines)
        if number not in keras_lines and not start.match(line)
    ] == []


def main():
    """Train in the terminal, then with the output in a file."""
    model = models.make_model(jit_compile=models.default_jit())
    fit(model)
    data = models.make_data()
    for name, task in model.tasks.items():
        x = data[name][0][0]
        for count in (2, 3, 4):
            part = {
                modality: x[modality][:count] for modality in task.modalities
            }
            model.predict(part, task=name, verbose=0)
    with pathlib.Path(sys.argv[1]).open("w", encoding="utf-8") as file:
        sys.stdout = file
        fit(model)
        sys.stdout = sys.__stdout__


if __name__ == "__main__":
    main()
