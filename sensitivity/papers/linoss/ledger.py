"""What the paper on LinOSS claims, and what is found; every row is decided when it is asked for."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from sensitivity.papers.ledger import (
    ClaimVerdict,
    Finding,
    ProofTools,
    decided,
    proved_by,
    shown_by_itself,
)
from sensitivity.papers.oscillators import STEPS, A, agrees_with_cell, dt, is_zero, spectral_radius, step_of
from sensitivity.papers.paper import Paper

__all__ = ["PAPER"]

LONG = 1000


def _norm(name: str, n_steps: int, **parameters: Any) -> float:
    """‖M^N‖₂ of the shipped cell with one oscillator."""
    from sensitivity import jacobian_norm, unroll
    from sensitivity.recurrences.registry import make

    return float(jacobian_norm(unroll(make(name, 1, **parameters), n_steps), block="state"))


def _eigenvalues(name: str, value: Any) -> bool:
    """Whether `value` and its conjugate are the eigenvalues of the published step: trace and determinant."""
    from sympy import re

    M, size = STEPS[name], value * value.conjugate()
    return is_zero(M.trace() - 2 * re(value)) and is_zero(M.det() - size)


def _implicit_eigenvalues(tools: ProofTools) -> Finding:
    from sympy import I, simplify, sqrt

    value = (1 + I * dt * sqrt(A)) / (1 + dt**2 * A)
    size = simplify(value * value.conjugate())
    right = _eigenvalues("linoss_im", value) and is_zero(size - 1 / (1 + dt**2 * A))
    same = agrees_with_cell("linoss_im")
    said = (
        f"trace and determinant of the published step are λ + λ̄ and λλ̄ as expressions in A and Δt: {right}",
        f"the shipped cell has this step at 100 random A and Δt, to 1e-14: {same}",
        "λλ̄ = 1/(1 + Δt²A) ≤ 1 for A ≥ 0",
    )
    return Finding(decided(right and same, ClaimVerdict.PROVED), said)


def _no_blow_up(tools: ProofTools) -> Finding:
    """The invariant norm bounds it for A > 0; at A = 0 both steps are shears."""
    from sympy import Matrix, diag

    M = STEPS["linoss_im"]
    contracts = is_zero(M.T * diag(1, A) * M - diag(1, A) / (1 + dt**2 * A))
    shear = Matrix(STEPS["linoss_im"].subs(A, 0)) == Matrix([[1, 0], [dt, 1]])
    growth = {name: _norm(name, LONG, A=0.0, dt=1.0) for name in ("linoss_im", "linoss_imex")}
    exact = math.exp(math.asinh(LONG / 2.0))
    peak = max(_norm("linoss_im", n, A=1e-4, dt=1.0) for n in range(140, 175))
    bound = (1.0 + 1e-4) ** (-157 / 2) * 100.0
    proofs = [tools.report(name) for name in ("linoss_im", "linoss_shear")]
    right = contracts and shear and all(abs(value / exact - 1.0) < 1e-9 for value in growth.values())
    right = right and all(report.ok for report in proofs)
    right = right and abs(peak - 99.218) < 1e-3 and peak <= bound
    said = (
        "MᵀQM = Q/(1 + Δt²A) with Q = diag(1, A), decided as expressions, so for A > 0 "
        "‖M^N‖₂ ≤ (1 + Δt²A)^(−N/2) max(√A, 1/√A)",
        f"at A = 0 the step is the shear [[1, 0], [Δt, 1]]: ‖M^N‖₂ for N = {LONG}, Δt = 1 is "
        + ", ".join(f"{value:.3f} ({name})" for name, value in growth.items()),
        "A = max(0, Â), as in the authors' code, gives exactly A = 0 wherever Â is negative",
        f"and a small A > 0 grows first: at A = 1e-4, Δt = 1 the norm reaches {peak:.1f} at N = 157, "
        f"of at most {bound:.1f}",
        *proved_by(*proofs),
    )
    condition = "A > 0 for every oscillator; at A = 0 the norm grows like NΔt"
    return Finding(
        decided(right, ClaimVerdict.HOLDS_ONLY_IF), said, condition, {"peak": peak, "shear": growth}
    )


def _mean_power(tools: ProofTools) -> Finding:
    """The integral of (1 + Δt²a)^(−N/2) over a uniform A."""
    from sympy import Rational, integrate, log, simplify, symbols

    top, a = symbols("A_max a", positive=True)
    right, tried = True, (1, 3, 4, 7, 10)
    for n in tried:
        mean = integrate((1 + dt**2 * a) ** Rational(-n, 2), (a, 0, top)) / top
        printed = ((1 + dt**2 * top) ** (1 - Rational(n, 2)) - 1) / (dt**2 * top * (1 - Rational(n, 2)))
        right = right and is_zero(simplify(mean - printed))
    two = integrate(1 / (1 + dt**2 * a), (a, 0, top)) / top
    exception = is_zero(two - log(1 + dt**2 * top) / (dt**2 * top))
    n = 100_000
    value = (2.0 ** (1 - n / 2) - 1.0) / (1 - n / 2)
    right = right and exception and abs(value - 1.0 / 49_999.0) < 1e-18
    said = (
        f"the mean of |λ|^N over A ~ U(0, A_max) is the printed one for N = {', '.join(map(str, tried))}, as "
        "expressions",
        "at N = 2 the printed denominator is zero, and the mean is ln(1 + Δt²A_max)/(Δt²A_max)",
        f"N = {n}, Δt = A_max = 1: {value:.10g} = 1/49999",
    )
    return Finding(decided(right, ClaimVerdict.HOLDS_ONLY_IF), said, "N ≠ 2", {"mean": value})


def _symplectic(tools: ProofTools) -> Finding:
    from sympy import Matrix

    M, J = STEPS["linoss_imex"], Matrix([[0, 1], [-1, 0]])
    form, same = is_zero(M.T * J * M - J), agrees_with_cell("linoss_imex")
    trace = is_zero(M.trace() - 2 * (1 - dt**2 * A / 2)) and is_zero(M.det() - 1)
    said = (
        f"MᵀJM = J as expressions in A and Δt, hence det M = 1: {form}",
        f"the shipped cell has this step at 100 random A and Δt, to 1e-14: {same}",
        f"trace 2 − Δt²A and determinant 1, so for 0 < Δt²A < 4 the eigenvalues are a pair of "
        f"modulus one: {trace}",
    )
    return Finding(decided(form and same and trace, ClaimVerdict.PROVED), said)


def _step_limit(tools: ProofTools) -> Finding:
    """Two oscillators, one of which the printed hypothesis lets through although it is unstable."""
    pair = step_of("linoss_imex", A=[4.0, 9.0], dt=1.0)
    radius, expected = spectral_radius(pair), (7.0 + math.sqrt(45.0)) / 2.0
    jordan = [_norm("linoss_imex", n, A=4.0, dt=1.0) for n in (LONG, 2 * LONG)]
    allowed = 2.0 / math.sqrt(np.array([4.0, 9.0]).min())
    right = abs(radius - expected) < 1e-12 and allowed >= 1.0 and abs(jordan[1] / jordan[0] - 2.0) < 0.01
    said = (
        f"A = (4, 9), Δt = 1 satisfies Δt ≤ max_k 2/√A_k = {allowed:g}, and M has the spectral radius "
        f"{radius:.6g} = (7 + √45)/2",
        f"with equality, Δt²A = 4, M is a Jordan block of −1: ‖M^N‖₂ = {jordan[0]:.6g} at N = {LONG} and "
        f"{jordan[1]:.6g} at N = {2 * LONG}",
        "the step needs 0 < Δt²A < 4 for every oscillator: trace 2 − Δt²A and determinant 1",
    )
    condition = "Δt < min_k 2/√A_k, the smallest in place of the largest, and strictly"
    return Finding(decided(right, ClaimVerdict.HOLDS_ONLY_IF), said, condition, {"radius": radius})


def _values_of_frequencies(tools: ProofTools) -> Finding:
    """The invariant form of the symplectic step, and how far its constant is reached."""
    from sympy import Matrix, Rational

    M = STEPS["linoss_imex"]
    Q = Matrix([[1, -dt * A / 2], [-dt * A / 2, A]])
    invariant = is_zero(M.T * Q * M - Q) and is_zero(Q.det() - A * (1 - dt**2 * A * Rational(1, 4)))
    cases, said = {}, ["MᵀQM = Q with Q = [[1, −ΔtA/2], [−ΔtA/2, A]], which is definite for 0 < Δt²A < 4"]
    right = invariant
    for value in (1e-4, 1.0, 3.9999):
        r = math.hypot(1.0 - value, value)  # Δt = 1
        constant = math.sqrt(((1.0 + value) + r) / ((1.0 + value) - r))
        largest = max(_norm("linoss_imex", n, A=value, dt=1.0) for n in range(1, 700))
        right = right and largest <= constant * (1.0 + 1e-9)
        cases[f"{value:g}"] = [largest, constant]
        said.append(
            f"A = {value:g}, Δt = 1: the largest norm of 700 steps is {largest:.6g}, of at most "
            f"√κ(Q) = {constant:.6g}"
        )
    report = tools.report("linoss_imex")
    said += proved_by(report)
    right = right and report.ok and cases["0.0001"][0] > 99.0 and cases["3.9999"][0] > 400.0
    condition = "Δt²A stays away from 0 and from 4: the rate does not depend on A, the constant √κ(Q) does"
    return Finding(decided(right, ClaimVerdict.HOLDS_ONLY_IF), tuple(said), condition, {"cases": cases})


def _harmonic(tools: ProofTools) -> Finding:
    """d/dt (y² + ẏ²) along both equations."""
    from sympy import symbols

    y, v = symbols("y v", real=True)
    energy = y**2 + v**2

    def rate(acceleration: Any) -> Any:
        return energy.diff(y) * v + energy.diff(v) * acceleration

    right = is_zero(rate(-y)) and not is_zero(rate(y))
    said = (
        f"along ÿ = y the printed H = y² + ẏ² changes at the rate {rate(y)}".replace("v", "ẏ").replace(
            "*", " "
        ),
        "along ÿ = −y it does not change: the printed sign is a slip of the pen, which the code "
        "does not have",
    )
    return Finding(decided(right, ClaimVerdict.REFUTED), said)


def _time_varying(tools: ProofTools) -> Finding:
    """Two steps that are stable one by one and not in turn."""
    from sympy import symbols

    a, b = symbols("a b", positive=True)
    M = STEPS["linoss_imex"]
    trace = (M.subs(A, a) * M.subs(A, b)).trace()
    formula = is_zero(trace - ((2 - dt**2 * a) * (2 - dt**2 * b) - 2))
    one, other = step_of("linoss_imex", A=[0.5, 3.5], dt=1.0)
    alone, turn = spectral_radius(np.array([one, other])), spectral_radius(one @ other) ** 0.5
    cycle = step_of("linoss_im", A=[0.0, 0.0, 0.0, 0.0, 100.0], dt=1.0)
    product = np.eye(2)
    for step in cycle:
        product = step @ product
    implicit = spectral_radius(product) ** 0.2
    report = tools.report("linoss_varying")
    right = formula and alone < 1.0 + 1e-12 and turn > 1.0 + 1e-6 and abs(implicit - 1.315) < 1e-3
    right = right and report.ok
    said = (
        "tr M(a)M(b) = (2 − Δt²a)(2 − Δt²b) − 2, as expressions: alternating a and b is unstable when that "
        "product of two lies outside [0, 4]",
        f"LinOSS-IMEX, Δt = 1, A = 0.5 and 3.5 in turn: growth {turn:.6g} a step, {alone:.6g} for each alone",
        f"LinOSS-IM, Δt = 1, A = 0, 0, 0, 0, 100 over and over: growth {implicit:.4g} a step",
        *proved_by(report),
    )
    return Finding(decided(right, ClaimVerdict.REFUTED), said, "", {"imex": turn, "im": implicit})


def _rate_of_a_step(tools: ProofTools) -> Finding:
    """(1 − 1/λ)/Δt for both discretisations."""
    from sympy import I, simplify, sqrt

    implicit = (1 + I * dt * sqrt(A)) / (1 + dt**2 * A)
    exact = is_zero(simplify((1 - 1 / implicit) / dt) - I * sqrt(A))
    value = np.linalg.eigvals(step_of("linoss_imex", A=1.0, dt=1.0)[0])
    rates = 1.0 - 1.0 / value
    right = exact and bool(np.allclose(rates.real, 0.5, atol=1e-12))
    said = (
        "for LinOSS-IM (1 − 1/λ)/Δt is i√A as an expression: the rate of the differential equation",
        f"for LinOSS-IMEX at A = Δt = 1 it is {rates[0].real:.3f} ± {abs(rates[0].imag):.3f}i: a "
        "growth that the step, whose |λ| is 1, does not have",
    )
    return Finding(decided(right, ClaimVerdict.HOLDS_ONLY_IF), said, "the step is LinOSS-IM")


_shown = shown_by_itself("linoss")


_BESIDE = "beside the paper: a question that it raises"
ROWS = (
    _shown("implicit_eigenvalues", "Proposition 3.1",
           "The eigenvalues of a step of LinOSS-IM are (1 ± iΔt√A)/(1 + Δt²A), of modulus at "
           "most one for A ≥ 0.",
           _implicit_eigenvalues),
    _shown("no_blow_up", "the text after Proposition 3.1",
           "Since no eigenvalue is larger than one in modulus, hidden states do not blow up over "
           "long sequences.",
           _no_blow_up),
    _shown("mean_power", "Proposition 3.2",
           "For A uniform on (0, A_max), E|λ|^N = ((1 + Δt²A_max)^(1 − N/2) − 1)/(Δt²A_max(1 − N/2)).",
           _mean_power),
    _shown("symplectic", "LinOSS-IMEX and its Hamiltonian",
           "The step of LinOSS-IMEX is symplectic, so it preserves volume and can be inverted.", _symplectic),
    _shown("step_limit", "Proposition E.1",
           "The eigenvalues of LinOSS-IMEX have modulus one if Δt ≤ max_k 2/√A_k.", _step_limit),
    _shown("values_of_frequencies", "the discussion of LinOSS-IMEX",
           "For LinOSS-IMEX the particular values of A do not matter for learning long-range interactions.",
           _values_of_frequencies),
    _shown("harmonic_motion", "equation (10)",
           "Simple harmonic motion is ÿ = y, with the Hamiltonian H = y² + ẏ².", _harmonic),
    _shown("time_varying", _BESIDE,
           "With A ≥ 0 that changes from step to step the state stays bounded as well.", _time_varying),
    _shown("rate_of_a_step", _BESIDE,
           "The rate of the differential equation can be read off a step as (1 − 1/λ)/Δt.", _rate_of_a_step),
)  # fmt: skip

PAPER = Paper(
    "LinOSS",
    "T. K. Rusch, D. Rus, *Oscillatory State-Space Models*, ICLR 2025 (arXiv:2410.03943)",
    (
        "Every oscillator is ÿ = −A y + B u with velocity z = ẏ and state (z, y); M is the matrix of "
        "its step, Δt the step size, N the number of steps, λ an eigenvalue of M; ‖·‖₂ is the spectral "
        "norm. Numbers are those of the cells `linoss_im` and `linoss_imex`.",
    ),
    {claim.name: claim for claim in ROWS},
    ProofTools,
)
