"""Matrix products on blocks of columns: out[i, r, q] += scale[i, q] · Σ_j A[i, j] B[j, r, q].

Columns are (rows, k, m) with the lane axis last. Every entry is a sum in the order of j, one fused
multiply-add per term, followed by one for the scale, in every branch below: its bits do not depend on k, m
or its place.
"""

from __future__ import annotations

import numpy as np
from numba import types

from .array_types import MATRIX
from .compiled import helper, inlined, kernel
from .primitives import aligned_empty, flat, fma, get, put
from .processor import cache_bytes
from .simd import (
    PUSHED_ROWS,
    PUSHED_VECTORS,
    ROW_VECTORS,
    TILE,
    copy_strip,
    drift_tile,
    product_tile,
    push_tile,
    register_width,
    row_tile,
    sum_tile,
)

__all__ = [
    "SECONDS_PER_DOUBLE_TERM",
    "add_matrix",
    "add_matrix_vector",
    "add_outer",
    "add_product",
    "add_rows_vector",
    "add_transposed",
    "double_product",
    "push_columns",
    "strip_product",
    "tile_rows",
]


# From this many rows on the columns are multiplied by panels, which are copied together first: rows of B lie
# n numbers apart, and their lines would fall on the same few places of the cache. With two lines a row strips
# fill half of the first-level cache then. One core, GF/s without and with a copy of each strip: an older
# processor with AVX-512, d = 128: 53 and 54, d = 256: 50 and 52, d = 512: 27 and 53, d = 1000: 46 and 53; a
# newer one, with AVX-512, d = 128: 128 and 126, d = 512: 113 and 113; with AVX2, d = 128: 66 and 64, d = 256:
# 65 and 64, d = 512: 43 and 56.
PACKED_DIM = cache_bytes(1) // 256
# Bytes of a panel. All its strips are multiplied by some rows of A before the next rows, so that A comes from
# the farther caches once a panel and not once a strip. Whole Jacobians by leapfrog on the newer processor (1
# MiB of second-level cache), GF/s with strips alone and with 256 KiB: AVX-512, d = 256: 95 and 104, d = 512:
# 97 and 101; AVX2, d = 256: 53 and 57, d = 512: 55 and 58. Products alone, AVX2, d = 512, with 64, 128, 256
# and 512 KiB: 60.6, 62.4, 62.3 and 62.3.
PANEL_BYTES = cache_bytes(2) // 4
# Rows of A that far apart share a place of the cache too. d = 512, GF/s with 12, 8 and 6 rows: older
# processor: 51, 56; newer: 111, 117, 118; with AVX2, 6 and 4 rows: 62 and 57.
FAR_TILE_ROWS = min(8, TILE.rows)
SECONDS_PER_DOUBLE_TERM = 2.5e-10
"""Of `double_product`, for each of rows · inner · columns terms: 0.22 ns with AVX-512, 0.28 with AVX2."""


@inlined
def tile_heights(rows, most):
    """(tiles, rows of each, tiles with one row more): of nearly one height, for 5 + 5 beat 8 + 2."""
    tiles = (rows + most - 1) // most
    return tiles, rows // tiles, rows % tiles


@inlined
def tile_rows(inner):
    """Rows of a tile, at most, for sums of so many terms."""
    return TILE.rows if inner < PACKED_DIM else FAR_TILE_ROWS


@helper
def strip_product(A, start, row, column, rows, inner, B, b, b_row, vectors, onto, out, o, o_row, ones):
    """out = A B, or out += A B with `onto`, for one strip of so many registers of columns; arrays are flat.

    Entry (i, j) of the (rows, inner) matrix is ``A[start + i·row + j·column]``, row j of B starts at
    ``b + j·b_row`` and row i of out at ``o + i·o_row``. `ones` holds at least a tile's rows.
    """
    if rows == 0:
        return
    tiles, height, higher = tile_heights(rows, tile_rows(inner))
    register = register_width(out)
    i = 0
    for tile in range(tiles):
        size = height + 1 if tile < higher else height
        a, at = start + i * row, o + i * o_row
        for v in range(0, vectors, TILE.vectors):
            few, f = min(TILE.vectors, vectors - v), v * register
            if onto:
                product_tile(
                    size,
                    few,
                    A,
                    a,
                    row,
                    column,
                    inner,
                    B,
                    b + f,
                    b_row,
                    out,
                    at + f,
                    o_row,
                    ones,
                    0,
                    0,
                    False,
                )
            else:
                sum_tile(size, few, False, A, a, row, column, inner, B, b + f, b_row, out, at + f, o_row)
        i += size


