"""Files of arrays: mapped into memory, and nothing else than arrays."""

import numpy as np
import pytest

from keras_imp.models.imp_weights.arrays import open_arrays

pytestmark = pytest.mark.one_backend


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_arrays_of_a_file_are_mapped(tmp_path, rng, order, dtype):
    given = {
        "a/kernel": np.asarray(rng.normal(size=(3, 5)), dtype, order=order),
        "b/a rather long name/bias": np.ones(7, dtype),
    }
    np.savez(tmp_path / "some.npz", **given)
    with open_arrays(tmp_path / "some.npz") as arrays:
        for name, expected in given.items():
            assert arrays[name].shape == expected.shape
            assert arrays[name].dtype == dtype
            found = arrays[name].read()
            assert isinstance(found, np.memmap)
            np.testing.assert_array_equal(found, expected)


def test_what_cannot_be_mapped_is_read(tmp_path):
    given = {"scalar": np.float32(3), "empty": np.ones((0, 2), "float32")}
    np.savez(tmp_path / "some.npz", **given)
    np.savez_compressed(tmp_path / "small.npz", a=np.ones((2, 3), "float32"))
    with open_arrays(tmp_path / "some.npz") as arrays:
        assert arrays["scalar"].read() == 3
        assert arrays["empty"].read().shape == (0, 2)
    with open_arrays(str(tmp_path / "small.npz")) as arrays:
        assert not isinstance(arrays["a"].read(), np.memmap)
        np.testing.assert_array_equal(arrays["a"].read(), np.ones((2, 3)))


def test_objects_are_never_unpickled(tmp_path):
    np.savez(tmp_path / "some.npz", a=np.array([{}], dtype=object))
    with open_arrays(tmp_path / "some.npz") as arrays:
        assert arrays["a"].dtype == "object"
        with pytest.raises(ValueError, match="allow_pickle"):
            arrays["a"].read()


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04 and no more"])
def test_another_file_is_refused(tmp_path, content):
    (tmp_path / "some.npz").write_bytes(content)
    with (
        pytest.raises(ValueError, match="must be an npz file"),
        open_arrays(tmp_path / "some.npz"),
    ):
        pass


def test_a_file_that_was_cut_is_refused(tmp_path):
    path = tmp_path / "some.npz"
    np.savez(path, a=np.ones(1000))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match="and whole"), open_arrays(path):
        pass


def test_one_array_is_no_file_of_arrays(tmp_path):
    np.save(tmp_path / "some.npy", np.ones(3))
    with (
        pytest.raises(ValueError, match="must be an npz file"),
        open_arrays(tmp_path / "some.npy"),
    ):
        pass


def test_a_file_that_is_not_there_is_named(tmp_path):
    with (
        pytest.raises(FileNotFoundError, match=r"none\.npz"),
        open_arrays(tmp_path / "none.npz"),
    ):
        pass
