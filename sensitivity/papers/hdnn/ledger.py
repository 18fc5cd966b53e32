"""What the paper on Hamiltonian deep networks claims about gradients, and what is found."""

from __future__ import annotations

import math

import numpy as np

from sensitivity.papers.ledger import (
    ClaimVerdict,
    Finding,
    ProofTools,
    decided,
    proved_by,
    shown_by_itself,
)
from sensitivity.papers.paper import Paper

__all__ = ["PAPER"]

STEP, TIMES = 0.05, (20, 200, 2000, 20_000)


def _not_vanishing(tools: ProofTools) -> Finding:
    """Symplectic products on random networks, and a block of one that vanishes."""
    from integrators.fields.neural import NeuralField
    from integrators.fields.potential import PotentialField
    from integrators.singular_values import singular_values
    from sensitivity.analysis.jacobians import jacobian

    rng, d, n = np.random.default_rng(0), 4, 50
    J = np.block([[np.zeros((d, d)), np.eye(d)], [-np.eye(d), np.zeros((d, d))]])
    least, paired, defect = math.inf, 0.0, 0.0
    for _ in range(20):
        field = PotentialField(rng.normal(size=(d, d)) / 2.0, rng.normal(size=d))
        M = jacobian(field, "symplectic_euler", 0.1, n, y0=rng.normal(size=d), block="phase", progress=False)
        values = singular_values(M)
        least = min(least, float(values[0]))
        paired = max(paired, float(np.abs(np.log(values) + np.log(values[::-1])).max()))
        defect = max(defect, float(np.abs(M.T @ J @ M - J).max() / values[0] ** 2))
    swing = NeuralField([[-1.0]], [0.0], activation="identity")
    step = 2.0 * math.sin(math.pi / 4 / n)  # leapfrog turns by 2 asin(ε/2) a step: n of them are a quarter
    block = abs(float(jacobian(swing, "leapfrog", step, n)[0, 0]))
    whole = jacobian(swing, "leapfrog", step, n, block="phase")
    top = float(singular_values(whole)[0])
    report = tools.report("hamiltonian_layers")
    right = (
        report.ok
        and least >= 1.0 - 1e-12
        and defect < 1e-12
        and block < 1e-12
        and top >= 1.0 - 1e-12
        and paired < 1e-6
    )
    said = (
        "MᵀJM = J gives 1 = ‖J‖₂ ≤ ‖Mᵀ‖₂ ‖J‖₂ ‖M‖₂ = ‖M‖₂²: a symplectic matrix has ‖M‖₂ ≥ 1, and so has "
        "every product of them; and its singular values come in pairs σ, 1/σ",
        f"20 random networks ÿ = −Kᵀ tanh(K y + b) with d = {d}, symplectic Euler, N = {n}: the least ‖∂(y, "
        f"p)_N/∂(y, p)_0‖₂ "
        f"is {least:.3f}; ln σ_i + ln σ_(2d+1−i) is at most {paired:.0e}; MᵀJM − J at most {defect:.0e} ‖M‖²",
        *proved_by(report),
        f"a block of M may vanish all the same: ÿ = −y by leapfrog after a quarter of a turn has "
        f"∂y_N/∂y_0 = {block:.0e}, while ‖M‖₂ = {top:.3f}",
    )
    condition = "the step is symplectic and the gradient is by the whole state: a block of it can be zero"
    return Finding(
        decided(right, ClaimVerdict.HOLDS_ONLY_IF), said, condition, {"least": least, "block": block}
    )


