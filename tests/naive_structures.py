"""Slow, obvious twins of the structured matrices, analytic in the free parameters: complex steps go through.

Complex matrices are computed with as real ones of twice the size, [[X, −Y], [Y, X]].
"""

import numpy as np


def skew(entries, d):
    """A = −Aᵀ from its entries above the diagonal, row by row."""
    A, k = np.zeros((d, d), np.result_type(entries, float)), 0
    for i in range(d):
        for j in range(i + 1, d):
            A[i, j], A[j, i] = entries[k], -entries[k]
            k += 1
    return A


def exp(A):
    """The exponential by its series, after halving A often enough."""
    halvings = max(0, int(np.ceil(np.log2(max(np.abs(A).sum(), 1e-3)))) + 3)
    A, total, term = A / 2**halvings, np.eye(len(A)), np.eye(len(A))
    for k in range(1, 25):
        term = term @ A / k
        total = total + term
    for _ in range(halvings):
        total = total @ total
    return total


def transformed(A, scale):
    return np.linalg.inv(np.eye(len(A)) + A) @ (np.eye(len(A)) - A) @ scale


def doubled(X, Y):
    return np.block([[X, -Y], [Y, X]])


def phases(angles):
    return doubled(np.diag(np.cos(angles)), np.diag(np.sin(angles)))


def antisymmetric(p, d):
    return skew(p["A"], d) - p["gamma"] * np.eye(d)


gated_antisymmetric = antisymmetric


def scornn(p, d):
    return transformed(skew(p["A"], d), np.diag(p["D"]))


def exprnn(p, d):
    return exp(skew(p["A"], d))


def enrnn(p, d):
    W1, W2 = transformed(skew(p["A"], d // 2), np.eye(d // 2)), p["W2"]
    return np.block([[W1, p["W3"]], [np.zeros((d - d // 2, d // 2)), W2 / radius(W2)]])


def radius(W):
    """The largest |λ|, to first order in the imaginary part of W, which is all that a complex step sees.

    The eigenvalue moves by the entry (k, k) of R⁻¹ dW R, where the columns of R are the eigenvectors.
    """
    values, right = np.linalg.eig(W.real)
    k = np.abs(values).argmax()
    change = np.linalg.inv(right)[k] @ W.imag @ right[:, k]
    return abs(values[k]) + 1j * (np.conj(values[k]) * change).real / abs(values[k])


def scurnn(p, d):
    n = d * (d - 1) // 2
    X, Y, k = skew(p["A"][:n], d), np.zeros((d, d), np.result_type(p["A"], float)), n
    for i in range(d):
        for j in range(i, d):
            Y[i, j] = Y[j, i] = p["A"][k]
            k += 1
    return transformed(doubled(X, Y), phases(p["phases"]))


def urnn(p, d):
    def reflection(v):
        x, y = v
        outer = doubled(np.outer(x, x) + np.outer(y, y), np.outer(y, x) - np.outer(x, y))
        return np.eye(2 * d) - 2 * outer / (x @ x + y @ y)

    angle = 2 * np.pi * np.outer(np.arange(d), np.arange(d)) / d
    F = doubled(np.cos(angle), -np.sin(angle)) / np.sqrt(d)
    P = np.eye(d)[p["permutation"].real.astype(int)]
    return (
        phases(p["D3"]) @ reflection(p["R2"]) @ F.T @ phases(p["D2"]) @ doubled(P, np.zeros((d, d)))
        @ reflection(p["R1"]) @ F @ phases(p["D1"])
    )  # fmt: skip


BY_NAME = {
    "scornn": scornn,
    "exprnn": exprnn,
    "enrnn": enrnn,
    "urnn": urnn,
    "scurnn": scurnn,
    "antisymmetric": antisymmetric,
    "gated_antisymmetric": gated_antisymmetric,
}


def parameters(name, free, d):
    """The parameters of the published equations, from the free ones of a cell of that name."""
    return dict(free) if name not in BY_NAME else {**free, "W": BY_NAME[name](free, d)}