@helper
def push_one_row(a, B, out, n, m, scale, by_lane, drift, in_place):
    """`push_columns` for a matrix of the single entry a: with nothing to sum, plain loops are faster."""
    width = m if by_lane else n
    zero = B.dtype.type(0.0)
    for first in range(0, n, width):
        if in_place:
            for q in range(width):
                old = get(out, first + q)
                put(out, first + q, fma(get(scale, q if by_lane else 0), fma(a, old, zero), old))
            continue
        for q in range(width):
            share = fma(a, get(B, first + q), zero)
            put(out, first + q, fma(get(scale, q if by_lane else 0), share, get(out, first + q)))
        if drift.size > 0:
            for q in range(width):
                moved = get(out, first + q)
                put(B, first + q, fma(get(drift, q if by_lane else 0), moved, get(B, first + q)))


@helper
def push_last_columns(A, start, row, column, rows, inner, B, out, n, m, scale, by_lane, drift, packed, done):
    """The columns from `done` on of `push_columns`, in a register's worth of their own with zeros behind."""
    register = register_width(out)
    sums, scales = np.zeros((2, rows * register), out.dtype)
    moves = np.zeros(register, out.dtype)
    while done < n:
        width = min(register, n - done)
        copy_strip(inner, width, B, done, n, packed, 0, register)
        copy_strip(rows, width, out, done, n, sums, 0, register)
        for f in range(width):
            q = (done + f) % m
            moves[f] = drift[q] if drift.size > 0 else 0.0
            for i in range(rows):
                scales[i * register + f] = scale[i * m + q] if by_lane else scale[i]
        for i in range(rows):
            product_tile(
                1, 1, A, start + i * row, row, column, inner, packed, 0, register, sums, i * register,
                register, scales, i * register, register, True,
            )  # fmt: skip
        copy_strip(rows, width, sums, 0, register, out, done, n)
        if drift.size > 0:
            drift_tile(rows, 1, moves, 0, True, sums, packed, 0, register)
            copy_strip(rows, width, packed, 0, register, B, done, n)
        done += width


@inlined
def strip_width(most, column, last, m, by_lane):
    """Columns of the strip at `column`: with a scale per lane it must not run over the end of the lanes."""
    width = min(most, last - column)
    return min(width, m - column % m) if by_lane else width


@helper
def copy_panel(B, n, inner, first, last, m, by_lane, strip, packed):
    """packed ← the columns [first, last) of B, strip after strip, each row by row."""
    column = first
    while column < last:
        width = strip_width(strip, column, last, m, by_lane)
        copy_strip(inner, width, B, column, n, packed, (column - first) * inner, width)
        column += width


