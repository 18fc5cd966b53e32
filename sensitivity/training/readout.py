"""Softmax readout of the last state with cross-entropy, and its gradient; compiled."""

from __future__ import annotations

import math

from integrators.codegen.arithmetic import fma
from integrators.codegen.compiled import helper

__all__ = ["read_out"]


@helper
def read_out(theta, start, labels, first, lanes, weights, y, scores, lam_y, gradient, result):
    """loss = −Σ_q weights_q ln softmax(R y_q + r)[label_q]; λ_y ← ∂loss/∂y, and ∂R, ∂r into the gradient.

    ``theta[start:]`` holds [R r], (n_classes, d + 1) row by row; y and λ_y are (d, w), and λ = 0 in lanes
    beyond `lanes`.
    """
    n_classes = scores.shape[0]
    d, w = y.shape
    loss, right = 0.0, 0.0
    for c in range(n_classes):
        row = start + c * (d + 1)
        for q in range(w):
            scores[c, q] = theta[row + d]
        for i in range(d):
            factor = theta[row + i]
            for q in range(w):
                scores[c, q] = fma(factor, y[i, q], scores[c, q])
    for q in range(w):
        if q >= lanes:
            for c in range(n_classes):
                scores[c, q] = 0.0
            continue
        best = 0
        for c in range(1, n_classes):
            if scores[c, q] > scores[best, q]:
                best = c
        label, weight = labels[first + q], weights[first + q]
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
        row = start + c * (d + 1)
        for i in range(d):
            factor, total = theta[row + i], 0.0
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
