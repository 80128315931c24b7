"""The command as a user types it, with a few steps and some of the data."""

import base64
import dataclasses
import functools
import io
import json
import os
import pathlib
import shlex
import signal
import subprocess
import sys
from typing import Any, NamedTuple

import keras
import numpy as np
import pytest
from PIL import Image
from rich.console import Console
from typer.testing import CliRunner

import keras_imp
from keras_imp.cli.commands import app
from keras_imp.cli.native_notes import without_notes
from keras_imp.cli.run_options import (
    RunOptions,
    of_new_run,
    of_resumed_run,
)
from keras_imp.data import Tokenizer, playground
from keras_imp.evaluation import run_folder, run_report
from keras_imp.evaluation.playground import measures, splits
from keras_imp.evaluation.playground import run as playground_run
from keras_imp.evaluation.playground import tasks as playground_tasks
from keras_imp.evaluation.playground.plots import PLOTS
from keras_imp.models import PRESETS
from tests.helpers.pages import Page

BACKEND = keras.config.backend()
OTHER_BACKEND = "torch" if BACKEND == "jax" else "jax"
STEPS = 2
ROWS = 24
ENCODER = "imp_moe_tiny"
# Half of its layers are dense, so both kinds are met.
SMALLER = {
    "hidden_dim": 32,
    "intermediate_dim": 64,
    "num_layers": 2,
    "num_heads": 2,
    "num_moe_layers": 1,
}


def invoke(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments])


def smaller(preset):
    return {**preset, "config": {**preset["config"], **SMALLER}}


def eagerly(build):
    """Quicker than to trace graphs of a few steps, on TensorFlow."""

    def build_model(*args, **options):
        model = build(*args, **options)
        model.run_eagerly = BACKEND == "tensorflow"
        return model

    return build_model


load_all = functools.cache(playground.load)


def load_some(split, fold=None):
    """As many pictures with a class, pictures with words, and sounds."""
    whole = load_all(split, fold)
    emoji = dataclasses.replace(some(whole.emoji), styles={})
    return playground.PlaygroundSplit(
        some(whole.fashion), emoji, some(whole.sounds)
    )


def some(part):
    """A few rows of a part of the playground, spread over it."""
    names = [column.name for column in dataclasses.fields(part)]
    columns = {name: getattr(part, name) for name in names}
    rows = np.linspace(0, len(columns[names[0]]) - 1, ROWS).astype(int)
    return type(part)(**{k: pick(v, rows) for k, v in columns.items()})


def pick(column, rows):
    if isinstance(column, dict):
        return column
    if isinstance(column, np.ndarray):
        return column[rows]
    if isinstance(column, dict):
        return {}  # Styles, which the run does not read.
    return [column[row] for row in rows]


SOME = {
    "load": load_some,
    "load_unseen_style": functools.cache(
        lambda whole=playground.load_unseen_style: some(whole())
    ),
    "load_unseen_sounds": functools.cache(
        lambda whole=playground.load_unseen_sounds: some(whole())
    ),
}


class StoppedInTheMiddle(keras_imp.callbacks.Backup):
    """As if somebody stopped the process when it had taken one step."""

    def on_train_batch_begin(self, batch, logs=None):
        if int(self.model.step_counter) == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        super().on_train_batch_begin(batch, logs)


