"""`keras-imp train` on own data: `--data`, `--recipe`, and their resume."""

import dataclasses
import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

import keras_imp
from keras_imp._files import write_text
from keras_imp._run_length import whole_epochs
from keras_imp.cli import data_options, run_options
from keras_imp.cli.data_options import RECIPE, DataOptions
from keras_imp.cli.run_options import UsageError

if TYPE_CHECKING:
    from keras_imp.data.manifest import Manifest
    from keras_imp.evaluation.own_data.recipe import DataRecipe

# What a run needs by its end, beside what the playground needs.
PACKAGES = ("soxr", "tomli_w")
# How many sentences on the rows the terminal shows; the page has more.
SHOWN = 20


def start(
    options: DataOptions, given: dict[str, Any], out: Path | None
) -> None:
    """Understand data, show what was understood, and train.

    Args:
        options: What was given about the data.
        given: Backend, steps, seed, encoder and tensorboard, None where not
            given.
        out: Folder of the run; None for a new one.
    """
    try:
        data_options.check(options, given)
        backend = given["backend"] or run_options.default_backend()
        _begin(backend)
        data_options.check_cache(options.cache)
        recipe, manifests = _understood(options, given)
        first = next(iter(recipe.tasks))
        _show(recipe, manifests)
        folder = run_options.new_folder(out, first)
    except UsageError as error:
        run_options.fail(str(error), code=2)
    except ImportError as error:
        run_options.fail(str(error), code=1)
    if options.overfit is not None and not options.dry_run:
        from keras_imp.evaluation.own_data.overfit import steps_for

        recipe = steps_for(recipe, given["steps"])
    recipe.save(folder / RECIPE)
    limits = {
        "max_bad": 0.01 if options.max_bad is None else options.max_bad,
        "strict": options.strict,
        "scanned": options.scan_rows or 2000,
    }
    cache = options.cache and options.cache.absolute()
    watch = bool(given["tensorboard"])
    config = {
        "backend": backend,
        **limits,
        "overfit": options.overfit,
        "cache": cache and str(cache),
        "tensorboard": watch,
    }
    write_text(folder / run_options.FILE, json.dumps(config, indent=2) + "\n")
    typer.echo(f"Folder of the run: {folder}, with its {RECIPE}")
    if options.dry_run:
        words = ["keras-imp", "train", "--recipe", str(folder / RECIPE)]
        command = shlex.join(words + options.again(given))
        typer.echo(f"Nothing was trained. To train: {command}")
        return
    _run(
        folder,
        recipe,
        manifests,
        limits,
        options.overfit,
        cache,
        watch,
    )


def resume(
    folder: Path, options: DataOptions, given: dict[str, Any], out: Path | None
) -> None:
    """Continue a run on own data.

    Args:
        folder: Its folder.
        options: What was given about the data: limits may change.
        given: Backend, steps, seed, encoder and tensorboard, None where not
            given.
        out: Must not be given.
    """
    try:
        config = _read_config(folder)
        data_options.check_resume(folder, options, config, out)
        for name in ("backend", "tensorboard"):
            if given[name] not in (None, config[name]):
                run_options.refuse_other(name, given, config)
        _begin(config["backend"])
        cache = options.cache or (config["cache"] and Path(config["cache"]))
        data_options.check_cache(cache)
        recipe, manifests = _resumed(folder, given)
    except UsageError as error:
        run_options.fail(str(error), code=2)
    except ImportError as error:
        run_options.fail(str(error), code=1)
    limits = {name: config[name] for name in ("max_bad", "strict", "scanned")}
    if options.max_bad is not None:
        limits["max_bad"] = options.max_bad
    limits["strict"] = limits["strict"] or options.strict
    typer.echo(f"Folder of the run: {folder}")
    watch = config["tensorboard"]
    _run(folder, recipe, manifests, limits, None, cache, watch)


def _begin(backend: str) -> None:
    """Choose the backend, and load it: Keras is imported from here on."""
    run_options.check_installed(backend, PACKAGES)
    run_options.load_backend(backend)


def _understood(
    options: DataOptions, given: dict[str, Any]
) -> tuple["DataRecipe", dict[str, "Manifest"]]:
    from keras_imp.data.reading.errors import ReadError
    from keras_imp.evaluation.own_data import inference
    from keras_imp.evaluation.own_data.lacking import check_start
    from keras_imp.evaluation.own_data.recipe import DataRecipe, RecipeError
    from keras_imp.evaluation.own_data.run import understand
    from keras_imp.evaluation.own_data.start import resolve, start_of

    rows_of = inference.RowsOfTasks()
    columns = data_options.named_columns(options.columns)
    chosen = {
        name: given[name]
        for name in ("steps", "seed")
        if given[name] is not None
    }
    try:
        recipe = DataRecipe()
        if options.recipe is not None:
            recipe = DataRecipe.read(options.recipe)
        if given["encoder"] is not None:
            chosen["encoder"] = resolve(given["encoder"], Path())
        elif options.recipe is not None:
            folder = options.recipe.parent
            chosen["encoder"] = resolve(recipe.encoder, folder)
        recipe = inference.add_paths(recipe, options.data, columns, rows_of)
        recipe = dataclasses.replace(recipe, **chosen)
        if options.overfit is None:
            steps = whole_epochs(recipe.steps)
            recipe = dataclasses.replace(recipe, steps=steps)
        start_of(recipe.encoder).check(recipe.sizes)
        recipe, manifests = understand(recipe, rows_of)
        check_start(recipe)
    except (RecipeError, ReadError) as error:
        raise UsageError(str(error)) from error
    return recipe, manifests


