"""What the paper on AntisymmetricRNN claims about stability, and what is found."""

from __future__ import annotations

import numpy as np

from sensitivity.papers.ledger import (
    ClaimVerdict,
    Finding,
    ProofTools,
    by_proposition,
    by_steps,
    decided,
    proved_by,
    shown_by_itself,
)
from sensitivity.papers.paper import Paper

__all__ = ["PAPER"]


def _products(tools: ProofTools) -> Finding:
    """ẏ = D(t) S y with slopes that change after each quarter of a turn, by exact flows."""
    from sympy import I, Matrix, cos, pi, sin, sqrt

    report = tools.report("antisymmetric_step")
    slope = 4  # a ratio of two slopes; those of tanh lie in (0, 1]
    first, second = Matrix([[0, 1], [-slope, 0]]), Matrix([[0, slope], [-1, 0]])
    spectra = [set(M.eigenvals()) for M in (first, second)]
    imaginary = all(value == {I * sqrt(slope), -I * sqrt(slope)} for value in spectra)
    flows = [
        cos(pi / 2) * Matrix.eye(2) + sin(pi / 2) * M / sqrt(slope) for M in (first, second)
    ]  # exp(tM) at t = π/(2√slope), since M² = −slope I
    grown = flows[0] * flows[1]
    value = float(max(abs(entry) for entry in grown.eigenvals()))
    right = report.ok and imaginary and abs(value - slope) < 1e-12
    said = (
        "ẏ = D S y with S = ((0, 1), (−1, 0)), and slopes D = diag(1, 4) or diag(4, 1) up to the unit of "
        f"time: the eigenvalues are ±2i for both, as expressions: {imaginary}",
        f"a quarter of a turn with the one and then with the other multiplies a vector by {value:g}, and so "
        "does every such half turn after it: exponential growth with eigenvalues that stay imaginary",
        *proved_by(report),
        "its step `slopes_must_agree` has the same for one step of Euler: D = diag(1, 0) stretches by √2",
    )
    condition = (
        "D does not change from step to step: eigenvalues do not bound a product of different matrices"
    )
    return Finding(decided(right, ClaimVerdict.HOLDS_ONLY_IF), said, condition, {"growth": value})


def _parameters(tools: ProofTools) -> Finding:
    """Free parameters of the shipped cell, and that they make every antisymmetric matrix."""
    from sensitivity.recurrences.registry import make

    counts = {d: int(make("antisymmetric", d).free_parameters["A"].size) for d in (2, 20, 21)}
    cell = make("antisymmetric", 5, gamma=0.0)
    W = cell.parameters["W"]
    right = all(count == d * (d - 1) // 2 for d, count in counts.items()) and bool((W == -W.T).all())
    said = (
        "the cell `antisymmetric` keeps the entries above the diagonal of W − Wᵀ alone: "
        + ", ".join(f"{count} for d = {d}" for d, count in counts.items()),
        f"W − Wᵀ made from them is antisymmetric, bit for bit: {bool((W == -W.T).all())}",
    )
    return Finding(decided(right, ClaimVerdict.CONFIRMED), said, "", {"counts": counts})


def _initial(tools: ProofTools) -> Finding:
    """How often the published start obeys the rule, at the values of γ and ε that the paper uses."""
    from sensitivity.recurrences.registry import make

    report = tools.report("antisymmetric_step")
    d, step, draws, gamma = 128, 0.01, 20, 0.01
    radii = []
    for seed in range(draws):
        W = make("antisymmetric", d, rng=seed, gamma=0.0).parameters["W"]
        radii.append(float(np.abs(np.linalg.eigvals(W)).max()))
    radius = float(np.mean(radii))
    smallest = (1.0 - np.sqrt(1.0 - (step * radius) ** 2)) / step
    excess = step * (gamma**2 + radius**2) - 2.0 * gamma
    right = report.ok and step * radius < 1.0 and abs(step * (smallest**2 + radius**2) - 2 * smallest) < 1e-9
    said = (
        *proved_by(report),
        "for equal slopes the step does not expand if and only if ε(γ² + ω²) ≤ 2γ, ω the spectral radius of "
        "W − Wᵀ; the smallest such γ is (1 − √(1 − ε²ω²))/ε = εω²/2 + …",
        f"W ~ N(0, 1/d), d = {d}, {draws} draws: ω is {radius:.3f} on the average, so that ε = {step:g} asks "
        f"for γ ≥ {smallest:.4f}",
        f"with γ = {gamma:g} the rule is {'kept' if excess <= 0 else 'broken'}: a step multiplies by up to "
        f"{np.sqrt(1 + step * excess):.6f}",
    )
    return Finding(decided(right, ClaimVerdict.PROVED), said, "", {"omega": radius, "gamma": float(smallest)})


def _accuracy(tools: ProofTools) -> Finding:
    return Finding(
        ClaimVerdict.NOT_MEASURED,
        (
            "it needs training runs on sequential, permuted and noise-padded images in the paper's set-up; "
            "the kept runs of `antisymmetric` on MNIST are those of another paper's set-up",
        ),
    )


_shown = shown_by_itself("antisymmetric")
_BESIDE = "beside the paper: a question that it raises"


ROWS = (
    _shown("imaginary", "the differential equation and its Jacobian",
           "D(W − Wᵀ) with D > 0 has eigenvalues on the imaginary axis (decided for d = 3).",
           by_steps("antisymmetric_step", "imaginary")),
    _shown("long_term", "the conclusion from the eigenvalues",
           "Since all eigenvalues are imaginary, gradients over many steps neither explode nor vanish.",
           _products),
    _shown("euler", "the discretisation",
           "Without diffusion, γ = 0, a step of explicit Euler is unstable.",
           by_steps("antisymmetric_step", "modulus", "undamped")),
    _shown("diffusion", "the discretisation",
           "Subtracting γI, with a γ that fits ε and W, makes a step of explicit Euler stable.",
           by_proposition("antisymmetric_step")),
    _shown("value_of_gamma", _BESIDE,
           "For equal slopes there is a rule for γ: the smallest is (1 − √(1 − ε²ω²))/ε.", _initial),
    _shown("parameters", "the parametrisation",
           "A strictly triangular W is enough, so that the recurrent matrix has d(d − 1)/2 parameters.",
           _parameters),
    _shown("accuracy", "the experiments",
           "It is more accurate than an LSTM on sequences of pixels, with fewer parameters.", _accuracy),
)  # fmt: skip

PAPER = Paper(
    "AntisymmetricRNN",
    "B. Chang, M. Chen, E. Haber, E. H. Chi, *AntisymmetricRNN: A Dynamical System View on Recurrent Neural "
    "Networks*, ICLR 2019",
    (
        "The step is h' = h + ε tanh((W − Wᵀ − γI) h + Vx + b); D is the diagonal matrix of the slopes of "
        "tanh, ω the spectral radius of W − Wᵀ. Numbers are those of the cell `antisymmetric`.",
    ),
    {claim.name: claim for claim in ROWS},
    ProofTools,
)
