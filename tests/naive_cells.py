"""Slow, obvious twins of the recurrent cells: their published equations over arrays of any number type.

``step(p, s, x, h, clock)`` with parameters p by name, state s (D,), input x, step size h; entries may be
floats, complex numbers or mpmath numbers.
"""

import mpmath
import numpy as np

EPS = 1e-30  # of the complex step: its square vanishes, so the derivative has no truncation error


def each(name):
    """A function of NumPy, or of mpmath where the entries are objects."""
    scalar = np.vectorize(getattr(mpmath, name), otypes=[object])
    return lambda a: scalar(a) if np.asarray(a).dtype == object else getattr(np, name)(a)


tanh, exp, sqrt = each("tanh"), each("exp"), each("sqrt")


def real(a):
    return np.array([complex(v).real for v in np.ravel(a)]).reshape(np.shape(a))


def sigma(a):
    return 1 / (1 + exp(-a))


def relu(a):
    return np.where(real(a) > 0, a, 0 * a)


def rows(a, count):
    return np.split(a, count)


def driven(p, x):
    """V x + b, either of which may be absent."""
    return (p["V"] @ x if "V" in p else 0) + p.get("b", 0)


def vanilla(p, s, x, h, clock):
    return tanh(p["W"] @ s + driven(p, x))


def irnn(p, s, x, h, clock):
    return relu(p["W"] @ s + driven(p, x))


def lstm(p, s, x, h, clock):
    hidden, c = rows(s, 2)
    i, f, g, o = rows(p["W"] @ hidden + driven(p, x), 4)
    c = sigma(f) * c + sigma(i) * tanh(g)
    return np.concatenate([sigma(o) * tanh(c), c])


def gru(p, s, x, h, clock):
    d = len(s)
    u_r, u_z, u_n = p["W"][d : 2 * d], p["W"][2 * d :], p["W"][:d]
    w_r, w_z, w_n = rows(p["V"] @ x if "V" in p else np.zeros(3 * d), 3)
    b_q, b_r, b_z, b_n = rows(p["b"], 4)
    r, z = sigma(u_r @ s + w_r + b_r), sigma(u_z @ s + w_z + b_z)
    new = tanh(w_n + b_n + r * (u_n @ s + b_q))
    return (1 - z) * new + z * s


def gru_before(p, s, x, h, clock):
    d = len(s)
    w_r, w_z, w_n = rows(p["V"] @ x if "V" in p else np.zeros(3 * d), 3)
    b_r, b_z, b_n = rows(p["b"], 3)
    r, z = sigma(p["W"][:d] @ s + w_r + b_r), sigma(p["W"][d:] @ s + w_z + b_z)
    new = tanh(w_n + b_n + p["R"] @ (r * s))
    return (1 - z) * new + z * s


def jacobian(step, p, s, x, h=1.0, clock=()):
    """∂step/∂s by the complex step, column by column."""
    unit = np.eye(len(s))
    if np.asarray(s).dtype == object:
        eps = mpmath.mpf(10) ** -40
        columns = [
            [mpmath.im(v) / eps for v in step(p, s + mpmath.mpc(0, eps) * e, x, h, clock)] for e in unit
        ]
        return np.array(columns, dtype=object).T
    return np.array([np.imag(step(p, s + 1j * EPS * e, x, h, clock)) / EPS for e in unit]).T


def in_mpmath(p, *arrays):
    """Parameters and arrays with mpmath entries."""

    def converted(a):
        return np.vectorize(mpmath.mpf, otypes=[object])(np.asarray(a, dtype=float))

    return {name: converted(value) for name, value in p.items()}, *map(converted, arrays)
