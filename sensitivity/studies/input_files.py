"""Files of inputs as values of the axis "inputs": each is known by what it holds, not by its name."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from integrators.validation import as_array
from sensitivity.files import read_bytes
from sensitivity.weights.field_file import read_array

__all__ = ["InputFile", "digest_of", "n_inputs_of", "rows_of_inputs"]

SUFFIX = ".npy"


class InputFile(NamedTuple):
    """A file of inputs in the parameters of a cell.

    Attributes
    ----------
    path : str
        Of a ``.npy`` file with an array of shape (at least n_steps, n_inputs), or (at least n_steps,).
    digest : str
        SHA-256 of the file.
    """

    path: str
    digest: str

    def __str__(self) -> str:
        return self.path

    @property
    def address(self) -> str:
        """What stands for it in the description of a cell."""
        return f"sha256:{self.digest}"

    def rows(self, n_steps: int) -> NDArray[np.float64]:
        """The inputs of a run, shape (n_steps, n_inputs).

        Raises
        ------
        ValueError, OSError
            If the file has changed, is too short, or cannot be read.
        """
        array = _read(self.path, self.digest)
        if len(array) < n_steps:
            raise ValueError(
                f"inputs: {self.path} has {len(array)} rows, and n_steps is {n_steps}; take a longer file or "
                "fewer steps."
            )
        return array[:n_steps]


@lru_cache(maxsize=16)
def _read(path: str, digest: str) -> NDArray[np.float64]:
    if digest_of(path) != digest:
        raise ValueError(f"the file of inputs {path} has changed since the study was made.")
    array = as_array(read_array(path, "inputs"), "inputs", (1, 2))
    if array.ndim == 1:
        array = array[:, None]
    if array.shape[1] == 0:
        raise ValueError(f"inputs: {path} holds an array of shape {array.shape}, without a single input.")
    array.flags.writeable = False
    return array


def digest_of(path: str) -> str:
    """SHA-256 of a file, in hexadecimal."""
    return hashlib.sha256(read_bytes(path)).hexdigest()


def n_inputs_of(value: Any) -> int:
    """The number of input components that a value of the axis means."""
    return _read(*value).shape[1] if isinstance(value, InputFile) else value


def rows_of_inputs(value: Any, n_steps: int) -> NDArray[np.float64] | None:
    """The inputs of a file; None where they are to be drawn."""
    return value.rows(n_steps) if isinstance(value, InputFile) else None
