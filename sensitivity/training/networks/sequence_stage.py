"""The stage of training: a kick of σ(W y + V x + b) and the drift after it, for a batch of sequences.

The state is (y, p), or y alone for a scheme of first order, one column for each batch member and no tangents.
All members share the step size: c and e below are the factors w ε of the operation.

A kick sees Y = (y; x; 1), so that with A = [W V b] the pre-activation z = A Y is one product and the gradient
∂A = Σ_k G_k Y_kᵀ another. A tape entry holds the rows of Y and below them those of σ'(z), so that the
backward sweep evaluates no σ:

    splitting     p += c σ(z), then y += e p        λ_p += e λ_y, G = c σ' λ_p, λ_y += Wᵀ G
    first order   y += c σ(z)                       G = c σ' λ_y, λ_y += Wᵀ G
    explicit      y += e p, then p += c σ(z)        G = c σ' λ_p, λ_p += e λ_y, λ_y += Wᵀ G

Leapfrog gives recursion (13) of Rusch, Pearson, Zygalakis (2019), Euler's method (12).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import types
from numpy.typing import NDArray

from integrators.codegen.array_types import COLUMNS, COUNTS, VECTOR
from integrators.codegen.compiled import helper, inlined, kernel
from integrators.codegen.primitives import aligned_empty, borrowed, clear, flat, fma, get, hold, put
from integrators.codegen.simd import WIDTH
from integrators.engine.drivers import BLOCK, KEEP, RUN, TAPS, one_by_one, sweep_backward, sweep_forward
from integrators.engine.program import EXPLICIT, FIRST_ORDER
from integrators.fields.activations import activate
from integrators.fields.field import drift, halves

from .tile import add_multiplied, add_outer, multiply

Float = NDArray[np.float64]

__all__ = ["entry_rows", "sequences_backward", "sequences_forward"]

GROUP = 16
"""Tape entries whose products G Yᵀ are added in one go: enough to pay for loading the sums."""

_I = types.int64


def entry_rows(d: int, n_inputs: int) -> int:
    """Rows of a tape entry: y, x, 1 and σ'(z)."""
    return 2 * d + n_inputs + 1


@helper
def place(y, x, entry):
    """The rows (y; x; 1) of an entry, all arrays flat; the number of rows of x may be zero."""
    n, w = y.size, x.shape[1]
    inputs = flat(x)
    for f in range(n):
        put(entry, f, get(y, f))
    for f in range(inputs.size):
        put(entry, n + f, get(inputs, f))
    start = n + inputs.size
    for q in range(w):
        put(entry, start + q, 1.0)


@helper
def kick_and_drift(c, s, p, e, y):
    """p += c s and then y += e p, all arrays flat: one pass."""
    for f in range(y.size):
        moved = fma(c, get(s, f), get(p, f))
        put(p, f, moved)
        put(y, f, fma(e, moved, get(y, f)))


@helper
def scale_slopes(c, slopes, lam):
    """G = c σ' λ in the place of σ'."""
    for f in range(lam.size):
        put(slopes, f, (c * get(slopes, f)) * get(lam, f))


@helper
def drift_and_scale_slopes(e, lam_y, lam_p, c, slopes):
    """λ_p += e λ_y and then `scale_slopes` by it: one pass."""
    for f in range(lam_p.size):
        moved = fma(e, get(lam_y, f), get(lam_p, f))
        put(lam_p, f, moved)
        put(slopes, f, (c * get(slopes, f)) * moved)


@inlined
def push_workspace(activation, form, D, k, m, dtype):
    """z and σ(z), for which D rows are enough in either form; the stage acts in place."""
    own = aligned_empty(2 * D * m, dtype)
    return 0, own, borrowed(own)


@inlined
def pull_workspace(activation, form, D, k, m, dtype):
    """Nothing: the backward sweep needs no memory but the tape."""
    none = np.empty(0, dtype)
    return 0, none, none


class Outer(NamedTuple):
    """The sum ∂A = Σ G Yᵀ of a backward sweep; equally distant tape entries are added as a group."""

    tape: Float  # flat
    sums: Float  # (d, rows of Y, 8), flat
    group: NDArray[np.int64]  # entries to come; entries in the group; its first entry; their distance


@helper
def add_group(outer, d, size, w):
    """Add the products of the group, and begin another."""
    group, rows = outer.group, size // w - d
    y, step = group[2] * size, group[3] * size
    add_outer(outer.tape, y + rows * w, step, d, outer.tape, y, step, rows, group[1], w, outer.sums)
    group[1] = 0


