"""The algebra that recurrent cells share: affine rows, a pointwise rule, and their exact derivatives.

One step of nearly every recurrent cell, with d neurons and B state blocks s = (s_1, …, s_B), is

    z = (W s_src + V x + b)               first pre-activations, rows of d
    u = μ(z, s)                           hidden blocks (two-stage cells only), neuron by neuron
    z₂ = R u + V₂ x + b₂                  second pre-activations (two-stage cells only)
    s' = φ(z, z₂, s, e, h)                neuron by neuron; e are vectors of parameters, h the step size

so a cell is a `Layout` (which rows exist and what depends on what) and one or two pointwise kernels that fill
values and the *local* slopes ∂φ_b/∂v_l. Tangent, adjoint and every parameter gradient follow from those by

    dz = W ds_src,   ds'_b = Σ_l slope_{bl} ∘ dv_l,      and transposed backwards.

This file is compiled once for all cells. Layers of one kind may be stacked: the input of a layer is the
first state block of the layer below, after its step.
"""

from __future__ import annotations

import numpy as np

from integrators.codegen.access import flat, get, put
from integrators.codegen.arithmetic import fma
from integrators.codegen.compiled import helper
from integrators.codegen.memory import copy_into
from integrators.codegen.product import add_matrix, add_outer, add_transposed

from .layout import places

__all__ = ["add_gradient", "evaluate", "pull", "push"]


@helper
def evaluate(point, middle, layout, theta, s, x, c, out, v, u, slopes, inner, ones):
    """out = Φ(s, x) for one layer, and the local slopes on the way."""
    m = s.shape[1]
    d = s.shape[0] // layout.states
    n = d * m
    n_in = x.shape[0] - layout.clock
    at_v, at_b, at_r, at_e, at_c, end = places(layout, d, n_in)
    rows = layout.first + layout.second
    z = flat(v)
    for g in range(rows):
        biased = layout.bias_from <= g and g < layout.bias_to
        for i in range(d):
            value = theta[at_b + (g - layout.bias_from) * d + i] if biased else 0.0
            for q in range(m):
                put(z, (g * d + i) * m + q, value)
    add_matrix(theta, 0, layout.recurrent * d, layout.source * d, flat(s), z, m, ones)
    if n_in > 0:
        driven = flat(v[layout.input_from : layout.input_to])
        add_matrix(theta, at_v, (layout.input_to - layout.input_from) * d, n_in, flat(x), driven, m, ones)
    copy_into(flat(s), flat(v[rows : rows + layout.states]))
    place = (rows + layout.states) * n
    for e in range(layout.vectors):
        for i in range(d):
            for q in range(m):
                put(z, place + i * m + q, theta[at_e + e * d + i])
        place += n
    for i in range(d):
        for q in range(m):
            put(z, place + i * m + q, c[q])
    for t in range(layout.clock):
        place += n
        for i in range(d):
            for q in range(m):
                put(z, place + i * m + q, x[n_in + t, q])
    constants = theta[at_c:end]
    if layout.second > 0:
        middle(constants, v, u, inner)
        target = flat(v[layout.first : rows])
        if layout.tied:
            add_transposed(theta, 0, layout.recurrent * d, layout.source * d, flat(u), target, m, ones)
        else:
            add_matrix(theta, at_r, layout.second * d, layout.hidden * d, flat(u), target, m, ones)
    point(constants, v, out.reshape(layout.states, n), slopes)


@helper
def add_scaled(slope, at, source, start, target, place, k, m):
    """target += slope ∘ source for one neuron's k columns of m members; the slope has m entries."""
    if m == 1:
        factor = get(slope, at)
        for f in range(k):
            put(target, place + f, fma(factor, get(source, start + f), get(target, place + f)))
        return
    for r in range(k):
        for q in range(m):
            f = r * m + q
            put(target, place + f, fma(get(slope, at + q), get(source, start + f), get(target, place + f)))


@helper
def set_scaled(slope, at, source, start, target, place, k, m):
    """target = slope ∘ source, as `add_scaled` to zeros."""
    if m == 1:
        factor = get(slope, at)
        for f in range(k):
            put(target, place + f, factor * get(source, start + f))
        return
    for r in range(k):
        for q in range(m):
            f = r * m + q
            put(target, place + f, get(slope, at + q) * get(source, start + f))


