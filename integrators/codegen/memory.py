"""Copies that several kernels make, and arrays that start on a cache line."""

from __future__ import annotations

import math

import numpy as np

from .compiled import helper, inlined

__all__ = ["aligned_array", "aligned_empty", "clear", "copy_into", "input_of"]

# A register as wide as a cache line takes two accesses where it lies across two lines: at d = 10 a product
# whose columns start on a line is a third faster than one whose columns do not.
LINE_BYTES = 64


@helper
def aligned_empty(n, dtype):
    """A flat array of n numbers, not initialised, that starts on a cache line."""
    room = np.empty(n + LINE_BYTES // 4, dtype)
    first = (-room.ctypes.data % LINE_BYTES) // room.itemsize
    return room[first : first + n]


def aligned_array(shape, dtype):
    """A contiguous array, not initialised, that starts on a cache line."""
    n_bytes = math.prod(shape) * np.dtype(dtype).itemsize
    flat = np.empty(n_bytes + LINE_BYTES, np.uint8)
    first = -flat.__array_interface__["data"][0] % LINE_BYTES
    return flat[first : first + n_bytes].view(dtype).reshape(shape)


@inlined
def input_of(inputs, rows, number, own):
    """The input of an operation, (n_inputs, m): a view of `inputs`, or `own` filled with what all share."""
    if own.shape[0] == 0:
        return own
    row = inputs[rows[number]]
    if row.shape[1] == own.shape[1]:
        return row
    for i in range(own.shape[0]):
        for q in range(own.shape[1]):
            own[i, q] = row[i, 0]
    return own


@helper
def copy_into(source, target):
    """target ← source for flat arrays."""
    for f in range(source.size):
        target[f] = source[f]


@helper
def clear(target):
    """target ← 0 for flat arrays."""
    for f in range(target.size):
        target[f] = 0
