"""What compiled functions are made of: access to arrays, memory, and fused arithmetic.

* Arrays as compiled code reads them fastest: flat, indices unchecked, references not counted.
* Copies that several kernels make, and arrays that start on a cache line.
* Scalar building blocks that vectorise: fused multiply-add, bit casts, and exp on the negative axis. Numba's
  wheels carry no vector mathematics library, so ``np.exp`` inside a loop is one scalar call per element. What
  stands here is plain IEEE arithmetic without branches, which LLVM turns into vector code, and it is the
  same operation sequence in the vector body and in the remainder of a loop: the value of an element does not
  depend on its place in the array.
"""

from __future__ import annotations

import math
import operator
import struct

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.imputils import impl_ret_borrowed
from numba.extending import intrinsic

from .compiled import JIT_DISABLED, helper

__all__ = [
    "LINE_NUMBERS",
    "STACK_NUMBERS",
    "aligned_array",
    "aligned_empty",
    "borrowed",
    "clear",
    "copy_into",
    "exp_composed",
    "exp_negative",
    "exp_reduced",
    "exp_series",
    "flat",
    "fma",
    "get",
    "hold",
    "on_stack",
    "put",
]

if JIT_DISABLED:
    flat, get, put = np.ravel, operator.getitem, operator.setitem

    def borrowed(array):
        """The array itself."""
        return array

    def hold(array):
        """Nothing."""