@helper
def pass_entry(outer, evaluated, d, size, w):
    """Take the next entry into the group, unless it belongs to a drift alone."""
    group = outer.group
    group[0] -= 1
    if not evaluated:
        return
    distance = group[2] - group[0]
    if group[1] > 1 and distance != group[3]:
        add_group(outer, d, size, w)
    group[1] += 1
    group[2], group[3] = group[0], distance
    if group[1] == GROUP:
        add_group(outer, d, size, w)


@inlined
def push_sequences(
    untaped, second, activation, theta, operation, x, c, e, entry, parts, spare, spare_columns, work
):
    """See `integrators.engine.drivers`; `untaped` is the one entry of a run without a tape."""
    y, p = flat(parts[0]), flat(parts[1])
    seen = flat(entry) if operation.tape == KEEP else untaped
    if operation.weight == 0.0:
        drift(e, p, y)
    else:
        n, w = y.size, x.shape[1]
        d = n // w
        rows = d + x.shape[0] + 1
        z, s = work[:n], work[n : 2 * n]
        place(y, x, seen)
        multiply(theta, 0, rows, 1, d, rows, seen, 0, w, z, w)
        activate(activation, z, s, seen[rows * w :])
        if operation.form == FIRST_ORDER:
            drift(c, s, y)
        elif operation.form == EXPLICIT:
            drift(e, p, y)
            drift(c, s, p)
        else:
            kick_and_drift(c[0], s, p, e[0], y)
    return False


@inlined
def pull_sequences(
    callback, outer, activation, theta, operation, x, c, e, entry, columns, spare, by_input, gradient, work
):
    """See `integrators.engine.drivers`; writes G over σ' on the tape, and adds ∂A to `outer`."""
    d = columns.shape[0] if operation.form == FIRST_ORDER else columns.shape[0] // 2
    w = columns.shape[2]
    lam_y, lam_p, seen = flat(columns[:d]), flat(columns[d:]), flat(entry)
    start = seen.size - d * w
    slopes = seen[start:]
    if operation.weight == 0.0:
        drift(e, lam_y, lam_p)
    else:
        if operation.form == FIRST_ORDER:
            scale_slopes(c[0], slopes, lam_y)
        elif operation.form == EXPLICIT:
            scale_slopes(c[0], slopes, lam_p)
            drift(e, lam_y, lam_p)
        else:
            drift_and_scale_slopes(e[0], lam_y, lam_p, c[0], slopes)
        add_multiplied(theta, 0, 1, entry.shape[0] - d, d, d, slopes, 0, w, lam_y, w)
    pass_entry(outer, operation.weight != 0.0, d, entry.size, w)
    return False


@kernel(types.void(_I, VECTOR, RUN, BLOCK, COLUMNS, COLUMNS, _I, _I))
def sequences_forward(activation, theta, run, block, tape, nodes, start, stop):
    """`sweep_forward` of sequences; `theta` is A = [W V b], row by row."""
    D, w = block.state.shape
    d = D if run.form == FIRST_ORDER else D // 2
    untaped = aligned_empty((2 * d + run.inputs.shape[1] + 1) * w, theta.dtype)
    sweep_forward(
        push_sequences, one_by_one, halves, push_workspace, borrowed(untaped), 0, activation,
        borrowed(theta), run, block, tape, nodes, start, stop,
    )  # fmt: skip
    hold(untaped)


@helper
def add_parts(sums, gradient):
    """gradient += the eight parts of every sum, added in pairs."""
    for i in range(gradient.size):
        s = i * WIDTH
        left = (sums[s] + sums[s + 1]) + (sums[s + 2] + sums[s + 3])
        gradient[i] += left + ((sums[s + 4] + sums[s + 5]) + (sums[s + 6] + sums[s + 7]))


@kernel(types.void(_I, VECTOR, RUN, COLUMNS, COLUMNS, COUNTS, VECTOR, TAPS, _I, _I))
def sequences_backward(activation, theta, run, tape, columns, exponent, gradient, taps, start, stop):
    """`sweep_backward` of sequences, and gradient += ∂A; what is left on the tape is of no use.

    The products of ∂A are added in groups of entries while these are in the cache.
    """
    D, w = columns.shape[0], columns.shape[2]
    d = D if run.form == FIRST_ORDER else D // 2
    size = tape.shape[1] * w
    own_sums = aligned_empty(d * (tape.shape[1] - d) * WIDTH, theta.dtype)
    clear(own_sums)
    own_group = np.array([(stop - run.base) * run.body.shape[0], 0, 0, 0])
    outer = Outer(borrowed(flat(tape)), borrowed(own_sums), borrowed(own_group))
    sweep_backward(
        pull_sequences, pull_workspace, 0, outer, activation, borrowed(theta), run, tape, columns,
        exponent, gradient, taps, start, stop,
    )  # fmt: skip
    if own_group[1] > 0:
        add_group(outer, d, size, w)
    add_parts(own_sums, gradient)
    hold(own_sums)
    hold(own_group)
