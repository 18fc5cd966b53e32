"""What the paper on D-LinOSS and its code claim, and what is found."""

from __future__ import annotations

import numpy as np

from sensitivity.papers.ledger import (
    ClaimVerdict,
    Finding,
    ProofTools,
    decided,
    proved_by,
    shown_by_itself,
)
from sensitivity.papers.oscillators import (
    STEPS,
    A,
    G,
    agrees_with_cell,
    dt,
    is_zero,
    spectral_radius,
    step_of,
)
from sensitivity.papers.paper import Paper

__all__ = ["PAPER"]

DRAWS = 20_000


def _eigenvalues(tools: ProofTools) -> Finding:
    from sympy import sqrt

    M = STEPS["dlinoss"]
    root = sqrt((G - dt * A) ** 2 - 4 * A)
    one, other = ((1 + dt * G / 2 - dt**2 * A / 2 + s * dt / 2 * root) / (1 + dt * G) for s in (1, -1))
    right, same = (
        is_zero(M.trace() - one - other) and is_zero(M.det() - one * other),
        agrees_with_cell("dlinoss"),
    )
    said = (
        f"the printed pair has the trace and the determinant of the published step, as expressions: {right}",
        f"the shipped cell has this step at 100 random A, G and Δt, to 1e-14: {same}",
    )
    return Finding(decided(right and same, ClaimVerdict.PROVED), said)


def _stable(tools: ProofTools) -> Finding:
    """The paper's sufficient condition, and Jury's necessary and sufficient one."""
    M = STEPS["dlinoss"]
    S, trace, det = 1 + dt * G, M.trace(), M.det()
    jury = (
        is_zero((1 - trace + det) * S - dt**2 * A)
        and is_zero((1 + trace + det) * S - (4 + 2 * dt * G - dt**2 * A))
        and is_zero(det - 1 / S)
    )
    rng = np.random.default_rng(0)
    a, g, h = rng.uniform(-1.0, 40.0, DRAWS), rng.uniform(-0.5, 5.0, DRAWS), rng.uniform(0.05, 1.0, DRAWS)
    s = 1.0 + h * g
    steps = np.array([[1.0 / s, -h * a / s], [h / s, 1.0 - h * h * a / s]]).transpose(2, 0, 1)
    stable = np.abs(np.linalg.eigvals(steps)).max(axis=-1) < 1.0
    printed, exact = (g - h * a) ** 2 <= 4.0 * a, (a > 0.0) & (g > 0.0) & (h * h * a < 4.0 + 2.0 * h * g)
    mismatches, missed = int((stable != exact).sum()), float((stable & ~printed).sum() / stable.sum())
    conjugate = bool(
        (np.abs(np.linalg.eigvals(steps[printed & (g >= 0.0)])).max(axis=-1) <= 1.0 + 1e-12).all()
    )
    backward = spectral_radius(np.array(M.subs({A: -1, G: -3, dt: 1}).tolist(), dtype=float))
    report = tools.report("dlinoss_stability")
    said = (
        "with G ≥ 0, (G − ΔtA)² ≤ 4A makes the eigenvalues a conjugate pair, whose |λ|² is det M "
        "= 1/(1 + ΔtG)",
        "the criterion of Jury, decided as expressions: where 1 + ΔtG > 0, |λ| < 1 if and only if A > 0, "
        "G > 0 and Δt²A < 4 + 2ΔtG",
        "that hypothesis, which G ≥ 0 implies, is needed for the criterion: Δt = 1, G = −3, A = −1 has the "
        f"largest |λ| {backward:.3g}",
        f"of {DRAWS} random (A, G, Δt) {mismatches} are stable against that criterion, and of the "
        f"stable ones the printed condition leaves out {100 * missed:.0f} %",
        *proved_by(report),
    )
    right = jury and mismatches == 0 and conjugate and 0.05 < missed < 0.95
    right = right and report.ok and backward < 1.0
    return Finding(decided(right, ClaimVerdict.PROVED), said, "", {"left_out": missed})


