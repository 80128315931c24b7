"""`keras-imp embed`, `search` and `app`: an index, and what is found in it."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from keras_imp._errors import message
from keras_imp._files import write_text
from keras_imp.cli import run_options
from keras_imp.cli.run_options import Backend, UsageError

if TYPE_CHECKING:
    from keras_imp.search import Index, SearchModel

# Which run made an index: it is asked again for the queries.
RUN = "run.json"
BAD = "bad_files.jsonl"
ENDINGS = {
    "image": (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp"),
    "audio": (".wav", ".flac", ".ogg", ".mp3", ".opus", ".m4a", ".aac"),
    "video": (".mp4", ".mkv", ".webm", ".mov", ".avi"),
}
OfBackend = Annotated[
    Backend | None,
    typer.Option(help="Keras backend. Default: KERAS_BACKEND, or the first."),
]
OfRun = Annotated[
    str | None,
    typer.Option(
        "--run",
        help="The run or the preset that made the index. Default: the one it "
        "remembers.",
    ),
]


def embed(
    data: Annotated[
        Path, typer.Argument(help="A table, a folder or an archive.")
    ],
    run: Annotated[
        str,
        typer.Option(
            help="Folder of a run of `keras-imp train`, or a preset that has "
            "tasks, such as imp_tiny_playground."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder of the index: a new one.")],
    task: Annotated[
        str | None,
        typer.Option(help="The contrastive task. Default: the only one."),
    ] = None,
    modality: Annotated[
        str | None,
        typer.Option(help="What to embed. Default: the only one that fits."),
    ] = None,
    graph: Annotated[
        bool,
        typer.Option(
            "--graph", help="Add a graph, for millions of items (extra `ann`)."
        ),
    ] = False,
    backend: OfBackend = None,
) -> None:
    """Make an index of a data set by a trained model."""
    with _errors():
        _begin(backend)
        from keras_imp.data import read
        from keras_imp.search import SearchModel
        from keras_imp.search import embed as run_embed

        manifest = read(data)
        console = Console()
        console.print(manifest.summary())
        model = SearchModel.load(run, task)
        with Progress(console=console) as progress:
            bar = progress.add_task("Embedding", total=len(manifest))
            made = run_embed(
                manifest,
                model,
                out,
                modality,
                graph,
                lambda done: progress.update(bar, completed=done),
            )
        # A folder is found from anywhere; another one is a preset's name.
        files = ("model.keras", "config.json")
        is_folder = any((Path(run) / file).is_file() for file in files)
        place = str(Path(run).resolve()) if is_folder else run
        about = {"run": place, "task": model.task}
        write_text(out / RUN, json.dumps(about, indent=2) + "\n")
        index = made.index
        typer.echo(
            f"{out}: {len(index)} items ({index.modality}), "
            f"{index.vectors.shape[1]} numbers each."
        )
        if made.bad:
            lines = [json.dumps(x, ensure_ascii=False) for x in made.bad]
            write_text(out / BAD, "\n".join(lines) + "\n")
            typer.echo(f"{len(made.bad)} files are bad: {out / BAD}")


def search(
    index: Annotated[Path, typer.Argument(help="Folder of an index.")],
    query: Annotated[str, typer.Argument(help="Words, or the path of a file.")],
    k: Annotated[
        int, typer.Option("-k", min=1, max=1000, help="How many to find.")
    ] = 12,
    out: Annotated[
        Path | None,
        typer.Option(help="PNG of the images that are found."),
    ] = None,
    approximate: Annotated[
        bool,
        typer.Option("--approximate", help="Follow the graph of the index."),
    ] = False,
    run: OfRun = None,
    backend: OfBackend = None,
) -> None:
    """Find items by words, or by a file."""
    with _errors():
        _begin(backend)
        model, opened = _opened(index, run)
        vector = _vector(model, opened, query)
        (hits,) = opened.search(vector, k, exactly=not approximate)
        from keras_imp.search.gallery import name_of, plot_hits

        table = Table(title=Text(query))
        for column in ("rank", "similarity", "item", "file"):
            table.add_column(column, overflow="fold")
        for rank, hit in enumerate(hits, 1):
            table.add_row(
                str(rank),
                f"{hit.similarity:.3f}",
                Text(name_of(hit)),
                Text(hit.item["name"]),
            )
        Console().print(table)
        if out is not None:
            if opened.modality != "image":
                raise UsageError(
                    message(
                        "Only images can be drawn.",
                        "Leave --out away.",
                        modality=opened.modality,
                    )
                )
            plot_hits(query, hits, out)
            typer.echo(f"Drawn: {out}")


def app(
    index: Annotated[Path, typer.Argument(help="Folder of an index.")],
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8000,
    run: OfRun = None,
    backend: OfBackend = None,
) -> None:
    """Search an index on a page, at this machine only."""
    with _errors():
        _begin(backend)
        from keras_imp._optional import require
        from keras_imp.search.app import HOST, make_app

        uvicorn = require("uvicorn", extra="app")
        model, opened = _opened(index, run)
        page = make_app(model, opened)
        typer.echo(f"http://{HOST}:{port}  (Ctrl-C ends it)")
        uvicorn.run(page, host=HOST, port=port, log_level="warning")


@contextlib.contextmanager
def _errors() -> Iterator[None]:
    """What a person can do something about ends a command with a sentence."""
    from keras_imp.data.decoding.errors import BadFile
    from keras_imp.data.reading.errors import ReadError
    from keras_imp.search.errors import SearchError

    try:
        yield
    except (UsageError, ReadError, BadFile, SearchError) as error:
        run_options.fail(str(error), code=2)
    except ImportError as error:
        run_options.fail(str(error), code=1)


def _begin(backend: str | None) -> None:
    """Choose the backend, and load it: Keras is imported from here on."""
    name = backend or run_options.default_backend()
    if backend is None:
        run_options.check_backend(name)
    run_options.check_installed(name)
    run_options.load_backend(name)


def _opened(folder: Path, run: str | None) -> tuple["SearchModel", "Index"]:
    """An index, and the model that made it."""
    from keras_imp.search import Index, SearchModel

    index = Index.open(folder)
    if run is None:
        try:
            run = str(json.loads((folder / RUN).read_text("utf-8"))["run"])
        except (OSError, ValueError, KeyError) as error:
            raise UsageError(
                message(
                    "The index does not say which run made it.",
                    "Name its folder, or the preset: --run RUN.",
                    index=str(folder),
                )
            ) from error
    model = SearchModel.load(run, index.task)
    index.check_model(model.model_id)
    return model, index


def _vector(model: "SearchModel", index: "Index", query: str) -> Any:
    path = Path(query)
    try:
        is_file = path.is_file()
    except OSError:  # Longer than a path may be.
        is_file = False
    if not is_file:
        return model.text(query, of=index.modality)
    ending = path.suffix.lower()
    kinds = [kind for kind, ends in ENDINGS.items() if ending in ends]
    return model.file(
        kinds[0] if kinds else index.modality, path, of=index.modality
    )
