"""Tasks have the distributions they claim, files are read as they are, and bad files are named."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import numpy as np
import pytest

from sensitivity.training.data.files import DataError
from sensitivity.training.data.idx import load_mnist, read_idx
from sensitivity.training.data.tasks import TASKS, get_task, shock_accuracy
from sensitivity.training.data.ucr import load_series, read_series

DATA = os.environ.get("LEAPGRAD_DATA", "")
needs_data = pytest.mark.skipif(not DATA, reason="LEAPGRAD_DATA names no folder with data sets")


@pytest.mark.parametrize("name", TASKS)
def test_a_seed_gives_the_same_bits_and_another_seed_others(name):
    first, again, other = (TASKS[name].sample(50, 20, seed) for seed in (3, 3, 4))
    assert np.array_equal(first.values, again.values) and np.array_equal(first.labels, again.labels)
    assert not np.array_equal(first.values, other.values)
    assert first.values.shape == (20, 1, 50) and set(first.labels) == {0, 1}


def test_gaussian_mean_labels():
    data = TASKS["gaussian_mean"].sample(200, 30, 0)
    assert np.array_equal(data.labels, data.values.mean(axis=0)[0] >= 0)
    recent = TASKS["recent_mean"].sample(200, 30, 0)
    assert np.array_equal(recent.labels, recent.values[-10:].mean(axis=0)[0] >= 0)
    assert not np.array_equal(recent.labels, recent.values.mean(axis=0)[0] >= 0)


@pytest.mark.parametrize(("name", "variance"), [("shock", 10.0), ("shock_std", 100.0)])
def test_shock_has_its_variance_and_the_optimal_rule_its_accuracy(name, variance):
    data = TASKS[name].sample(40_000, 8, 1)
    x, shocked = data.values[:, 0, :], data.labels == 1
    assert np.var(x[:5, shocked]) == pytest.approx(variance, rel=0.03)
    assert np.var(x[:5, ~shocked]) == pytest.approx(1.0, rel=0.03)
    assert np.var(x[5:]) == pytest.approx(1.0, rel=0.03)
    cut = 5 * np.log(variance) / (1 - 1 / variance)
    accuracy = np.mean(((x[:5] ** 2).sum(axis=0) > cut) == shocked)
    assert accuracy == pytest.approx(TASKS[name].best(8), abs=0.005)


def test_bayes_accuracy_of_shock():
    """The numbers of an independent evaluation: 95.6 % and 99.92 %."""
    assert round(100 * shock_accuracy(10.0), 1) == 95.6
    assert round(100 * shock_accuracy(100.0), 2) == 99.92


def test_xor_labels_and_noise():
    data = TASKS["xor"].sample(500, 12, 2)
    x = data.values[:, 0, :]
    assert set(np.unique(x[:2])) == {0.0, 1.0}
    assert np.array_equal(data.labels, x[0] != x[1])
    assert (x[2:] > 0).all() and (x[2:] < 1).all() and x[2:].mean() == pytest.approx(0.5, abs=0.02)


def test_copy_labels_and_noise():
    data = TASKS["copy"].sample(500, 9, 2)
    x = data.values[:, 0, :]
    assert np.array_equal(x[0], data.labels) and TASKS["copy"].best(9) == 1.0
    assert (x[1:] > 0).all() and (x[1:] < 1).all() and x[1:].mean() == pytest.approx(0.5, abs=0.02)


def test_a_task_says_what_is_wrong():
    with pytest.raises(ValueError, match="Did you mean 'xor'"):
        get_task("xorr")
    with pytest.raises(ValueError, match="n_steps must be at least 5, got 4"):
        TASKS["shock"].sample(3, 4)


# ------------------------------------------------------------------------------------------------- IDX


def idx(array, magic):
    return magic.to_bytes(4, "big") + b"".join(n.to_bytes(4, "big") for n in array.shape) + array.tobytes()


@pytest.fixture
def digits(tmp_path):
    """A tiny data set in the format of MNIST."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "mnist"
    folder.mkdir()
    for stem, n in (("train", 6), ("t10k", 4)):
        images = rng.integers(0, 256, (n, 28, 28), dtype=np.uint8)
        labels = (np.arange(n) % 10).astype(np.uint8)
        (folder / f"{stem}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(images, 2051)))
        (folder / f"{stem}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(labels, 2049)))
    return folder, images


def test_mnist_is_read_pixel_by_pixel(digits):
    folder, images = digits
    for place in (folder, folder.parent):
        train, test = load_mnist(place)
    assert (train.n_steps, train.n_inputs, len(train), len(test)) == (784, 1, 6, 4)
    x, labels = test.batch(np.array([2, 0]))
    assert x.dtype == np.float64 and np.array_equal(labels, [2, 0])
    assert np.array_equal(x[:, 0, 0], images[2].ravel() * np.float64(1 / 255))


def test_permuted_mnist_moves_every_image_alike(digits):
    (_, plain), (_, permuted) = load_mnist(digits[0]), load_mnist(digits[0], permuted=True)
    order = np.random.RandomState(92916).permutation(784)
    assert np.array_equal(permuted.values, plain.values[order])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda raw: None, "is neither in"),
        (lambda raw: gzip.compress(gzip.decompress(raw)[:-7]), "damaged"),
        (lambda raw: raw[: len(raw) // 2], "cannot be unpacked"),
        (lambda raw: b"hello", "not an IDX file"),
        (lambda raw: b"", "not an IDX file"),
        (lambda raw: gzip.compress(idx(np.zeros((5, 28, 28), np.uint8), 2051)), "do not belong together"),
    ],
)
def test_a_bad_file_is_named(digits, damage, message):
    path = digits[0] / "train-images-idx3-ubyte.gz"
    damaged = damage(path.read_bytes())
    path.unlink() if damaged is None else path.write_bytes(damaged)
    with pytest.raises(DataError, match=message) as caught:
        load_mnist(digits[0])
    assert "train" in str(caught.value) and "\n" not in str(caught.value)


def test_no_folder_at_all(monkeypatch):
    monkeypatch.delenv("LEAPGRAD_DATA", raising=False)
    with pytest.raises(DataError, match="--data or LEAPGRAD_DATA"):
        load_mnist()


@needs_data
def test_the_real_mnist_has_its_published_figures():
    train, test = load_mnist(DATA)
    assert (len(train), len(test), train.n_steps) == (60_000, 10_000, 784)
    assert np.bincount(train.labels).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert round(test.values.mean() / 255, 5) == 0.13251
    assert (read_idx(Path(DATA) / "mnist" / "t10k-labels-idx1-ubyte.gz") == test.labels).all()


# ------------------------------------------------------------------------------------------------- UCR


@needs_data
@pytest.mark.parametrize(
    ("train", "shape", "classes", "error"),
    [
        ("ECG5000/ECG5000_TRAIN.txt.gz", (140, 1, 500, 4500), 5, 0.0751),
        ("ItalyPowerDemand/ItalyPowerDemand_TRAIN.ts", (24, 1, 67, 1029), 2, 0.0447),
    ],
)
def test_ucr_files_give_the_published_error_of_the_nearest_neighbour(train, shape, classes, error):
    known, asked, names = load_series(Path(DATA) / "ucr" / train)
    assert (*known.values.shape, len(asked)) == shape and len(names) == classes
    a, b = asked.values[:, 0].T, known.values[:, 0].T
    distance = (a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T
    wrong = np.mean(known.labels[distance.argmin(axis=1)] != asked.labels)
    assert round(float(wrong), 4) == error


def test_ts_with_several_dimensions(tmp_path):
    path = tmp_path / "a.ts"
    path.write_text("# about\n@classLabel true up down\n@data\n1,2,3:4,5,6:up\n7,8,9:0,0,1:down\n")
    values, labels = read_series(path)
    assert labels == ["up", "down"] and values.shape == (3, 2, 2)
    assert values[:, 1, 0].tolist() == [4, 5, 6]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.ts", "@data\n1,2:a\n1,2,3:b\n", r"lengths \[2, 3\]"),
        ("a.ts", "@data\n1,x:a\n", "line 2: 'x' is not a number"),
        ("a.ts", "1,2:a\n", "no @data line"),
        ("a.ts", "@data\n1,?:a\n", "missing values"),
        ("a.txt", "1 2 3\n2\n", "line 2: a class without a series"),
        ("a.txt", "", "holds no series"),
    ],
)
def test_a_bad_series_is_named(tmp_path, name, text, message):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        read_series(path)


def test_train_and_test_must_fit(tmp_path):
    train, test = tmp_path / "X_TRAIN.txt", tmp_path / "X_TEST.txt"
    train.write_text("1 0.5 2\n2.0 1 1\n")
    test.write_text("3 1 2\n")
    with pytest.raises(DataError, match="has the class '3'"):
        load_series(train)
    test.write_text("1 1 2 3\n")
    with pytest.raises(DataError, match="shape"):
        load_series(train)
    test.write_text("2 1 2\n")
    known, asked, names = load_series(train)
    assert names == ["1", "2"] and known.labels.tolist() == [0, 1] and asked.labels.tolist() == [1]