class Runs(NamedTuple):
    """What a run left that was stopped and resumed.

    Attributes:
        folder: Its folder.
        stopped: Result of the command that was stopped.
        resumed: Result of the one that resumed it.
        seconds: Seconds of training after each.
        before_evaluation: Names of the files when the evaluation began.
    """

    folder: pathlib.Path
    stopped: Any
    resumed: Any
    seconds: list[float]
    before_evaluation: set[str]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    # In rich's markup, this name would lose its brackets.
    folder = tmp_path_factory.mktemp("run") / "play[bold]ground"
    options = ("--encoder", ENCODER, "--steps", STEPS, "--seed", 3)
    seconds, before_evaluation = [], set()
    measure = measures.measure

    def note_files(*args):
        before_evaluation.update(names_in(folder))
        return measure(*args)

    def note_seconds():
        content = json.loads((folder / "time.json").read_text())
        seconds.append(content["training_seconds"])

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PRESETS, ENCODER, smaller(PRESETS[ENCODER]))
        recipe = dataclasses.replace(
            playground_run.RECIPE,
            batch_sizes=dict.fromkeys(playground_run.RECIPE.batch_sizes, 8),
            semitones=(),
        )
        patch.setattr(playground_run, "RECIPE", recipe)
        # Few sizes of a last batch, each of which would be compiled.
        patch.setattr(measures, "BATCH_SIZE", 2)
        patch.setattr(measures, "measure", note_files)
        # Both runs read and render the same data.
        for name in ("load", "load_unseen_style", "load_unseen_sounds"):
            patch.setattr(playground, name, SOME[name])
        splits.source_of.cache_clear()
        load = functools.cache(playground_run.load_split)
        patch.setattr(playground_run, "load_split", load)
        build = eagerly(playground_tasks.build_model)
        patch.setattr(playground_tasks, "build_model", build)
        with pytest.MonkeyPatch.context() as stop:
            stop.setattr(run_folder, "Backup", StoppedInTheMiddle)
            stopped = invoke(
                "train", *options, "--backend", BACKEND, "--out", folder
            )
        assert stopped.exit_code == 143, stopped.output
        note_seconds()
        # The run knows its backend, and to say it again is no contradiction.
        patch.setenv("KERAS_BACKEND", OTHER_BACKEND)
        resumed = invoke("train", "--resume", folder, "--steps", STEPS)
        assert resumed.exit_code == 0, resumed.output
        note_seconds()
    splits.source_of.cache_clear()
    return Runs(folder, stopped, resumed, seconds, before_evaluation)


@pytest.fixture(scope="module")
def folder(runs):
    return runs.folder


def names_in(folder):
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file()
    }


# A run ----------------------------------------------------------------------


def test_a_run_that_is_stopped_says_how_to_continue_it(runs):
    command = f"keras-imp train --resume '{runs.folder}'"
    # As a shell reads it.
    assert shlex.split(command)[-1] == str(runs.folder)
    line = f"Stopped by SIGTERM after step 1. To continue: {command}\n"
    assert line in runs.stopped.stderr


def test_the_seconds_of_all_processes_are_counted(runs):
    first, second = runs.seconds
    assert 0 < first < second
    results = json.loads((runs.folder / "results.json").read_text())
    assert results["seconds"] == second
    assert (
        f"Trained for {second:.0f} s. In {runs.folder}:" in runs.resumed.output
    )


def test_the_model_is_saved_before_it_is_evaluated(runs):
    assert runs.before_evaluation >= {
        "model.keras",
        "encoder/config.json",
        "encoder/preprocessor.json",
        "encoder/tokenizer.json",
    }
    assert "results.json" not in runs.before_evaluation


def test_no_line_is_wrapped_but_that_of_an_epoch(runs):
    lines = runs.resumed.stdout.splitlines()
    epochs = [line for line in lines if line.startswith("Epoch ")]
    assert len(epochs) == STEPS - 1
    long = [line for line in lines if len(line) > 80]
    assert set(long) <= {*epochs, *(x for x in long if str(runs.folder) in x)}
    assert "nan" not in runs.resumed.output.lower()


