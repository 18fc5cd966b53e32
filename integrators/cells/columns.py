"""Tangent and cotangent columns of a step of a cell, a strip at a time.

A strip is as many columns as a product's tile has. It is copied together, taken through all that a step does
to it (products with the weights, slopes, the second stage), and written back, so that the derivatives of the
pre-activations stay in the nearest cache. In a cell of one stage the slopes of a few neurons are applied as
soon as the products of these neurons are there.

What a new value depends on is a list of terms, places of a slope and of the row that it multiplies, made for
each step from the pairs of the `Layout`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from integrators.codegen.compiled import helper
from integrators.codegen.primitives import aligned_empty, flat, put
from integrators.codegen.product import strip_product, tile_rows
from integrators.codegen.simd import TILE, combine_rows, copy_strip, register_width

from .layout import places

__all__ = ["Slopes", "Strips", "pull", "push", "strips_for"]


STRIP = 16
"""Columns of a strip: two registers of the widest sort.

More would not stay in the nearest cache: at d = 64 a strip of the state of an LSTM has 16 KiB.
"""

GROUP_TILES = 4
"""Neurons whose slopes are applied together, in tiles of a product."""


class Slopes(NamedTuple):
    """Where the slopes of a step lie.

    Those of the p-th pair (b, l), one for each neuron and batch member, begin at
    ``start + block · b + local · l + pair · p``.
    """

    out: NDArray[np.float64]
    start: int
    hidden: NDArray[np.float64]
    hidden_start: int
    block: int
    local: int
    pair: int


class Strips(NamedTuple):
    """Room for one strip of columns, and the terms of all sums.

    Attributes
    ----------
    room : float64[::1]
        Rows of a strip one below the other: those of pre-activations, of the state (old, then new), of the
        hidden blocks, and of the input.
    terms : int64[::1]
        Places of a slope and of a row, for all terms of the first sum, then of the second …
    ends : int64[::1]
        How many terms there are up to the end of each sum.
    """

    room: NDArray[np.float64]
    terms: NDArray[np.int64]
    ends: NDArray[np.int64]
    ones: NDArray[np.float64]


@helper
def strips_for(layout, d, n_in):
    """Room for d neurons and n_in inputs, or the layer below."""
    rows = layout.first + layout.second + 2 * layout.states + layout.hidden
    sums = layout.first + layout.second + layout.states + layout.hidden
    pairs = layout.out_pairs.shape[0] + layout.hidden_pairs.shape[0]
    room = aligned_empty((rows * d + max(d, n_in)) * STRIP, np.float64)
    room[:] = 0.0
    return Strips(room, np.empty(4 * pairs, np.int64), np.empty(2 * sums, np.int64), np.ones(TILE.rows))


@helper
def list_terms(
    pairs, count, by_local, layout, still, slopes, start, first_row, size, terms, ends, at, number
):
    """Append the terms of `count` sums: of each block, or by_local of each local, from the pairs.

    Row r of what is multiplied lies at ``first_row + r · size``, r a local or, by_local, a block; `at` terms
    of `number` sums are listed already. Vectors have no derivative by the state, nor have rows that only
    inputs fill where these are `still`. Returns how many terms there are then.
    """
    varying = layout.first + layout.second + layout.states
    for target in range(count):
        for p in range(pairs.shape[0]):
            block, local = pairs[p, 0], pairs[p, 1]
            if (local if by_local else block) != target or local >= varying:
                continue
            if still and layout.recurrent <= local and local < layout.first:
                continue
            terms[2 * at] = start + slopes.block * block + slopes.local * local + slopes.pair * p
            terms[2 * at + 1] = first_row + (block if by_local else local) * size
            at += 1
        ends[number + target] = at
    return at


@helper
def combine(strips, number, slopes, onto, m, lane, i, rows, strip, vectors, out, o, o_row):
    """Neurons i … i + rows − 1 of sum `number` for one strip, to ``out[o + i·o_row]`` and below."""
    first = strips.ends[number - 1] if number > 0 else 0
    terms = strips.ends[number] - first
    if terms == 0:
        if not onto:
            for r in range(i, i + rows):
                for f in range(vectors * register_width(out)):
                    put(out, o + r * o_row + f, 0.0)
        return
    for v in range(0, vectors, TILE.vectors):
        f = v * register_width(out)
        combine_rows(
            rows, min(TILE.vectors, vectors - v), onto, m > 1, strips.terms, 2 * first, terms, slopes,
            i * m + lane + (f if m > 1 else 0), m, strips.room, i * strip + f, strip, out, o + i * o_row + f,
            o_row,
        )  # fmt: skip


@helper
def first_products(layout, theta, at_v, n_in, d, i, size, strip, vectors, s, x, strips):
    """Tangents of the first pre-activations of neurons i … i + size − 1; those of the input are at x ≥ 0.

    Without tangents of the input, rows that W does not fill have none and are left as they are.
    """
    room, inner = strips.room, layout.source * d
    # All rows at once, or those of the neurons, from each of the blocks of d rows.
    pieces, height = (1, layout.recurrent * d) if size == d else (layout.recurrent, size)
    for piece in range(pieces):
        row = piece * d + i
        strip_product(
            theta, row * inner, inner, 1, height, inner, room, s, strip, vectors, False, room, row * strip,
            strip, strips.ones,
        )  # fmt: skip
    if x < 0:
        return
    for block in range(layout.recurrent, layout.first):
        for f in range((block * d + i) * strip, (block * d + i + size) * strip):
            put(room, f, 0.0)
    for block in range(layout.input_from, min(layout.first, layout.input_to)):
        row = block * d + i
        strip_product(
            theta, at_v + (row - layout.input_from * d) * n_in, n_in, 1, size, n_in, room, x, strip, vectors,
            True, room, row * strip, strip, strips.ones,
        )  # fmt: skip


@helper
def second_products(layout, theta, at_v, at_r, n_in, d, strip, vectors, u, x, strips):
    """Tangents of the second pre-activations, from those of u and of the input."""
    room, first, inner = strips.room, layout.first * d, layout.hidden * d
    start, row, column = (0, 1, layout.source * d) if layout.tied else (at_r, inner, 1)
    rows = layout.source * d if layout.tied else layout.second * d
    terms = layout.recurrent * d if layout.tied else inner
    strip_product(
        theta, start, row, column, rows, terms, room, u, strip, vectors, False, room, first * strip, strip,
        strips.ones,
    )  # fmt: skip
    begin, end = max(layout.first, layout.input_from), layout.input_to
    if x >= 0 and begin < end:
        strip_product(
            theta, at_v + (begin - layout.input_from) * d * n_in, n_in, 1, (end - begin) * d, n_in, room, x,
            strip, vectors, True, room, begin * d * strip, strip, strips.ones,
        )  # fmt: skip


@helper
def push(layout, theta, n_in, ds, dx, dout, slopes, strips):
    """dout = ∂Φ/∂s ds + ∂Φ/∂x dx for one layer, from its slopes; dx of size 0 is none."""
    D, k, m = ds.shape
    d, n, room = D // layout.states, k * m, strips.room
    at_v, _, at_r, _, _, _ = places(layout, d, n_in)
    rows, hidden, register = layout.first + layout.second, layout.hidden, register_width(ds)
    strip = STRIP
    s = rows * d * strip
    new, u = s + D * strip, s + 2 * D * strip
    x = u + hidden * d * strip if dx.size > 0 else -1
    block, still = d * strip, dx.size == 0
    at = list_terms(
        layout.hidden_pairs, hidden, False, layout, still, slopes, slopes.hidden_start, 0, block,
        strips.terms, strips.ends, 0, 0,
    )  # fmt: skip
    list_terms(
        layout.out_pairs, layout.states, False, layout, still, slopes, slopes.start, 0, block, strips.terms,
        strips.ends, at, hidden,
    )  # fmt: skip
    most = d if layout.second > 0 else GROUP_TILES * tile_rows(layout.source * d)
    groups = (d + most - 1) // most
    height, higher = d // groups, d % groups
    done = lane = 0
    while done < n:
        width = min(strip, m - lane if m > 1 else n - done)
        vectors = (width + register - 1) // register
        copy_strip(D, width, flat(ds), done, n, room, s, strip)
        if x >= 0:
            copy_strip(n_in, width, flat(dx), done, n, room, x, strip)
        whole = width == vectors * register
        i = 0
        for group in range(groups):
            size = height + 1 if group < higher else height
            first_products(layout, theta, at_v, n_in, d, i, size, strip, vectors, s, x, strips)
            if layout.second > 0:
                for h in range(hidden):
                    combine(
                        strips, h, slopes.hidden, False, m, lane, i, size, strip, vectors, room,
                        u + h * block, strip,
                    )  # fmt: skip
                second_products(layout, theta, at_v, at_r, n_in, d, strip, vectors, u, x, strips)
            for b in range(layout.states):
                if whole:
                    combine(
                        strips, hidden + b, slopes.out, False, m, lane, i, size, strip, vectors, flat(dout),
                        b * d * n + done, n,
                    )  # fmt: skip
                else:
                    combine(
                        strips, hidden + b, slopes.out, False, m, lane, i, size, strip, vectors, room,
                        new + b * block, strip,
                    )  # fmt: skip
            i += size
        if not whole:
            copy_strip(D, width, room, new, strip, flat(dout), done, n)
        done += width
        lane = lane + width if lane + width < m else 0


@helper
def pull_second(layout, theta, at_r, slopes, d, m, lane, s, u, strip, vectors, sums, strips):
    """Add to the cotangents of first pre-activations and state what the second stage hands back."""
    room, first, inner = strips.room, layout.first * d * strip, layout.hidden * d
    rows = layout.first + layout.second
    if layout.tied:
        strip_product(
            theta, 0, layout.source * d, 1, layout.recurrent * d, layout.source * d, room, first, strip,
            vectors, False, room, u, strip, strips.ones,
        )  # fmt: skip
    else:
        strip_product(
            theta, at_r, 1, inner, inner, layout.second * d, room, first, strip, vectors, False, room, u,
            strip, strips.ones,
        )  # fmt: skip
    for local in range(rows + layout.states):
        target = local * d * strip if local < rows else s + (local - rows) * d * strip
        combine(strips, sums + local, slopes.hidden, True, m, lane, 0, d, strip, vectors, room, target, strip)


@helper
def pull(layout, theta, n_in, lam_out, lam_in, lam_x, slopes, lam_z, z_row, lam_u, strips):
    """lam_in = (∂Φ/∂s)ᵀ lam_out, lam_x = (∂Φ/∂x)ᵀ lam_out, unless of size 0, for one layer.

    Cotangents of the pre-activations and of u go to lam_z and lam_u, flat, unless of size 0; a row of lam_z
    begins z_row after the other. Rows of inputs that the pointwise rule takes (the clock) get no cotangent.
    """
    D, k, m = lam_out.shape
    d, n, room = D // layout.states, k * m, strips.room
    at_v, _, at_r, _, _, _ = places(layout, d, n_in)
    rows, hidden, register = layout.first + layout.second, layout.hidden, register_width(lam_out)
    strip = STRIP
    block = d * strip
    s, old, u = rows * block, (rows + layout.states) * block, (rows + 2 * layout.states) * block
    x, sums = u + hidden * block, rows + layout.states
    at = list_terms(
        layout.out_pairs, sums, True, layout, False, slopes, slopes.start, old, block, strips.terms,
        strips.ends, 0, 0,
    )  # fmt: skip
    list_terms(
        layout.hidden_pairs, sums, True, layout, False, slopes, slopes.hidden_start, u, block, strips.terms,
        strips.ends, at, sums,
    )  # fmt: skip
    driven = (layout.input_to - layout.input_from) * d
    done = lane = 0
    while done < n:
        width = min(strip, m - lane if m > 1 else n - done)
        vectors = (width + register - 1) // register
        copy_strip(D, width, flat(lam_out), done, n, room, old, strip)
        for local in range(sums):
            combine(
                strips, local, slopes.out, False, m, lane, 0, d, strip, vectors, room, local * block, strip
            )
        if layout.second > 0:
            pull_second(layout, theta, at_r, slopes, d, m, lane, s, u, strip, vectors, sums, strips)
        strip_product(
            theta, 0, 1, layout.source * d, layout.source * d, layout.recurrent * d, room, 0, strip, vectors,
            True, room, s, strip, strips.ones,
        )  # fmt: skip
        copy_strip(D, width, room, s, strip, flat(lam_in), done, n)
        if lam_x.size > 0:
            strip_product(
                theta, at_v, 1, n_in, n_in, driven, room, layout.input_from * block, strip, vectors, False,
                room, x, strip, strips.ones,
            )  # fmt: skip
            copy_strip(n_in, width, room, x, strip, flat(lam_x), done, n)
        if lam_z.size > 0:
            copy_strip(rows * d, width, room, 0, strip, lam_z, done, z_row)
            copy_strip(hidden * d, width, room, u, strip, lam_u, done, n)
        done += width
        lane = lane + width if lane + width < m else 0
