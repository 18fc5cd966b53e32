"""Claims of Figures 1 to 3, decided on curves computed for the purpose."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from sensitivity.papers.hamiltonian.captions import KINDS, blow_up, linear_growth
from sensitivity.papers.hamiltonian.curves import end_behaviour
from sensitivity.papers.ledger import Claim, ClaimVerdict, Finding, decided, proof_evidence

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
        verdict = decided(report.ok, found.verdict)
        return replace(found, verdict=verdict, evidence=(*found.evidence, *proof_evidence(report)))

    return decide


def _figure_2_reading(tools: Tools) -> Finding:
    """Norms at ε = 1 where no unit saturates: exponential in N for both networks."""
    import numpy as np

    from integrators.fields.neural import NeuralField
    from sensitivity.analysis.jacobians import log_jacobian_norm

    def kinds(d: int, seed: int) -> dict[str, NeuralField]:
        base = NeuralField.random(d, seed)
        return {
            "b = 0": NeuralField(base.W, np.zeros(d)),
            "relu": NeuralField(base.W, base.b, activation="relu"),
            "identity": NeuralField(base.W, base.b, activation="identity"),
        }

    def digits(scheme: str, kind: str, d: int, n: int) -> float:
        fields = [kinds(d, seed)[kind] for seed in range(tools.plan.draws[d])]
        found = [float(log_jacobian_norm(field, scheme, 1.0, n, progress=False)) for field in fields]
        return float(np.median(found)) / math.log(10.0)

    n, said, numbers, right = tools.plan.n_steps, [], {}, True
    # Where b > 0, W > 0 and y ≥ 0 relu is the identity; its states leave float64 in the second-order network.
    for scheme, name, names in (
        ("euler", "Euler", ("b = 0", "relu", "identity")),
        ("leapfrog", "Hamiltonian", ("b = 0", "identity")),
    ):
        for kind in names:
            found = [digits(scheme, kind, d, n) for d in DIMENSIONS]
            half = [digits(scheme, kind, d, n // 2) for d in DIMENSIONS]
            right = right and all(1.9 < whole / part < 2.1 for whole, part in zip(found, half, strict=True))
            shown = ", ".join(f"{value:.0f} (d = {d})" for d, value in zip(DIMENSIONS, found, strict=True))
            said.append(
                f"{name} network, {kind}: log₁₀ of the norm at ε = 1 is {shown}; half of it after N/2 steps"
            )
            numbers[f"{name}, {kind}"] = found
    said.append(
        "so the curves of Figure 2 have a natural explanation in a set-up beside the printed one; "
        "which one was run is not known here, and Figure 1, which does not explode, would need another"
    )
    draws = ", ".join(f"{tools.plan.draws[d]} draws for d = {d}" for d in DIMENSIONS)
    setting = f"N = {n}, {draws}, medians; tanh where b = 0"
    return Finding(decided(right, ClaimVerdict.CONFIRMED), (setting, *said), numbers=numbers)


def _figure_3(tools: Tools) -> Finding:
    """Whether one of the γ tried keeps every draw of every d from growing exponentially."""
    kinds = {
        gamma: {d: [end_behaviour(draw) for draw in tools.curve(3, d, gamma).alone()] for d in DIMENSIONS}
        for gamma in GAMMAS
    }
    suitable = [
        gamma for gamma, found in kinds.items() if not any("exponential" in draws for draws in found.values())
    ]
    last = tools.curve(3, DIMENSIONS[-1], GAMMAS[0]).step[-1]
    said = [f"γ = {gamma:g}: {'; '.join(_counted(found))}" for gamma, found in kinds.items()]
    draws = ", ".join(f"{len(found)} for d = {d}" for d, found in kinds[GAMMAS[0]].items())
    setting = (
        f"σ = {tools.plan.activation}, N = {tools.plan.n_steps}, the last decade of ε up to {last:g}, every "
        f"random draw judged by itself: {draws}"
    )
    chosen = (
        "the paper prints no γ; these are chosen here, and a γ is suitable if no draw grows exponentially"
    )
    verdict = ClaimVerdict.CONFIRMED if suitable else ClaimVerdict.NOT_REPRODUCED
    return Finding(verdict, (setting, chosen, *said), numbers={"suitable": suitable, "behaviour": kinds})


def _counted(found: Mapping[int, Sequence[str]]) -> Iterator[str]:
    """How many draws of every d behave in which way."""
    for d, kinds in found.items():
        counts = (
            f"{KINDS[kind]} in {count} of {len(kinds)} draws" for kind, count in Counter(kinds).most_common()
        )
        yield f"d = {d}: {', '.join(counts)}"


def _gamma_rule(tools: Tools) -> Finding:
    """There is a rule for γ: exact for equal slopes, and used here on the networks of the paper."""
    from integrators.fields.neural import NeuralField
    from integrators.singular_values import spectral_norm
    from sensitivity.analysis.jacobians import jacobian_norm

    report = tools.report("antisymmetric_step")
    proof, *needs = proof_evidence(report)
    numbers, said = [], [_GAMMA_RULE, proof, f"the rule does need equal slopes: {'; '.join(needs)}"]
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
    said.append(
        "of ε: for every fixed γ ≥ 0 theorem D bounds the gradient by exp(NεL‖W − Wᵀ − γI‖), so ε = "
        "O(1/N) keeps it bounded, as it does for the Euler network"
    )
    right = right and tools.report("theorem_d").ok
    condition = (
        "the slopes σ' of the units differ; where they are equal, a rule for γ is derived and proved here"
    )
    verdict = decided(right, ClaimVerdict.HOLDS_ONLY_IF)
    return Finding(verdict, tuple(said), condition, {"cases": numbers})


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
    _shown("figure_2_reading", "Example 2 and Figure 2, a reading of ours beside the printed set-up",
           "With b = 0, or with relu or the identity as σ, the norm of the Euler network's gradient "
           "does grow exponentially, and so does that of the Hamiltonian network.",
           _figure_2_reading),
    _shown("figure_3", "Example 2 and Figure 3 (the paper prints neither its γ nor d)",
           "For suitable γ the norm of the antisymmetric network's gradient does not grow exponentially.",
           _figure_3),
    Claim("no_rule_for_gamma", "the discussion of Figure 3 (not compared)",
          "To the authors' knowledge there is no heuristic that tells how to choose γ and ε of the "
          "antisymmetric network, given W.",
          _gamma_rule, "leapgrad prove antisymmetric_step"),
)  # fmt: skip