def _explicit_euler(tools: ProofTools) -> Finding:
    """The steps of H1 and H2 at random states."""
    from sensitivity.recurrences.registry import make

    report = tools.report("hamiltonian_layers")
    rng = np.random.default_rng(1)
    J0 = np.block([[np.zeros((2, 2)), np.eye(2)], [-np.eye(2), np.zeros((2, 2))]])
    steps = {}
    for name in ("h1", "h2"):
        cell = make(name, 2, rng=0, step=0.1)
        steps[name] = [cell.linearise(rng.normal(size=4))[1] for _ in range(50)]
    defects = {
        name: max(float(np.abs(M.T @ J0 @ M - J0).max()) for M in found) for name, found in steps.items()
    }
    dets = [float(np.linalg.det(M)) for M in steps["h1"]]
    right = report.ok and defects["h1"] > 1e-2 and defects["h2"] < 1e-13
    said = (
        *proved_by(report),
        f"the cell `h2`, h = 0.1, at 50 random states: MᵀJM − J at most {defects['h2']:.0e}",
        f"the cell `h1`, h = 0.1, at 50 random states: MᵀJM − J up to {defects['h1']:.2g}, det M between "
        f"{min(dets):.4g} and {max(dets):.4g}",
        "explicit Euler keeps the form up to O(h²) a step, symplectic Euler exactly",
    )
    condition = "the step is the semi-implicit one, H2; that of H1 is explicit Euler"
    return Finding(decided(right, ClaimVerdict.HOLDS_ONLY_IF), said, condition, {"defects": defects})


def _slow_dynamics(tools: ProofTools) -> Finding:
    """ẏ = J tanh(y), whose norm grows linearly while its exponents are zero."""
    from sympy import Rational, symbols, tanh

    from integrators.cells.own import symbolic_cell
    from sensitivity.analysis.growth import growth_exponents
    from sensitivity.analysis.jacobians import jacobian_norm
    from sensitivity.recurrences.cell import unroll

    q, p = symbols("q p")
    moved = q - Rational(1, 20) * tanh(p)
    cell = symbolic_cell([moved, p + Rational(1, 20) * tanh(moved)], [q, p], name="slow")
    start = [1.0, 0.0]
    norms = [
        float(jacobian_norm(unroll(cell, round(T / STEP), s0=start, progress=False), block="state"))
        for T in TIMES
    ]
    slopes = np.diff(np.log10(norms))
    rate = float(growth_exponents(unroll(cell, 100_000, s0=start, progress=False))[0]) / STEP
    det = float(np.linalg.det(cell.linearise(start)[1]))
    report = tools.report("slow_hamiltonian")
    right = (
        report.ok and bool((np.abs(slopes - 1.0) < 0.1).all()) and abs(rate) < 1e-2 and abs(det - 1.0) < 1e-13
    )
    said = (
        f"ẏ = J tanh(y) by symplectic Euler, h = {STEP}, from (1, 0): the norm is "
        + ", ".join(f"{norm:.4g} at T = {T}" for norm, T in zip(norms, TIMES, strict=True)),
        f"it grows tenfold from each time to the next, to the power {slopes.min():.3f} … "
        f"{slopes.max():.3f} of T",
        f"det M = {det:.12f}, and the largest exponent is {rate:.1e} for a unit of time: no "
        f"exponential growth",
        *proved_by(report),
    )
    return Finding(decided(right, ClaimVerdict.CONFIRMED), said, "", {"norms": norms})


_shown = shown_by_itself("hdnn")


ROWS = (
    _shown("not_vanishing", "the result on backward sensitivity matrices",
           "Backward sensitivity matrices are symplectic, so gradients cannot vanish, for any depth.",
           _not_vanishing),
    _shown("discretisation", "the discretisations H1 and H2",
           "The discretised network keeps the symplectic structure of the differential equation.",
           _explicit_euler),
    _shown("exploding", "the appendix with a counterexample, and its code",
           "Slow dynamics do not keep gradients from growing: those of ẏ = εJ tanh(y) are not bounded.",
           _slow_dynamics),
)  # fmt: skip

PAPER = Paper(
    "Hamiltonian deep networks",
    "C. L. Galimberti, L. Furieri, L. Xu, G. Ferrari-Trecate, *Hamiltonian Deep Neural Networks Guaranteeing "
    "Nonvanishing Gradients by Design*, IEEE Trans. Autom. Control 68 (2023) (arXiv:2105.13205)",
    (
        "M is the Jacobian of all steps by the whole state (y, p), J the matrix ((0, I), (−I, 0)), σ "
        "its singular values in descending order, h the step; ‖·‖₂ is the spectral norm.",
    ),
    {claim.name: claim for claim in ROWS},
    ProofTools,
)
