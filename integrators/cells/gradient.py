"""Gradients by the parameters of a cell, summed over columns, batch members and the steps of a sweep.

A layer, and a substep, has one sum for each stage: cotangents of its pre-activations times (s; x; 1), or
(u; x; 1). Rows of a sum are as long as a multiple of eight, so that every product fills the registers; they
are read from the gradient before a sweep and written back after it, and in between each step adds its part.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from integrators.codegen.compiled import helper
from integrators.codegen.primitives import flat, get, put
from integrators.codegen.product import strip_product
from integrators.codegen.simd import WIDTH, register_width

from .layout import layer_of, places, width_of

__all__ = ["Sums", "add_gradient", "add_vectors", "move_sums", "sums_for"]


class Sums(NamedTuple):
    """The sums of all layers one after the other, and room for (s; x; 1) with one member a row; flat."""

    values: NDArray[np.float64]
    turned: NDArray[np.float64]


@helper
def sum_places(layout, d, n_in, layer):
    """Where the two sums of a layer start, how long their rows are, and where the next layer begins."""
    start = 0
    first = second = end = first_row = second_row = 0
    for number in range(layer + 1):
        width = width_of(layout, number, d, n_in)
        first_row = (layout.source * d + width + WIDTH) // WIDTH * WIDTH
        second_row = (layout.hidden * d + width + WIDTH) // WIDTH * WIDTH
        first, second = start, start + layout.first * d * first_row
        start = end = second + layout.second * d * second_row
    return first, first_row, second, second_row, end


@helper
def sums_for(layout, D, n_in, m):
    """Room for m members, not initialised."""
    d = D // layout.layers // layout.states
    longest = (max(layout.source, layout.hidden) * d + max(d, n_in) + WIDTH) // WIDTH * WIDTH
    size = sum_places(layout, d, n_in, layout.layers * layout.substeps - 1)[4]
    return Sums(np.zeros(size), np.zeros(m * longest))


@helper
def move(there, at, here, start, count, back):
    """Copy `count` numbers of flat arrays, ``here[start]`` ← ``there[at]`` or the other way."""
    for j in range(count):
        if back:
            put(there, at + j, get(here, start + j))
        else:
            put(here, start + j, get(there, at + j))


@helper
def move_sums(layout, gradient, sums, D, n_in, back):
    """Sums ← gradient, or gradient ← sums if `back`."""
    d = D // layout.layers // layout.states
    for layer in range(layout.layers * layout.substeps):
        width = width_of(layout, layer, d, n_in)
        part = layer_of(layout, gradient, d, n_in, layer)
        at_v, at_b, at_r, _, _, _ = places(layout, d, width)
        first, first_row, second, second_row, _ = sum_places(layout, d, n_in, layer)
        for row in range((layout.first + layout.second) * d):
            block, in_first = row // d, row < layout.first * d
            inner = (layout.source if in_first else layout.hidden) * d
            start = first + row * first_row if in_first else second + (row - layout.first * d) * second_row
            if block < layout.recurrent:
                move(part, row * inner, sums.values, start, inner, back)
            elif not in_first and not layout.tied:
                move(part, at_r + (row - layout.first * d) * inner, sums.values, start, inner, back)
            if layout.input_from <= block and block < layout.input_to:
                at = at_v + (row - layout.input_from * d) * width
                move(part, at, sums.values, start + inner, width, back)
            if layout.bias_from <= block and block < layout.bias_to:
                move(part, at_b + row - layout.bias_from * d, sums.values, start + inner + width, 1, back)


@helper
def turn(source, rows, m, start, row, turned):
    """turned[q · row + start + i] ← source[i, q]."""
    for i in range(rows):
        for q in range(m):
            put(turned, q * row + start + i, get(source, i * m + q))


@helper
def add_to_sum(left, at, rows, m, turned, row, first_column, sums, start, ones):
    """sums[i, j] += Σ_q left[i, q] turned[q, j] for all columns j of a sum from `first_column` on."""
    strip_product(
        left, at, m, 1, rows, m, turned, first_column, row, (row - first_column) // register_width(left),
        True, sums, start + first_column, row, ones,
    )  # fmt: skip


@helper
def fill_turned(source, rows, x, width, m, row, turned):
    """(source; x; 1) with one member a row, and zeros to the end of the row."""
    turn(source, rows, m, 0, row, turned)
    turn(x, width, m, rows, row, turned)
    for q in range(m):
        put(turned, q * row + rows + width, 1.0)
        for j in range(rows + width + 1, row):
            put(turned, q * row + j, 0.0)


@helper
def over_columns(lam):
    """Σ_r lam[i, r, q] as (rows, m), flat: what does not depend on the column can be multiplied once."""
    rows, k, m = lam.shape
    if k == 1:
        return flat(lam)
    total = np.zeros(rows * m, lam.dtype)
    for i in range(rows):
        for r in range(k):
            for q in range(m):
                total[i * m + q] += lam[i, r, q]
    return total


@helper
def add_gradient(layout, layer, n_in, s, x, u, lam_z, sums, ones):
    """Add the part of a step of one layer, summed over columns and members, after `pull`.

    `n_in` is that of the network, `x` the input of the layer and `u` flat.
    """
    m = s.shape[1]
    d, width = s.shape[0] // layout.states, x.shape[0] - layout.clock
    first, first_row, second, second_row, _ = sum_places(layout, d, n_in, layer)
    zs, turned, own = over_columns(lam_z), sums.turned, layout.source * d
    fill_turned(flat(s), own, flat(x), width, m, first_row, turned)
    add_to_sum(zs, 0, layout.recurrent * d, m, turned, first_row, 0, sums.values, first, ones)
    # Rows without W need the columns of (x; 1) alone.
    rest, skipped = layout.recurrent * d, own // WIDTH * WIDTH
    add_to_sum(
        zs, rest * m, layout.first * d - rest, m, turned, first_row, skipped, sums.values,
        first + rest * first_row, ones,
    )  # fmt: skip
    if layout.second == 0:
        return
    own = layout.hidden * d
    fill_turned(u, own, flat(x), width, m, second_row, turned)
    skipped = own // WIDTH * WIDTH if layout.tied else 0
    below = layout.first * d
    add_to_sum(zs, below * m, layout.second * d, m, turned, second_row, skipped, sums.values, second, ones)
    if layout.tied:
        # R = Wᵀ: cotangents of the second stage stand on the right.
        turn(zs[below * m :], layout.source * d, m, 0, first_row, turned)
        for q in range(m):
            for j in range(layout.source * d, first_row):
                put(turned, q * first_row + j, 0.0)
        add_to_sum(u, 0, layout.recurrent * d, m, turned, first_row, 0, sums.values, first, ones)


@helper
def add_vectors(layout, n_in, lam_out, lam_u, slopes, grad):
    """grad += the part of a step by the parameter vectors of one layer, whose parameters are `grad`."""
    D, k, m = lam_out.shape
    d = D // layout.states
    at_e = places(layout, d, n_in)[3]
    first = layout.first + layout.second + layout.states
    for stage in range(2):
        pairs = layout.out_pairs if stage == 0 else layout.hidden_pairs
        lam = lam_out if stage == 0 else lam_u
        values = slopes.out if stage == 0 else slopes.hidden
        start = slopes.start if stage == 0 else slopes.hidden_start
        for p in range(pairs.shape[0]):
            b, local = pairs[p, 0], pairs[p, 1]
            if local < first:
                continue
            at = start + slopes.block * b + slopes.local * local + slopes.pair * p
            for i in range(d):
                total = 0.0
                for r in range(k):
                    for q in range(m):
                        total += get(values, at + i * m + q) * lam[b * d + i, r, q]
                grad[at_e + (local - first) * d + i] += total
