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


def lipschitz(p, d):
    def mixed(M):
        return (1 - p["beta"]) * (M + M.T) + p["beta"] * (M - M.T) - p["gamma"] * np.eye(d)

    return np.concatenate([mixed(p["M_A"]), mixed(p["M_W"])])


def sigma(x):
    return 1 / (1 + np.exp(-x))


def relu(x):
    return np.where(x.real > 0, x, 0 * x)


def linoss(p, d):
    return {"A": relu(p["A_free"]), "dt": sigma(p["dt_logit"])}


def dlinoss(p, d):
    G, dt = relu(p["G_free"]), sigma(p["dt_logit"])
    low, high = ((2 + dt * G + sign * 2 * np.sqrt(1 + dt * G)) / dt**2 for sign in (-1, 1))
    return {"A": low + relu(p["A_free"] - low) - relu(p["A_free"] - high), "G": G, "dt": dt}


def lru(p, d):
    radius, phase = np.exp(-np.exp(p["nu"])), np.exp(p["theta"])
    made = {"a_re": radius * np.cos(phase), "a_im": radius * np.sin(phase)}
    return made | {"g_re": np.sqrt(1 - radius**2), "g_im": 0 * radius}


def s4d(p, d):
    """exp(aΔ) and (exp(aΔ) − 1)/a with a = −e^(log_decay) + i frequency, by real arithmetic."""
    dt, x, y = np.exp(p["log_dt"]), -np.exp(p["log_decay"]), p["frequency"]
    re, im = np.exp(x * dt) * np.cos(y * dt), np.exp(x * dt) * np.sin(y * dt)
    size = x * x + y * y
    return {
        "a_re": re,
        "a_im": im,
        "g_re": ((re - 1) * x + im * y) / size,
        "g_im": (im * x - (re - 1) * y) / size,
    }


def s6(p, d):
    return {f"A{k}": -np.exp(row) for k, row in enumerate(p["A_log"])}


def rg_lru(p, d):
    return {"log_a": -np.log(1 + np.exp(-p["Lambda"]))}


BY_NAME = {
    "scornn": scornn,
    "exprnn": exprnn,
    "enrnn": enrnn,
    "urnn": urnn,
    "scurnn": scurnn,
    "antisymmetric": antisymmetric,
    "gated_antisymmetric": gated_antisymmetric,
    "lipschitz": lipschitz,
    "linoss_im": linoss,
    "linoss_imex": linoss,
    "linoss_vv": linoss,
    "dlinoss": dlinoss,
    "lru": lru,
    "s4d": s4d,
    "s6": s6,
    "rg_lru": rg_lru,
}
"""Name of a model → function of the free parameters that gives W, or what it makes by name."""


def made(name, free, d):
    """What the structure of that model makes, by name."""
    found = BY_NAME[name](free, d)
    return found if isinstance(found, dict) else {"W": found}


def parameters(name, free, d):
    """The parameters of the published equations, from the free ones of a cell of that name."""
    return dict(free) if name not in BY_NAME else {**free, **made(name, free, d)}
