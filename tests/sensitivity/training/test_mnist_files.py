"""The four files of MNIST are found under the names that people have them by, and nothing else is read."""

from __future__ import annotations

import gzip
import hashlib
import shutil

import numpy as np
import pytest

from sensitivity.training.data import idx
from sensitivity.training.data.files import DataError
from sensitivity.training.data.idx import load_mnist, read_idx

NAMES = {
    "train-images": "train-images-idx3-ubyte",
    "train-labels": "train-labels-idx1-ubyte",
    "t10k-images": "t10k-images-idx3-ubyte",
    "t10k-labels": "t10k-labels-idx1-ubyte",
}
SUBFOLDERS = ("", "mnist", "MNIST", "raw", "mnist/raw", "MNIST/raw", "mnist/MNIST/raw")


def idx_bytes(array):
    magic = {3: 2051, 1: 2049}[array.ndim]
    return b"".join(n.to_bytes(4, "big") for n in (magic, *array.shape)) + array.tobytes()


def digits(seed=0):
    rng = np.random.default_rng(seed)
    arrays = {}
    for stem, n in (("train", 6), ("t10k", 4)):
        arrays[f"{stem}-images"] = rng.integers(0, 256, (n, 28, 28), dtype=np.uint8)
        arrays[f"{stem}-labels"] = rng.integers(0, 10, n, dtype=np.uint8)
    return arrays


def store(folder, dotted=False, packed=False, nested=False, arrays=None):
    folder.mkdir(parents=True, exist_ok=True)
    for role, array in (arrays or digits()).items():
        name = (NAMES[role].replace("-idx", ".idx") if dotted else NAMES[role]) + (".gz" if packed else "")
        place = folder / name if nested else folder
        place.mkdir(exist_ok=True)
        raw = idx_bytes(array)
        (place / name).write_bytes(gzip.compress(raw) if packed else raw)
    return folder


def loaded(folder):
    train, test = load_mnist(folder)
    arrays = digits()
    for part, stem in ((train, "train"), (test, "t10k")):
        np.testing.assert_array_equal(part.values[:, 0].T, arrays[f"{stem}-images"].reshape(len(part), 784))
        np.testing.assert_array_equal(part.labels, arrays[f"{stem}-labels"])


@pytest.mark.parametrize("dotted", [False, True])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("below", SUBFOLDERS)
def test_names_and_folders(tmp_path, below, dotted, packed, nested):
    store(tmp_path / below, dotted, packed, nested)
    loaded(tmp_path)
    loaded(tmp_path / below)


def test_several_spellings_beside_each_other(tmp_path):
    for dotted in (False, True):
        for packed in (False, True):
            store(tmp_path, dotted, packed)
    loaded(tmp_path)
    path = tmp_path / "train-labels.idx1-ubyte"
    path.write_bytes(idx_bytes(digits(1)["train-labels"]))
    with pytest.raises(DataError, match=r"train-labels\.idx1-ubyte are both there and differ"):
        load_mnist(tmp_path)


def test_names_may_be_mixed(tmp_path):
    store(tmp_path)
    path = tmp_path / NAMES["t10k-images"]
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(path.read_bytes())  # unpacked by a browser
    path.unlink()
    loaded(tmp_path)


def test_the_variable_and_the_home_folder(tmp_path, monkeypatch):
    store(tmp_path / "my data" / "Größe" / "MNIST" / "raw")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for value in ("~/my data/Größe", "my data/Größe", str(tmp_path / "my data" / "Größe")):
        monkeypatch.setenv("LEAPGRAD_DATA", value)
        loaded(None)
    loaded("~/my data/Größe")
    monkeypatch.setenv("LEAPGRAD_DATA", "~/nothing")
    with pytest.raises(
        DataError, match=r"train-images-idx3-ubyte\.gz is neither in .*nothing does not exist"
    ):
        load_mnist()
    for value in ("", "  "):
        monkeypatch.setenv("LEAPGRAD_DATA", value)
        with pytest.raises(DataError, match="name their folder with --data or LEAPGRAD_DATA"):
            load_mnist()


