import shutil

import numpy as np
import pytest

import keras_imp
from keras_imp.data import Manifest
from keras_imp.data.decoding import BadFile
from keras_imp.evaluation.fingerprint import fingerprint
from keras_imp.search import Index, SearchError, SearchModel, embed
from tests.search.conftest import COLORS


def test_words_find_the_images_that_they_name(index, search_model):
    for name in COLORS:
        (hits,) = index.search(search_model.text(name, of="image"), k=3)
        assert hits[0].item["text"] == name


def test_an_image_finds_itself(index, search_model, images):
    vector = search_model.file("image", images / "green.png", of="image")
    (hits,) = index.search(vector, k=1)
    assert hits[0].item["name"] == "green.png"
    assert hits[0].similarity == pytest.approx(1.0, abs=2e-3)
    assert hits[0].item["file"] == str((images / "green.png").resolve())


def test_a_bad_file_is_listed_and_left_out(made):
    assert [(x["row"], x["reason"]) for x in made.bad] == [(6, "damaged")]
    assert len(made.index) == len(COLORS)
    assert [item["row"] for item in made.index.items] == list(range(6))


def test_an_index_knows_the_model_that_made_it(index, search_model, run_folder):
    again = SearchModel.load(run_folder)
    assert again.model_id == search_model.model_id == index.model_id
    again.model.set_weights([w * 1.01 for w in again.model.get_weights()])
    with pytest.raises(SearchError, match="by the model that made it"):
        index.check_model(fingerprint(again.model))


def test_an_index_that_is_opened_finds_the_same(index, search_model):
    vector = search_model.text("blue", of="image")
    opened = Index.open(index.folder)
    assert opened.search(vector, k=4) == index.search(vector, k=4)


def test_progress_counts_all_rows(manifest, search_model, tmp_path):
    done = []
    embed(manifest, search_model, tmp_path / "i", progress=done.append)
    assert done == [len(manifest)]


def test_data_without_a_modality_of_the_task_is_refused(search_model, tmp_path):
    texts = Manifest({"text": ["red", "blue"]})
    with pytest.raises(SearchError, match="Both have none in common"):
        embed(texts, search_model, tmp_path / "i")


def test_data_of_bad_files_only_is_refused(search_model, images, tmp_path):
    broken = Manifest({"image": ["broken.png"]}, root=images)
    with pytest.raises(SearchError, match=r"broken\.png: damaged"):
        embed(broken, search_model, tmp_path / "i")
    assert not (tmp_path / "i").exists()


def test_queries_that_do_not_fit_are_refused(search_model, images):
    with pytest.raises(SearchError, match="are found by image or text"):
        search_model.file("audio", images / "red.png", of="image")
    with pytest.raises(SearchError, match="has the modalities"):
        search_model.text("red", of="video")
    with pytest.raises(BadFile, match="damaged"):
        search_model.file("image", images / "broken.png", of="image")


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(SearchError, match="a run that has ended"):
        SearchModel.load(tmp_path)


def test_a_model_without_a_contrastive_task_is_refused(search_model):
    encoder = keras_imp.IMPEncoder(8, 16, 1, 2, ("image",))
    kind = keras_imp.tasks.Classification("kind", "image", 3)
    model = keras_imp.AlternatingModel(encoder, [kind])
    with pytest.raises(SearchError, match="needs a model with a contrastive"):
        SearchModel(model, search_model.preprocessor)


def test_an_unknown_task_is_refused(search_model):
    with pytest.raises(SearchError, match="The model has 'captions'"):
        SearchModel(
            search_model.model, search_model.preprocessor, task="caption"
        )


def test_vectors_do_not_depend_on_the_batch(search_model):
    x = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), "uint8")
    one = search_model.vectors("image", x, "text", 1)
    many = search_model.vectors("image", x, "text", 4)
    # A sparse encoder routes each example on its own.
    np.testing.assert_allclose(one, many, atol=1e-5)


def test_a_text_file_is_no_query(search_model, tmp_path):
    (tmp_path / "words.txt").write_text("red")
    with pytest.raises(SearchError, match="must be an image, a video or audio"):
        search_model.file("text", tmp_path / "words.txt", of="image")


def test_a_link_to_a_file_is_a_query(search_model, images, tmp_path):
    link = tmp_path / "a link.png"
    link.symlink_to(images / "red.png")
    np.testing.assert_array_equal(
        search_model.file("image", link, of="image"),
        search_model.file("image", images / "red.png", of="image"),
    )


def test_a_run_that_lost_its_encoder_is_refused(run_folder, tmp_path):
    shutil.copy(run_folder / "model.keras", tmp_path)
    with pytest.raises(SearchError, match="a run that has ended"):
        SearchModel.load(tmp_path)


def test_a_model_whose_preprocessor_makes_one_modality_is_refused(search_model):
    images_only = keras_imp.IMPPreprocessor(image=(32, 32))
    model = SearchModel(search_model.model, images_only)
    with pytest.raises(SearchError, match="what the preprocessor cannot make"):
        model.other("image")
