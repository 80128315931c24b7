"""A page to search an index: words, or an image, a video or a recording.

It is for the person at this machine: bound to 127.0.0.1, one static page that
loads nothing from elsewhere, and no file but those of the index.
"""

import asyncio
import contextlib
import mimetypes
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from keras_imp._errors import check_integer
from keras_imp._optional import require
from keras_imp.data.decoding.errors import BadFile
from keras_imp.search import previews
from keras_imp.search.index import Hit, Index
from keras_imp.search.search_model import SearchModel

STATIC = Path(__file__).parent / "static"
HOST = "127.0.0.1"
# Searches that may wait for their turn; more are told to come back.
WAITING = 64
MOST_HITS = 100
# Bytes of a file that is dropped on the page.
MOST_BYTES = 64 * 2**20
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob:; "
    "media-src 'self' blob:; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


class Refused(Exception):  # noqa: N818
    """A request that is not answered, and why.

    Attributes:
        status: Code of HTTP.
        text: A sentence for the person.
    """

    def __init__(self, status: int, text: str):
        super().__init__(text)
        self.status, self.text = status, text


def make_app(model: SearchModel, index: Index, waiting: int = WAITING) -> Any:
    """The page, as an ASGI application.

    Args:
        model: Makes the vectors of the queries.
        index: What is searched.
        waiting: Searches that may wait for their turn.

    Returns:
        A Starlette application, for `uvicorn.run(app, host="127.0.0.1")`.

    Raises:
        ValueError: If the index was made by another model.
        ImportError: If Starlette is not installed.

    Example:
        A model and its index, as in `embed`, then

        >>> import keras_imp
        >>> def serve(model, index):
        ...     import uvicorn
        ...     app = keras_imp.search.make_app(model, index)
        ...     uvicorn.run(app, host="127.0.0.1", port=8000)
    """
    require("starlette", extra="app")
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware
    from starlette.responses import JSONResponse
    from starlette.routing import Mount, Route
    from starlette.staticfiles import StaticFiles

    check_integer(1, waiting=waiting)
    index.check_model(model.model_id)
    page = _Page(model, index, waiting)

    async def refuse(request: Any, error: Any) -> Any:
        return JSONResponse(
            {"error": error.text},
            error.status,
            {"Retry-After": "1"} if error.status == 503 else None,
        )

    return Starlette(
        routes=[
            Route("/about", page.about),
            Route("/search", page.words, methods=["GET"]),
            Route("/search", page.file, methods=["POST"]),
            Route("/experts", page.experts, methods=["POST"]),
            Route("/item/{position:int}", page.item),
            Mount("/", StaticFiles(directory=STATIC, html=True)),
        ],
        middleware=[
            # Another site's name that leads here is no way in.
            Middleware(
                TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"]
            ),
            Middleware(_Headers),
        ],
        exception_handlers={Refused: refuse},
    )


class _Headers:
    """Adds the headers above to every answer."""

    def __init__(self, app: Any):
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def send_with(event: Any) -> None:
            if event["type"] == "http.response.start":
                event["headers"] = [
                    *event["headers"],
                    *(
                        (name.lower().encode(), value.encode())
                        for name, value in HEADERS.items()
                    ),
                ]
            await send(event)

        await self._app(scope, receive, send_with)


class _Page:
    """What the routes do."""

    def __init__(self, model: SearchModel, index: Index, waiting: int):
        self._model, self._index = model, index
        self._free = waiting
        self._one_search = asyncio.Lock()

    async def about(self, request: Any) -> Any:
        from starlette.responses import JSONResponse

        of = self._index.modality
        return JSONResponse(
            {
                "items": len(self._index),
                "modality": of,
                "queries": list(dict.fromkeys((self._model.other(of), of))),
                "is_sparse": bool(self._model.model.encoder.num_experts),
            }
        )

    async def words(self, request: Any) -> Any:
        words = request.query_params.get("words", "").strip()
        if not words:
            raise Refused(400, "Type some words.")
        of = self._index.modality
        vector = await self._in_turn(self._model.text, words, of)
        return await self._answer(vector, request)

    async def file(self, request: Any) -> Any:
        modality = request.query_params.get("modality", "")
        of = self._index.modality
        async with self._dropped(request) as path:
            vector = await self._in_turn(self._model.file, modality, path, of)
        return await self._answer(vector, request)

    async def experts(self, request: Any) -> Any:
        from starlette.responses import Response

        if not self._model.model.encoder.num_experts:
            raise Refused(400, "The encoder is dense: it has no experts.")
        async with self._dropped(request) as path:
            png = await self._in_turn(previews.experts, self._model, path)
        return Response(png, media_type="image/png")

    async def item(self, request: Any) -> Any:
        """The file of an item; of an image a small copy."""
        from starlette.concurrency import run_in_threadpool
        from starlette.responses import FileResponse, Response

        position = request.path_params["position"]
        if position >= len(self._index):
            raise Refused(404, "There is no such item.")
        file = self._index.items[position]["file"]
        if file is None or not Path(file).is_file():
            raise Refused(404, "The item has no file of its own here.")
        if self._index.modality != "image":
            kind = mimetypes.guess_type(file)[0]
            return FileResponse(file, media_type=kind)
        try:
            png = await run_in_threadpool(previews.thumbnail, Path(file))
        except BadFile as error:
            raise Refused(404, str(error)) from error
        return Response(png, media_type="image/png")

    async def _answer(self, vector: Any, request: Any) -> Any:
        from starlette.concurrency import run_in_threadpool
        from starlette.responses import JSONResponse

        try:
            k = int(request.query_params.get("k", "24"))
        except ValueError:
            k = 0
        if not 1 <= k <= MOST_HITS:
            raise Refused(400, f"k must be in 1..{MOST_HITS}.")
        # One product takes all cores: several at once only hinder each other.
        async with self._one_search:
            (hits,) = await run_in_threadpool(self._index.search, vector, k)
        return JSONResponse({"hits": [_shown(hit) for hit in hits]})

    async def _in_turn(self, function: Callable, *arguments: Any) -> Any:
        """Call something slow, or refuse where too many are waiting."""
        from starlette.concurrency import run_in_threadpool

        if not self._free:
            raise Refused(503, "Too many searches at once. Try again.")
        self._free -= 1
        try:
            return await run_in_threadpool(function, *arguments)
        except ValueError as error:  # A BadFile is one.
            raise Refused(400, str(error)) from error
        finally:
            self._free += 1

    @contextlib.asynccontextmanager
    async def _dropped(self, request: Any) -> AsyncIterator[Path]:
        """The file that a request brings, while it is needed."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "dropped"
            size = 0
            with path.open("wb") as file:
                async for some in request.stream():
                    size += len(some)
                    if size > MOST_BYTES:
                        most = MOST_BYTES // 2**20
                        raise Refused(413, f"At most {most} MB.")
                    file.write(some)
            yield path


def _shown(hit: Hit) -> dict[str, Any]:
    shown = {k: v for k, v in hit.item.items() if k != "file"}
    return {
        "position": hit.position,
        "similarity": round(hit.similarity, 4),
        "has_file": hit.item["file"] is not None,
        **shown,
    }
