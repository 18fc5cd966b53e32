"""Softmax readout of the last state with cross-entropy, and its gradient; compiled."""

from __future__ import annotations

import math

from numba import types

from integrators.codegen.array_types import COUNTS, MATRIX, VECTOR
from integrators.codegen.compiled import helper, kernel
from integrators.codegen.primitives import fma

__all__ = ["readout_gradient", "readout_scores"]

_I = types.int64


@helper
def fill_scores(readout, y, scores):
    """scores = R y + r; `readout` holds [R r], (n_classes, d + 1) row by row, and y is (d, w)."""
    d, w = y.shape
    for c in range(scores.shape[0]):
        row = c * (d + 1)
        for q in range(w):
            scores[c, q] = readout[row + d]
        for i in range(d):
            factor = readout[row + i]
            for q in range(w):
                scores[c, q] = fma(factor, y[i, q], scores[c, q])


@kernel(types.void(VECTOR, COUNTS, VECTOR, MATRIX, MATRIX, MATRIX, VECTOR, VECTOR))
def readout_gradient(readout, labels, weights, y, scores, lam_y, gradient, result):
    """loss = −Σ_q weights_q ln softmax(R y_q + r)[label_q]; λ_y ← ∂loss/∂y, and gradient += (∂R, ∂r).

    y, λ_y (d, w) and the workspace `scores` (n_classes, w) may have more columns than there are labels; there
    λ_y is 0. `result` receives the loss and the number of right answers.
    """
    n_classes, members = scores.shape[0], labels.size
    d, w = y.shape
    loss, right = 0.0, 0.0
    fill_scores(readout, y, scores)
    for q in range(w):
        if q >= members:
            for c in range(n_classes):
                scores[c, q] = 0.0
            continue
        best = 0
        for c in range(1, n_classes):
            if scores[c, q] > scores[best, q]:
                best = c
        label, weight = labels[q], weights[q]
        right += 1.0 if best == label else 0.0
        top, own, total = scores[best, q], scores[label, q], 0.0
        for c in range(n_classes):
            scores[c, q] = math.exp(scores[c, q] - top)
            total += scores[c, q]
        loss += weight * (math.log(total) + top - own)
        for c in range(n_classes):
            scores[c, q] = weight * (scores[c, q] / total - (1.0 if c == label else 0.0))
    for i in range(d):
        for q in range(w):
            lam_y[i, q] = 0.0
    for c in range(n_classes):
        row = c * (d + 1)
        for i in range(d):
            factor, total = readout[row + i], 0.0
            for q in range(w):
                lam_y[i, q] = fma(factor, scores[c, q], lam_y[i, q])
                total = fma(scores[c, q], y[i, q], total)
            gradient[row + i] += total
        total = 0.0
        for q in range(w):
            total += scores[c, q]
        gradient[row + d] += total
    result[0] = loss
    result[1] = right


@kernel(types.void(VECTOR, MATRIX, MATRIX))
def readout_scores(readout, y, scores):
    """`fill_scores` for Python."""
    fill_scores(readout, y, scores)
