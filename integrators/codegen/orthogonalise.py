"""Columns made orthonormal by Householder reflections, with what noise in them does to every factor.

C = Q R with the diagonal of R positive. To first order a change δC of the columns changes R_jj by the
fraction (Qᵀ δC R⁻¹)_jj, so that Σ_i ‖δc_i‖ |R⁻¹_ij| bounds what noise ‖δc_i‖ in the columns can do to it.
Rows are taken in the order of their size, which keeps small rows accurate beside large ones (N. J. Higham,
*Accuracy and Stability of Numerical Algorithms*, 2nd ed., sections 19.4 and 19.9). Nothing here depends on
BLAS or on the number of threads.
"""

from __future__ import annotations

import math

import numpy as np
from numba import types

from .array_types import COLUMNS, MATRIX, TABLE, VECTOR
from .compiled import helper, kernel

__all__ = ["BARRED", "DEPENDENT", "FRESH", "VANISHED", "orthogonalise"]

FRESH, VANISHED, DEPENDENT, BARRED = 0, 1, 2, 3
"""State of a column. FRESH: it takes part. VANISHED: it was found to be exactly zero, and is left out.
DEPENDENT: it was a combination of the ones before it, and is left out. BARRED: it is to be taken for such a
combination now, so that it has factors with the ones before it and none of its own.
"""


@helper
def scale_columns(a, power, state):
    """Bring the columns that take part to a size near one by powers of two; False if one is not finite."""
    rows, k = a.shape
    for j in range(k):
        top, wrong = 0.0, 0.0
        for i in range(rows):
            top = max(top, abs(a[i, j]))
            wrong += a[i, j] * 0.0
        if state[j] == VANISHED or state[j] == DEPENDENT:
            top = 0.0
        elif wrong != 0.0:  # 0·inf and 0·nan are nan, which differs from 0
            return False
        elif top == 0.0:
            state[j] = VANISHED
        if top == 0.0:
            power[j] = 0
            for i in range(rows):
                a[i, j] = 0.0
        else:
            shift = int(math.frexp(top)[1])
            power[j] += shift
            half = shift // 2
            first, second = math.ldexp(1.0, -half), math.ldexp(1.0, half - shift)
            for i in range(rows):
                a[i, j] = a[i, j] * first * second
    return True


@helper
def relative_noise(power, state, eps, noise):
    """Noise of every scaled column: `eps` times the largest of all."""
    k = power.size
    top = -(1 << 60)
    for j in range(k):
        if state[j] == FRESH:
            top = max(top, power[j])
    for j in range(k):
        noise[j] = 0.0
        if state[j] == FRESH:
            noise[j] = eps * math.exp(math.log(2.0) * min(1000.0, float(top - power[j])))


@helper
def by_size(a):
    """Numbers of the rows, the largest first."""
    rows, k = a.shape
    size = np.zeros(rows)
    for i in range(rows):
        for j in range(k):
            size[i] = max(size[i], abs(a[i, j]))
    return np.argsort(-size, kind="mergesort")


@helper
def length(w, first, column):
    """‖w[first:, column]‖ without overflow or underflow on the way."""
    top, total = 0.0, 0.0
    for s in range(first, w.shape[0]):
        top = max(top, abs(w[s, column]))
    if top == 0.0:
        return 0.0
    for s in range(first, w.shape[0]):
        share = w[s, column] / top
        total += share * share
    return top * math.sqrt(total)


@helper
def reflect(v, first, column, beta, w, start, row):
    """w[first:, start:] −= β v vᵀ w for the vector in v[first:, column], whose first entry is one."""
    rows, k = w.shape
    for j in range(start, k):
        row[j] = w[first, j]
    for s in range(first + 1, rows):
        weight = v[s, column]
        for j in range(start, k):
            row[j] += weight * w[s, j]
    for j in range(start, k):
        row[j] *= beta
        w[first, j] -= row[j]
    for s in range(first + 1, rows):
        weight = v[s, column]
        for j in range(start, k):
            w[s, j] -= weight * row[j]


