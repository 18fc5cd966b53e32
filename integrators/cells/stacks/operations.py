"""The operations between the cells of a stack: values, tangents and cotangents, and gradients.

Signals are flat arrays with the batch member as the last index, tangents and cotangents of signals likewise
with columns and members. An operation leaves in the rows of `slopes` that belong to its target what its
derivatives need: σ'(s) for an activation, and the normalised signal for a normalisation, whose factors
1/√(var s + ε) go to `factors`, one for each member. All derivatives are exact.
"""

from __future__ import annotations

import math

from integrators.codegen.compiled import helper
from integrators.codegen.primitives import LOWEST, exp_negative, get, put
from integrators.codegen.product import add_matrix, add_outer, add_transposed
from integrators.fields.activations import activate, logistic

from .wiring import (
    ACTIVATE,
    ADD,
    AFFINE,
    BATCH_NORM,
    LAYER_NORM,
    PRODUCT,
    RMS_NORM,
    SCALE,
)

__all__ = ["GELU", "GELU_TANH", "SILU", "operate", "pull_operation", "push_operation"]

GELU, GELU_TANH, SILU = 100, 101, 102
"""Codes of activations that stacks have beside those of `activate`: x Φ(x) with the normal distribution Φ,
its approximation by tanh, and x/(1 + e^−x)."""

ROOT_HALF, ROOT_TWO_OVER_PI = math.sqrt(0.5), math.sqrt(2.0 / math.pi)
PER_ROOT_TWO_PI, CUBIC = 1.0 / math.sqrt(2.0 * math.pi), 0.044715


@helper
def weigh(code, x):
    """(x W(x), its derivative) for W the normal distribution, its approximation, or the logistic function.

    The approximation ½ (1 + tanh u), u = √(2/π) (x + 0.044715 x³), is the logistic function of 2u, which
    does not cancel in the left tail.
    """
    if code == GELU:
        w = 0.5 * math.erfc(-ROOT_HALF * x)
        _, e = exp_negative(max(-0.5 * x * x, LOWEST))
        return x * w, w + x * (PER_ROOT_TWO_PI * e)
    if code == GELU_TANH:
        w, slope = logistic(2.0 * ROOT_TWO_OVER_PI * (x + CUBIC * (x * x * x)))
        return x * w, w + x * slope * (2.0 * ROOT_TWO_OVER_PI * (1.0 + 3.0 * CUBIC * (x * x)))
    w, slope = logistic(x)
    return x * w, w + x * slope


@helper
def fill_activation(code, source, target, slopes):
    """Values and derivatives of an activation."""
    if code < GELU:
        activate(code, source, target, slopes)
        return
    for f in range(source.size):
        value, slope = weigh(code, source[f])
        target[f], slopes[f] = value, slope


@helper
def factor_of(code, epsilon, theta, at, size, i, of_member):
    """What row i is divided by, inverted: kept beside the parameters, or found of this member."""
    return 1.0 / math.sqrt(get(theta, at + 3 * size + i) + epsilon) if code == BATCH_NORM else of_member


@helper
def normalise(code, epsilon, theta, at, source, target, slopes, factors):
    """A normalisation over the rows of a signal, or by fixed numbers for each row."""
    m = factors.size
    n = source.size // m
    for q in range(m):
        mean, square = 0.0, 0.0
        if code == LAYER_NORM:
            for i in range(n):
                mean += get(source, i * m + q)
            mean /= n
        if code != BATCH_NORM:
            for i in range(n):
                x = get(source, i * m + q) - mean
                square += x * x
            factors[q] = 1.0 / math.sqrt(square / n + epsilon)
        for i in range(n):
            factor = factor_of(code, epsilon, theta, at, n, i, factors[q])
            if code == BATCH_NORM:
                mean = get(theta, at + 2 * n + i)
            x = (get(source, i * m + q) - mean) * factor
            put(slopes, i * m + q, x)
            shift = 0.0 if code == RMS_NORM else get(theta, at + n + i)
            put(target, i * m + q, get(theta, at + i) * x + shift)


@helper
def operate(row, number, theta, signals, slopes, factors, m, ones):
    """The value of one operation, and what its derivatives need."""
    code, size, inner, at, extra = row[0], row[2], row[5], row[6], row[7]
    here, last = row[1] * m, (row[1] + size) * m
    target, source = signals[here:last], signals[row[3] * m : (row[3] + inner) * m]
    other = row[4] * m
    if code == AFFINE:
        for i in range(size):
            bias = get(theta, extra + i) if extra >= 0 else 0.0
            for q in range(m):
                put(target, i * m + q, bias)
        add_matrix(theta, at, size, inner, source, target, m, ones)
    elif code == SCALE:
        for i in range(size):
            for q in range(m):
                put(target, i * m + q, get(theta, at + i) * get(source, i * m + q))
    elif code == ADD:
        for f in range(target.size):
            put(target, f, get(source, f) + get(signals, other + f))
    elif code == PRODUCT:
        for f in range(target.size):
            put(target, f, get(source, f) * get(signals, other + f))
    elif code == ACTIVATE:
        fill_activation(extra, source, target, slopes[here:last])
    else:
        normalise(code, number, theta, at, source, target, slopes[here:last], factors)


@helper
def scale_rows(size, k, m, weights, at, by_member, source, target, onto):
    """target[i, r, q] = weight · source[i, r, q], or += if `onto`; the weight is of row i, or of (i, q)."""
    for i in range(size):
        for r in range(k):
            start = (i * k + r) * m
            for q in range(m):
                weight = get(weights, at + (i * m + q if by_member else i))
                before = get(target, start + q) if onto else 0.0
                put(target, start + q, before + weight * get(source, start + q))


