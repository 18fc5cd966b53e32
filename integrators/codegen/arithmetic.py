"""Scalar building blocks that vectorise: fused multiply-add, bit casts, and exp on the negative axis.

Numba's wheels carry no vector mathematics library, so ``np.exp`` inside a loop is one scalar call per
element. What stands here is plain IEEE arithmetic without branches, which LLVM turns into vector code, and
it is the same operation sequence in the vector body and in the remainder of a loop: the value of an element
does not depend on its place in the array.
"""

from __future__ import annotations

import struct

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .compiled import JIT_DISABLED, helper

__all__ = ["exp_composed", "exp_negative", "exp_reduced", "exp_series", "fma"]

if JIT_DISABLED:

    def fma(a, b, c):
        """a·b + c; twice rounded here, because plain Python has no fused form before 3.13."""
        return a * b + c

    def _bits(a):
        return struct.unpack("<q", struct.pack("<d", a))[0]

    def _from_bits(n):
        return struct.unpack("<d", struct.pack("<Q", n & 0xFFFFFFFFFFFFFFFF))[0]

else:

    @intrinsic
    def fma(typingctx, a, b, c):
        """a·b + c with one rounding, in float32 if all three are."""

        def codegen(context, builder, signature, arguments):
            return builder.fma(*arguments)

        kind = types.float32 if a == b == c == types.float32 else types.float64
        return kind(kind, kind, kind), codegen

    @intrinsic
    def _bits(typingctx, a):
        def codegen(context, builder, signature, arguments):
            return builder.bitcast(arguments[0], ir.IntType(64))

        return types.int64(types.float64), codegen

    @intrinsic
    def _from_bits(typingctx, n):
        def codegen(context, builder, signature, arguments):
            return builder.bitcast(arguments[0], ir.DoubleType())

        return types.float64(types.int64), codegen


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
    power = _from_bits((_bits(rounded) + 1023) << 52)
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