def _bijection(tools: ProofTools) -> Finding:
    """The closed inverse, and what it does not reach."""
    from sympy import cos, symbols

    r, angle = symbols("r theta", positive=True)
    damping = (1 - r**2) / (dt * r**2)
    stiffness = (r**2 - 2 * r * cos(angle) + 1) / (dt**2 * r**2)
    M = STEPS["dlinoss"].subs({A: stiffness, G: damping})
    right = is_zero(M.det() - r**2) and is_zero(M.trace() - 2 * r * cos(angle))
    said = (
        "G = (1 − r²)/(Δt r²) and A = (r² − 2r cos θ + 1)/(Δt² r²) give a step with the "
        "eigenvalues r e^{±iθ}, as "
        "expressions: every λ with 0 < |λ| ≤ 1 is reached, once with its conjugate",
        "λ = 0 is not: |λ|² = 1/(1 + ΔtG) is positive",
        "λ and λ̄ belong to one pair (G, A), so a bijection has the upper half of the disc as its image",
    )
    condition = "the image is {0 < |λ| ≤ 1, Im λ ≥ 0} in place of the closed disc"
    return Finding(decided(right, ClaimVerdict.HOLDS_ONLY_IF), said, condition)


def _clamped(tools: ProofTools) -> Finding:
    """The step at the upper end of the clamp."""
    from sensitivity import jacobian_norm, unroll
    from sensitivity.recurrences.registry import make
    from sensitivity.recurrences.structures.vectors import clamp

    step, damping = 0.5, 1.0
    low, high = clamp(damping, step)
    M = step_of("dlinoss", A=high, G=damping, dt=step)[0]
    radius = spectral_radius(M)
    gap = abs((M[0, 0] + M[1, 1]) ** 2 - 4.0 * np.linalg.det(M))
    cell = make("dlinoss", 1, A=high, G=damping, dt=step)
    norms = [float(jacobian_norm(unroll(cell, n))) for n in range(1, 40)]
    right = abs(radius - 0.81649658) < 1e-6 and abs(max(norms) - 15.414) < 1e-3 and gap < 1e-12
    said = (
        f"G = 1, Δt = 0.5: A_low = {low:.4g}, A_high = {high:.4g}, and at A = A_high the discriminant "
        f"of M is {gap:.0e}: M is a Jordan block",
        f"its spectral radius is {radius:.3f}, and ‖M^n‖₂ rises to {max(norms):.1f} at n = "
        f"{1 + int(np.argmax(norms))} before it falls",
        "parameters that gradient steps push beyond the ends are set to the ends, where this happens",
    )
    condition = "for n → ∞; at the ends of the clamp the norm first grows like n |λ|^n"
    return Finding(decided(right, ClaimVerdict.HOLDS_ONLY_IF), said, condition, {"peak": max(norms)})


def _explicit_damping(tools: ProofTools) -> Finding:
    """√(1 − ΔtG) of the ends of the clamp of IMEX2."""
    step, damping = 0.6, 2.0
    inside = 1.0 - step * damping
    right = inside < 0.0
    said = (
        f"the ends of the interval of A contain √(1 − ΔtG), and G is cut at zero only: Δt = {step}, G "
        f"= {damping} has 1 − ΔtG = {inside:.1f}, whose root is no number",
    )
    return Finding(decided(right, ClaimVerdict.HOLDS_ONLY_IF), said, "ΔtG ≤ 1")


_shown = shown_by_itself("dlinoss")


ROWS = (
    _shown("eigenvalues", "Proposition 3.1",
           "λ = (1 + ΔtG/2 − Δt²A/2 ± (Δt/2) √((G − ΔtA)² − 4A))/(1 + ΔtG).", _eigenvalues),
    _shown("stability", "Proposition 3.2",
           "If (G − ΔtA)² ≤ 4A, the eigenvalues are a conjugate pair with |λ| = 1/√(1 + ΔtG) ≤ 1.", _stable),
    _shown("bijection", "Proposition 3.3",
           "(G, A) ↦ λ is a bijection onto the closed unit disc.", _bijection),
    _shown("clamp", "the parametrisation, and its code",
           "Keeping A between A_low and A_high keeps the layer stable.", _clamped),
    _shown("explicit_damping", "the code, variant IMEX2",
           "The same projection, for the step with explicit damping.", _explicit_damping),
)  # fmt: skip

PAPER = Paper(
    "D-LinOSS",
    "J. Boyer, T. K. Rusch, D. Rus, *Learning to Dissipate Energy in Oscillatory State-Space Models* "
    "(arXiv:2505.12171), and the code jaredbmit/damped-linoss",
    (
        "Every oscillator is ÿ = −A y − G ẏ + B u with velocity z = ẏ and state (z, y); M is the "
        "matrix of its step with implicit damping, Δt the step size, λ an eigenvalue of M. Numbers are "
        "those of the cell `dlinoss`.",
    ),
    {claim.name: claim for claim in ROWS},
    ProofTools,
)
