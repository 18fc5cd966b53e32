"""Checks of what users pass: each failure is one sentence that names the argument, the value and the mend."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .naming import shown

__all__ = [
    "as_array",
    "as_count",
    "as_generator",
    "as_name",
    "as_number",
    "as_steps",
    "as_vector",
    "tensor_numbers",
]

Float = NDArray[np.float64]

MOST_COUNT = 2**53
"""The largest count: every whole number up to it is a float64, and its products with a size are an int64."""


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
    except (RuntimeError, TypeError):  # a tensor that is a part of a graph, on a device, or of bfloat16
        array = _detached(value, argument)
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        raise ValueError(
            f"{argument} has {np.ma.count_masked(value)} masked entries; fill them, say by "
            f"{argument}.filled(0.0)."
        )
    if array.dtype.kind == "c":
        raise TypeError(f"{argument} is complex; pass real numbers (the recurrences are real maps).")
    if array.dtype.kind not in "fiu":
        raise TypeError(f"{argument} has dtype {array.dtype}; pass real numbers (float64).")
    allowed = (ndim,) if isinstance(ndim, int) else ndim
    if array.ndim not in allowed:
        wanted = " or ".join(str(n) for n in allowed)
        raise ValueError(f"{argument} has {array.ndim} dimensions (shape {array.shape}); it needs {wanted}.")
    array = np.array(array, dtype=np.float64, order="C")
    if np.count_nonzero(np.isfinite(array)) < array.size:  # a third of the time of `all` for a short array
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        place = f" at index {where}" if where else ""
        raise ValueError(f"{argument} holds {array[where]}{place}; every entry must be finite.")
    return array


def _detached(value: Any, argument: str) -> NDArray[Any]:
    """The numbers of a tensor of PyTorch, without its graph, from any device.

    Raises
    ------
    TypeError
        For what is no such tensor, or has no numbers to give.
    """
    try:
        return tensor_numbers(value)
    except (AttributeError, RuntimeError, TypeError, NotImplementedError):
        raise TypeError(
            f"{argument} cannot be had as a NumPy array, got {shown(value)}; pass an array of numbers."
        ) from None


def tensor_numbers(value: Any) -> NDArray[Any]:
    """The numbers of a tensor of PyTorch, as float64 where they are real, since NumPy has no bfloat16."""
    tensor = value.detach().cpu()
    if str(tensor.layout) != "torch.strided":
        tensor = tensor.to_dense()
    if tensor.is_complex():
        return tensor.resolve_conj().numpy()
    return tensor.double().numpy() if tensor.is_floating_point() else tensor.numpy()


def as_vector(value: Any, argument: str, size: int) -> Float:
    """A vector of `size` numbers; None means zeros."""
    if value is None:
        return np.zeros(size)
    array = as_array(value, argument, (0, 1))
    if array.shape != (size,) and not (array.ndim == 0 and size == 1):
        raise ValueError(f"{argument} has shape {array.shape}; the field's dimension asks for ({size},).")
    return array.reshape(size)


def as_count(value: Any, argument: str, least: int = 0, most: int | None = MOST_COUNT) -> int:
    """A whole number of at least `least` and, unless that is None, at most `most`."""
    try:
        if isinstance(value, (bool, np.bool_)):
            raise TypeError
        count = operator.index(value)
    except TypeError:
        raise TypeError(f"{argument} must be a whole number, got {shown(value)}.") from None
    if count < least:
        raise ValueError(f"{argument} must be at least {least}, got {shown(count)}.")
    if most is not None and count > most:
        got = f"{count:.6g}" if count.bit_length() < 1024 else f"a number of {count.bit_length()} bits"
        raise ValueError(f"{argument} must be at most {most}, got {got}.")
    return count


def as_name(value: Any, argument: str = "name") -> str:
    """A name to be shown in messages: text of one line that is not blank."""
    if not isinstance(value, str):
        raise TypeError(f"{argument} must be text, got {shown(value)}.")
    if not value.strip() or not value.isprintable():
        raise ValueError(f"{argument} must be text of one line that is not blank, got {shown(value)}.")
    return value


def as_number(value: Any, argument: str, above: float | None = None, below: float = np.inf) -> float:
    """A real number, no text and no truth value, strictly between two others; any without `above`."""
    try:
        if np.ndim(value) != 0 or np.asarray(value).dtype.kind not in "fiu":
            raise TypeError
        number = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{argument} must be a number, got {shown(value)}.") from None
    if above is not None and not above < number < below:
        wanted = f"above {above:g}" if below == float("inf") else f"between {above:g} and {below:g}"
        raise ValueError(f"{argument} must lie {wanted}, got {shown(number)}.")
    return number


def as_generator(value: Any, argument: str = "rng") -> np.random.Generator:
    """What ``numpy.random.default_rng`` makes of a seed or a generator."""
    try:
        if isinstance(value, (bool, np.bool_)):
            raise TypeError
        return np.random.default_rng(value)
    except (TypeError, ValueError) as error:
        raise type(error)(
            f"{argument} must be a seed (a whole number from 0 on, or several) or a numpy.random.Generator, "
            f"got {shown(value)}."
        ) from None


def as_steps(value: Any, argument: str = "step") -> Float:
    """One or many step sizes, all positive and finite."""
    array = as_array(value, argument, tuple(range(33)))
    if np.count_nonzero(array > 0) < array.size:
        worst = float(array.min())
        raise ValueError(f"{argument} must be positive, got {worst:g}; integrate backwards by negating p0.")
    return array
