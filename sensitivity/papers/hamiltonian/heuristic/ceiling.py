"""What a linear read-out of y_N can know of Σ x_i: the accuracy on the Gaussian mean without any training.

Near rest the network is linear in its inputs, y_N = Σ_i k(N − i) V x_i, and for W with eigenvalues λ a
read-out sees combinations of the *kernels* k_λ(u) = sinh(√λ u)/√λ, u = (N − i)ε. Their best combination has
the correlation ρ with Σ x_i, ρ² being the share of the constant 1 that lies in their span, and
the sign of a normal variable with correlation ρ is right with probability ½ + arcsin(ρ)/π. Everything depends
on c = Nε and λ through c√λ alone (theorem G).

- W = 0: one kernel, u. ρ² = 3/4 and the accuracy is 5/6 whatever ε is.
- c√λ → 0 with m kernels: they span u, u³, …, u^(2m−1), and ρ² is `plateau`.
- One oscillator, λ = −w: `oscillator` has its maximum 0.8835 at c√w = 2.58.
- c√λ → ∞: every kernel is e^(−√λ (c − u)), which sees the first inputs alone, and ρ² ≃ (2/c) Σ Re λ^(−1/2),
  `far`.

Proved: proposition ``readout_ceiling``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sensitivity.training.data.tasks import get_task
from sensitivity.training.networks.ode_network import OdeNetwork
from sensitivity.training.start import Start

__all__ = [
    "ceiling", "far", "kernels", "oscillator", "plateau", "sign_accuracy", "untrained_accuracy",
    "upper_edge", "weight_eigenvalues", "without_training",
]  # fmt: skip

Float = NDArray[np.float64]
Complex = NDArray[np.complex128]

RESOLVED = 1e-10
"""Directions of the kernels, each scaled to length one, that are smaller than this are not seen."""


def sign_accuracy(squared: ArrayLike) -> Float:
    """½ + arcsin(ρ)/π for ρ²: how often the sign of a normal variable with correlation ρ is right."""
    return 0.5 + np.arcsin(np.sqrt(np.clip(squared, 0.0, 1.0))) / math.pi


def plateau(m: int) -> float:
    """ρ² of m kernels as c√λ → 0: Σ_{j<m} (4j + 3) (∫₀¹ P_{2j+1})², with Legendre's polynomials P.

    ∫₀¹ P_{2j+1} = P_{2j}(0)/(2j + 2), so that 1 − ρ² falls like 1/(πm).
    """
    value, total = 1.0, 0.0
    for j in range(m):
        total += (4 * j + 3) * (value / (2 * j + 2)) ** 2
        value *= -(2 * j + 1) / (2 * j + 2)  # P_{2j+2}(0) from P_{2j}(0)
    return total


def oscillator(turn: ArrayLike) -> Float:
    """ρ² of the kernel sin(κu)/κ on [0, 1], κ = c√w: one unit with λ = −w."""
    k = np.asarray(turn, dtype=float)
    return ((1.0 - np.cos(k)) / k) ** 2 / (0.5 - np.sin(2.0 * k) / (4.0 * k))


def far(eigenvalues: ArrayLike, c: float) -> float:
    """(2/c) Σ Re λ^(−1/2), to which ρ² tends for large c where all Re √λ > 0."""
    return float(2.0 / c * (np.asarray(eigenvalues, dtype=complex) ** -0.5).real.sum())


def upper_edge(eigenvalues: ArrayLike, accuracy: float) -> float:
    """c at which `far` allows an accuracy: the largest Nε, whatever N, and so ε ∝ 1/N."""
    return far(eigenvalues, 1.0) / math.sin(math.pi * (accuracy - 0.5)) ** 2


def kernels(eigenvalues: ArrayLike, step: float, n_steps: int) -> Complex:
    """How the states y_N of the recursion (11), linear, see x_1 … x_N: (n_steps, eigenvalues), scaled.

    Of an eigenvalue λ the weight of x_i is ε² U_{N−i}(1 + ε²λ/2), with Chebyshev's polynomials of the second
    kind, and half of it for x_1, which the opening half kick sees. Each column is divided by its largest
    growth, so that no kernel overflows.
    """
    lam = np.asarray(eigenvalues, dtype=complex)
    angle: Complex = np.asarray(np.arccosh(1.0 + 0.5 * step**2 * lam))
    angle = np.where(np.real(angle) < 0.0, -angle, angle)
    u = np.arange(n_steps, 0, -1)[:, None]  # sinh(uθ)/e^(Nθ)
    grown = 0.5 * (np.exp((u - n_steps) * angle) - np.exp(-(u + n_steps) * angle))
    K = np.where(np.abs(angle) * n_steps < 1e-7, u / n_steps, grown)
    K[0] *= 0.5
    return K


def ceiling(eigenvalues: ArrayLike, step: float, n_steps: int) -> float:
    """ρ² of the best linear read-out of the linear network with these eigenvalues of W."""
    K = kernels(eigenvalues, step, n_steps)
    K = K / np.linalg.norm(K, axis=0)
    left, sizes, _ = np.linalg.svd(K, full_matrices=False)
    seen = left[:, sizes > RESOLVED * sizes[0]]
    return float((np.abs(seen.sum(axis=0)) ** 2).sum() / n_steps)


def weight_eigenvalues(d: int, seed: int) -> Complex:
    """The eigenvalues of W as training starts with it, uniform on ±1/√d."""
    network = OdeNetwork(d, 1, 1.0, threads=1)
    return np.linalg.eigvals(network.weights(Start().draw(network, seed))).astype(complex)


def untrained_accuracy(
    d: int, step: float, n_steps: int, seed: int, *, activation: str = "tanh", count: int = 4000
) -> float:
    """Accuracy of a least-squares read-out of y_N with the first weights: half of the sequences fit it.

    What it has beside `ceiling`: tanh, and weights of the read-out that rest on finitely many sequences. With
    the activation "identity" it has only the latter.
    """
    network = OdeNetwork(d, n_steps, step, n_classes=d, activation=activation, threads=1)
    theta = Start().draw(network, seed)
    network.named(theta)["R"][...] = np.eye(d)  # the scores are then y_N
    data = get_task("gaussian_mean").sample(count, n_steps, (seed, n_steps))
    states = network.scores(theta, data.batch(slice(None))[0])
    size = np.abs(states).max(axis=1, keepdims=True)
    rows = np.concatenate([states / np.where(size > 0.0, size, 1.0), np.ones((1, count))]).T
    wanted, half = data.values[:, 0].sum(axis=0), count // 2
    readout = np.linalg.lstsq(rows[:half], wanted[:half], rcond=None)[0]
    return float((((rows[half:] @ readout) >= 0.0) == (wanted[half:] >= 0.0)).mean())


def without_training(
    lengths: Sequence[int], times: Sequence[float], d: int, seeds: Sequence[int]
) -> dict[str, Any]:
    """Accuracies over c = Nε that no training is needed for, means over seeds.

    Returns
    -------
    dict
        "c" → the times; "ceiling" → of the linear network at the largest N; "identity" → the read-out fitted
        there with σ = identity; "tanh" → for each N the read-out fitted with tanh.
    """
    longest, own = max(lengths), {seed: weight_eigenvalues(d, seed) for seed in seeds}

    def fitted(n: int, activation: str) -> list[float]:
        return [
            float(np.mean([untrained_accuracy(d, c / n, n, seed, activation=activation) for seed in seeds]))
            for c in times
        ]

    linear = [np.mean([sign_accuracy(ceiling(own[s], c / longest, longest)) for s in seeds]) for c in times]
    return {
        "c": list(times),
        "ceiling": [float(one) for one in linear],
        "identity": fitted(longest, "identity"),
        "tanh": {f"{n}": fitted(n, "tanh") for n in lengths},
    }
