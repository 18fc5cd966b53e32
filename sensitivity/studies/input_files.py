"""Files of inputs as values of the axis "inputs": each is known by what it holds, not by its name."""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from integrators.validation import as_array
from sensitivity.files import read_bytes
from sensitivity.weights.field_file import read_array

__all__ = ["InputFile", "digest_of", "n_inputs_of", "rows_of_inputs", "sequences_of", "split_name"]

NUMBERED = re.compile(r"(.*\.npy)\[(\d{1,9})\]")


class InputFile(NamedTuple):
    """A file of inputs in the parameters of a cell.

    Attributes
    ----------
    path : str
        Of a ``.npy`` file with an array of shape (at least n_steps, n_inputs), or (at least n_steps,). Of an
        array of shape (sequences, at least n_steps, n_inputs) the number of a sequence follows: ``x.npy[3]``.
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
        sequence = split_name(self.path)[1]
        return f"sha256:{self.digest}" + ("" if sequence is None else f"[{sequence}]")

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
    file, sequence = split_name(path)
    given = read_array(file, "inputs")
    if sequence is None and np.ndim(given) == 3:
        raise ValueError(
            f"inputs has 3 dimensions: {file} holds {len(given)} sequences; name one of them, such as "
            f"{file}[0]."
        )
    array = as_array(given, "inputs", (1, 2) if sequence is None else 3)
    if sequence is not None:
        if sequence >= len(array):
            raise ValueError(f"inputs: {file} has {len(array)} sequences, from 0 on, and none of {sequence}.")
        array = array[sequence].copy()
    if array.ndim == 1:
        array = array[:, None]
    if array.shape[1] == 0:
        raise ValueError(f"inputs: {path} holds an array of shape {array.shape}, without a single input.")
    array.flags.writeable = False
    return array


def digest_of(path: str) -> str:
    """SHA-256 of a file, in hexadecimal, whichever of its sequences is meant."""
    return hashlib.sha256(read_bytes(split_name(path)[0])).hexdigest()


def split_name(path: str) -> tuple[str, int | None]:
    """The file and the number of the sequence of ``x.npy[3]``; None for the number of ``x.npy``."""
    found = NUMBERED.fullmatch(path)
    return (path, None) if found is None else (found[1], int(found[2]))


def sequences_of(path: str) -> str | list[str]:
    """The file itself where it has one sequence; of several, a name for each."""
    array = read_array(path, "inputs")
    if array.ndim != 3:
        return path
    if not len(array):
        raise ValueError(f"inputs: {path} has shape {array.shape}, without a single sequence.")
    return [f"{path}[{number}]" for number in range(len(array))]


def n_inputs_of(value: Any) -> int:
    """The number of input components that a value of the axis means."""
    return _read(*value).shape[1] if isinstance(value, InputFile) else value


def rows_of_inputs(value: Any, n_steps: int) -> NDArray[np.float64] | None:
    """The inputs of a file; None where they are to be drawn."""
    return value.rows(n_steps) if isinstance(value, InputFile) else None
