"""Claims about networks with inputs, about the Euler network, and about gated cells."""

from __future__ import annotations

import math

from sensitivity.papers.ledger import Claim, ClaimVerdict, Finding, ProofTools, decided, proof_evidence

__all__ = ["ROWS"]

TIME, EXPONENTS, REFERENCE = 2.0, (6, 7, 8, 9), 13
LENGTHS = (10, 100, 1000, 10_000)


def _driven_end(step: float, shift: int) -> float:
    """y(T) by y_{i+1} = 2y_i − y_{i−1} + ε² tanh(−y_i + x(t_{i+shift}) + 0.3); x(t) = sin 3t, y(0) = ½."""

    def force(y: float, place: int) -> float:
        return math.tanh(-y + math.sin(3.0 * place * step) + 0.3)

    before = 0.5
    now = before + 0.5 * step * step * force(before, shift)
    for i in range(1, round(TIME / step)):
        before, now = now, 2.0 * now - before + step * step * force(now, i + shift)
    return now


def _pairing(tools: ProofTools) -> Finding:
    """Errors of both pairings of state and input as the step is halved."""
    exact = _driven_end(2.0**-REFERENCE, 0)
    ratios = {}
    for shift in (0, 1):
        errors = [abs(_driven_end(2.0**-k, shift) - exact) for k in EXPONENTS]
        ratios[shift] = errors[-2] / errors[-1]
    right = abs(ratios[0] - 4.0) < 0.1 and abs(ratios[1] - 2.0) < 0.2
    said = (
        "the printed recursion applies σ to W y_i + V x(t_{i+1}) + b: the state at one time, the input "
        "at the next",
        f"ÿ = tanh(−y + sin 3t + 0.3), T = {TIME:g}, from ε = 2^−{EXPONENTS[-2]} to 2^−{EXPONENTS[-1]}: with "
        f"x(t_{{i+1}}) the error at T is divided by {ratios[1]:.2f}, with x(t_i) by {ratios[0]:.2f}",
        "for a network x is a sequence without times between, and either pairing is as good a "
        "definition; the difference matters to the word leapfrog only",
    )
    condition = (
        "the input does not change with time; paired with x(t_i) the recursion is leapfrog for every input"
    )
    return Finding(decided(right, ClaimVerdict.HOLDS_ONLY_IF), said, condition, {"ratios": ratios})


def _equation_13(tools: ProofTools) -> Finding:
    """What the recursion below (13) tends to, by Taylor's theorem."""
    from sympy import Rational, Symbol, expand, symbols

    step = Symbol("epsilon", positive=True)
    y, first, second, third = symbols("y y1 y2 y3", real=True)

    def at(sign: int) -> object:
        h = sign * step
        return y + h * first + h**2 * second / 2 + h**3 * third * Rational(1, 6)

    difference = expand((at(1) - 2 * y + at(-1)) / step**2)  # type: ignore[operator]
    right = difference == second
    said = (
        f"(y(t + ε) − 2y(t) + y(t − ε))/ε² is ÿ up to O(ε²): {right}",
        "the recursion sets this equal to σ(Wy + Vx + b), so the equation that it belongs to has ÿ; "
        "the printed dot is a slip of the pen, which changes nothing else in the paper",
    )
    return Finding(decided(right, ClaimVerdict.REFUTED), said)


def _euler_step(tools: ProofTools) -> Finding:
    """Theorem D with ε = 1/N."""
    from integrators.fields.neural import NeuralField
    from sensitivity import bounds
    from sensitivity.analysis.jacobians import jacobian_norm

    report, field = tools.report("theorem_d"), NeuralField.random(10, 0)
    norms = {n: float(jacobian_norm(field, "euler", 1.0 / n, n, progress=False)) for n in LENGTHS}
    limit = math.exp(float(field.lipschitz or 0.0))
    held = all(
        norm <= float(bounds.euler(field, 1.0 / n, n)) <= limit * (1 + 1e-9) for n, norm in norms.items()
    )
    said = (
        *proof_evidence(report),
        "d = 10, seed 0, ε = 1/N: the norm is "
        + ", ".join(f"{norm:.4f} (N = {n})" for n, norm in norms.items())
        + f"; theorem D allows exp(‖W‖) = {limit:.4f} for every N",
    )
    condition = (
        "a heuristic has to serve times T = Nε that grow: at T = c fixed, ε = c/N keeps the gradient "
        "of the Euler network at most exp(cL‖W‖) for every N, as it keeps that of the Hamiltonian one "
        "at most cosh(c√(L‖W‖))"
    )
    return Finding(decided(report.ok and held, ClaimVerdict.HOLDS_ONLY_IF), said, condition, {"limit": limit})


def _gated(tools: ProofTools) -> Finding:
    """A unit of each cell at its fixed point 0, whose step has the eigenvalue 3."""
    import numpy as np

    from sensitivity.analysis.jacobians import log_jacobian_norm
    from sensitivity.recurrences.cell import unroll
    from sensitivity.recurrences.registry import make

    n, rates = 500, {}
    for name, row in (("lstm", 2), ("gru", 0)):
        cell = make(name, 1)
        W = np.zeros_like(cell.parameters["W"])
        W[row] = 10.0  # the candidate's weight; all gates stand at one half
        still = cell.with_parameters(W=W, b=np.zeros_like(cell.parameters["b"]))
        logs = [float(log_jacobian_norm(unroll(still, k, progress=False), block="state")) for k in (n, 2 * n)]
        rates[name] = math.exp((logs[1] - logs[0]) / n)
    right = all(abs(rate - 3.0) < 1e-9 for rate in rates.values())
    said = (
        "one unit, zero biases and inputs, weight 10 of the candidate and 0 of the gates: the state "
        "stays 0, and the largest eigenvalue of the step there is ½ + 10/4 = 3",
        "computed growth a step: " + ", ".join(f"{rate:.9f} ({name})" for name, rate in rates.items()),
        "such weights are far from usual starts; the row says that the architecture alone is no guarantee",
    )
    return Finding(decided(right, ClaimVerdict.REFUTED), said, numbers={"rates": rates})


ROWS = (
    Claim("driven_recursion", "the recursion printed below equation (13)",
          "The recursion of the driven network is the leapfrog discretisation of its differential "
          "equation, which is of second order.",
          _pairing, "leapgrad claims driven_recursion"),
    Claim("equation_13", "equation (13)",
          "The driven network discretises the equation as printed, ẏ = σ(Wy + Vx + b), with one dot.",
          _equation_13, "leapgrad claims equation_13"),
    Claim("euler_step", "a remark on the Euler network beside Figure 2 (not compared)",
          "For the Euler network there is no heuristic that tells how to choose ε.",
          _euler_step, "leapgrad prove theorem_d"),
    Claim("gated_cells", "beside the paper: a question that its comparison raises",
          "The gates of LSTM and GRU keep the gradient from exploding.",
          _gated, "leapgrad claims gated_cells"),
)  # fmt: skip
