"""Matrix products on blocks of columns: out[i, r, q] += scale[i, q] · Σ_j A[i, j] B[j, r, q].

Columns are (rows, k, m) with the lane axis last. Every entry is a sum in the order of j, one fused
multiply-add per term, followed by one for the scale, in every branch below: its bits do not depend on k, m
or its place.
"""

from __future__ import annotations

import numpy as np

from .arithmetic import fma
from .compiled import helper
from .simd import WIDTH, get, product_tile, put

__all__ = ["add_matrix", "add_matrix_vector", "add_outer", "add_product", "add_transposed"]


# Rows of B lie n numbers apart; from this many rows on a strip is copied together first, or its lines would
# fall on the same few places of the cache. One core, GF/s without and with: d = 128: 53 and 54, d = 256: 50
# and 52, d = 512: 27 and 53, d = 1000: 46 and 53.
PACKED_DIM = 192


@helper
def _strip(A, start, row, column, rows, inner, B, b, b_row, out, at, n, scale, s, s_row, wide, by_lane):
    """All rows of one or two registers' worth of columns, starting at flat column `at` of `out`.

    The shape of a tile is compiled in, which is why its six forms are spelled out.
    """
    i = 0
    while i + 4 <= rows:
        a, o, w = start + i * row, at + i * n, s + i * s_row
        if wide:
            product_tile(4, 2, A, a, row, column, inner, B, b, b_row, out, o, n, scale, w, s_row, by_lane)
        else:
            product_tile(4, 1, A, a, row, column, inner, B, b, b_row, out, o, n, scale, w, s_row, by_lane)
        i += 4
    if i + 2 <= rows:
        a, o, w = start + i * row, at + i * n, s + i * s_row
        if wide:
            product_tile(2, 2, A, a, row, column, inner, B, b, b_row, out, o, n, scale, w, s_row, by_lane)
        else:
            product_tile(2, 1, A, a, row, column, inner, B, b, b_row, out, o, n, scale, w, s_row, by_lane)
        i += 2
    if i < rows:
        a, o, w = start + i * row, at + i * n, s + i * s_row
        if wide:
            product_tile(1, 2, A, a, row, column, inner, B, b, b_row, out, o, n, scale, w, s_row, by_lane)
        else:
            product_tile(1, 1, A, a, row, column, inner, B, b, b_row, out, o, n, scale, w, s_row, by_lane)


@helper
def add_product(A, start, row, column, rows, inner, B, out, n, m, scale, by_lane):
    """out += scale · A B, all arrays flat.

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
    """
    s_row = m if by_lane else 1
    if inner == 1 and (n == m or not by_lane):
        # One term, one column: a tile would be all overhead (d = 1, 100 lanes: a third of the time).
        for i in range(rows):
            a = get(A, start + i * row)
            for f in range(n):
                factor = get(scale, i * m + f) if by_lane else get(scale, i)
                put(out, i * n + f, fma(factor, a * get(B, f), get(out, i * n + f)))
        return
    done = 0
    packed = np.empty(2 * WIDTH * inner if inner >= PACKED_DIM else 0, out.dtype)
    if not by_lane or m % WIDTH == 0:
        while done + WIDTH <= n:
            # With a scale per lane a strip must not run over the end of the lanes.
            lane = done % m if by_lane else 0
            wide = (lane + 2 * WIDTH <= m) if by_lane else (done + 2 * WIDTH <= n)
            source, at, b_row = B, done, n
            if packed.size > 0 and wide:
                for j in range(inner):
                    for v in range(2 * WIDTH):
                        put(packed, j * 2 * WIDTH + v, get(B, j * n + done + v))
                source, at, b_row = packed, 0, 2 * WIDTH
            _strip(
                A, start, row, column, rows, inner, source, at, b_row, out, done, n, scale, lane, s_row, wide,
                by_lane,
            )  # fmt: skip
            done += 2 * WIDTH if wide else WIDTH
    for i in range(rows):
        for f in range(done, n):
            total = out.dtype.type(0.0)
            for j in range(inner):
                total = fma(A[start + i * row + j * column], B[j * n + f], total)
            factor = scale[i * m + f % m] if by_lane else scale[i]
            out[i * n + f] = fma(factor, total, out[i * n + f])


@helper
def add_matrix_vector(A, start, rows, inner, x, out):
    """out += A x for one lane: the sums of `add_product` with unit scale, four rows at a time.

    One sum alone would wait four cycles for each of its terms.
    """
    i = 0
    while i + 4 <= rows:
        s0 = s1 = s2 = s3 = out.dtype.type(0.0)
        a = start + i * inner
        for j in range(inner):
            xj = x[j]
            s0 = fma(A[a + j], xj, s0)
            s1 = fma(A[a + inner + j], xj, s1)
            s2 = fma(A[a + 2 * inner + j], xj, s2)
            s3 = fma(A[a + 3 * inner + j], xj, s3)
        out[i] += s0
        out[i + 1] += s1
        out[i + 2] += s2
        out[i + 3] += s3
        i += 4
    while i < rows:
        s0 = out.dtype.type(0.0)
        for j in range(inner):
            s0 = fma(A[start + i * inner + j], x[j], s0)
        out[i] += s0
        i += 1


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
