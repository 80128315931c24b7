"""What the first page shows runs as it stands, on every backend."""

import keras

from tests.test_documents import DOCUMENTS, run_document


def test_the_code_of_the_readme_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    keras.utils.set_random_seed(0)
    run_document(DOCUMENTS[0])
