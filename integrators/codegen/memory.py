"""Copies that several kernels make, and arrays that start on a cache line."""

from __future__ import annotations

import math

import numpy as np

from .compiled import helper

__all__ = ["aligned_array", "aligned_empty", "copy_into", "fill_input"]

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


@helper
def fill_input(inputs, rows, number, x):
    """x ← the input of kick `number`, for every lane."""
    if x.shape[0] == 0:
        return
    row = inputs[rows[number]]
    shared = row.shape[1] == 1
    for i in range(x.shape[0]):
        for q in range(x.shape[1]):
            x[i, q] = row[i, 0 if shared else q]


@helper
def copy_into(source, target):
    """target ← source for flat arrays."""
    for f in range(source.size):
        target[f] = source[f]
