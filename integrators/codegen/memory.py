"""Copies that several kernels make, and arrays that start on a cache line."""

from __future__ import annotations

import math

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .compiled import JIT_DISABLED, helper, inlined

__all__ = [
    "LINE_NUMBERS",
    "STACK_NUMBERS",
    "aligned_array",
    "aligned_empty",
    "clear",
    "copy_into",
    "input_of",
    "on_stack",
]

# A register as wide as a cache line takes two accesses where it lies across two lines: at d = 10 a product
# whose columns start on a line is a third faster than one whose columns do not.
LINE_BYTES = 64
LINE_NUMBERS = LINE_BYTES // 4
"""As many numbers of any type fill whole lines."""


# Numbers of float64 that `on_stack` gives.
STACK_NUMBERS = 512

if JIT_DISABLED:

    def on_stack():
        """A flat array of STACK_NUMBERS float64, not initialised."""
        return np.empty(STACK_NUMBERS)

else:

    @intrinsic
    def on_stack(typingctx):
        """A flat array of STACK_NUMBERS float64, not initialised, which ends with the function that asks.

        Memory of the system's takes 40 ns to get and give back, as long as 40 values of tanh.
        """
        row = types.Array(types.float64, 1, "C")

        def codegen(context, builder, signature, arguments):
            from numba.np.arrayobj import populate_array

            kind = ir.ArrayType(ir.DoubleType(), STACK_NUMBERS)
            with builder.goto_entry_block():  # `cgutils.alloca_once` would fill it with zeros
                room = builder.alloca(kind)
            room.align = LINE_BYTES
            index, size = ir.IntType(64), ir.Constant(ir.IntType(64), 8)
            view = context.make_array(row)(context, builder)
            populate_array(
                view,
                data=builder.bitcast(room, ir.DoubleType().as_pointer()),
                shape=[ir.Constant(index, STACK_NUMBERS)],
                strides=[size],
                itemsize=size,
                meminfo=None,
            )
            return view._getvalue()

        return row(), codegen


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
