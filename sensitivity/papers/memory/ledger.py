"""What the paper on the curse of memory claims about a linear recurrence, and what is found."""

from __future__ import annotations

import numpy as np

from sensitivity.papers.ledger import ClaimVerdict, Finding, ProofTools, decided, shown_by_itself
from sensitivity.papers.paper import Paper

__all__ = ["PAPER"]


def _sensitivity(value: float, inputs: np.ndarray) -> float:
    """∂h_N/∂λ of h' = λ h + x by a backward sweep of the shipped engine."""
    from sympy import symbols

    from integrators.cells.own import symbolic_cell
    from sensitivity.recurrences.cell import unroll

    h, x, rate = symbols("h x lambda")
    cell = symbolic_cell([rate * h + x], [h], [x], {rate: value}, name="line")
    found = unroll(cell, inputs=inputs[:, None], progress=False).parameter_gradient([1.0])
    return float(cell.unpack_free(found)[0]["lambda"][0])


def _state(tools: ProofTools) -> Finding:
    from sympy import Symbol, oo, simplify, summation

    rate, k = Symbol("lambda", positive=True), Symbol("k", integer=True, nonnegative=True)
    total = summation(k**0 * rate ** (2 * k), (k, 0, oo)).args[0][0]
    right = simplify(total - 1 / (1 - rate**2)) == 0
    values = {value: 1.0 / (1.0 - value * value) for value in (0.9, 0.99, 0.999)}
    said = (
        "h_N = Σ λ^k x_{N−k}, so E h² = R(0) Σ λ^{2k} = R(0)/(1 − λ²) for white inputs, summed "
        "as an expression",
        ", ".join(f"{value:.6g} at λ = {rate:g}" for rate, value in values.items()),
    )
    return Finding(decided(right, ClaimVerdict.PROVED), said)


def _parameter(tools: ProofTools) -> Finding:
    """The sum of k² λ^(2k − 2), by generating functions, and by the engine's own backward sweep."""
    from sympy import Symbol, diff, simplify

    q = Symbol("q", positive=True)  # λ²
    geometric = 1 / (1 - q)
    second = diff(q * diff(geometric, q), q)  # Σ k² q^(k − 1)
    identity = simplify(second - (1 + q) / (1 - q) ** 3) == 0
    value, n = 0.99, 6000
    exact = (1.0 + value**2) / (1.0 - value**2) ** 3
    # ∂h_N/∂λ is linear in the inputs: its mean square is the sum of the squares of its weights.
    weights = np.array([_sensitivity(value, np.eye(1, 400, j)[0]) for j in (399, 398, 300, 0)])
    k = np.array([0, 1, 99, 399])
    expected = k * value ** np.maximum(k - 1, 0)
    agree = bool(np.allclose(weights, expected, rtol=1e-12, atol=1e-300))
    terms = np.arange(1, n)
    summed = float((terms**2 * value ** (2.0 * terms - 2.0)).sum())
    right = identity and agree and abs(summed / exact - 1.0) < 1e-9 and abs(exact - 251262.6) < 0.1
    said = (
        "∂h_N/∂λ = Σ k λ^{k−1} x_{N−k}, so E(∂h/∂λ)² = R(0) Σ k² λ^{2k−2} = R(0)(1 + λ²)/(1 − "
        "λ²)³, as expressions",
        f"the backward sweep of h' = λh + x gives these weights at k = {', '.join(map(str, k))}, "
        f"to 1e-12: {agree}",
        f"λ = {value}: {exact:.1f}, and the sum of {n} terms is {summed:.1f}",
        "while ∂h_N/∂h_0 = λ^N never exceeds one: a tame hidden-state gradient says nothing about that by λ",
    )
    return Finding(decided(right, ClaimVerdict.PROVED), said, "", {"at_0.99": exact})


def _remedy(tools: ProofTools) -> Finding:
    """γ = √(1 − λ²) and λ = exp(−exp ν): both sensitivities near λ = 1."""
    from sympy import Symbol, limit, simplify, sqrt

    rate = Symbol("lambda", positive=True)
    gain = 1 - rate**2
    state = simplify(gain / (1 - rate**2))
    grown = gain * (1 + rate**2) / (1 - rate**2) ** 3  # E(γ ∂h/∂λ)², without the term of γ itself
    left = limit(grown * (1 - rate) ** 2, rate, 1, "-")
    # λ = exp(−exp ν): dλ/dν = λ ln λ, so the square is multiplied with λ² ln² λ, of order (1 − λ)².
    from sympy import log

    remedied = limit(grown * rate**2 * log(rate) ** 2, rate, 1, "-")
    right = state == 1 and left == sqrt(4) / 4 and 0 < remedied < 10
    said = (
        "γ² E h² = 1 for every λ, as an expression: the state keeps its size",
        f"γ² E(∂h/∂λ)² still grows like {left}/(1 − λ)², so the input gain alone does not tame "
        f"the gradient by λ",
        f"with λ = exp(−e^ν) the gradient by ν has the limit {remedied} for λ → 1: of order one",
        "both become degenerate at λ = 1 itself, where γ = 0 and ν = −∞",
    )
    condition = "both are used: the gain alone leaves the gradient by λ unbounded"
    return Finding(decided(right, ClaimVerdict.HOLDS_ONLY_IF), said, condition)


_shown = shown_by_itself("memory")


ROWS = (
    _shown("state", "the variance of the hidden state",
           "For white inputs the hidden state of h' = λh + x has the variance R(0)/(1 − λ²), which "
           "diverges as λ → 1.", _state),
    _shown("parameter", "the variance of the sensitivity",
           "E(∂h/∂λ)² = R(0)(1 + λ²)/(1 − λ²)³: it diverges faster than the variance of the state, "
           "without any exploding ∂h_N/∂h_0.", _parameter),
    _shown("remedy", "normalisation and reparametrisation",
           "The input gain γ = √(1 − λ²) and λ = exp(−exp ν) keep state and gradients of order one.",
           _remedy),
)  # fmt: skip

PAPER = Paper(
    "The curse of memory",
    "N. Zucchet, A. Orvieto, *Recurrent neural networks: vanishing and exploding gradients are not the "
    "end of the story*, NeurIPS 2024 (arXiv:2405.21064)",
    (
        "h' = λh + x with 0 < λ < 1 and stationary inputs of autocorrelation R(d); the rows are for "
        "white inputs, R(d) = 0 for d > 0. E is the mean over inputs.",
    ),
    {claim.name: claim for claim in ROWS},
    ProofTools,
)