@helper
def apply_slopes(pairs, slopes, rows, states, still, d, dz, ds, target, k, m):
    """target_b = Σ_l slope_bl ∘ dv_l over the listed pairs, block after block; dv_l lies in dz or in ds.

    The rows `still`, [from, to), have no tangent.
    """
    width, n_locals, n_pairs = k * m, slopes.shape[1], pairs.shape[0]
    blocks = target.size // (d * width)
    flat_slopes = flat(slopes)
    for i in range(d):
        p = 0
        for b in range(blocks):
            place, empty = (b * d + i) * width, True
            while p < n_pairs and pairs[p, 0] == b:
                local = pairs[p, 1]
                p += 1
                if local >= rows + states or (still[0] <= local and local < still[1]):
                    continue
                at = ((b * n_locals + local) * d + i) * m
                source = dz if local < rows else ds
                start = ((local if local < rows else local - rows) * d + i) * width
                if empty:
                    set_scaled(flat_slopes, at, source, start, target, place, k, m)
                    empty = False
                else:
                    add_scaled(flat_slopes, at, source, start, target, place, k, m)
            if empty:
                for f in range(width):
                    put(target, place + f, 0.0)


@helper
def pull_slopes(pairs, slopes, rows, states, d, lam, lam_z, lam_s, k, m):
    """The transposed of `apply_slopes`, added to lam_z and lam_s."""
    width, n_locals = k * m, slopes.shape[1]
    flat_slopes = flat(slopes)
    for i in range(d):
        for p in range(pairs.shape[0]):
            b, local = pairs[p, 0], pairs[p, 1]
            at = ((b * n_locals + local) * d + i) * m
            start = (b * d + i) * width
            if local < rows:
                add_scaled(flat_slopes, at, lam, start, lam_z, (local * d + i) * width, k, m)
            elif local < rows + states:
                add_scaled(flat_slopes, at, lam, start, lam_s, ((local - rows) * d + i) * width, k, m)


@helper
def push(layout, theta, n_in, ds, dx, dout, slopes, inner, dz, du, ones):
    """dout = ∂Φ/∂s ds + ∂Φ/∂x dx for one layer, from its slopes; dx of size 0 is none."""
    D, k, m = ds.shape
    d = D // layout.states
    n = k * m
    at_v, _, at_r, _, _, _ = places(layout, d, n_in)
    rows = layout.first + layout.second
    flat_z, flat_s = flat(dz), flat(ds)
    # Without tangents of the input, rows of the first stage that W does not fill have none.
    still = (layout.recurrent, layout.first) if dx.size == 0 else (0, 0)
    for f in range(still[0] * d * n):
        put(flat_z, f, 0.0)
    for f in range(still[1] * d * n, flat_z.size):
        put(flat_z, f, 0.0)
    add_matrix(theta, 0, layout.recurrent * d, layout.source * d, flat_s, flat_z, n, ones)
    if dx.size > 0:
        driven = flat(dz[layout.input_from * d : layout.input_to * d])
        add_matrix(theta, at_v, (layout.input_to - layout.input_from) * d, n_in, flat(dx), driven, n, ones)
    if layout.second > 0:
        apply_slopes(
            layout.hidden_pairs, inner, rows, layout.states, still, d, flat_z, flat_s, flat(du), k, m
        )
        target = flat(dz[layout.first * d : rows * d])
        if layout.tied:
            add_transposed(theta, 0, layout.recurrent * d, layout.source * d, flat(du), target, n, ones)
        else:
            add_matrix(theta, at_r, layout.second * d, layout.hidden * d, flat(du), target, n, ones)
    apply_slopes(layout.out_pairs, slopes, rows, layout.states, still, d, flat_z, flat_s, flat(dout), k, m)


