"""The two matrix products of training, for flat arrays whose rows are batch members.

``multiply``, ``add_multiplied``: out = A B, out += A B for one step, as `add_product` of
`integrators.codegen.product` without its scale.

``add_outer``: out += G Yᵀ, contracted over batch members and time. Its sums stay eight parts, in registers
within a call and in memory between calls; the parts are added when a gradient is complete.

Every sum runs in a fixed order with one fused multiply-add a term, whatever stands beside it and whatever the
processor's registers.
"""

from __future__ import annotations

from integrators.codegen.compiled import helper, inlined
from integrators.codegen.simd import TILE, WIDTH, outer_tile, register_width, sum_tile

__all__ = ["add_multiplied", "add_outer", "multiply"]


@helper
def _product(A, start, row, column, rows, inner, B, b, b_row, out, lanes, onto):
    """Strip by strip of batch members, in tiles of nearly one height."""
    tiles = (rows + TILE.rows - 1) // TILE.rows
    height, higher = rows // tiles, rows % tiles
    register = register_width(out)
    q = 0
    while q < lanes:
        vectors = min(TILE.vectors, (lanes - q) // register)
        i = 0
        for tile in range(tiles):
            size = height + 1 if tile < higher else height
            sum_tile(
                size, vectors, onto, A, start + i * row, row, column, inner, B, b + q, b_row, out,
                i * lanes + q, lanes,
            )  # fmt: skip
            i += size
        q += vectors * register


@inlined
def multiply(A, start, row, column, rows, inner, B, b, b_row, out, lanes):
    """out = A B for one step.

    Entry (i, j) of A, (rows, inner), is ``A[start + i·row + j·column]``; row j of B starts at
    ``b + j·b_row``; out is (rows, lanes), lanes a multiple of eight. All arrays are flat.
    """
    _product(A, start, row, column, rows, inner, B, b, b_row, out, lanes, False)


@inlined
def add_multiplied(A, start, row, column, rows, inner, B, b, b_row, out, lanes):
    """out += A B for one step; see `multiply`."""
    _product(A, start, row, column, rows, inner, B, b, b_row, out, lanes, True)


@helper
def add_outer(G, g, g_step, rows, Y, y, y_step, columns, steps, lanes, out):
    """out[i, j, ℓ] += Σ_tv G[t, i, 8v + ℓ] Y[t, j, 8v + ℓ] for flat arrays.

    Parameters
    ----------
    G, Y : float64[::1]
        (steps, rows, lanes) and (steps, columns, lanes), from `g` and `y` on; one step begins `g_step` or
        `y_step` after the other. Lanes are a multiple of eight.
    out : float64[::1]
        (rows, columns, 8).
    """
    tiles = (rows + TILE.outer_rows - 1) // TILE.outer_rows
    height, higher = rows // tiles, rows % tiles
    i = 0
    for tile in range(tiles):
        size = height + 1 if tile < higher else height
        for part in range(0, WIDTH, register_width(out)):
            for c in range(0, columns, TILE.outer_columns):
                outer_tile(
                    size, min(TILE.outer_columns, columns - c), G, g + i * lanes + part, g_step,
                    Y, y + c * lanes + part, y_step, steps, lanes // WIDTH, lanes,
                    out, (i * columns + c) * WIDTH + part, columns * WIDTH,
                )  # fmt: skip
        i += size