def test_each_epoch_has_one_row_though_the_run_was_stopped(folder):
    rows = (folder / "history.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["epoch", "0", "1"]


def test_the_run_folder_has_everything(folder):
    names = {path.name for path in folder.iterdir()}
    assert names >= {
        "config.json",
        "encoder",
        "history.csv",
        "learning_curves.png",
        "logs",
        "model.keras",
        "objects_confusion.png",
        "report.html",
        "results.json",
        "retrieval.png",
        "routing_heatmap.png",
        "routing_overlay.png",
        "sounds_confusion.png",
        "time.json",
        "tokenizer.json",
    }
    assert (folder / "logs" / "routing").is_dir()
    assert json.loads((folder / "config.json").read_text()) == {
        "steps": STEPS,
        "seed": 3,
        "backend": BACKEND,
        "encoder": ENCODER,
        "tensorboard": False,
    }


def test_every_task_has_results_beside_its_baseline(folder):
    rows = json.loads((folder / "results.json").read_text())["rows"]
    assert {row["task"] for row in rows} == {
        "objects",
        "captions/texts",
        "sounds/families",
        "sounds/texts",
        "clips",
    }
    assert all(0 <= row["keras_imp"] <= 1 for row in rows)
    assert all(0 < row["chance"] <= 1 for row in rows)


@pytest.mark.parametrize(
    "name",
    [
        "learning_curves.png",
        "objects_confusion.png",
        "retrieval.png",
        "routing_heatmap.png",
        "routing_overlay.png",
        "sounds_confusion.png",
    ],
)
def test_pictures_can_be_opened(folder, name):
    with Image.open(folder / name) as picture:
        assert min(picture.size) > 300


@pytest.fixture(scope="module")
def page(folder):
    return Page((folder / "report.html").read_text("utf-8"))


def test_the_page_has_everything_and_needs_no_network(page, folder):
    assert page.headings == [
        "Settings",
        "Results",
        "Learning",
        "Retrieval",
        "Classes",
        "Experts",
    ]
    shown = [base64.b64decode(x["src"].split(",")[1]) for x in page.images]
    assert shown == [(folder / name).read_bytes() for name in PLOTS]
    outside = [
        address
        for address in page.addresses
        if not address.startswith(("#", "data:image/png;base64,"))
    ]
    assert outside == []
    assert "script" not in page.tags


def test_the_page_has_the_results_of_the_run(page, folder):
    results = json.loads((folder / "results.json").read_text())
    scores = [row[:5] for row in page.rows if len(row) == 6][1:]
    assert scores == [
        [
            row["task"],
            row["what"],
            f"{row['chance']:.3f}",
            "–" if row["linear"] is None else f"{row['linear']:.3f}",
            f"{row['keras_imp']:.3f}",
        ]
        for row in results["rows"]
    ]
    settings = dict(row for row in page.rows if len(row) == 2)
    assert settings["encoder"] == ENCODER
    assert settings["training steps"] == str(STEPS)
    assert settings["seed"] == "3"
    assert settings["seconds of training"] == str(results["seconds"])
    assert settings["backend"].startswith(f"{BACKEND} ")
    assert f"keras-imp {keras_imp.__version__}" in settings["versions"]
    model = keras.models.load_model(folder / "model.keras")
    assert settings["parameters"].startswith(f"{model.count_params():,}, ")


def test_the_summary_names_what_was_written(runs):
    for name in (*PLOTS, "report.html", "results.json"):
        assert f"  {name:24}" in runs.resumed.output


def test_model_and_encoder_can_be_loaded(folder):
    model = keras.models.load_model(folder / "model.keras")
    encoder = keras_imp.IMPEncoder.from_preset(str(folder / "encoder"))
    assert encoder.count_params() == model.encoder.count_params()
    assert int(model.step_counter) == STEPS


def test_the_tokenizer_is_with_the_encoder(folder):
    texts = ["a red heart", "moving left"]
    beside = Tokenizer.load(folder / "encoder" / "tokenizer.json")
    assert beside.length == playground_run.RECIPE.text_length
    of_run = Tokenizer.load(folder / "tokenizer.json")
    np.testing.assert_array_equal(beside(texts), of_run(texts))


def test_waveforms_are_served_as_spectrograms_were_trained_on(folder):
    encoder = keras_imp.IMPEncoder.from_preset(str(folder / "encoder"))
    preprocessor = keras_imp.IMPPreprocessor.from_preset(folder / "encoder")
    waveforms = playground.load("test").sounds.waveforms[:4]
    x = preprocessor({"audio": list(waveforms)})
    served, trained = (
        encoder.predict({"audio": audio}, verbose=0)["audio"]["pooled_output"]
        for audio in (x["audio"], splits.log_mel(waveforms))
    )
    np.testing.assert_allclose(served, trained, rtol=1e-3, atol=1e-4)


# What is refused ------------------------------------------------------------


def refused(code, *arguments):
    """The one paragraph that a command writes in place of a run."""
    result = invoke(*arguments)
    assert result.exit_code == code, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    # The frames of typer's own messages left out.
    return " ".join(result.stderr.replace("│", " ").split())


@pytest.mark.parametrize(
    ("option", "text"),
    [
        (
            ("--encoder", "imp_tiniest"),
            f"`encoder` must be one of {', '.join(PRESETS)}. Received: "
            "encoder='imp_tiniest'.",
        ),
        (("--seed", "4294967296"), "'--seed'"),
        (("--steps", "0"), "'--steps'"),
        (("--backend", "numpy"), "'--backend'"),
    ],
)
def test_a_run_with_bad_options_makes_no_folder(tmp_path, option, text):
    assert text in refused(2, "train", *option, "--out", tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_a_run_has_as_many_steps_as_it_says(tmp_path):
    """Its epochs are equally long. A run of before may have other steps."""
    given = {"steps": 23, "backend": BACKEND}
    options = of_new_run(given)
    assert options.steps == 24
    for saved in (options, dataclasses.replace(options, steps=23)):
        saved.save(tmp_path)
        assert of_resumed_run(tmp_path, given) == saved


def test_an_unknown_backend_of_the_environment_is_refused(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "numpy")
    assert "Received: backend='numpy'." in refused(2, "train")


def test_a_folder_in_use_is_refused(folder):
    assert refused(2, "train", "--out", folder) == (
        "The folder of a new run must be empty. Received: "
        f"out={str(folder)!r}. Choose another --out, or continue it: "
        f"--resume {folder}."
    )


def test_a_file_in_place_of_a_folder_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").write_text("")
    assert "'--out'" in refused(2, "train", "--out", "runs")
    assert "'--resume'" in refused(2, "train", "--resume", "runs")
    text = "The folder of a new run must be one that can be made."
    assert text in refused(2, "train")
    assert text in refused(2, "train", "--out", "runs/x")


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("steps", 500),
        ("seed", 4),
        ("encoder", "imp_tiny"),
        ("backend", OTHER_BACKEND),
    ],
)
def test_a_run_is_not_resumed_with_other_options(folder, option, value):
    before = json.loads((folder / "config.json").read_text())
    assert refused(2, "train", "--resume", folder, f"--{option}", value) == (
        f"A run keeps the --{option} that it was started with. Received: "
        f"{option}={value!r}, started_with={before[option]!r}. Leave "
        f"--{option} out, or start a new run without --resume."
    )


