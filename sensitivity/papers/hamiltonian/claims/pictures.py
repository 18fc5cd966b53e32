"""Claims of Figures 1 to 3, decided on curves computed for the purpose."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from sensitivity.papers.hamiltonian.captions import KINDS, blow_up, linear_growth, order_one
from sensitivity.papers.hamiltonian.curves import (
    Curve,
    below_from,
    decade_before_end,
    end_behaviour,
    linear_from,
    near_one_until,
)
from sensitivity.papers.ledger import Claim, ClaimVerdict, Finding, proof_evidence
from sensitivity.text import from_log, plain

if TYPE_CHECKING:
    from .ledger import Tools

__all__ = ["DIMENSIONS", "GAMMAS", "ROWS"]

DIMENSIONS = (1, 10, 100)
GAMMAS = (0.0, 0.001, 0.01, 0.1)


def _setting(tools: Tools, d: int) -> str:
    plan, number = tools.plan, tools.plan.draws[d]
    draws = "1 draw" if number == 1 else f"{number} draws"
    return f"d = {d}, σ = {plan.activation}, N = {plan.n_steps}, {draws}, ε from 0.001 to 1"


def _figure_1(d: int) -> Callable[[Tools], Finding]:
    """Is the local slope d log‖·‖/d log ε one?"""

    def decide(tools: Tools) -> Finding:
        curve = tools.curve(1, d)
        slope, (verdict, condition) = curve.slope.median, linear_growth(curve)
        said = (
            f"{_setting(tools, d)}: median local slope d log‖∂y_N/∂y_0‖/d log ε {slope.min():.2f} … "
            f"{slope.max():.2f} (largest at ε = {curve.step[np.argmax(slope)]:.2g}), last {slope[-1]:.2f}",
            f"median norm {curve.norm.median[0]:.3g} at ε = 0.001, {curve.norm.median[-1]:.3g} at ε = 1",
        )
        numbers = {"step": curve.step, "local_slope": slope, "linear_from": linear_from(curve)}
        return Finding(verdict, said, condition, plain(numbers))

    return decide


def _figure_2(d: int) -> Callable[[Tools], Finding]:
    """Exponential, power law or saturation over the last decade; and against the Hamiltonian network."""

    def decide(tools: Tools) -> Finding:
        euler, hamiltonian = tools.curve(2, d), tools.curve(1, d)
        (verdict, _), kind, log = blow_up(euler), end_behaviour(euler), euler.log.median
        start = below_from(euler, hamiltonian)
        below = "nowhere below it" if start is None else f"below it from ε = {start:.2g} on"
        said = [
            f"{_setting(tools, d)}: median norm {from_log(log[decade_before_end(euler)], 3)} at ε = 0.1, "
            f"{from_log(log[-1], 3)} at ε = 1, behaviour over this decade: {KINDS[kind]}",
            f"{from_log(log[-1] - hamiltonian.log.median[-1], 2)} times that of the Hamiltonian network at "
            f"ε = 1, {below}",
        ]
        if d == 1:
            report = tools.report("claim_figure_2")
            said += proof_evidence(report)
            if not report.ok:
                return Finding(ClaimVerdict.UNDECIDED, tuple(said))
        numbers = {"step": euler.step, "log_norm": log, "behaviour": kind}
        return Finding(verdict, tuple(said), numbers=plain(numbers))

    return decide


def _figure_3(gamma: float) -> Callable[[Tools], Finding]:
    """Up to which ε the norm stays within a factor of two of one, for every d."""

    def decide(tools: Tools) -> Finding:
        curves = [tools.curve(3, d, gamma) for d in DIMENSIONS]
        verdict, condition = order_one(curves)
        said = tuple(f"{_setting(tools, curve.d)}: {_near_one(curve)}" for curve in curves)
        last = {curve.d: float(curve.log.median[-1]) for curve in curves}
        numbers = {"near_one_until": near_one_until(curves), "log_norm_at_1": last}
        return Finding(verdict, said, condition, numbers)

    return decide


def _near_one(curve: Curve) -> str:
    """Up to which ε the median norm is between ½ and 2, what it is at the next one, and at the end."""
    reach, step, log = near_one_until([curve]), curve.step, curve.log.median
    place = 0 if reach is None else min(int(np.flatnonzero(step == reach)[0]) + 1, step.size - 1)
    until = "nowhere" if reach is None else f"up to ε = {reach:.2g}"
    seen = ", ".join(f"{from_log(log[i], 2)} at ε = {step[i]:.2g}" for i in sorted({place, step.size - 1}))
    return f"median norm between ½ and 2 {until}; {seen}"


def _gamma_rule(tools: Tools) -> Finding:
    """There is a rule for γ: exact for equal slopes, and used here on the networks of the paper."""
    from integrators.fields.neural import NeuralField
    from sensitivity.analysis.jacobians import jacobian_norm

    report = tools.report("antisymmetric_step")
    proof, *needs = proof_evidence(report)
    numbers, said = [], [_GAMMA_RULE, proof, f"it does need equal slopes: {'; '.join(needs)}"]
    right = report.ok
    for d, step in ((10, 0.1), (10, 0.5), (100, 0.1)):
        base = NeuralField.random(d, 0)
        omega = float(np.linalg.norm(base.W - base.W.T, 2))
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
