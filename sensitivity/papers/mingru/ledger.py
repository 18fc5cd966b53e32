"""What follows for gradients from the definitions of minGRU and minLSTM, and what is found."""

from __future__ import annotations

from functools import cache

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

STEPS, SIZE = 20, 5


@cache  # two rows look at the same runs
def _gates(name: str) -> tuple[float, float]:
    """Largest error of ∂h_N/∂h_0 as the product of the gates, over random runs, and the largest norm."""
    from sensitivity.analysis.jacobians import jacobian
    from sensitivity.recurrences.cell import unroll
    from sensitivity.recurrences.registry import make

    error, norm = 0.0, 0.0
    for seed in range(20):
        rng, cell = np.random.default_rng(seed), make(name, SIZE, 2, rng=seed)
        inputs, p = rng.normal(size=(STEPS, 2)), cell.parameters
        gates = [1.0 / (1.0 + np.exp(-(inputs @ V.T + b))) for V, b in _rows(p)]
        keep = 1.0 - gates[0] if name == "mingru" else gates[0] / (gates[0] + gates[1])
        J = jacobian(unroll(cell, s0=rng.normal(size=SIZE), inputs=inputs, progress=False))
        exact = np.diag(np.prod(keep, axis=0))
        error = max(error, float(np.abs(J - exact).max() / exact.max()))
        norm = max(norm, float(np.abs(J).max()))
    return error, norm


def _rows(parameters: dict[str, np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
    V, b = np.reshape(parameters["V"], (-1, SIZE, 2)), np.reshape(parameters["b"], (-1, SIZE))
    return list(zip(V, b, strict=True))


def _exact(tools: ProofTools) -> Finding:
    found = {name: _gates(name) for name in ("mingru", "minlstm")}
    report = tools.report("gate_product")
    right = report.ok and all(error < 1e-13 for error, _ in found.values())
    said = (
        "the gates do not depend on h, so ∂h_n/∂h_{n−1} is diagonal with the gates 1 − z_n, or f_n/(f_n "
        "+ i_n)",
        *(
            f"{name}, d = {SIZE}, 20 random networks and inputs, N = {STEPS}: the computed Jacobian is "
            f"the product of the gates to {error:.0e}"
            for name, (error, _) in found.items()
        ),
        *proved_by(report),
    )
    return Finding(decided(right, ClaimVerdict.PROVED), said)


def _no_explosion(tools: ProofTools) -> Finding:
    from sympy import exp, simplify, symbols

    a, b = symbols("a b", real=True)
    rest = simplify(1 - 1 / (1 + exp(-a)) - 1 / (1 + exp(a))) == 0
    f, i = 1 / (1 + exp(-a)), 1 / (1 + exp(-b))
    total = simplify(f / (f + i) + i / (f + i)) == 1
    norms = {name: _gates(name)[1] for name in ("mingru", "minlstm")}
    said = (
        f"1 − z = 1/(1 + e^a) lies in (0, 1), as an expression: {rest}",
        f"f/(f + i) and i/(f + i) are positive and add up to 1, as expressions: {total}",
        "a product of diagonal matrices with entries in (0, 1) has a spectral norm below 1, for all inputs",
        *(f"{name}: the largest norm of 20 random runs is {norm:.3g}" for name, norm in norms.items()),
    )
    right = rest and total and all(norm <= 1.0 for norm in norms.values())
    return Finding(decided(right, ClaimVerdict.PROVED), said)


def _memory(tools: ProofTools) -> Finding:
    from sensitivity.analysis.jacobians import jacobian_norm
    from sensitivity.recurrences.cell import unroll
    from sensitivity.recurrences.registry import make

    norm = float(jacobian_norm(unroll(make("mingru", 1, z=0.1), 100, progress=False)))
    right = abs(norm / 0.9**100 - 1.0) < 1e-12
    said = (f"z = 0.1 at every step: ‖∂h_100/∂h_0‖ = {norm:.6g} = 0.9¹⁰⁰",)
    condition = "Σ z_n stays bounded: the product of 1 − z_n tends to 0 wherever that sum diverges"
    return Finding(decided(right, ClaimVerdict.HOLDS_ONLY_IF), said, condition, {"norm": norm})


_shown = shown_by_itself("mingru")
_BESIDE = "beside the paper: what its definitions imply"
ROWS = (
    _shown("exact", _BESIDE, "∂h_N/∂h_0 is exactly the product of the gates.", _exact),
    _shown("no_explosion", _BESIDE, "The gradient ∂h_N/∂h_0 never explodes.", _no_explosion),
    _shown("memory", _BESIDE, "The gradient ∂h_N/∂h_0 does not vanish as N grows.", _memory),
)

PAPER = Paper(
    "minGRU and minLSTM",
    "L. Feng, F. Tung, M. O. Ahmed, Y. Bengio, H. Hajimirsadeghi, *Were RNNs All We Needed?* "
    "(arXiv:2410.01201)",
    (
        "h' = (1 − z) h + z n for minGRU and h' = f/(f + i) h + i/(f + i) n for minLSTM; all gates and n are "
        "functions of the input alone. No row is a statement of the paper: each is what its definitions "
        "imply.",
    ),
    {claim.name: claim for claim in ROWS},
    ProofTools,
)