@helper
def pull(layout, theta, n_in, lam_out, lam_in, lam_x, slopes, inner, lam_z, lam_u, ones):
    """lam_in = (∂Φ/∂s)ᵀ lam_out, lam_x = (∂Φ/∂x)ᵀ lam_out (unless of size 0); leaves lam_z and lam_u filled.

    Rows of inputs that the pointwise rule takes (the clock) get no cotangent.
    """
    D, k, m = lam_out.shape
    d = D // layout.states
    n = k * m
    at_v, _, at_r, _, _, _ = places(layout, d, n_in)
    rows = layout.first + layout.second
    flat_out, flat_in, flat_z, flat_u = flat(lam_out), flat(lam_in), flat(lam_z), flat(lam_u)
    for f in range(flat_z.size):
        put(flat_z, f, 0.0)
    for f in range(flat_in.size):
        put(flat_in, f, 0.0)
    pull_slopes(layout.out_pairs, slopes, rows, layout.states, d, flat_out, flat_z, flat_in, k, m)
    if layout.second > 0:
        for f in range(flat_u.size):
            put(flat_u, f, 0.0)
        source = flat(lam_z[layout.first * d : rows * d])
        if layout.tied:
            add_matrix(theta, 0, layout.recurrent * d, layout.source * d, source, flat_u, n, ones)
        else:
            add_transposed(theta, at_r, layout.second * d, layout.hidden * d, source, flat_u, n, ones)
        pull_slopes(layout.hidden_pairs, inner, rows, layout.states, d, flat_u, flat_z, flat_in, k, m)
    add_transposed(theta, 0, layout.recurrent * d, layout.source * d, flat_z, flat_in, n, ones)
    if lam_x.size > 0:
        for f in range(lam_x.size):
            put(flat(lam_x), f, 0.0)
        driven = flat(lam_z[layout.input_from * d : layout.input_to * d])
        add_transposed(
            theta, at_v, (layout.input_to - layout.input_from) * d, n_in, driven, flat(lam_x), n, ones
        )


@helper
def over_columns(lam, k, m):
    """Σ_r lam[i, r, q] as (rows, m), flat: what does not depend on the column can be multiplied once."""
    if k == 1:
        return flat(lam)
    rows = lam.shape[0]
    total = np.zeros(rows * m, lam.dtype)
    for i in range(rows):
        for r in range(k):
            for q in range(m):
                total[i * m + q] += lam[i, r, q]
    return total


@helper
def add_gradient(layout, s, x, u, lam_out, lam_z, lam_u, slopes, inner, grad, ones):
    """grad += (∂Φ/∂θ)ᵀ lam_out for one layer, summed over columns and members; after `pull`."""
    m = s.shape[1]
    k = lam_out.shape[1]
    d = s.shape[0] // layout.states
    n_in = x.shape[0] - layout.clock
    at_v, at_b, at_r, at_e, _, _ = places(layout, d, n_in)
    rows = layout.first + layout.second
    zs = over_columns(lam_z, k, m)
    add_outer(zs, layout.recurrent * d, flat(s), layout.source * d, m, grad[0:at_v], ones)
    if n_in > 0:
        driven = zs[layout.input_from * d * m : layout.input_to * d * m]
        count = (layout.input_to - layout.input_from) * d
        add_outer(driven, count, flat(x), n_in, m, grad[at_v:at_b], ones)
    for i in range((layout.bias_to - layout.bias_from) * d):
        total = 0.0
        for q in range(m):
            total += zs[(layout.bias_from * d + i) * m + q]
        grad[at_b + i] += total
    if layout.second > 0:
        second = zs[layout.first * d * m : rows * d * m]
        if layout.tied:
            add_outer(flat(u), layout.recurrent * d, second, layout.source * d, m, grad[0:at_v], ones)
        else:
            add_outer(second, layout.second * d, flat(u), layout.hidden * d, m, grad[at_r:at_e], ones)
    first = rows + layout.states
    for stage in range(2):
        pairs = layout.out_pairs if stage == 0 else layout.hidden_pairs
        lam = lam_out if stage == 0 else lam_u
        local_slopes = slopes if stage == 0 else inner
        for p in range(pairs.shape[0]):
            b, local = pairs[p, 0], pairs[p, 1]
            if local < first:
                continue
            for i in range(d):
                total = 0.0
                for r in range(k):
                    for q in range(m):
                        total += local_slopes[b, local, i * m + q] * lam[b * d + i, r, q]
                grad[at_e + (local - first) * d + i] += total