else:

    def _fill(view, **parts):
        """Numba's `populate_array`; importing its module takes 16 ms, and a kept kernel is loaded without."""
        from numba.np.arrayobj import populate_array

        populate_array(view, **parts)

    @intrinsic
    def flat(typingctx, array):
        """A contiguous array as one row, borrowed: ``reshape`` costs a call of some 30 ns, this nothing."""
        row = types.Array(array.dtype, 1, "C")

        def codegen(context, builder, signature, arguments):
            source = context.make_array(array)(context, builder, arguments[0])
            view = context.make_array(row)(context, builder)
            _fill(
                view,
                data=source.data,
                shape=[source.nitems],
                strides=[source.itemsize],
                itemsize=source.itemsize,
                meminfo=source.meminfo,
                parent=source.parent,
            )
            return impl_ret_borrowed(context, builder, row, view._getvalue())

        return row(array), codegen

    @intrinsic
    def borrowed(typingctx, array):
        """The same array without its reference count, valid while somebody holds the owner.

        Counts are atomic, some 5 ns each: on a small block half of the time of a step went into them.
        """

        def codegen(context, builder, signature, arguments):
            view = context.make_array(array)(context, builder, arguments[0])
            view.meminfo = cgutils.get_null_value(view.meminfo.type)
            view.parent = cgutils.get_null_value(view.parent.type)
            return view._getvalue()

        return array(array), codegen

    @intrinsic
    def hold(typingctx, array):
        """Keeps an array up to here: Numba frees what it sees no more use of."""

        def codegen(context, builder, signature, arguments):
            return context.get_dummy_value()

        return types.void(array), codegen

    @intrinsic
    def get(typingctx, array, index):
        """array[index] of a flat array, index ≥ 0: Numba's wrap-around of computed indices stops LLVM."""

        def codegen(context, builder, signature, arguments):
            data = context.make_array(array)(context, builder, arguments[0]).data
            return builder.load(builder.gep(data, [arguments[1]]))

        return array.dtype(array, types.intp), codegen

    @intrinsic
    def put(typingctx, array, index, value):
        """array[index] = value of a flat array, index ≥ 0."""

        def codegen(context, builder, signature, arguments):
            data = context.make_array(array)(context, builder, arguments[0]).data
            builder.store(arguments[2], builder.gep(data, [arguments[1]]))
            return context.get_dummy_value()

        return types.void(array, types.intp, array.dtype), codegen


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
            kind = ir.ArrayType(ir.DoubleType(), STACK_NUMBERS)
            with builder.goto_entry_block():  # `cgutils.alloca_once` would fill it with zeros
                room = builder.alloca(kind)
            room.align = LINE_BYTES
            index, size = ir.IntType(64), ir.Constant(ir.IntType(64), 8)
            view = context.make_array(row)(context, builder)
            _fill(
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


if JIT_DISABLED:

    def fma(a, b, c):
        """a·b + c; twice rounded here, because plain Python has no fused form before 3.13."""
        return a * b + c

    def _power_of_two(number):
        (bits,) = struct.unpack("<q", struct.pack("<d", number))
        (power,) = struct.unpack("<d", struct.pack("<Q", ((bits + 1023) << 52) & 0xFFFFFFFFFFFFFFFF))
        return power

else:

    @intrinsic
    def fma(typingctx, a, b, c):
        """a·b + c with one rounding, in float32 if all three are."""

        def codegen(context, builder, signature, arguments):
            return builder.fma(*arguments)

        kind = types.float32 if a == b == c == types.float32 else types.float64
        return kind(kind, kind, kind), codegen

    @intrinsic
    def _power_of_two(typingctx, number):
        """2^k for a float64 whose low bits hold the whole number k, such as k + ROUNDER."""

        def codegen(context, builder, signature, arguments):
            whole = ir.IntType(64)
            biased = builder.add(builder.bitcast(arguments[0], whole), ir.Constant(whole, 1023))
            return builder.bitcast(builder.shl(biased, ir.Constant(whole, 52)), ir.DoubleType())

        return types.float64(types.float64), codegen


LOG2_E = 1.4426950408889634
# ln 2 in two parts; the first has 21 trailing zero bits, so that its product with an exponent is exact.
LN2_HIGH = 6.93147180369123816490e-01
LN2_LOW = 1.90821492927058770002e-10
# 1.5 · 2^52: adding it rounds to an integer and leaves that integer in the low bits.
ROUNDER = 6755399441055744.0
LOWEST = -708.0


@helper
def exp_reduced(u):
    """(r, low, 2^k) with u = k ln 2 + r + low, k whole and |r| ≤ ln 2 / 2, for −708 ≤ u ≤ 0."""
    rounded = fma(u, LOG2_E, ROUNDER)
    power = _power_of_two(rounded)
    k = rounded - ROUNDER
    high = fma(-k, LN2_HIGH, u)
    r = fma(-k, LN2_LOW, high)
    low = fma(-k, LN2_LOW, high - r)
    return r, low, power


@helper
def exp_series(r):
    """q with e^r ≈ 1 + r + r² q: the Taylor polynomial of degree 13 of e^r, whose remainder is 4e-18."""
    q = 1.0 / 6227020800.0
    q = fma(q, r, 1.0 / 479001600.0)
    q = fma(q, r, 1.0 / 39916800.0)
    q = fma(q, r, 1.0 / 3628800.0)
    q = fma(q, r, 1.0 / 362880.0)
    q = fma(q, r, 1.0 / 40320.0)
    q = fma(q, r, 1.0 / 5040.0)
    q = fma(q, r, 1.0 / 720.0)
    q = fma(q, r, 1.0 / 120.0)
    q = fma(q, r, 1.0 / 24.0)
    q = fma(q, r, 1.0 / 6.0)
    return fma(q, r, 0.5)


@helper
def exp_composed(r, low, power, q):
    """(1 − e^u, e^u) of what `exp_reduced` and `exp_series` give.

    With p = e^r − 1, e^u = 2^k + 2^k p and 1 − e^u = (1 − 2^k) − 2^k p, without cancellation near u = 0.
    """
    p = r + fma(r * r, q, low)
    return -fma(power, p, power - 1.0), fma(power, p, power)


@helper
def exp_negative(u):
    """(1 − e^u, e^u) for −708 ≤ u ≤ 0, each to about one unit in the last place."""
    r, low, power = exp_reduced(u)
    return exp_composed(r, low, power, exp_series(r))
