"""MNIST from its IDX files: read, checked, fetched where that is wanted.

An IDX file starts with a big-endian number 2051 (images) or 2049 (labels), then one big-endian number for
each dimension, then bytes. Y. LeCun, C. Cortes, C. J. C. Burges, http://yann.lecun.com/exdb/mnist/.
"""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .files import DataError, data_folder
from .sequences import Sequences

__all__ = ["FILES", "PIXEL_ORDER", "fetch_mnist", "load_mnist", "read_idx"]

MAGIC = {2051: 3, 2049: 1}  # first number → dimensions
# File → SHA-256, of the original distribution.
FILES = {
    "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
}
MIRROR = "https://ossci-datasets.s3.amazonaws.com/mnist/"
# Permutations are not shared between papers; this is the one of scoRNN and expRNN.
PIXEL_ORDER = 92916


def read_idx(path: Path) -> NDArray[np.uint8]:
    """The array in an IDX file, gzipped or not.

    Raises
    ------
    DataError
        If the file is missing, cut short, or not an IDX file of bytes.
    """
    try:
        raw = path.read_bytes()
        content = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
    except FileNotFoundError:
        raise DataError(
            f"{path} does not exist; name the folder that holds it with --data or LEAPGRAD_DATA."
        ) from None
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be unpacked ({error}); fetch it again.") from None
    ndim = MAGIC.get(int.from_bytes(content[:4], "big")) if len(content) >= 4 else None
    if ndim is None:
        raise DataError(f"{path} is not an IDX file of bytes: it starts with {content[:4]!r}.")
    start = 4 + 4 * ndim
    shape = tuple(int.from_bytes(content[i : i + 4], "big") for i in range(4, start, 4))
    if len(content) != start + math.prod(shape):
        raise DataError(
            f"{path} holds {max(0, len(content) - start)} bytes of data where its header promises "
            f"{math.prod(shape)}: it is damaged; fetch it again."
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def load_mnist(folder: str | Path | None = None, permuted: bool = False) -> tuple[Sequences, Sequences]:
    """Sequential MNIST, (train, test): 784 pixels in scan-line order, one a step, divided by 255.

    Parameters
    ----------
    folder : path, optional
        Where the four files are, or their folder ``mnist``; LEAPGRAD_DATA by default.
    permuted : bool
        Permute the pixels, all images alike, by ``numpy.random.RandomState(92916).permutation(784)``.

    Raises
    ------
    DataError
        If a file is missing or damaged, or images and labels do not belong together.
    """
    place = data_folder(folder, "mnist", "train-images-idx3-ubyte.gz")
    parts = []
    for stem in ("train", "t10k"):
        images, labels = (
            read_idx(place / f"{stem}-{kind}.gz") for kind in ("images-idx3-ubyte", "labels-idx1-ubyte")
        )
        if images.ndim != 3 or labels.ndim != 1 or len(images) != len(labels):
            raise DataError(
                f"{place}: {stem} has images of shape {images.shape} and labels of shape {labels.shape}; "
                "they do not belong together."
            )
        if labels.size and labels.max() > 9:
            raise DataError(f"{place}: {stem} has the label {labels.max()}; digits go from 0 to 9.")
        pixels = np.ascontiguousarray(images.reshape(len(images), -1).T[:, None, :])
        parts.append(Sequences(pixels, labels.astype(np.int64), 10, 1.0 / 255.0))
    train, test = parts
    if permuted:
        order = np.random.RandomState(PIXEL_ORDER).permutation(train.n_steps)
        train, test = train.reordered(order), test.reordered(order)
    return train, test


def fetch_mnist(folder: str | Path) -> Path:
    """Download the four files into ``folder/mnist`` unless they are there; checksums are verified.

    Raises
    ------
    DataError
        If pooch is not installed, there is no network, or a file does not have its checksum.
    """
    try:
        import pooch  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise DataError(
            "fetching needs pooch: pip install 'leapgrad[data]', or bring the files yourself."
        ) from None
    place = Path(folder) / "mnist"
    store = pooch.create(place, MIRROR, registry={name: f"sha256:{digest}" for name, digest in FILES.items()})
    try:
        for name in FILES:
            store.fetch(name)
    except Exception as error:  # whatever the network or the checksum has to say
        raise DataError(f"MNIST could not be fetched: {error}.") from None
    return place
