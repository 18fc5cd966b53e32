"""Claims about the recursion: near preservation of the energy, and the step ε = O(1/N)."""

from __future__ import annotations

import math

import numpy as np

from sensitivity.papers.ledger import Claim, ClaimVerdict, Finding, ProofTools, decided, proof_evidence

__all__ = ["ROWS"]

ENERGY_STEPS = 20_000
LENGTHS = (10, 100, 1000, 10_000)


def _energy_errors(scheme: str, step: float) -> tuple[float, float]:
    """Largest |H − H_0| in the first and in the second half of a run of the scalar network."""
    from integrators.fields.neural import NeuralField
    from integrators.run.solve import integrate

    W, b = -1.0, 0.3
    path = integrate(NeuralField([[W]], [b]), scheme, [1.0], [0.0], step, ENERGY_STEPS, progress=False)
    # H = ½ẏ² − (1/W) log cosh(Wy + b), for σ = tanh.
    energy = 0.5 * path.p[:, 0] ** 2 - np.log(np.cosh(W * path.y[:, 0] + b)) / W
    error = np.abs(energy - energy[0])
    half = ENERGY_STEPS // 2
    return float(error[:half].max()), float(error[half:].max())


def _energy(tools: ProofTools) -> Finding:
    """Bounded energy error of second order for a Hamiltonian case; and the condition for being one."""
    names = ("hamiltonian", "scheme_symplecticity", "leapfrog_modified_hamiltonian")
    reports = [tools.report(name) for name in names]
    first, second = _energy_errors("leapfrog", 0.1)
    finer, _ = _energy_errors("leapfrog", 0.05)
    drift, later = _energy_errors("explicit_euler", 0.1)
    said = (
        f"only then is there an energy H at all ({reports[0].name}) and is the scheme symplectic "
        f"({reports[1].name}); W = ((0, 1), (−1, 0)) has neither",
        *(line for report in reports for line in proof_evidence(report)[:1]),
        "leapfrog conserves H + ε²H_2 + ε⁴H_4 up to O(ε⁷) in a step, with explicit H_2 and H_4 "
        f"({reports[2].name})",
        f"d = 1, W = −1, b = 0.3, ε = 0.1, {ENERGY_STEPS} steps: |H − H_0| is at most {first:.2e} in the "
        f"first half and {second:.2e} in the second; halving ε divides it by {first / finer:.2f}",
        f"explicit Euler on the same system: {drift:.2g} and {later:.2g}",
    )
    numbers = {"first_half": first, "second_half": second, "ratio_at_half_step": first / finer}
    kept = second <= 1.05 * first and abs(first / finer - 4.0) < 0.4 and later > 10 * first
    if not (kept and all(report.ok for report in reports)):
        return Finding(ClaimVerdict.UNDECIDED, said, numbers=numbers)
    return Finding(ClaimVerdict.HOLDS_ONLY_IF, said, reports[0].condition, numbers)


def _heuristic(tools: ProofTools) -> Finding:
    """Theorem C, and the singular values at ε = 1/N for four lengths."""
    from integrators.fields.neural import NeuralField
    from integrators.singular_values import singular_values
    from sensitivity import bounds
    from sensitivity.analysis.jacobians import jacobian

    report = tools.report("theorem_c")
    field, swinging = NeuralField.random(10, 0), NeuralField([[-((math.pi / 2) ** 2)]], [0.0])
    low, high, rows = math.inf, 0.0, []
    inside = report.ok
    for n in LENGTHS:
        values = singular_values(jacobian(field, "leapfrog", 1.0 / n, n, progress=False))
        ends = float(bounds.no_vanishing(field, 1.0 / n, n)), float(bounds.chebyshev(field, 1.0 / n, n))
        low, high = min(low, ends[0]), max(high, ends[1])
        inside = inside and ends[0] <= values[-1] and values[0] <= ends[1]
        rows.append(f"[{values[-1]:.4f}, {values[0]:.4f}] for N = {n}")
    euler = float(bounds.euler(field, 1.0 / LENGTHS[-1], LENGTHS[-1]))
    vanishing = [abs(float(jacobian(swinging, "leapfrog", 1 / n, n)[0, 0])) for n in LENGTHS]
    said = (
        *proof_evidence(report),
        f"d = 10, seed 0, ε = 1/N: the singular values of ∂y_N/∂y_0 lie in {'; '.join(rows)}",
        f"theorem C guarantees [{low:.4f}, {high:.4f}] for all of these; the constant depends on ‖W‖",
        f"theorem D bounds the Euler network by {euler:.4f} at these steps: at Nε = 1 the rule keeps it too",
        "without the condition the gradient vanishes: tanh, d = 1, b = 0, W = −(π/2)², from rest, ε = 1/N: "
        + ", ".join(f"{value:.1e} for N = {n}" for n, value in zip(LENGTHS, vanishing, strict=True)),
    )
    inside = inside and vanishing[-1] < 1e-6
    return Finding(
        decided(inside, ClaimVerdict.HOLDS_ONLY_IF),
        said,
        f"Nε√(L‖W‖), L = sup|σ'|, stays below a constant: {math.acosh(2.0):.3f} is enough, π/2 is too much",
        {"band": [low, high], "vanishing": vanishing},
    )


ROWS = (
    Claim("energy", "the choice of leapfrog as the integrator",
          "The leapfrog scheme nearly preserves the Hamiltonian, over long times.",
          _energy, "leapgrad prove hamiltonian scheme_symplecticity leapfrog_modified_hamiltonian"),
    Claim("step_rule", "equation (14), and the abstract",
          "With a step ε = O(1/N) the gradient of the network neither explodes nor vanishes, for every N.",
          _heuristic, "leapgrad prove theorem_c"),
)  # fmt: skip
