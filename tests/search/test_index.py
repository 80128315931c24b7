import json
import re

import numpy as np
import pytest

from keras_imp.search import Index, SearchError

pytestmark = pytest.mark.one_backend

OWNER = {
    "model_id": "1f",
    "task": "captions",
    "modality": "image",
    "to": "text",
}


def unit_vectors(rows, width=16):
    vectors = np.random.default_rng(0).normal(size=(rows, width))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def items(rows):
    return [{"file": None, "name": f"é {k}", "row": k} for k in range(rows)]


@pytest.fixture
def written(tmp_path):
    folder = tmp_path / "index"
    vectors = unit_vectors(300)
    Index.write(folder, items(300), vectors, **OWNER, graph=True)
    return folder, vectors


def test_a_written_index_opens_with_all_that_it_has(written):
    folder, vectors = written
    index = Index.open(folder)
    assert (index.model_id, index.task, index.modality, index.to) == (
        *OWNER.values(),
    )
    assert len(index) == 300
    assert index.items[7] == {"file": None, "name": "é 7", "row": 7}
    np.testing.assert_allclose(index.vectors, vectors, atol=1e-3)
    assert [path.name for path in folder.parent.iterdir()] == ["index"]


@pytest.mark.parametrize("exactly", [True, False])
def test_each_item_is_nearest_to_itself(written, exactly):
    folder, vectors = written
    found = Index.open(folder).search(vectors, k=3, exactly=exactly)
    firsts = [hits[0].position for hits in found]
    assert np.mean(np.array(firsts) == np.arange(300)) > 0.98
    assert found[0][0].similarity == pytest.approx(1.0, abs=1e-2)
    assert found[0][0].item["name"] == "é 0"


def test_a_graph_finds_nearly_what_an_exact_search_finds(written):
    folder, _ = written
    queries = unit_vectors(50)[::-1]
    index = Index.open(folder)
    same = [
        {hit.position for hit in a} & {hit.position for hit in b}
        for a, b in zip(
            index.search(queries, 10), index.search(queries, 10, exactly=False)
        )
    ]
    assert np.mean([len(each) / 10 for each in same]) > 0.9


def test_an_index_without_a_graph_says_so(tmp_path):
    index = Index.write(tmp_path / "i", items(2), unit_vectors(2), **OWNER)
    assert not index.has_graph
    with pytest.raises(SearchError, match="The index has no graph"):
        index.search(unit_vectors(1), exactly=False)


def damage(folder, how):
    if how == "no folder":
        return folder / "nothing"
    if how == "no json":
        (folder / "index.json").write_text("{")
    if how == "a list":
        (folder / "index.json").write_text("[]")
    if how == "newer":
        about = json.loads((folder / "index.json").read_text())
        about["format"] = 2
        (folder / "index.json").write_text(json.dumps(about))
    if how == "cut":
        content = (folder / "vectors.npy").read_bytes()
        (folder / "vectors.npy").write_bytes(content[: len(content) // 2])
    if how == "pickle":
        np.save(folder / "vectors.npy", np.array([{}], dtype=object))
    if how == "other rows":
        np.save(folder / "vectors.npy", np.zeros((3, 16), "float16"))
    return folder


@pytest.mark.parametrize(
    ("how", "text"),
    [
        ("no folder", "FileNotFoundError"),
        ("no json", "JSONDecodeError"),
        ("a list", "TypeError"),
        ("newer", "a newer version of keras-imp wrote it"),
        ("cut", "The folder must be an index"),
        ("pickle", "The folder must be an index"),
        ("other rows", "vectors.npy is not whole"),
    ],
)
def test_what_is_no_whole_index_is_refused(written, how, text):
    folder = damage(written[0], how)
    with pytest.raises(SearchError, match=re.escape(text)) as error:
        Index.open(folder)
    assert str(folder) in str(error.value)


def test_items_that_are_cut_are_refused(written):
    folder, vectors = written
    lines = (folder / "items.jsonl").read_text().splitlines()
    (folder / "items.jsonl").write_text("\n".join(lines[:-1]))
    with pytest.raises(SearchError, match=r"items.jsonl is not whole"):
        Index.open(folder).search(vectors[:1])


def test_an_index_is_never_written_over(written):
    with pytest.raises(SearchError, match="into a new folder"):
        Index.write(written[0], items(2), unit_vectors(2), **OWNER)


def test_an_index_needs_items(tmp_path):
    with pytest.raises(SearchError, match="must have items"):
        Index.write(tmp_path / "i", [], np.zeros((0, 4)), **OWNER)


def test_the_queries_of_another_model_are_refused(written):
    index = Index.open(written[0])
    index.check_model("1f")
    with pytest.raises(SearchError, match="by the model that made it"):
        index.check_model("2f")
