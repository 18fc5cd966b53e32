"""Checks of what users pass: each failure is one sentence that names the argument, the value and the mend."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["as_array", "as_count", "as_steps", "as_vector"]

Float = NDArray[np.float64]


def as_array(value: Any, argument: str, ndim: int | tuple[int, ...]) -> Float:
    """A finite, C-contiguous float64 array that shares no memory the caller may change.

    Raises
    ------
    TypeError
        For complex, boolean, object or text data.
    ValueError
        For another number of dimensions, or for NaN and infinite entries.
    """
    try:
        array = np.asarray(value)
    except ValueError as error:  # ragged nested lists
        raise ValueError(f"{argument} is not a rectangular array of numbers: {error}.") from None
    if array.dtype.kind == "c":
        raise TypeError(f"{argument} is complex; pass real numbers (the recurrences are real maps).")
    if array.dtype.kind not in "fiu":
        raise TypeError(f"{argument} has dtype {array.dtype}; pass real numbers (float64).")
    allowed = (ndim,) if isinstance(ndim, int) else ndim
    if array.ndim not in allowed:
        wanted = " or ".join(str(n) for n in allowed)
        raise ValueError(f"{argument} has {array.ndim} dimensions (shape {array.shape}); it needs {wanted}.")
    array = np.array(array, dtype=np.float64, order="C")
    if not np.isfinite(array).all():
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        place = f" at index {where}" if where else ""
        raise ValueError(f"{argument} holds {array[where]}{place}; every entry must be finite.")
    return array


def as_vector(value: Any, argument: str, size: int) -> Float:
    """A vector of `size` numbers; None means zeros."""
    if value is None:
        return np.zeros(size)
    array = as_array(value, argument, (0, 1))
    if array.shape != (size,) and not (array.ndim == 0 and size == 1):
        raise ValueError(f"{argument} has shape {array.shape}; the field's dimension asks for ({size},).")
    return array.reshape(size)


def as_count(value: Any, argument: str, least: int = 0) -> int:
    """A whole number of at least `least`."""
    try:
        if isinstance(value, (bool, np.bool_)):
            raise TypeError
        count = operator.index(value)
    except TypeError:
        raise TypeError(f"{argument} must be a whole number, got {value!r}.") from None
    if count < least:
        raise ValueError(f"{argument} must be at least {least}, got {count}.")
    return count


def as_steps(value: Any, argument: str = "step") -> Float:
    """One or many step sizes, all positive and finite."""
    array = as_array(value, argument, tuple(range(33)))
    if (array <= 0).any():
        worst = float(array.min())
        raise ValueError(f"{argument} must be positive, got {worst:g}; integrate backwards by negating p0.")
    return array
