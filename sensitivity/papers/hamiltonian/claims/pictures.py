"""Claims of Figures 1 to 3, decided on curves computed for the purpose."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from sensitivity.papers.hamiltonian.captions import blow_up, linear_growth, order_one
from sensitivity.papers.ledger import Claim, ClaimVerdict, Finding, proof_evidence

if TYPE_CHECKING:
    from .ledger import Tools

__all__ = ["DIMENSIONS", "GAMMAS", "ROWS"]

DIMENSIONS = (1, 10, 100)
GAMMAS = (0.0, 0.001, 0.01, 0.1)


def _in_setting(tools: Tools, found: Finding, *dimensions: int) -> Finding:
    """The same finding, whose evidence begins with what was run."""
    draws = ", ".join(f"{tools.plan.draws[d]} draws for d = {d}" for d in dimensions)
    setting = f"σ = {tools.plan.activation}, N = {tools.plan.n_steps}, ε from 0.001 to 1, {draws}, medians"
    return replace(found, evidence=(setting, *found.evidence))


def _figure_1(d: int) -> Callable[[Tools], Finding]:
    return lambda tools: _in_setting(tools, linear_growth(tools.curve(1, d)), d)


def _figure_2(d: int) -> Callable[[Tools], Finding]:
    """By the curves; at d = 1 a proposition says so too."""

    def decide(tools: Tools) -> Finding:
        found = _in_setting(tools, blow_up(tools.curve(2, d), tools.curve(1, d)), d)
        if d > 1:
            return found
        report = tools.report("claim_figure_2")
        verdict = found.verdict if report.ok else ClaimVerdict.UNDECIDED
        return replace(found, verdict=verdict, evidence=(*found.evidence, *proof_evidence(report)))

    return decide


def _figure_3(gamma: float) -> Callable[[Tools], Finding]:
    def decide(tools: Tools) -> Finding:
        return _in_setting(tools, order_one([tools.curve(3, d, gamma) for d in DIMENSIONS]), *DIMENSIONS)

    return decide


def _gamma_rule(tools: Tools) -> Finding:
    """There is a rule for γ: exact for equal slopes, and used here on the networks of the paper."""
    from integrators.fields.neural import NeuralField
    from integrators.singular_values import spectral_norm
    from sensitivity.analysis.jacobians import jacobian_norm

    report = tools.report("antisymmetric_step")
    proof, *needs = proof_evidence(report)
    numbers, said = [], [_GAMMA_RULE, proof, f"it does need equal slopes: {'; '.join(needs)}"]
    right = report.ok
    for d, step in ((10, 0.1), (10, 0.5), (100, 0.1)):
        base = NeuralField.random(d, 0)
        omega = float(spectral_norm(base.W - base.W.T))
        least = (1.0 - math.sqrt(1.0 - (step * omega) ** 2)) / step

        def norm(gamma: float, activation: str, base: NeuralField = base, step: float = step) -> float:
            field = NeuralField.antisymmetric(base.W, base.b, gamma, activation=activation)
            return float(jacobian_norm(field, "euler", step, 1000, progress=False))

        kept, lost = norm(least, "identity"), norm(0.9 * least, "identity")
        network = norm(least, "tanh")
        right = right and kept <= 1.0 + 1e-9 < lost
        said.append(
            f"d = {d}, ε = {step:g}, ω = {omega:.3g}: the rule gives γ = {least:.3g}; with it the norm after "
            f"1000 steps is 1 {kept - 1.0:+.0e} for σ = identity (1 {lost - 1.0:+.0e} with nine tenths of "
            f"it) and {network:.3g} for tanh"
        )
        numbers.append({"d": d, "step": step, "omega": omega, "gamma": least, "norm": kept, "tanh": network})
    verdict = ClaimVerdict.REFUTED if right else ClaimVerdict.UNDECIDED
    return Finding(verdict, tuple(said), numbers={"cases": numbers})


_GAMMA_RULE = (
    "the rule: with equal slopes (σ = identity) a step of the antisymmetric network does not expand if and "
    "only if ε(γ² + ω²) ≤ 2γ, ω the largest modulus of an eigenvalue of W − Wᵀ; the least damping is then "
    "γ = (1 − √(1 − ε²ω²))/ε, about εω²/2. For unequal slopes it is where to start, not a guarantee"
)


def _shown(name: str, place: str, text: str, decide: Callable[[Tools], Finding]) -> Claim:
    """A row shown by itself: `leapgrad reproduce figures` draws the same curves, on a finer grid."""
    return Claim(name, place, text, decide, f"leapgrad claims {name}")


ROWS = (
    *(_shown(f"figure_1_d{d}", f"Example 1 and Figure 1, d = {d}",
             "The norm of the Hamiltonian network's gradient grows linearly with the step ε.",
             _figure_1(d)) for d in DIMENSIONS),
    *(_shown(f"figure_2_d{d}", f"Example 2 and Figure 2, d = {d}",
             "With the same parameters the norm of the Euler network's gradient is unbounded and grows "
             "exponentially.",
             _figure_2(d)) for d in DIMENSIONS),
    *(_shown(f"figure_3_gamma_{gamma:g}".replace(".", "_"),
             "Example 3 and Figure 3 (the paper prints neither its γ nor d)",
             f"With γ = {gamma:g} the antisymmetric network keeps a gradient of order one, for all ε ≤ 1.",
             _figure_3(gamma)) for gamma in GAMMAS),
    Claim("no_rule_for_gamma", "the discussion of Example 3",
          "For the antisymmetric network there is no heuristic that tells how to choose γ, given W and ε.",
          _gamma_rule, "leapgrad prove antisymmetric_step"),
)  # fmt: skip
