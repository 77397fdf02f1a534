"""Arrays from files."""

import numpy as np
import pytest
from safetensors.numpy import save_file

from formcalc.errors import ArrayError
from formcalc.numeric.files import load_arrays

ARRAYS = {"Q_0": np.arange(6.0).reshape(2, 3), "b_0": np.ones((1, 3), np.float32)}


def test_npz_and_safetensors_give_the_arrays_back(tmp_path):
    np.savez(tmp_path / "w.npz", **ARRAYS)
    save_file(ARRAYS, tmp_path / "w.safetensors")
    for name in ("w.npz", "w.safetensors"):
        loaded = load_arrays(tmp_path / name)
        assert set(loaded) == set(ARRAYS)
        for letter, array in ARRAYS.items():
            assert loaded[letter].dtype == array.dtype
            assert np.array_equal(loaded[letter], array)


def test_names_in_a_file_may_be_spelled_in_unicode(tmp_path):
    np.savez(tmp_path / "w.npz", **{"γ₁": np.ones((1, 2))})
    assert list(load_arrays(tmp_path / "w.npz")) == ["gamma_1"]


def write(path, content):
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("name", "prepare", "message"),
    [
        ("none.npz", lambda path: path, "there is no such file"),
        ("folder.npz", lambda path: path.mkdir(), "there is no such file"),
        ("empty.npz", lambda path: write(path, b""), "the file is empty"),
        ("empty.safetensors", lambda path: write(path, b""), "the file is empty"),
        ("text.npz", lambda path: write(path, b"hello"), "this is no .npz archive"),
        ("zip.npz", lambda path: write(path, b"PK\x03\x04broken"), "this is no .npz archive"),
        ("text.safetensors", lambda path: write(path, b"hello, world"), "this is no safetensors file"),
        ("w.csv", lambda path: write(path, b"1,2"), "arrays come from files that end in .npz or .safetensors"),
        ("none-in.npz", lambda path: np.savez(path), "the file holds no arrays"),
    ],
)
def test_a_file_without_arrays_is_one_clear_error(tmp_path, name, prepare, message):
    path = tmp_path / name
    prepare(path)
    with pytest.raises(ArrayError) as error:
        load_arrays(path)
    assert str(error.value).startswith(f"{path}: ")
    assert message in str(error.value)


def test_a_single_array_is_no_archive(tmp_path):
    path = tmp_path / "w.npz"
    with path.open("wb") as file:
        np.save(file, np.ones(3))
    with pytest.raises(ArrayError, match=r"this is no \.npz archive; save plain arrays"):
        load_arrays(path)


def test_a_damaged_archive_is_named(tmp_path):
    path = tmp_path / "w.npz"
    np.savez(path, Q_0=np.arange(1000.0).reshape(10, 100))
    content = bytearray(path.read_bytes())
    content[500:520] = bytes(20)
    write(path, bytes(content))
    with pytest.raises(ArrayError, match=r"the archive is damaged: Bad CRC-32"):
        load_arrays(path)


def test_python_objects_are_never_loaded(tmp_path):
    np.savez(tmp_path / "w.npz", Q_0=np.array([{"a": 1}], dtype=object))
    with pytest.raises(ArrayError, match="it holds Python objects, which are not loaded"):
        load_arrays(tmp_path / "w.npz")


def test_types_that_numpy_lacks_are_named(tmp_path):
    header = b'{"Q_0":{"dtype":"BF16","shape":[1,2],"data_offsets":[0,4]}}'
    write(tmp_path / "w.safetensors", len(header).to_bytes(8, "little") + header + b"\0\0\0\0")
    with pytest.raises(ArrayError, match="Q_0 is BF16, which numpy does not have: convert it to float32"):
        load_arrays(tmp_path / "w.safetensors")
