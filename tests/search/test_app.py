"""The page, by its test client: a server without a network."""

import io
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import Image
from starlette.testclient import TestClient

from keras_imp.search import Index, SearchError, make_app
from keras_imp.search import app as app_module
from tests.search.conftest import COLORS

ADDRESS = "http://127.0.0.1:8000"


@pytest.fixture(scope="module")
def client(search_model, index):
    with TestClient(make_app(search_model, index), base_url=ADDRESS) as client:
        yield client


def test_words_are_answered(client):
    answer = client.get("/search", params={"words": "yellow", "k": 2})
    assert answer.status_code == 200
    hits = answer.json()["hits"]
    assert hits[0]["text"] == "yellow"
    assert len(hits) == 2
    # The place of a file in the machine is nobody's business.
    assert "file" not in hits[0]


def test_a_dropped_image_is_answered(client, images):
    content = (images / "red.png").read_bytes()
    answer = client.post("/search?modality=image", content=content)
    assert answer.json()["hits"][0]["name"] == "red.png"


def test_a_page_says_what_it_searches(client):
    assert client.get("/about").json() == {
        "items": len(COLORS),
        "modality": "image",
        "queries": ["text", "image"],
        "is_sparse": True,
    }


def test_items_have_small_images(client):
    answer = client.get("/item/0")
    assert answer.headers["content-type"] == "image/png"
    assert Image.open(io.BytesIO(answer.content)).size == (50, 40)


def test_experts_of_an_image_are_drawn(client, images):
    answer = client.post("/experts", content=(images / "red.png").read_bytes())
    assert Image.open(io.BytesIO(answer.content)).width > 100


def bomb():
    """Hundreds of millions of pixels in a few kilobytes."""
    file = io.BytesIO()
    Image.new("1", (30_000, 30_000)).save(file, "PNG")
    return file.getvalue()


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize(
    ("method", "address", "content", "status", "text"),
    [
        ("GET", "/search", None, 400, "Type some words."),
        ("GET", "/search?words=a&k=0", None, 400, "k must be in 1..100"),
        ("GET", "/search?words=a&k=many", None, 400, "k must be in 1..100"),
        ("POST", "/search?modality=image", b"text", 400, "is no image"),
        ("POST", "/search?modality=image", b"", 400, "holds nothing"),
        ("POST", "/search?modality=image", bomb, 400, "more memory"),
        ("POST", "/search?modality=audio", b"RIFF", 400, "are found by"),
        ("POST", "/search", b"RIFF", 400, "are found by"),
        ("GET", "/item/99", None, 404, "no such item"),
    ],
    ids=[
        "no words",
        "k too small",
        "k no number",
        "no image",
        "empty",
        "bomb",
        "audio",
        "no modality",
        "no item",
    ],
)
def test_a_bad_request_is_told_why(
    client, method, address, content, status, text
):
    content = content() if callable(content) else content
    answer = client.request(method, address, content=content)
    assert (answer.status_code, text in answer.json()["error"]) == (
        status,
        True,
    )


def test_a_file_that_is_too_large_is_refused(client, monkeypatch):
    monkeypatch.setattr(app_module, "MOST_BYTES", 1000)
    answer = client.post("/search?modality=image", content=b"x" * 2000)
    assert answer.status_code == 413


@pytest.mark.parametrize(
    "address",
    ["/../conftest.py", "/%2e%2e/app.py", "/item/-1", "/item/..%2f0"],
)
def test_no_other_file_is_served(client, address):
    assert client.get(address).status_code in (400, 404, 405)


def test_a_foreign_host_is_refused(client):
    headers = {"host": "evil.example"}
    assert client.get("/about", headers=headers).status_code == 400


def test_the_page_names_no_other_address(client):
    for name in ("/", "/page.js", "/page.css"):
        answer = client.get(name)
        assert answer.status_code == 200
        assert "//" not in answer.text.replace("// ", "")
        assert answer.headers["content-security-policy"].startswith(
            "default-src 'self'"
        )


def test_more_searches_than_may_wait_are_told_to_come_back(
    search_model, index, monkeypatch
):
    began, go_on = threading.Event(), threading.Event()

    def slow(words, of):
        began.set()
        assert go_on.wait(30)
        raise SearchError("enough")

    monkeypatch.setattr(search_model, "text", slow)
    app = make_app(search_model, index, waiting=1)
    with TestClient(app, base_url=ADDRESS) as client:
        with ThreadPoolExecutor(1) as pool:
            first = pool.submit(client.get, "/search?words=a")
            assert began.wait(30)
            second = client.get("/search?words=b")
            go_on.set()
        assert second.status_code == 503
        assert second.headers["retry-after"] == "1"
        assert first.result().status_code == 400
        # The place is free again.
        assert client.get("/search?words=c").status_code == 400


def test_searches_at_once_are_answered_or_refused(client):
    def ask(number):
        words = list(COLORS)[number % len(COLORS)]
        answer = client.get("/search", params={"words": words, "k": 1})
        if answer.status_code == 200:
            assert answer.json()["hits"][0]["text"] == words
        return answer.status_code

    with ThreadPoolExecutor(32) as pool:
        found = list(pool.map(ask, range(200)))
    assert set(found) <= {200, 503}
    assert found.count(200) > 20


def test_an_index_of_another_model_is_refused(search_model, index, tmp_path):
    other = Index.write(
        tmp_path / "i",
        index.items,
        index.vectors,
        model_id="another",
        task=index.task,
        modality=index.modality,
        to=index.to,
    )
    with pytest.raises(SearchError, match="by the model that made it"):
        make_app(search_model, other)
