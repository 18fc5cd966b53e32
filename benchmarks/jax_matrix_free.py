"""The spectral norm in JAX without the Jacobian: Golub–Kahan–Lanczos over a stored trajectory, by hand.

No library offers this ready-made. It stands beside the full Jacobian so that the table tells what the method
gives and what this package adds to it.
"""

# pyright: reportMissingImports=false
# The libraries compared with are not part of the development set-up.

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from numpy.typing import NDArray

from .candidate import Run
from .work import Work

__all__ = ["lanczos"]

Array = Any
Float = NDArray[np.float64]
# Relative accuracy asked of the norm, as of ours.
TOLERANCE = 1e-10
MOST_ITERATIONS, CHECK_EVERY = 200, 4


def _slopes(work: Work) -> Any:
    """(steps, W, b) → weight · σ'(z) at every kick, shape (N, d, members)."""

    def run(h: Array, W: Array, b: Array) -> Array:
        def euler(y: Array, _: None) -> tuple[Array, Array]:
            s = jnp.tanh(W @ y + b[:, None])
            return y + h * s, h * (1.0 - s * s)

        def leapfrog(state: Array, weight: Array) -> tuple[Array, Array]:
            y, p = state
            s = jnp.tanh(W @ y + b[:, None])
            p = p + weight * h * s
            return (y + h * p, p), weight * h * (1.0 - s * s)

        y = jnp.zeros((work.d, h.size))
        if work.scheme == "euler":
            return lax.scan(euler, y, length=work.n_steps)[1]
        return lax.scan(leapfrog, (y, y), jnp.ones(work.n_steps).at[0].set(0.5))[1]

    return run


def _push(work: Work) -> Any:
    """J v for one column a member, v (d, members)."""

    def run(v: Array, slopes: Array, h: Array, W: Array) -> Array:
        if work.scheme == "euler":
            return lax.scan(lambda T, D: (T + D * (W @ T), None), v, slopes)[0]

        def leapfrog(state: Array, D: Array) -> tuple[Array, None]:
            T, P = state
            P = P + D * (W @ T)
            return (T + h * P, P), None

        return lax.scan(leapfrog, (v, jnp.zeros_like(v)), slopes)[0][0]

    return run


def _pull(work: Work) -> Any:
    """Jᵀ u for one column a member, u (d, members)."""

    def run(u: Array, slopes: Array, h: Array, W: Array) -> Array:
        if work.scheme == "euler":
            return lax.scan(lambda L, D: (L + W.T @ (D * L), None), u, slopes, reverse=True)[0]

        def leapfrog(state: Array, D: Array) -> tuple[Array, None]:
            L, M = state
            M = M + h * L
            return (L + W.T @ (D * M), M), None

        return lax.scan(leapfrog, (u, jnp.zeros_like(u)), slopes, reverse=True)[0][0]

    return run


def _largest(alpha: Float, beta: Float) -> tuple[Float, Float]:
    """Largest singular value and its residual for every member; alpha, beta (members, k)."""
    k = alpha.shape[1]
    B = np.zeros((alpha.shape[0], k, k))
    B[:, range(k), range(k)] = alpha
    B[:, range(k - 1), range(1, k)] = beta[:, : k - 1]
    left, values, _ = np.linalg.svd(B)
    return values[:, 0], beta[:, k - 1] * np.abs(left[:, -1, 0])


def _against(basis: Float, column: Float) -> Float:
    """`column` (members, d) made orthogonal to `basis` (members, k, d), twice for round-off."""
    for _ in range(2):
        along = basis @ column[:, :, None]
        column = column - (along.transpose(0, 2, 1) @ basis)[:, 0]
    return column


def lanczos(work: Work, cores: int) -> Run:
    """All members of a thread together, so that every sweep is N products (d, d) × (d, members).

    Both bases are orthogonalised again in full; it ends when the residual of every member is below tol.
    """
    slopes_of, push, pull = (jax.jit(make(work)) for make in (_slopes, _push, _pull))
    W, b = (jax.device_put(part) for part in (work.W, work.b))
    parts = [jax.device_put(part) for part in np.array_split(work.steps, min(cores, work.n_kept))]
    pool = ThreadPoolExecutor(len(parts))
    start = np.random.default_rng(1).normal(size=work.d)
    most = min(MOST_ITERATIONS, work.d)

    def norms(h: Array) -> Float:
        slopes, members = slopes_of(h, W, b), h.size
        right, left = (np.empty((members, most + 1, work.d)) for _ in range(2))
        alpha, beta = (np.empty((members, most)) for _ in range(2))
        right[:, 0] = start / np.linalg.norm(start)
        for k in range(most):
            u = _against(left[:, :k], np.asarray(push(right[:, k].T, slopes, h, W)).T)
            alpha[:, k] = np.linalg.norm(u, axis=1)
            left[:, k] = u / alpha[:, k, None]
            v = _against(right[:, : k + 1], np.asarray(pull(left[:, k].T, slopes, h, W)).T)
            beta[:, k] = np.linalg.norm(v, axis=1)
            right[:, k + 1] = v / beta[:, k, None]
            if k % CHECK_EVERY == CHECK_EVERY - 1 or k == most - 1:
                values, residuals = _largest(alpha[:, : k + 1], beta[:, : k + 1])
                if np.all(residuals <= TOLERANCE * values):
                    return values
        raise RuntimeError(f"no convergence in {most} iterations")

    return lambda: np.concatenate(list(pool.map(norms, parts)))
