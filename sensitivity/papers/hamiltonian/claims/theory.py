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
    decided,
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
    """The proposition, the number it predicts, and what a bias changes."""
    from integrators.fields.neural import NeuralField
    from sensitivity.analysis.jacobians import jacobian_norm, log_jacobian_norm

    report = tools.report("claim_linear_growth")
    resting = NeuralField([[1.0]], [0.0])
    digits = float(log_jacobian_norm(resting, "leapfrog", 1.0, 1000)) / math.log(10.0)
    biases, lengths = (1e-1, 1e-4, 1e-8), (1000, 4000)
    shares = {
        b: [float(jacobian_norm(NeuralField([[1.0]], [b]), "leapfrog", 1.0, n)) / n for n in lengths]
        for b in biases
    }
    pairs = "; ".join(
        f"b = {b:g}: {', '.join(f'{share:.4g} (N = {n})' for share, n in zip(found, lengths, strict=True))}"
        for b, found in shares.items()
    )
    said = (
        f"tanh, d = 1, W = 1, b = 0, from rest, ε = 1: Nε = 1000, and the computed norm is 10^{digits:.1f}",
        f"with b ≠ 0 the unit leaves the origin and saturates; then the same network has the norm ÷ Nε "
        f"{pairs}. "
        "So the growth is linear in these cases, with a constant that is larger the smaller b is",
    )
    steady = all(0.9 < later / earlier < 1.1 for earlier, later in shares.values())
    rising = shares[1e-8][0] > 100 * shares[1e-4][0] > 100 * shares[1e-1][0]
    return Finding(
        decided(report.ok and digits > 400 and steady and rising, ClaimVerdict.REFUTED),
        (*proof_evidence(report), *said),
        numbers={"log10_norm": digits, "norm_by_time": {f"{b:g}": found for b, found in shares.items()}},
    )


def _integrable(tools: ProofTools) -> Finding:
    """tanh has a finite integral over every bounded interval, and none over the line."""
    from sympy import Symbol, cosh, diff, exp, log, simplify, tanh

    R = Symbol("R", positive=True)
    primitive = simplify(diff(log(cosh(R)), R) - tanh(R)) == 0
    excess = simplify((cosh(R) - exp(R) / 2).rewrite(exp) - exp(-R) / 2) == 0
    said = (
        f"∫ |tanh| over (−R, R) is 2 log cosh R, finite for every R; the derivative agrees: {primitive}",
        f"cosh R = e^R/2 + e^(−R)/2, hence the integral is above 2(R − log 2) and grows without limit: "
        f"{excess}",
        "the energy needs an antiderivative of σ only, which every continuous σ has",
    )
    condition = "Y is bounded; on an unbounded Y no activation with σ → ±1 is integrable"
    return Finding(decided(primitive and excess, ClaimVerdict.HOLDS_ONLY_IF), said, condition)


def _no_vanishing(tools: ProofTools) -> Finding:
    """A network that satisfies the hypotheses of Theorem 3.2 and whose gradient at T is zero."""
    from integrators.fields.neural import NeuralField
    from sensitivity import bounds
    from sensitivity.analysis.jacobians import jacobian

    W, speed, n, step = -20.0, 1.2, 1000, 1e-3

    def gradient(b: float) -> float:
        return float(jacobian(NeuralField([[W]], [b]), "leapfrog", step, n, p0=[speed])[0, 0])

    low, high = -5.0, 5.0
    first, last = gradient(low), gradient(high)
    for _ in range(50):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if gradient(middle) > 0.0 else (low, middle)
    found = gradient(low)
    limit = float(bounds.theorem_3_2(NeuralField([[W]], [low]), step, n, p0=[speed]))
    said = (
        "an upper bound alone excludes no value below it",
        f"tanh, d = 1, W = {W:g}, y(0) = 0, ẏ(0) = {speed:g} > T = 1, ε = {step:g}: ∂y_N/∂y_0 is "
        f"{first:.3f} for "
        f"b = −5 and {last:.3f} for b = 5, and depends continuously on b, so that it is zero for a b between",
        f"at b = {low:.6f} it is {found:.0e}, where the theorem's bound is {limit:.3f}",
    )
    right = first > 0.5 and last < -0.1 and abs(found) < 1e-9 and limit > 1.0
    return Finding(decided(right, ClaimVerdict.REFUTED), said, numbers={"gradient": found, "bias": low})


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
          "In one dimension the gradient S(t) = ∂y(t)/∂y(0) is O(t) for 0 ≤ t ≤ T. Since S(0) = 1, a "
          "constant "
          "times t cannot be meant at t = 0; it is read as a constant times t + ẏ(0), as the proof ends.",
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
          "The order O(t) of the theorem, on its bounded interval 0 ≤ t ≤ T, describes how the gradient "
          "grows.",
          by_steps("theorem_3_2", "free_of_length", "finite_horizon", verdict=ClaimVerdict.HOLDS_ONLY_IF,
                   condition="t < ẏ(0): the interval is bounded, as the theorem says. With ẏ(0) = κT, "
                             "κ > 1 fixed, the bound at t = T does not depend on T, so that O(t) is "
                             "O(1) there; with ẏ(0) fixed it says nothing of t → ∞"), _PROVE),
    Claim("theorem_3_2_covers_the_network", "Theorem 3.2, its hypothesis, and Examples 1 and 2",
          "The theorem applies to the networks of the examples, which start from ẏ(0) = 0.",
          _covers_the_network, "leapgrad bound --d 1 --step 1e-3 --n-steps 1000"),
    Claim("linear_growth", "the consequence drawn from Theorem 3.2 for recursion (11)",
          "The gradient of the network is O(Nε), whatever W and b.",
          _linear_growth, "leapgrad prove claim_linear_growth"),
    Claim("parameter_free", "the remark after Theorem 3.2",
          "The estimate does not depend on the network's parameters, and so stays valid throughout training.",
          _parameter_free, "leapgrad prove claim_parameter_free"),
    Claim("integrable_force", "the paragraph after equation (4), its hypothesis on σ(Wy + b)",
          "σ(Wy + b) is integrable over the set Y of states, σ(W· + b) ∈ L¹(Y), so that f = −∫σ is defined.",
          _integrable, "leapgrad claims integrable_force"),
    Claim("no_vanishing", "the consequence drawn from Theorem 3.2 (not compared), and the abstract",
          "The bound of Theorem 3.2 shows that the gradient does not vanish either.",
          _no_vanishing, "leapgrad claims no_vanishing"),
)  # fmt: skip
