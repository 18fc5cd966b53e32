"""Slow, obvious twins of the compiled code: plain Python over arrays of any number type.

Nothing here imports the drivers. Weights come in as numbers, the force as a Python function ``F(y, x)`` and
its derivative as ``DF(y, x)``; the arrays may hold floats, complex numbers, fractions or mpmath numbers.
"""

import mpmath
import numpy as np
from scipy.special import erf

# ---------------------------------------------------------------------------------------- schemes


def stages(scheme, i, n, h, inputs):
    """(a_s, b_s, x) of step i: a kick sees row i, or the next one if it follows the step's last drift."""
    drift, kick = scheme.drift, scheme.kick
    for s, (a, b) in enumerate(zip(drift, kick, strict=True)):
        after_last_drift = scheme.form == "splitting" and not np.any(drift[s + 1 :])
        if inputs is None:
            x = None
        elif callable(inputs):
            done = drift[: s + 1] if scheme.form == "splitting" else kick[:s]
            x = inputs((i + np.sum(done)) * h)
        else:
            x = inputs[min(i + after_last_drift, n - 1)]
        yield a, b, x


def trajectory(scheme, F, y, p, h, n, inputs=None):
    """States (y_i, p_i), i = 0 … n, by the definition of the scheme; every weight is applied, even zeros."""
    states = [(y, p)]
    for i in range(n):
        for a, b, x in stages(scheme, i, n, h, inputs):
            if scheme.form == "first_order":
                y = y + b * h * F(y, x)
            elif scheme.form == "explicit":
                y, p = y + a * h * p, p + b * h * F(y, x)
            else:
                y = y + a * h * p
                p = p + b * h * F(y, x)
        states.append((y, p))
    return states


def propagator(scheme, F, DF, y, p, h, n, inputs=None, columns=None):
    """[Y; P] = ∂(y_N, p_N)/∂(y_0, p_0) columns, by one-stage matrices; for first order ∂y_N/∂y_0 columns."""
    d = len(y)
    size = d if scheme.form == "first_order" else 2 * d
    M = np.eye(size, dtype=int) if columns is None else columns
    Y, P = M[:d], M[d:]
    for i in range(n):
        for a, b, x in stages(scheme, i, n, h, inputs):
            if scheme.form == "first_order":
                Y = Y + b * h * (DF(y, x) @ Y)
                y = y + b * h * F(y, x)
            elif scheme.form == "explicit":
                Y, P = Y + a * h * P, P + b * h * (DF(y, x) @ Y)
                y, p = y + a * h * p, p + b * h * F(y, x)
            else:
                y, Y = y + a * h * p, Y + a * h * P
                p, P = p + b * h * F(y, x), P + b * h * (DF(y, x) @ Y)
    return np.concatenate([Y, P])


def two_step(F, y, v, h, n, inputs=None):
    """Recursions (11) and (13): y_0 … y_N; row i of the inputs is x_{i+1}."""
    row = (lambda i: None) if inputs is None else (lambda i: inputs[i])
    ys = [y]
    if n > 0:
        ys.append(y + h * v + h * h / 2 * F(y, row(0)))
    for i in range(1, n):
        ys.append(2 * ys[i] - ys[i - 1] + h * h * F(ys[i], row(i)))
    return ys


def euler(F, y, h, n, inputs=None):
    """Recursions (3) and (12): y_0 … y_N."""
    ys = [y]
    for i in range(n):
        ys.append(ys[i] + h * F(ys[i], None if inputs is None else inputs[i]))
    return ys


# ---------------------------------------------------------------------------------------- fields

# σ for float and complex arrays, analytic on either side of a kink, so that a complex step differentiates it.
ACTIVATIONS = {
    "tanh": np.tanh,
    "logistic": lambda z: 1 / (1 + np.exp(-z)),
    "relu": lambda z: np.where(z.real > 0, z, 0),
    "identity": lambda z: z,
    "sin": np.sin,
    "arctan": np.arctan,
    "softsign": lambda z: z / (1 + np.where(z.real >= 0, z, -z)),
    "erf": erf,
}

# (σ, σ') of one mpmath number.
EXACT = {
    "tanh": (mpmath.tanh, lambda z: mpmath.sech(z) ** 2),
    "logistic": (lambda z: 1 / (1 + mpmath.exp(-z)), lambda z: 1 / (2 + mpmath.exp(z) + mpmath.exp(-z))),
    "relu": (lambda z: max(z, mpmath.mpf(0)), lambda z: mpmath.mpf(int(z > 0))),
    "identity": (lambda z: z, lambda z: mpmath.mpf(1)),
    "sin": (mpmath.sin, mpmath.cos),
    "arctan": (mpmath.atan, lambda z: 1 / (1 + z * z)),
    "softsign": (lambda z: z / (1 + abs(z)), lambda z: 1 / (1 + abs(z)) ** 2),
    "erf": (mpmath.erf, lambda z: 2 / mpmath.sqrt(mpmath.pi) * mpmath.exp(-z * z)),
}


def neural(W, b, V, activation):
    """F(y, x) = σ(W y + V x + b) for floats and complex numbers."""
    sigma = ACTIVATIONS[activation]
    return lambda y, x: sigma(W @ y + b + (0 if x is None else V @ x))


def exact_neural(W, b, V, activation):
    """(F, DF) for mpmath numbers: every entry of W, b, V and x the float64 it is."""
    sigma, slope = (np.vectorize(f, otypes=[object]) for f in EXACT[activation])
    W, b, V = exact(W), exact(b), exact(V)

    def z(y, x):
        return W @ y + b + (0 if x is None else V @ exact(x))

    return lambda y, x: sigma(z(y, x)), lambda y, x: slope(z(y, x))[:, None] * W


def exact(array):
    """An array of floats as the mpmath numbers they are."""
    array = np.asarray(array, dtype=float)
    return np.array([mpmath.mpf(float(v)) for v in array.ravel()], dtype=object).reshape(array.shape)


class Weights:
    """A scheme of other numbers: the same float64 weights, as mpmath numbers or fractions."""

    def __init__(self, scheme, number):
        self.form = scheme.form
        self.drift, self.kick = (
            np.array([number(float(w)) for w in row]) for row in (scheme.drift, scheme.kick)
        )


# ---------------------------------------------------------------------------------------- derivatives


def complex_step(function, point, h=1e-200):
    """Jacobian of a real-analytic function of a vector, to round-off."""
    columns = []
    for j in range(len(point)):
        moved = np.array(point, dtype=complex)
        moved[j] += 1j * h
        columns.append(np.imag(function(moved)) / h)
    return np.array(columns).T


def relative(found, expected):
    """‖found − expected‖ / ‖expected‖ in the Frobenius norm, in the precision of `expected`."""
    difference = np.asarray(found, dtype=object) - np.asarray(expected, dtype=object)
    return float(mpmath.sqrt(sum(v * v for v in difference.ravel()) / sum(v * v for v in np.ravel(expected))))


# ---------------------------------------------------------------------------------------- training


def cross_entropy(scheme, F, R, r, h, sequences, labels):
    """Mean of −ln softmax(R y_N + r)[label] from rest; sequences (members, N, inputs)."""
    losses = []
    for x, label in zip(sequences, labels, strict=True):
        rest = 0 * r[:1] + np.zeros(R.shape[1])
        y = trajectory(scheme, F, rest, rest, h, len(x), x)[-1][0]
        scores = R @ y + r
        losses.append(np.log(np.sum(np.exp(scores - scores.real.max()))) + scores.real.max() - scores[label])
    return sum(losses) / len(losses)