@helper
def householder(a, r, state):
    """a = q r in place, r[i, :] being the row of the column i that made it; other columns of q are zero."""
    rows, k = a.shape
    order = by_size(a)
    w, q = np.empty((rows, k)), np.zeros((rows, k))
    row, beta, pivot = np.empty(k), np.zeros(k), np.full(k, -1)
    for s in range(rows):
        w[s] = a[order[s]]
    p = 0
    for i in range(k):
        if state[i] != FRESH or p == rows:
            continue
        size = length(w, p, i)
        if size == 0.0:
            continue
        signed = math.copysign(size, w[p, i])
        head = w[p, i] + signed
        for s in range(p + 1, rows):
            w[s, i] /= head
        beta[i], pivot[i], r[i, i] = head / signed, p, -signed
        reflect(w, p, i, beta[i], w, i + 1, row)
        for j in range(i + 1, k):
            r[i, j] = w[p, j]
        q[p, i] = 1.0
        p += 1
    for i in range(k - 1, -1, -1):
        if pivot[i] >= 0:
            reflect(w, pivot[i], i, beta[i], q, i, row)
    for i in range(k):
        if r[i, i] < 0.0:
            for j in range(i, k):
                r[i, j] = -r[i, j]
            for s in range(rows):
                q[s, i] = -q[s, i]
    for s in range(rows):
        a[order[s]] = q[s]


@helper
def error_of_diagonal(r, noise, error):
    """error_j ← Σ_i noise_i |R⁻¹_ij|; a column without a factor has none."""
    k = r.shape[0]
    inverse = np.zeros((k, k))
    for j in range(k):
        error[j] = 0.0
    for i in range(k - 1, -1, -1):
        if r[i, i] == 0.0:
            continue
        for m in range(i + 1, k):
            weight = r[i, m]
            if weight != 0.0 and r[m, m] != 0.0:
                for j in range(m, k):
                    inverse[i, j] -= weight * inverse[m, j]
        inverse[i, i] = 1.0
        for j in range(i, k):
            inverse[i, j] /= r[i, i]
            if r[j, j] != 0.0:
                error[j] += noise[i] * abs(inverse[i, j])


@kernel(types.void(COLUMNS, TABLE, TABLE, types.float64, COLUMNS, MATRIX, VECTOR))
def orthogonalise(columns, power, state, eps, factors, error, worst):
    """Factor the columns of every batch member in place: columns · 2^power = Q · factors · diag(2^power).

    Parameters
    ----------
    columns : (members, D, k)
        Become Q, with zeros for columns that are left out.
    power : (members, k)
        Their powers of two; become those of the columns of the factor.
    state : (members, k)
        FRESH columns take part. One that is exactly zero becomes VANISHED.
    eps : float
        Noise of every column, in units of the largest column.
    factors : (members, k, k)
        Upper triangular; NaN where a column is not finite.
    error : (members, k)
        What the noise can change a diagonal factor by, relative to it, to first order; inf for a factor zero,
        and 0 for columns that are left out.
    worst : (members,)
        The largest of these; 0 where a column is not finite.
    """
    members, _, k = columns.shape
    noise = np.empty(k)
    for q in range(members):
        a, r = columns[q], factors[q]
        r[:, :] = 0.0
        if not scale_columns(a, power[q], state[q]):
            r[:, :] = np.nan
            a[:, :] = np.nan
            error[q, :] = np.nan
            worst[q] = 0.0
            continue
        relative_noise(power[q], state[q], eps, noise)
        householder(a, r, state[q])
        error_of_diagonal(r, noise, error[q])
        for j in range(k):
            if state[q, j] == FRESH and r[j, j] == 0.0:
                error[q, j] = np.inf
        worst[q] = error[q].max()
