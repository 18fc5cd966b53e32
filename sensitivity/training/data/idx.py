"""MNIST from its IDX files: read, checked, fetched where that is wanted.

An IDX file starts with a big-endian number 2051 (images) or 2049 (labels), then one big-endian number for
each dimension, then bytes. Y. LeCun, C. Cortes, C. J. C. Burges, http://yann.lecun.com/exdb/mnist/.
"""

from __future__ import annotations

import hashlib
import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sensitivity.files import read_bytes, user_path

from .files import ROLES, DataError, find_mnist
from .sequences import Sequences

__all__ = ["FILES", "PIXEL_ORDER", "fetch_mnist", "load_mnist", "read_idx"]

MAGIC = {2051: 3, 2049: 1}  # first number → dimensions
HOLDS = {3: "images", 1: "labels"}
# File → SHA-256, of the original distribution.
FILES = {
    "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
}
# Role → number of entries, and SHA-256 of the pixels or labels without the header.
_WHOLE = {
    "train-images": (60_000, "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757"),
    "train-labels": (60_000, "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13"),
    "t10k-images": (10_000, "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161"),
    "t10k-labels": (10_000, "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5"),
}
MIRROR = "https://ossci-datasets.s3.amazonaws.com/mnist/"
# Permutations are not shared between papers; this is the one of scoRNN and expRNN.
PIXEL_ORDER = 92916


def read_idx(path: str | Path) -> NDArray[np.uint8]:
    """The array in an IDX file, gzipped or not.

    Raises
    ------
    DataError
        If the file is missing, cut short, or not an IDX file of images or labels in bytes.
    """
    path = user_path(path)
    try:
        content = read_bytes(path)
    except FileNotFoundError:
        raise DataError(
            f"{path} does not exist; name the folder that holds it with --data or LEAPGRAD_DATA."
        ) from None
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error}).") from None
    except ValueError as error:
        raise DataError(f"{str(error).rstrip('.')}; fetch it again.") from None
    ndim = MAGIC.get(int.from_bytes(content[:4], "big")) if len(content) >= 4 else None
    start = 4 + 4 * (ndim or 0)
    if ndim is None or len(content) < start:
        raise DataError(
            f"{path} is not an IDX file of images or labels in bytes: it starts with {content[:4]!r}, and is "
            f"{len(content)} bytes long."
        )
    shape = tuple(int.from_bytes(content[i : i + 4], "big") for i in range(4, start, 4))
    if len(content) != start + math.prod(shape):
        raise DataError(
            f"{path} holds {len(content) - start} bytes of data where its header promises "
            f"{math.prod(shape)}: it is damaged; fetch it again."
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def load_mnist(folder: str | Path | None = None, permuted: bool = False) -> tuple[Sequences, Sequences]:
    """Sequential MNIST, (train, test): 784 pixels in scan-line order, one a step, divided by 255.

    Parameters
    ----------
    folder : path, optional
        Where the four files are, or a folder that has them in ``mnist``, ``MNIST/raw`` (torchvision) or
        ``raw``; LEAPGRAD_DATA by default. Files may be gzipped or not, and named with a dot before
        ``idx3-ubyte``. Where one of them is there more than once, all must have the same content.
    permuted : bool
        Permute the pixels, all images alike, by ``numpy.random.RandomState(92916).permutation(784)``.

    Raises
    ------
    DataError
        If a file is missing or damaged, images and labels do not belong together, or they are those of
        another data set with the same file names, such as Fashion-MNIST.
    """
    files = find_mnist(folder)
    arrays = {role: _read_role(role, files[role]) for role in ROLES}
    train, test = (
        _sequences(
            stem, arrays[f"{stem}-images"], arrays[f"{stem}-labels"], files[f"{stem}-images"][0].parent
        )
        for stem in ("train", "t10k")
    )
    if train.n_steps != test.n_steps:
        raise DataError(
            f"{files['train-images'][0]} has {train.n_steps} pixels an image, {files['t10k-images'][0]} has "
            f"{test.n_steps}; they do not belong together."
        )
    if permuted:
        order = np.random.RandomState(PIXEL_ORDER).permutation(train.n_steps)
        train, test = train.reordered(order), test.reordered(order)
    return train, test


def _read_role(role: str, paths: list[Path]) -> NDArray[np.uint8]:
    """The array of a role, from all the files that may have it."""
    array = read_idx(paths[0])
    for path in paths[1:]:
        if not np.array_equal(read_idx(path), array):
            raise DataError(f"{paths[0]} and {path} are both there and differ; keep the one that is right.")
    wanted = role.split("-")[1]
    if HOLDS[array.ndim] != wanted:
        raise DataError(
            f"{paths[0]} holds {HOLDS[array.ndim]}, not {wanted}; the files are swapped, or misnamed."
        )
    count, digest = _WHOLE[role]
    if len(array) == count and hashlib.sha256(array.data).hexdigest() != digest:
        raise DataError(
            f"{paths[0]} has as many {wanted} as MNIST, {count}, but others: Fashion-MNIST, KMNIST and more "
            "have files of these names. This task is the handwritten digits."
        )
    return array


def _sequences(stem: str, images: NDArray[np.uint8], labels: NDArray[np.uint8], place: Path) -> Sequences:
    if len(images) != len(labels) or images.size == 0:
        raise DataError(
            f"{place}: {stem} has images of shape {images.shape} and labels of shape {labels.shape}; "
            "they do not belong together."
        )
    if labels.max() > 9:
        raise DataError(f"{place}: {stem} has the label {labels.max()}; digits go from 0 to 9.")
    pixels = np.ascontiguousarray(images.reshape(len(images), -1).T[:, None, :])
    return Sequences(pixels, labels.astype(np.int64), 10, 1.0 / 255.0)


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
    place = user_path(folder, "folder") / "mnist"
    store = pooch.create(place, MIRROR, registry={name: f"sha256:{digest}" for name, digest in FILES.items()})
    try:
        for name in FILES:
            store.fetch(name)
    except Exception as error:  # whatever the network or the checksum has to say
        raise DataError(f"MNIST could not be fetched: {error}.") from None
    return place