def test_what_was_looked_for_is_listed(tmp_path):
    store(tmp_path)
    (tmp_path / NAMES["t10k-labels"]).rename(tmp_path / "emnist-letters-test-labels-idx1-ubyte")
    with pytest.raises(DataError) as caught:
        load_mnist(tmp_path)
    for word in (
        "t10k-labels-idx1-ubyte.gz",
        "t10k-labels.idx1-ubyte",
        "MNIST/raw",
        "emnist-letters",
        "--data",
    ):
        assert word in str(caught.value)
    for folder in (tmp_path / NAMES["train-images"], tmp_path / NAMES["train-images"] / "x"):
        with pytest.raises(DataError, match=r"is a file; name the folder|neither in"):
            load_mnist(folder)


@pytest.mark.parametrize("name", ["FashionMNIST", "fashion-mnist", "KMNIST", "EMNIST"])
def test_another_data_set_by_its_folder(tmp_path, name):
    place = store(tmp_path / name / "raw")
    with pytest.raises(DataError, match=f"a folder named {name} holds another data set"):
        load_mnist(place)
    with pytest.raises(DataError, match="is neither in"):
        load_mnist(tmp_path)
    store(tmp_path / "MNIST" / "raw")
    loaded(tmp_path)


def test_another_data_set_by_its_content(tmp_path, monkeypatch):
    store(tmp_path)
    whole = {}
    for role, array in digits().items():
        whole[role] = (len(array), hashlib.sha256(array.tobytes()).hexdigest())
    monkeypatch.setattr(idx, "_WHOLE", whole)
    loaded(tmp_path)
    monkeypatch.setattr(idx, "_WHOLE", whole | {"t10k-images": (4, "0" * 64)})
    with pytest.raises(DataError, match="t10k-images-idx3-ubyte has as many images as MNIST, 4, but others"):
        load_mnist(tmp_path)


@pytest.mark.parametrize(
    ("one", "other", "message"),
    [
        ("train-images", "train-labels", "train-images-idx3-ubyte holds labels, not images"),
        ("train-images", "t10k-images", "train has images of shape .* do not belong together"),
        ("t10k-labels", "train-labels", "do not belong together"),
    ],
)
def test_swapped_files(tmp_path, one, other, message):
    store(tmp_path)
    a, b, c = tmp_path / NAMES[one], tmp_path / NAMES[other], tmp_path / "c"
    a.rename(c), b.rename(a), c.rename(b)
    with pytest.raises(DataError, match=message):
        load_mnist(tmp_path)


@pytest.mark.parametrize(
    ("role", "raw", "message"),
    [
        ("train-images", idx_bytes(np.zeros((6, 14, 14), np.uint8)), "they do not belong together"),
        ("train-images", idx_bytes(np.zeros((6, 0, 28), np.uint8)), "they do not belong together"),
        ("train-labels", idx_bytes(np.full(6, 10, np.uint8)), "label 10; digits go from 0 to 9"),
        ("train-images", b"\x00\x00\x08", "is not an IDX file"),
        ("train-images", b"\x00\x00\x08\x03\x00\x00", "is not an IDX file"),
        ("train-images", b"\x03\x08\x00\x00" + bytes(20), "is not an IDX file"),
        ("train-images", b"\x00\x00\x0d\x03" + bytes(20), "is not an IDX file"),
        ("train-images", b"\x00\x00\x08\x03" + b"\xff" * 12, "header promises"),
        ("train-images", b"<html>", "is not an IDX file"),
        ("train-images", b"", "is not an IDX file"),
        ("train-images", b"\x1f\x8b", "cannot be unpacked"),
    ],
)
def test_damaged_files(tmp_path, role, raw, message):
    store(tmp_path)
    (tmp_path / NAMES[role]).write_bytes(raw)
    with pytest.raises(DataError, match=message) as caught:
        load_mnist(tmp_path)
    assert str(tmp_path) in str(caught.value) and "\n" not in str(caught.value)


def test_a_folder_in_place_of_a_file(tmp_path):
    store(tmp_path)
    path = tmp_path / NAMES["train-images"]
    path.unlink()
    path.mkdir()
    with pytest.raises(DataError, match="is neither in"):
        load_mnist(tmp_path)
    with pytest.raises(DataError, match="cannot be read"):
        read_idx(path)
    shutil.rmtree(path)
    path.symlink_to(path)
    with pytest.raises(DataError, match="is neither in"):
        load_mnist(tmp_path)