def _resumed(
    folder: Path, given: dict[str, Any]
) -> tuple["DataRecipe", dict[str, "Manifest"]]:
    from keras_imp.data.reading.errors import ReadError
    from keras_imp.evaluation.own_data.inference import RowsOfTasks
    from keras_imp.evaluation.own_data.recipe import DataRecipe, RecipeError
    from keras_imp.evaluation.own_data.run import understand
    from keras_imp.evaluation.own_data.start import resolve

    try:
        recipe = DataRecipe.read(folder / RECIPE)
        for name in ("steps", "seed", "encoder"):
            saved, asked = getattr(recipe, name), given[name]
            if name == "encoder" and asked is not None:
                asked = resolve(asked, Path())
            if asked is None or run_options.is_kept(name, asked, saved):
                continue
            run_options.refuse_other(name, given, {name: saved})
        return understand(recipe, RowsOfTasks())
    except (RecipeError, ReadError) as error:
        raise UsageError(str(error)) from error


def _show(recipe: "DataRecipe", manifests: dict[str, "Manifest"]) -> None:
    from keras_imp.evaluation.own_data import show
    from keras_imp.evaluation.own_data.start import start_of

    console = Console()
    shown: list[Any] = []
    for manifest in manifests.values():
        if not any(manifest is each for each in shown):
            console.print(manifest.summary())
            shown.append(manifest)
    console.print(show.recipe_table(recipe, manifests))
    typer.echo(show.sizes_of(recipe))
    if start_of(recipe.encoder).has_weights:
        typer.echo(f"The encoder starts from the weights of {recipe.encoder}.")


def _run(
    folder: Path,
    recipe: "DataRecipe",
    manifests: dict[str, "Manifest"],
    limits: dict[str, Any],
    overfit: int | None,
    cache: Path | None,
    watch: bool,
) -> None:
    from keras_imp.evaluation.own_data.rows import Limits

    typer.echo(
        f"keras-imp {keras_imp.__version__}, {recipe.encoder}, "
        f"{recipe.steps} steps, seed {recipe.seed}. Looking at the files ..."
    )
    with run_options.ends_of_run(folder):
        if overfit is not None:
            _overfit(folder, recipe, manifests, Limits(**limits), overfit)
        else:
            _train(folder, recipe, manifests, Limits(**limits), cache, watch)


def _train(
    folder: Path,
    recipe: Any,
    manifests: Any,
    limits: Any,
    cache: Path | None,
    watch: bool,
) -> None:
    from keras_imp.evaluation.own_data import show
    from keras_imp.evaluation.own_data.run import OwnDataRun

    run = OwnDataRun(
        folder, recipe, manifests, limits, cache=cache, watch=watch
    )
    Console().print(show.rows_table(run.tasks))
    for sentence in run.told[:SHOWN]:
        # Not wrapped: a path in it can be copied.
        typer.echo(sentence)
    if len(run.told) > SHOWN:
        typer.echo(f"... and {len(run.told) - SHOWN} more, in report.html")
    run_options.complete(run, "Rows that are held out")


def _overfit(
    folder: Path, recipe: Any, manifests: Any, limits: Any, examples: int
) -> None:
    from keras_imp.evaluation.own_data.overfit import overfit

    lines = overfit(folder, recipe, manifests, limits, examples)
    result = Table(title="Learned by heart?", title_justify="left")
    for column in ("task", "examples", "loss", "of guessing", "learned"):
        result.add_column(column)
    for line in lines:
        result.add_row(
            Text(line["task"]),
            str(line["examples"]),
            f"{line['loss']:.3f}",
            f"{line['chance']:.3f} = {line['chance_is']}",
            "yes" if line["learned"] else "no",
        )
    Console().print(result)
    for line in lines:
        for cause in line["causes"]:
            typer.echo(f"Task {line['task']!r}: {cause}")
    if not all(line["learned"] for line in lines):
        run_options.fail(
            "Not all tasks learned their examples by heart.", code=1
        )


def _read_config(folder: Path) -> dict[str, Any]:
    try:
        config = json.loads((folder / run_options.FILE).read_text("utf-8"))
        run_options.check_backend(config["backend"])
        return {
            "backend": config["backend"],
            "max_bad": float(config["max_bad"]),
            "strict": bool(config["strict"]),
            "scanned": int(config["scanned"]),
            "overfit": config["overfit"],
            # Runs that were started before there was one have none.
            "cache": config.get("cache"),
            "tensorboard": bool(config.get("tensorboard")),
        }
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise run_options.no_run(folder, error) from error