@helper
def push_panels(A, start, row, column, rows, inner, B, out, whole, n, m, scale, by_lane, drift):
    """The first `whole` columns of `push_columns`, by panels of many strips.

    B is read from a copy of the panel, so that the drift may change it as soon as a tile is done.
    """
    tiles, height, higher = tile_heights(rows, FAR_TILE_ROWS)
    s_row = m if by_lane else 1
    register = register_width(out)
    strip = TILE.vectors * register
    panel = max(1, PANEL_BYTES // (out.itemsize * strip * inner)) * strip
    packed = aligned_empty(min(panel, whole) * inner, out.dtype)
    for first in range(0, whole, panel):
        last, i = min(whole, first + panel), 0
        copy_panel(B, n, inner, first, last, m, by_lane, strip, packed)
        for tile in range(tiles):
            size, done = height + 1 if tile < higher else height, first
            while done < last:
                width = strip_width(strip, done, last, m, by_lane)
                vectors, lane, o = width // register, done % m if by_lane else 0, done + i * n
                product_tile(
                    size, vectors, A, start + i * row, row, column, inner, packed, (done - first) * inner,
                    width, out, o, n, scale, lane + i * s_row, s_row, by_lane,
                )  # fmt: skip
                if drift.size > 0:
                    drift_tile(size, vectors, drift, lane, by_lane, out, B, o, n)
                done += width
            i += size


@helper
def push_strips(A, start, row, column, d, B, out, whole, n, m, scale, drift):
    """The first `whole` columns of `push_columns`, each strip and its drift in one tile with all d rows.

    m is a multiple of a register. One core, GF/s of a push of 104 members without and with it: d = 2: 8 and
    16, d = 4: 24 and 41, d = 10: 70 and 74 with AVX-512; d = 2: 6 and 11, d = 4: 17 and 26 with AVX2.
    """
    register, moves, done = register_width(out), drift.size > 0, 0
    while done < whole:
        lane = 0
        while lane < m:
            width = min(PUSHED_VECTORS, (m - lane) // register)
            push_tile(
                d,
                width,
                A,
                start,
                row,
                column,
                d,
                B,
                done,
                n,
                out,
                done,
                n,
                scale,
                lane,
                m,
                moves,
                drift,
                lane,
            )
            lane += width * register
            done += width * register


@helper
def push_columns(A, start, row, column, rows, inner, B, out, n, m, scale, by_lane, drift, in_place):
    """out += scale · A B, then B += drift · out; all arrays flat.

    Strip by strip of columns, so that the second sum finds its numbers in the nearest cache: on its own it
    took a fifth of the time at d = 10.

    Parameters
    ----------
    A : float64[::1]
        Entry (i, j) of the (rows, inner) matrix is ``A[start + i·row + j·column]``.
    B : float64[::1]
        (inner, n) columns.
    out : float64[::1]
        (rows, n) columns.
    n, m : int
        Columns and, among them, lanes: n = k·m.
    scale : float64[::1]
        ``scale[i·m + q]`` with by_lane, else ``scale[i]``.
    drift : float64[::1]
        ``drift[q]``, or empty for none.
    in_place : bool
        Whether `out` is `B`; there is no drift then.
    """
    if rows == 1 and inner == 1:
        push_one_row(A[start], B, out, n, m, scale, by_lane, drift, in_place)
        return
    s_row = m if by_lane else 1
    tiles, height, higher = tile_heights(rows, TILE.rows)
    register = register_width(out)
    strip = TILE.vectors * register
    whole = n - n % register if not by_lane or m % register == 0 else 0
    done = lane = 0
    if inner >= PACKED_DIM and whole > 0:
        push_panels(A, start, row, column, rows, inner, B, out, whole, n, m, scale, by_lane, drift)
        done = whole
    elif by_lane and rows == inner <= PUSHED_ROWS:
        push_strips(A, start, row, column, rows, B, out, whole, n, m, scale, drift)
        done = whole
    packed = aligned_empty(strip * inner, out.dtype) if whole < n or (in_place and done < n) else B[:0]
    while done < whole:
        # With a scale per lane a strip must not run over the end of the lanes.
        end = m - lane if by_lane else n - done
        vectors = min(TILE.vectors, end // register)
        source, b, b_row = B, done, n
        if packed.size > 0:
            copy_strip(inner, vectors * register, B, done, n, packed, 0, strip)
            source, b, b_row = packed, 0, strip
        i = 0
        for tile in range(tiles):
            size = height + 1 if tile < higher else height
            a, o, s = start + i * row, done + i * n, lane + i * s_row
            product_tile(
                size, vectors, A, a, row, column, inner, source, b, b_row, out, o, n, scale, s, s_row, by_lane
            )
            i += size
        if drift.size > 0:
            drift_tile(rows, vectors, drift, lane, by_lane, out, B, done, n)
        done += vectors * register
        if by_lane:
            lane = lane + vectors * register if lane + vectors * register < m else 0
    if done < n:
        push_last_columns(
            A, start, row, column, rows, inner, B, out, n, m, scale, by_lane, drift, packed, done
        )


@inlined
def add_product(A, start, row, column, rows, inner, B, out, n, m, scale, by_lane):
    """out += scale · A B: `push_columns` without a drift."""
    push_columns(A, start, row, column, rows, inner, B, out, n, m, scale, by_lane, scale[:0], False)


@helper
def add_matrix_vector(A, start, rows, inner, x, out):
    """out += A x for one batch member: the sums of `add_product` with unit scale, eight rows at a time.

    One sum alone would wait four cycles for each of its terms, and a core begins two in a cycle: 7 products a
    nanosecond at d = 64, and 4.6 with four rows, with AVX-512 and with AVX2.
    """
    i = 0
    while i + 8 <= rows:
        s0 = s1 = s2 = s3 = s4 = s5 = s6 = s7 = out.dtype.type(0.0)
        a = start + i * inner
        for j in range(inner):
            xj = get(x, j)
            s0 = fma(get(A, a + j), xj, s0)
            s1 = fma(get(A, a + inner + j), xj, s1)
            s2 = fma(get(A, a + 2 * inner + j), xj, s2)
            s3 = fma(get(A, a + 3 * inner + j), xj, s3)
            s4 = fma(get(A, a + 4 * inner + j), xj, s4)
            s5 = fma(get(A, a + 5 * inner + j), xj, s5)
            s6 = fma(get(A, a + 6 * inner + j), xj, s6)
            s7 = fma(get(A, a + 7 * inner + j), xj, s7)
        for r, total in enumerate((s0, s1, s2, s3, s4, s5, s6, s7)):
            put(out, i + r, get(out, i + r) + total)
        i += 8
    while i + 4 <= rows:
        s0 = s1 = s2 = s3 = out.dtype.type(0.0)
        a = start + i * inner
        for j in range(inner):
            xj = get(x, j)
            s0 = fma(get(A, a + j), xj, s0)
            s1 = fma(get(A, a + inner + j), xj, s1)
            s2 = fma(get(A, a + 2 * inner + j), xj, s2)
            s3 = fma(get(A, a + 3 * inner + j), xj, s3)
        for r, total in enumerate((s0, s1, s2, s3)):
            put(out, i + r, get(out, i + r) + total)
        i += 4
    while i < rows:
        s0 = out.dtype.type(0.0)
        for j in range(inner):
            s0 = fma(get(A, start + i * inner + j), get(x, j), s0)
        put(out, i, get(out, i) + s0)
        i += 1


@helper
def add_rows_vector(A, T, rows, inner, x, out):
    """`add_matrix_vector` where T holds Aᵀ row by row, so that a register takes as many rows: the same sums.

    With it a step of leapfrog and its 32 columns at d = 32 takes 1.34 µs with AVX2 and 0.82 with AVX-512; it
    took 1.41 and 0.91; at d = 64 8.7 and 5.0 instead of 9.1 and 5.3.
    """
    register = register_width(out)
    done = 0
    while rows - done >= register:
        vectors = min(ROW_VECTORS, (rows - done) // register)
        row_tile(vectors, x, inner, T, done, rows, out, done)
        done += vectors * register
    if done < rows:
        add_matrix_vector(A, done * inner, rows - done, inner, x, out[done:])


@helper
def add_matrix(A, start, rows, inner, B, out, n, ones):
    """out += A B for n columns: the same sums for every n."""
    if n == 1:
        add_matrix_vector(A, start, rows, inner, B, out)
    else:
        add_product(A, start, inner, 1, rows, inner, B, out, n, n, ones, False)


@helper
def add_transposed(A, start, rows, inner, B, out, n, ones):
    """out += Aᵀ B for n columns, A (rows, inner): the same sums for every n."""
    if n > 1:
        add_product(A, start, 1, inner, inner, rows, B, out, n, n, ones, False)
        return
    # One column: along the rows of A, whose entries lie side by side.
    total = np.zeros(inner, out.dtype)
    for i in range(rows):
        factor = get(B, i)
        for j in range(inner):
            put(total, j, fma(get(A, start + i * inner + j), factor, get(total, j)))
    for j in range(inner):
        put(out, j, get(out, j) + get(total, j))


@helper
def add_outer(left, rows, right, inner, m, out, ones):
    """out[i, j] += Σ_q left[i, q] right[j, q]: a weight gradient, summed over lanes in order.

    The tile wants the columns of the result side by side, hence the transposed copy of `right`, which costs
    inner·m moves beside rows·inner·m products.
    """
    turned = np.empty(m * inner, out.dtype)
    for j in range(inner):
        for q in range(m):
            put(turned, q * inner + j, get(right, j * m + q))
    add_product(left, 0, m, 1, rows, m, turned, out, inner, inner, ones, False)


@kernel(types.void(MATRIX, MATRIX, MATRIX, MATRIX, MATRIX, MATRIX))
def double_product(a_high, a_low, b_high, b_low, c_high, c_low):
    """C = A B for A = a_high + a_low, B likewise; the error is about 2^-104 · |A| |B| an entry.

    Each product a b is split into two numbers by a fused multiply-add, and what a sum rounds off is found by
    Knuth's two-sum: T. Ogita, S. M. Rump, S. Oishi, SIAM J. Sci. Comput. 26 (2005) 1955, Algorithm 5.3, here
    with the products of the low parts of one factor.
    """
    rows, inner = a_high.shape
    columns = b_high.shape[1]
    high, low, right, right_low = flat(c_high), flat(c_low), flat(b_high), flat(b_low)
    for i in range(rows):
        place = i * columns
        for r in range(columns):
            put(high, place + r, 0.0)
            put(low, place + r, 0.0)
        for j in range(inner):
            a, rest, start = a_high[i, j], a_low[i, j], j * columns
            if a == 0.0:
                continue
            for r in range(columns):
                b, old = get(right, start + r), get(high, place + r)
                product = a * b
                error = fma(a, b, -product) + fma(a, get(right_low, start + r), rest * b)
                total = old + product
                part = total - old
                lost = (old - (total - part)) + (product - part)
                put(high, place + r, total)
                put(low, place + r, get(low, place + r) + (lost + error))
        for r in range(columns):
            old, rest = get(high, place + r), get(low, place + r)
            total = old + rest
            put(high, place + r, total)
            put(low, place + r, rest - (total - old))
