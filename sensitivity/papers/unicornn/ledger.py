"""What the paper on UnICORNN claims about its step and its gradients, and what is found."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from sensitivity.papers.ledger import (
    ClaimVerdict,
    Finding,
    ProofTools,
    by_steps,
    decided,
    proved_by,
    shown_by_itself,
)
from sensitivity.papers.paper import Paper

__all__ = ["PAPER"]

LENGTHS = (100, 1000)


def _unit(w: float, alpha: float, step: float) -> Any:
    """The shipped cell with one unit; c is so large that σ̂(c) = 1, and the step is Δt."""
    from sensitivity.recurrences.registry import make

    cell = make("unicornn", 1, alpha=alpha, step=step)
    found = cell.unpack_free(cell.free.copy())[0]
    found["w"][...], found["c"][...], found["b"][...] = w, 40.0, 0.0
    return cell.with_free(np.concatenate([np.ravel(value) for value in found.values()]))


def _norm(cell: Any, n_steps: int, block: str) -> float:
    """ln of the norm of a block of the Jacobian of N steps from rest."""
    from sensitivity.analysis.jacobians import log_jacobian_norm
    from sensitivity.recurrences.cell import unroll

    run = unroll(cell, n_steps, s0=np.zeros(2), progress=False)
    return float(log_jacobian_norm(run, block=block))


def _invertible(tools: ProofTools) -> Finding:
    """The inverse formula on random runs, in the arithmetic that the computer has."""
    report = tools.report("unicornn_step")
    drift = {}
    for kind in (np.float32, np.float64):
        rng = np.random.default_rng(0)
        w, y, z = (rng.uniform(0, 1, 20).astype(kind) for _ in range(3))
        s, first, n = kind(0.1), (y, z), 2000
        for _ in range(n):
            z = z - s * (np.tanh(w * y) + y)
            y = y + s * z
        for _ in range(n):
            y = y - s * z
            z = z + s * (np.tanh(w * y) + y)
        drift[kind.__name__] = float(max(np.abs(y - first[0]).max(), np.abs(z - first[1]).max()))
    right = report.ok and 0.0 < drift["float64"] < 1e-9 < drift["float32"]
    said = (
        *proved_by(report),
        "its step `undone`: y = y' − s z', z = z' + s(σ(wy + Vx + b) + αy) gives back (y, z), as expressions",
        "2000 steps of 20 units forwards and back, α = 1, s = 0.1: the start is missed by "
        + " and by ".join(f"{value:.1e} in {name}" for name, value in drift.items()),
        "the cell `unicornn` with a grid rounds its increments to multiples of a power of two, and is then "
        "undone bit for bit",
    )
    condition = "the states are wanted up to rounding; bit for bit, the increments must be rounded to a grid"
    return Finding(decided(right, ClaimVerdict.HOLDS_ONLY_IF), said, condition, {"drift": drift})


def _no_explosion(tools: ProofTools) -> Finding:
    """With a negative w the state at rest is a saddle; with a large step the step itself is unstable."""
    report = tools.report("unicornn_step")
    saddle = [_norm(_unit(-1.0, 0.0, 0.1), n, "y") for n in LENGTHS]
    scaled = [_norm(_unit(-1.0, 0.0, 1.0 / n), n, "y") for n in LENGTHS]
    coarse = [_norm(_unit(1.0, 0.0, 2.1), n, "y") for n in LENGTHS]
    rate = (saddle[1] - saddle[0]) / (LENGTHS[1] - LENGTHS[0])
    right = report.ok and abs(rate - 2.0 * math.asinh(0.05)) < 1e-9
    right = right and max(scaled) < math.log(math.cosh(1.0)) + 0.02 and coarse[1] > 10.0 * 5.0
    said = (
        *proved_by(report),
        "|∂y_N/∂y_0| ≤ e^{(N + ½) s√K} with K = |w| + α and s = Δt σ̂(c), for every input: bounded for all N "
        "together as long as NΔt is",
        f"w = −1, α = 0, s = 1/N, from rest: {math.exp(scaled[0]):.4f} at N = {LENGTHS[0]} and "
        f"{math.exp(scaled[1]):.4f} at N = {LENGTHS[1]}, near cosh 1 = {math.cosh(1.0):.4f}",
        f"w = −1, α = 0, s = 0.1 fixed: ln|∂y_N/∂y_0| = {saddle[0]:.2f} and {saddle[1]:.2f}, or {rate:.5f} a "
        f"step: exponential growth at the rate of the bound, 2 asinh(s/2)",
        f"w = 1, α = 0, s = 2.1, where s²w > 4: {coarse[0]:.1f} and {coarse[1]:.1f}",
    )
    condition = "NΔt stays bounded; for a fixed Δt with w < 0 the gradient at rest grows exponentially in N"
    return Finding(
        decided(right, ClaimVerdict.HOLDS_ONLY_IF), said, condition, {"fixed": saddle, "scaled": scaled}
    )


def _not_vanishing(tools: ProofTools) -> Finding:
    """The whole 2×2 block of a unit has determinant one; its first entry can be zero."""
    report = tools.report("unicornn_step")
    n = 50
    step = 2.0 * math.sin(math.pi / (2 * n + 1) / 2.0)  # w = 0, α = 1: a quarter of a turn in N steps
    cell = _unit(0.0, 1.0, step)
    block, whole = math.exp(_norm(cell, n, "y")), math.exp(_norm(cell, n, "state"))
    right = report.ok and block < 1e-12 and whole >= 1.0 - 1e-12
    said = (
        *proved_by(report),
        "det J = 1 for each unit and step, so its 2×2 block of ∂(y, z)_N/∂(y, z)_0 has singular values σ and "
        "1/σ: its norm is at least 1, for every N",
        f"∂y_N/∂y_0 alone may be zero: w = 0, α = 1, N = {n} steps of s = {step:.5f}, a quarter of a turn, "
        f"has |∂y_N/∂y_0| = {block:.0e}, while the norm of the block is {whole:.4f}",
    )
    condition = "the gradient is by the whole state (y, z) of a layer; that of y by y alone can be zero"
    return Finding(decided(right, ClaimVerdict.HOLDS_ONLY_IF), said, condition, {"block": block})


def _constant(tools: ProofTools) -> Finding:
    return Finding(
        ClaimVerdict.NOT_MEASURED,
        (
            "the constants of the published inequality could not be read: only the abstract, the code and "
            "accounts of others were at hand. The row `no_explosion` has a bound that is derived anew",
        ),
    )


def _accuracy(tools: ProofTools) -> Finding:
    return Finding(
        ClaimVerdict.NOT_MEASURED,
        (
            "it needs training runs on permuted sequential MNIST, EigenWorms and others, which are not kept "
            "here",
        ),
    )


_shown = shown_by_itself("unicornn")


ROWS = (
    _shown("invertible", "the construction, and the memory that training takes",
           "The step can be inverted, so that states need not be stored for the backward sweep.",
           _invertible),
    _shown("hamiltonian", "the differential equation and its discretisation",
           "Each unit has a potential, and the step is symplectic: it preserves volume.",
           by_steps("unicornn_step", "jacobian", "determinant", "symplectic", "potential")),
    _shown("no_explosion", "the analysis of gradients",
           "Gradients of hidden states do not explode, however long the sequence is.", _no_explosion),
    _shown("not_vanishing", "the analysis of gradients",
           "Gradients of hidden states do not vanish.", _not_vanishing),
    _shown("constant", "the bound on the gradient of the loss",
           "The gradient of the loss is bounded by a polynomial in NΔt with the stated constants.",
           _constant),
    _shown("accuracy", "the experiments",
           "On long sequences it is more accurate than the recurrent networks it is compared with.",
           _accuracy),
)  # fmt: skip

PAPER = Paper(
    "UnICORNN",
    "T. K. Rusch, S. Mishra, *UnICORNN: A recurrent model for learning very long time dependencies*, "
    "ICML 2021",
    (
        "A unit is z' = z − s(tanh(wy + Vx + b) + αy), y' = y + s z' with s = Δt σ̂(c), where σ̂ is the "
        "logistic function; J is its Jacobian on (y, z), N the number of steps. Numbers are those of the "
        "cell `unicornn` with one layer.",
    ),
    {claim.name: claim for claim in ROWS},
    ProofTools,
)