@helper
def push_normalised(code, number, theta, at, size, k, m, x, factors, source, target):
    """dx̂ = (ds − mean ds − x̂ mean(x̂ ∘ ds)) · factor, times w; `x` is x̂, and RMS has no mean of ds."""
    for r in range(k):
        for q in range(m):
            mean, along = 0.0, 0.0
            if code != BATCH_NORM:
                for i in range(size):
                    ds = get(source, (i * k + r) * m + q)
                    mean += ds
                    along += get(x, i * m + q) * ds
                mean = mean / size if code == LAYER_NORM else 0.0
                along /= size
            for i in range(size):
                f = (i * k + r) * m + q
                factor = factor_of(code, number, theta, at, size, i, factors[q])
                dx = (get(source, f) - mean - get(x, i * m + q) * along) * factor
                put(target, f, get(theta, at + i) * dx)


@helper
def push_operation(row, number, theta, signals, slopes, factors, tangents, k, m, ones):
    """The tangents of the target of one operation."""
    code, size, inner, at = row[0], row[2], row[5], row[6]
    n = k * m
    target, source = tangents[row[1] * n : (row[1] + size) * n], tangents[row[3] * n : (row[3] + inner) * n]
    other = tangents[row[4] * n : (row[4] + size) * n]
    if code == AFFINE:
        for f in range(target.size):
            put(target, f, 0.0)
        add_matrix(theta, at, size, inner, source, target, n, ones)
    elif code == SCALE:
        scale_rows(size, k, m, theta, at, False, source, target, False)
    elif code == ADD:
        for f in range(target.size):
            put(target, f, get(source, f) + get(other, f))
    elif code == PRODUCT:
        scale_rows(size, k, m, signals, row[4] * m, True, source, target, False)
        scale_rows(size, k, m, signals, row[3] * m, True, other, target, True)
    elif code == ACTIVATE:
        scale_rows(size, k, m, slopes, row[1] * m, True, source, target, False)
    else:
        x = slopes[row[1] * m : (row[1] + size) * m]
        push_normalised(code, number, theta, at, size, k, m, x, factors, source, target)


@helper
def pull_normalised(code, number, theta, at, size, k, m, x, factors, target, source, gradient):
    """Cotangents of s += factor · (μ − mean μ − x̂ mean(x̂ ∘ μ)) with μ = w ∘ λ, and those of w and b."""
    wanted = gradient.size > 0
    for r in range(k):
        for q in range(m):
            mean, along = 0.0, 0.0
            for i in range(size):
                lam = get(target, (i * k + r) * m + q)
                if wanted:
                    gradient[at + i] += get(x, i * m + q) * lam
                    if code != RMS_NORM:
                        gradient[at + size + i] += lam
                lam *= get(theta, at + i)
                mean += lam
                along += get(x, i * m + q) * lam
            mean = mean / size if code == LAYER_NORM else 0.0
            along = along / size if code != BATCH_NORM else 0.0
            for i in range(size):
                f = (i * k + r) * m + q
                factor = factor_of(code, number, theta, at, size, i, factors[q])
                lam = get(theta, at + i) * get(target, f) - mean - get(x, i * m + q) * along
                put(source, f, get(source, f) + factor * lam)


@helper
def add_affine_gradient(row, gradient, signals, target, k, m, ones):
    """gradient += Σ λ sᵀ and Σ λ over columns and members; `target` has the cotangents λ."""
    size, inner, at, extra = row[2], row[5], row[6], row[7]
    total = target.copy()
    if k > 1:
        for i in range(size):
            for q in range(m):
                value = 0.0
                for r in range(k):
                    value += get(target, (i * k + r) * m + q)
                put(total, i * m + q, value)
    if inner > 0:
        source = signals[row[3] * m : (row[3] + inner) * m]
        add_outer(total, size, source, inner, m, gradient[at : at + size * inner], ones)
    if extra >= 0:
        for i in range(size):
            value = 0.0
            for q in range(m):
                value += get(total, i * m + q)
            gradient[extra + i] += value


@helper
def pull_operation(row, number, theta, signals, slopes, factors, cotangents, gradient, k, m, ones):
    """Cotangents of the sources += those of the target, transposed; and the gradient, unless of size 0."""
    code, size, inner, at = row[0], row[2], row[5], row[6]
    n, wanted = k * m, gradient.size > 0
    target, source = (
        cotangents[row[1] * n : (row[1] + size) * n],
        cotangents[row[3] * n : (row[3] + inner) * n],
    )
    other = cotangents[row[4] * n : (row[4] + size) * n]
    if code == AFFINE:
        add_transposed(theta, at, size, inner, target, source, n, ones)
        if wanted:
            add_affine_gradient(row, gradient, signals, target, k, m, ones)
    elif code == SCALE:
        scale_rows(size, k, m, theta, at, False, target, source, True)
        if wanted:
            for i in range(size):
                for r in range(k):
                    for q in range(m):
                        gradient[at + i] += get(target, (i * k + r) * m + q) * get(
                            signals, (row[3] + i) * m + q
                        )
    elif code == ADD:
        for f in range(target.size):
            put(source, f, get(source, f) + get(target, f))
        for f in range(target.size):
            put(other, f, get(other, f) + get(target, f))
    elif code == PRODUCT:
        scale_rows(size, k, m, signals, row[4] * m, True, target, source, True)
        scale_rows(size, k, m, signals, row[3] * m, True, target, other, True)
    elif code == ACTIVATE:
        scale_rows(size, k, m, slopes, row[1] * m, True, target, source, True)
    else:
        x = slopes[row[1] * m : (row[1] + size) * m]
        pull_normalised(code, number, theta, at, size, k, m, x, factors, target, source, gradient)
