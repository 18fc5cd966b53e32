"""Claims about the differential equation and about Theorem 3.2."""

from __future__ import annotations

import math

from sensitivity.papers.ledger import (
    Claim,
    ClaimVerdict,
    Finding,
    ProofTools,
    by_proposition,
    by_steps,
    proof_evidence,
)

__all__ = ["ROWS"]


def _covers_the_network(tools: ProofTools) -> Finding:
    """Theorem 3.2's own hypothesis, held against the network of Examples 1 and 2."""
    from integrators.fields.neural import NeuralField
    from sensitivity import bounds

    network = NeuralField.random(1, 0)
    reason = bounds.inapplicable(network, "leapfrog", 1e-3, 1000).get("theorem_3_2", "")
    proved = by_steps("theorem_3_2", "excludes_rest", "cannot_be_dropped")(tools)
    if not reason or proved.verdict is not ClaimVerdict.PROVED:
        return Finding(ClaimVerdict.UNDECIDED, (*proved.evidence, reason))
    return Finding(
        ClaimVerdict.REFUTED, (f"d = 1, ε = 0.001, N = 1000, from rest: {reason}", *proved.evidence)
    )


def _linear_growth(tools: ProofTools) -> Finding:
    """The proposition, and the number it predicts."""
    from integrators.fields.neural import NeuralField
    from sensitivity.analysis.jacobians import log_jacobian_norm

    report = tools.report("claim_linear_growth")
    resting = NeuralField([[1.0]], [0.0])
    digits = float(log_jacobian_norm(resting, "leapfrog", 1.0, 1000)) / math.log(10.0)
    said = f"tanh, d = 1, W = 1, b = 0, from rest, ε = 1: Nε = 1000, and the computed norm is 10^{digits:.1f}"
    grown = report.ok and digits > 400
    return Finding(
        ClaimVerdict(str(report.verdict)) if grown else ClaimVerdict.UNDECIDED,
        (*proof_evidence(report), said),
        numbers={"log10_norm": digits},
    )


def _parameter_free(tools: ProofTools) -> Finding:
    """The proposition, and the paper's own network with W scaled."""
    from integrators.fields.neural import NeuralField
    from sensitivity.analysis.jacobians import jacobian_norm

    report, scales, n = tools.report("claim_parameter_free"), (1, 4, 16, 64), 1000
    base = NeuralField.random(10, 0)
    norms = [float(jacobian_norm(NeuralField(s * base.W, base.b), "leapfrog", 1 / n, n)) for s in scales]
    pairs = ", ".join(f"{norm:.3g} for {scale} W" for scale, norm in zip(scales, norms, strict=True))
    moved = report.ok and norms[-1] > 10 * norms[0]
    return Finding(
        ClaimVerdict(str(report.verdict)) if moved else ClaimVerdict.UNDECIDED,
        (*proof_evidence(report), f"d = 10, seed 0, ε = 1/N, N = {n}: the computed norm is {pairs}"),
        numbers={"scales": scales, "norms": norms},
    )


_PROVE = "leapgrad prove theorem_3_2"
ROWS = (
    Claim("hamiltonian", "equation (4) and the paragraph after it",
          "The second-order system ÿ = σ(Wy + b) behind the network is Hamiltonian, whatever the matrix W.",
          by_proposition("claim_hamiltonian_every_w"), "leapgrad prove claim_hamiltonian_every_w"),
    Claim("hamiltonian_condition", "equation (4), read with its hypotheses added",
          "ÿ = σ(Wy + b) is a Hamiltonian system with energy ½|ẏ|² + f(y).",
          by_proposition("hamiltonian"), "leapgrad prove hamiltonian"),
    Claim("lemma_3_1", "Lemma 3.1",
          "With |σ| ≤ 1 the velocity moves by at most t in time t: ẏ(0) − t ≤ ẏ(t) ≤ ẏ(0) + t.",
          by_proposition("lemma_3_1"), "leapgrad prove lemma_3_1 lemma_3_1_discrete"),
    Claim("lemma_3_1_hypothesis", "Lemma 3.1, its hypothesis on σ",
          "The activations in use are square integrable on the real line, as the lemma assumes.",
          by_proposition("claim_square_integrable"), "leapgrad prove claim_square_integrable"),
    Claim("theorem_3_2", "Theorem 3.2, the statement",
          "In one dimension the gradient S(t) = ∂y(t)/∂y(0) is bounded by a constant times t, for 0 ≤ t ≤ T.",
          by_proposition("theorem_3_2"), _PROVE),
    Claim("theorem_3_2_energy", "proof of Theorem 3.2, first step",
          "½ẏ² + f(y) is constant along solutions (f = −∫σ; one line prints its gradient instead).",
          by_steps("theorem_3_2", "energy"), _PROVE),
    Claim("theorem_3_2_equation_9", "proof of Theorem 3.2, equation (9)",
          "The gradient solves the first-order equation that one gets by differentiating the energy in y(0).",
          by_steps("theorem_3_2", "differentiated"), _PROVE),
    Claim("theorem_3_2_solution", "proof of Theorem 3.2, variation of parameters",
          "That equation is solved by ẏ(t) times an integral plus a constant, which the paper leaves open.",
          by_steps("theorem_3_2", "variation_of_parameters", "constant", "start_slope", "second_order"),
          _PROVE),
    Claim("theorem_3_2_integral", "proof of Theorem 3.2, the integral",
          "The integral of (ẏ(0) − s)⁻² from 0 to t is 1/(ẏ(0) − t) − 1/ẏ(0).",
          by_steps("theorem_3_2", "integral"), _PROVE),
    Claim("theorem_3_2_bound", "proof of Theorem 3.2, the last line",
          "Together these bound the gradient by a multiple of t + ẏ(0), for t ≤ T < ẏ(0).",
          by_steps("theorem_3_2", "denominator", "final_bound", "printed_form"), _PROVE),
    Claim("theorem_3_2_order", "Theorem 3.2, the order O(t)",
          "The theorem limits the growth of the gradient as t becomes large, to O(t).",
          by_steps("theorem_3_2", "free_of_length", "finite_horizon", verdict=ClaimVerdict.REFUTED), _PROVE),
    Claim("theorem_3_2_covers_the_network", "Theorem 3.2, its hypothesis, and Examples 1 and 2",
          "The theorem applies to the networks of the examples, which start from ẏ(0) = 0.",
          _covers_the_network, "leapgrad bound --d 1 --step 1e-3 --n-steps 1000"),
    Claim("linear_growth", "the consequence drawn from Theorem 3.2 for recursion (11)",
          "The gradient of the network is O(Nε), whatever W and b.",
          _linear_growth, "leapgrad prove claim_linear_growth"),
    Claim("parameter_free", "the remark after Theorem 3.2",
          "The estimate does not depend on the network's parameters, and so stays valid throughout training.",
          _parameter_free, "leapgrad prove claim_parameter_free"),
)  # fmt: skip