def test_a_run_is_not_resumed_into_another_folder(folder, tmp_path):
    text = refused(2, "train", "--resume", folder, "--out", tmp_path / "[/x]")
    assert f"--out {tmp_path}/[/x]. Leave --out out." in text
    assert not (tmp_path / "[/x]").exists()


@pytest.mark.parametrize(
    "content",
    [
        None,
        "{",
        "[]",
        {"steps": "4"},
        {"seed": -1},
        {"backend": "numpy"},
        {"encoder": "imp_tiniest"},
        {"rate": 1.0},
    ],
    ids=str,
)
def test_a_folder_without_a_run_is_not_resumed(tmp_path, content):
    if isinstance(content, dict):
        good = {"steps": 4, "seed": 0, "backend": "jax", "encoder": "imp_tiny"}
        content = json.dumps({**good, **content})
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    text = refused(2, "train", "--resume", tmp_path)
    assert text.startswith(
        "The folder must hold a run that was started before, with its "
        f"config.json. Received: resume={str(tmp_path)!r}, error="
    )


@pytest.mark.parametrize("module", ["matplotlib", "tokenizers", BACKEND])
def test_missing_packages_are_told_before_training(
    tmp_path, monkeypatch, module
):
    monkeypatch.setitem(sys.modules, module, None)
    extra = BACKEND if module == BACKEND else "data"
    command = ("train", "--backend", BACKEND, "--out", tmp_path / "x")
    assert refused(1, *command) == (
        "A run needs packages that are not installed. Received: "
        f"missing=[{module!r}]. Install them with: "
        f"pip install 'keras-imp[{extra}]'"
    )
    assert not (tmp_path / "x").exists()


