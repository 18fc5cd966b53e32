"""Named weights of any library as entries: a path, and an array that is read when it is needed.

Nothing here imports PyTorch, Keras or JAX: their arrays are told by what they can do. An entry that no
recurrent layer needs is never converted, so its type does not matter.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from integrators.naming import shown
from integrators.validation import as_array, tensor_numbers

__all__ = ["WRAPPERS", "Entry", "Unreadable", "as_numpy", "as_weights", "entries_of", "parts_of", "shape_of"]

Float = NDArray[np.float64]
WRAPPERS = ("module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")
"""Parts of a path that DataParallel, torch.compile and their like add; they are no part of the model."""

_WEIGHT = re.compile(r"((weight|bias)_(ih|hh)(_l\d+)?(_reverse)?|bias(_n)?|(recurrent_)?kernel)")


@dataclass(frozen=True)
class Unreadable:
    """An array of a file in a type that NumPy does not have; `reason` says why, when it is asked for."""

    reason: str


@dataclass(frozen=True)
class Entry:
    """One named array.

    Attributes
    ----------
    name : str
        As it was given, for messages.
    path : tuple of str
        Its parts, without wrappers.
    value : object
        An array of any library.
    """

    name: str
    path: tuple[str, ...]
    value: Any

    @property
    def shape(self) -> tuple[int, ...]:
        return shape_of(self.value)

    def array(self, ndim: int | tuple[int, ...]) -> Float:
        """The array in float64.

        Raises
        ------
        ValueError, TypeError
            With its name: for other ranks, for NaN and infinity, for whole, complex and unreadable numbers.
        """
        return as_weights(self.value, self.name, ndim)


def parts_of(name: str) -> tuple[str, ...]:
    """The parts of ``a.b/c:0`` or ``['a'].b[0]``: all spellings of a path are one."""
    parts = re.split(r"[./\[\]'\"]+", re.sub(r":\d+$", "", name.strip()))
    return tuple(part for part in parts if part and part not in WRAPPERS)


def shape_of(value: Any) -> tuple[int, ...]:
    """The shape of an array of any library; () where there is none to see."""
    try:
        return tuple(int(n) for n in getattr(value, "shape", None) or np.shape(value))
    except (TypeError, ValueError):
        return ()


def entries_of(weights: Any, argument: str = "weights") -> list[Entry]:
    """The entries of a mapping, nested or not, or of what has a ``state_dict()``.

    Raises
    ------
    TypeError
        For what is neither.
    ValueError
        If two names are one without their wrappers.
    """
    if callable(getattr(weights, "state_dict", None)):
        weights = weights.state_dict()
    if not isinstance(weights, Mapping):
        raise TypeError(
            f"{argument} must be a mapping of names to arrays or a module with state_dict(), got "
            f"{shown(weights)}."
        )
    found: dict[tuple[str, ...], Entry] = {}
    for name, value in _flat(weights, ""):
        entry = Entry(name, parts_of(name), value)
        if entry.path in found:
            raise ValueError(
                f"{found[entry.path].name!r} and {name!r} are one name; keep one of the two networks."
            )
        found[entry.path] = entry
    return list(found.values())


def _flat(weights: Mapping[Any, Any], above: str) -> list[tuple[str, Any]]:
    """Names and arrays of a nested mapping; what is no array (options, None) is left out.

    What has the name of a weight stays, whatever it is, to be refused where it is read.
    """
    found: list[tuple[str, Any]] = []
    for key, value in weights.items():
        name = f"{above}/{key}" if above else str(key)
        if isinstance(value, Mapping):
            found += _flat(value, name)
        elif value is None or _is_function(value):
            continue
        elif not isinstance(value, (bool, int, str, bytes)) or _WEIGHT.fullmatch(str(key).split(".")[-1]):
            found.append((name, value))
    return found


def _is_function(value: Any) -> bool:
    return callable(value) and not hasattr(value, "shape")


def as_weights(value: Any, name: str, ndim: int | tuple[int, ...]) -> Float:
    """An array of NumPy, PyTorch, TensorFlow, Keras or JAX in float64; see `Entry.array`."""
    array = as_numpy(value, name)
    if array.dtype.kind in "iub" and hasattr(value, "dtype"):
        raise TypeError(
            f"{name} has dtype {array.dtype}; weights are real numbers, so convert it to float first."
        )
    return as_array(array, name, ndim)


def as_numpy(value: Any, name: str) -> NDArray[Any]:
    """The array of any library as one of NumPy; PyTorch's and bfloat16 become float64.

    Raises
    ------
    ValueError, TypeError
        With its name, if it has no numbers to give.
    """
    if isinstance(value, Unreadable):
        raise ValueError(f"{name} {value.reason}.")
    try:
        array = _converted(value)
    except Exception as error:  # every library has its own for tensors without numbers in this process
        reason = " ".join(str(error).split()).rstrip(".")[:200]
        raise ValueError(f"{name} cannot be had as a NumPy array: {reason}.") from None
    if array.dtype.kind == "V":
        raise TypeError(f"{name} has dtype {array.dtype}, which is raw bytes; save it as float32 or float64.")
    return array


def _converted(value: Any) -> NDArray[Any]:
    if callable(getattr(value, "detach", None)):  # PyTorch
        return tensor_numbers(value)
    if callable(getattr(value, "numpy", None)):  # TensorFlow, Keras
        value = value.numpy()
    array = np.asarray(value)
    if array.dtype.kind == "V" and not array.dtype.name.startswith(("void", "record")):
        array = array.astype(np.float64)  # bfloat16 and its like, as JAX has them
    return array
