"""SBO-RNN: every step descends ½‖α h − relu(W h + V x + b)‖², by gradient, heavy ball or Nesterov."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from integrators.cells.cell import Cell, Kind
from integrators.cells.layout import POINT
from integrators.codegen.compiled import Kernel, helper, kernel
from sensitivity.recurrences.majorants import log_norm_of_power, log_power
from sensitivity.recurrences.settings import published_start

from .initial import spectral, uniform

__all__ = ["sbo", "sbo_heavy_ball", "sbo_nesterov"]

Rng = int | np.random.Generator


@kernel(POINT)
def _inner(constants, v, u, slopes):
    """u = φ'(p) ∘ (α h − φ(p)), which W then multiplies from the other side."""
    alpha = constants[0]
    for f in range(v.shape[1]):
        on = 1.0 if v[0, f] > 0.0 else 0.0
        u[0, f] = on * (alpha * v[2, f] - v[0, f])
        slopes[0, 0, f], slopes[0, 2, f] = -on, on * alpha


@helper
def _descend(constants, v, target, slopes):
    """target = h − η ∇, with its slopes by p, w = Wᵀu and h."""
    alpha, eta = constants[0], constants[1]
    for f in range(v.shape[1]):
        p = v[0, f]
        on = 1.0 if p > 0.0 else 0.0
        target[f] = v[2, f] - eta * (alpha * (alpha * v[2, f] - on * p) - v[1, f])
        slopes[0, f], slopes[1, f], slopes[2, f] = eta * alpha * on, eta, 1.0 - eta * alpha * alpha


@kernel(POINT)
def _gradient(constants, v, out, slopes):
    _descend(constants, v, out[0], slopes[0])


@kernel(POINT)
def _heavy_ball(constants, v, out, slopes):
    mu = constants[2]
    _descend(constants, v, out[0], slopes[0])
    for f in range(v.shape[1]):
        out[1, f] = mu * v[3, f] + (out[0, f] - v[2, f])
        out[0, f] = v[2, f] + out[1, f]
        for local in range(3):
            slopes[1, local, f] = slopes[0, local, f]
        slopes[1, 2, f] -= 1.0
        slopes[0, 3, f] = slopes[1, 3, f] = mu


@kernel(POINT)
def _nesterov(constants, v, out, slopes):
    mu = constants[2]
    _descend(constants, v, out[1], slopes[1])
    for f in range(v.shape[1]):
        out[0, f] = out[1, f] + mu * (out[1, f] - v[3, f])
        for local in range(3):
            slopes[0, local, f] = (1.0 + mu) * slopes[1, local, f]
        slopes[0, 3, f] = -mu


def _gradient_bound(cell, h, n_steps):
    """max(1, η (α + ‖W‖₂)² − 1)^N: J = I − η Π Πᵀ is symmetric with 0 ≤ Π Πᵀ ≤ (α + ‖W‖₂)²."""
    return log_power(_descent_gains(cell)[0], n_steps, h.shape)


def _descent_gains(cell):
    """Bounds on ‖I − ηH‖ and ‖ηH‖, H = Π Πᵀ."""
    p = cell.parameters
    step = float(p["eta"]) * (abs(float(p["alpha"])) + spectral(cell)) ** 2
    return (max(1.0, step - 1.0), step) if step >= 0.0 else (1.0 - step, -step)


def _heavy_ball_bound(cell, h, n_steps):
    """The norm of the N-th power of ((g, μ), (k, μ)), g ≥ ‖I − ηH‖, k ≥ ‖ηH‖."""
    (g, k), mu = _descent_gains(cell), abs(float(cell.parameters["mu"]))
    return np.full(h.shape, log_norm_of_power(np.array([[g, mu], [k, mu]]), n_steps))


def _nesterov_bound(cell, h, n_steps):
    """The norm of the N-th power of (((1 + μ) g, μ), (g, 0)), g ≥ ‖I − ηH‖."""
    g, mu = _descent_gains(cell)[0], float(cell.parameters["mu"])
    return np.full(h.shape, log_norm_of_power(np.array([[abs(1.0 + mu) * g, abs(mu)], [g, 0.0]]), n_steps))


def _kind(name: str, point: Kernel, depends: Mapping[str, str], bound: Any = None) -> Kind:
    return Kind(
        name=name,
        state=tuple(depends),
        rows=("p",),
        second=("Wu",),
        hidden={"u": "p h"},
        middle=_inner,
        tied=True,
        point=point,
        depends=depends,
        recurrent=1,
        inputs=(0, 1),
        biases=(0, 1),
        constants={"alpha": 1.0, "eta": 1e-3, "mu": 0.5},
        reference="Z. Zhang, Y. Yue, G. Wu, Y. Li, H. Zhang, NeurIPS 2021",
        bound=bound,
    )


SBO = _kind("sbo", _gradient, {"h": "p Wu h"}, _gradient_bound)
HEAVY_BALL = _kind("sbo_heavy_ball", _heavy_ball, {"h": "p Wu h v", "v": "p Wu h v"}, _heavy_ball_bound)
NESTEROV = _kind("sbo_nesterov", _nesterov, {"h": "p Wu h w", "w": "p Wu h"}, _nesterov_bound)


def _start(kind: Kind, d: int, n_inputs: int, rng: Rng, constants: dict[str, float]) -> Cell:
    """V, b uniform on ±1/√d and W = I + u v of rank 50, entries of u and v uniform on ±1/√d."""
    generator = np.random.default_rng(rng)
    given = uniform(kind, d, n_inputs, generator)
    limit = 1.0 / math.sqrt(d)
    u, v = generator.uniform(-limit, limit, (d, 50)), generator.uniform(-limit, limit, (50, d))
    return kind(d, n_inputs, **(given | {"W": np.eye(d) + u @ v}), **constants)


@published_start
def sbo(d: int, n_inputs: int = 0, rng: Rng = 0, eta: float = 1e-3, alpha: float = 1.0) -> Cell:
    """h' = h − η ∇, J = I − η Π Πᵀ with Π = α I − Wᵀ D[φ'(p)], p = W h + V x + b: symmetric.

    Its spectrum lies in [1 − η (α + ‖W‖)², 1], so ‖∂h_N/∂h_0‖₂ ≤ 1 for η ≤ 2/(α + ‖W‖)². (The authors
    write Wᵀ for our W.)
    """
    return _start(SBO, d, n_inputs, rng, {"eta": eta, "alpha": alpha})


@published_start
def sbo_heavy_ball(
    d: int, n_inputs: int = 0, rng: Rng = 0, eta: float = 1e-3, alpha: float = 1.0, mu: float = 0.5
) -> Cell:
    """v' = μ v − η ∇, h' = h + v'."""
    return _start(HEAVY_BALL, d, n_inputs, rng, {"eta": eta, "alpha": alpha, "mu": mu})


@published_start
def sbo_nesterov(
    d: int, n_inputs: int = 0, rng: Rng = 0, eta: float = 1e-3, alpha: float = 1.0, mu: float = 0.5
) -> Cell:
    """w' = h − η ∇, h' = w' + μ (w' − w)."""
    return _start(NESTEROV, d, n_inputs, rng, {"eta": eta, "alpha": alpha, "mu": mu})