def started(folder):
    """A folder with no more than the options of a run."""
    RunOptions(STEPS, 0, BACKEND, "imp_tiny").save(folder)
    return folder


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "tokenizer.json",
            "The tokenizer of a run must be the one that it wrote.",
        ),
        ("time.json", "The file must have the seconds of training so far."),
    ],
)
def test_a_damaged_file_of_a_run_is_told(tmp_path, name, text):
    path = started(tmp_path) / name
    path.write_text("{")
    shown = refused(1, "train", "--resume", tmp_path)
    assert f"{text} Received: file={str(path)!r}, error=" in shown


def test_ctrl_c_outside_of_training_says_how_to_continue(tmp_path, monkeypatch):
    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(playground_run, "train_tokenizer", interrupt)
    assert refused(130, "train", "--resume", started(tmp_path)) == (
        f"Stopped by SIGINT. To continue: keras-imp train --resume {tmp_path}"
    )


# Other commands -------------------------------------------------------------


def test_the_version_needs_no_backend():
    code = (
        "import sys; from keras_imp.cli import main\n"
        "try: main()\n"
        "finally: sys.stdout.write(str('keras' in sys.modules))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, "--version"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout == f"keras-imp {keras_imp.__version__}\nFalse"


def test_shells_can_complete(monkeypatch):
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")
    result = invoke("--show-completion", "bash")
    assert result.exit_code == 0
    assert "complete -o default -F" in result.output
    words = {"COMP_WORDS": "keras-imp train --encoder imp_moe_s"}
    result = CliRunner().invoke(
        app,
        env={
            **words,
            "COMP_CWORD": "3",
            "_KERAS_IMP_COMPLETE": "complete_bash",
        },
        prog_name="keras-imp",
    )
    assert result.output.split() == ["imp_moe_small"]


def test_notes_of_tensorflow_are_left_out_and_nothing_else(capfd):
    text = """\
WARNING: All log messages before absl::InitializeLog() is called are written
I0000 00:00:1.5 port.cc:153] oneDNN custom operations are on.
E0000 00:00:1.5 cuda_platform.cc:52] failed call to cuInit: CUDA error
2026-01-01 10:00:00.1: I tensorflow/cpu_feature_guard.cc:227] This is
To enable the following instructions: AVX2 FMA, rebuild TensorFlow.
E0000 00:00:1.5 gpu_device.cc:1] out of memory
Fatal: no such instruction
"""
    with without_notes():
        os.write(2, text.encode())
    os.write(2, b"later\n")
    assert capfd.readouterr().err.splitlines() == [
        *text.splitlines()[-2:],
        "later",
    ]


def test_a_name_with_brackets_is_shown_whole():
    line = {
        "task": "[red]clips",
        "what": "top-1 [of 5]",
        "chance": 0.2,
        "linear": None,
        "keras": None,
        "keras_imp": 0.1,
    }
    console = Console(record=True, width=80, file=io.StringIO())
    console.print(run_report.table([line], ""))
    shown = console.export_text()
    assert "[red]clips" in shown
    assert "top-1 [of 5]" in shown
