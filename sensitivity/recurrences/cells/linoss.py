"""Oscillatory state-space cells: LinOSS and its damped form D-LinOSS, each with its discretisations.

Every neuron is one oscillator y'' = −A y − G y' + u with u = B x + b and z = y', so the Jacobian of a step is
made of d blocks M of size 2 × 2 that depend neither on the state nor on the input. The complex B of the
authors makes two copies of each oscillator, whose blocks are equal; here B is real.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from integrators.cells.cell import Cell, Kind
from integrators.cells.layout import POINT
from integrators.codegen.compiled import helper, kernel
from integrators.engine.column_scale import log_scaled
from integrators.scaled_matrix import ScaledMatrix, matrix_power
from integrators.singular_values import largest_of_two
from sensitivity.recurrences.settings import WORDS, published_start
from sensitivity.recurrences.structures.vectors import DampedOscillator, Oscillator

__all__ = ["dlinoss", "linoss_im", "linoss_imex", "linoss_vv", "log_power_norm"]

Float = NDArray[np.float64]
Rng = int | np.random.Generator

_LINOSS = "T. K. Rusch, D. Rus, ICLR 2025"
IMEX1, IMEX2, IM, EX = range(4)
"""Variants of D-LinOSS, by their place in `WORDS`."""

_DLINOSS = "J. Boyer, T. K. Rusch, D. Rus, arXiv:2505.12171 (2025)"


@helper
def _oscillate(v, f, A, G, dt, explicit, implicit, force, out, by, damped):
    """z' = ((1 − e ΔtG) z + Δt (u − A y))/S with S = 1 + i ΔtG + j Δt²A, and y' = y + Δt z'.

    The flags e, i and j say whether the damping is explicit or implicit, and whether the force is implicit.
    The slopes of z' go to by[0], those of y' to by[1]; the locals are u, z, y, A, then G if `damped`, then
    Δt.
    """
    u, z, y = v[0, f], v[1, f], v[2, f]
    S = 1.0 + implicit * (dt * G) + force * (dt * dt * A)
    keep = 1.0 - explicit * (dt * G)
    w = (keep * z + dt * (u - A * y)) / S
    last = 5 if damped else 4
    out[0, f] = w
    by[0, 0, f], by[0, 1, f], by[0, 2, f] = dt / S, keep / S, -dt * A / S
    by[0, 3, f] = -dt * (y + force * (dt * w)) / S
    if damped:
        by[0, 4, f] = -dt * (explicit * z + implicit * w) / S
    by[0, last, f] = (u - A * y - G * (explicit * z + implicit * w) - 2.0 * force * (dt * A * w)) / S
    out[1, f] = y + dt * w
    for local in range(last + 1):
        by[1, local, f] = dt * by[0, local, f]
    by[1, 2, f] += 1.0
    by[1, last, f] += w


@kernel(POINT)
def _undamped(constants, v, out, slopes):
    for f in range(v.shape[1]):
        _oscillate(v, f, v[3, f], 0.0, v[4, f], 0.0, 0.0, constants[0], out, slopes, False)


@kernel(POINT)
def _damped(constants, v, out, slopes):
    variant = constants[0]
    old = variant == EX
    explicit = 1.0 if variant == IMEX2 or old else 0.0
    implicit, force = 1.0 - explicit, 1.0 if variant == IM else 0.0
    for f in range(v.shape[1]):
        _oscillate(v, f, v[3, f], v[4, f], v[5, f], explicit, implicit, force, out, slopes, True)
    if old:  # the position moves with the old velocity
        for f in range(v.shape[1]):
            out[1, f] = v[2, f] + v[5, f] * v[1, f]
            for local in range(6):
                slopes[1, local, f] = 0.0
            slopes[1, 1, f], slopes[1, 2, f], slopes[1, 5, f] = v[5, f], 1.0, v[1, f]


@kernel(POINT)
def _verlet(constants, v, out, slopes):
    """Half a kick, a drift, half a kick with the same input: z½ = z + Δt/2 (u − A y), y' = y + Δt z½."""
    for f in range(v.shape[1]):
        u, z, y, A, dt = v[0, f], v[1, f], v[2, f], v[3, f], v[4, f]
        half = 0.5 * dt
        middle = z + half * (u - A * y)
        new = y + dt * middle
        out[0, f], out[1, f] = middle + half * (u - A * new), new
        slopes[1, 0, f], slopes[1, 1, f], slopes[1, 2, f] = dt * half, dt, 1.0 - dt * half * A
        slopes[1, 3, f], slopes[1, 4, f] = -dt * half * y, middle + half * (u - A * y)
        slopes[0, 0, f] = half + half * (1.0 - A * slopes[1, 0, f])
        slopes[0, 1, f] = 1.0 - half * A * slopes[1, 1, f]
        slopes[0, 2, f] = -half * A - half * A * slopes[1, 2, f]
        slopes[0, 3, f] = -half * y - half * (new + A * slopes[1, 3, f])
        slopes[0, 4, f] = 0.5 * (u - A * y) + 0.5 * (u - A * new) - half * A * slopes[1, 4, f]


def log_power_norm(M: Float, n_steps: int) -> Float:
    """ln ‖M^N‖₂ of real 2 × 2 matrices by repeated squaring, shape (…, 2, 2) → (…,)."""
    power = matrix_power(ScaledMatrix.of(M), n_steps)
    return log_scaled(largest_of_two(power.values), power.exponent)


def _log_bound(M: Float, n_steps: int) -> float:
    """ln of the largest ‖M^N‖₂ ≤ min(‖M‖₂^N, det(M)^{N/2} √κ(Q)); for real eigenvalues, of the norm itself.

    Complex eigenvalues: MᵀQM = det(M) Q with Q = [[m₂₁, (m₂₂ − m₁₁)/2], [·, −m₁₂]], which is definite then,
    and the norm √(sᵀQs) changes by √det(M) a step. For LinOSS-IM Q is diag(1, A) and det M = 1/(1 + Δt²A);
    for LinOSS-IMEX Q = [[1, −ΔtA/2], [−ΔtA/2, A]] and det M = 1.
    """
    Q11, Q12, Q22 = M[:, 1, 0], (M[:, 1, 1] - M[:, 0, 0]) / 2.0, -M[:, 0, 1]
    det = M[:, 0, 0] * M[:, 1, 1] - M[:, 0, 1] * M[:, 1, 0]
    root = np.sqrt((Q11 - Q22) ** 2 + 4.0 * Q12**2)
    definite = (Q11 > 0.0) & (Q11 * Q22 > Q12**2) & (Q11 + Q22 > root)
    with np.errstate(divide="ignore", invalid="ignore"):
        envelope = 0.5 * n_steps * np.log(det) + 0.5 * np.log((Q11 + Q22 + root) / (Q11 + Q22 - root))
        envelope = np.minimum(envelope, n_steps * log_power_norm(M, 1))  # the smaller one for a few steps
    return float(np.where(definite, envelope, log_power_norm(M, n_steps)).max())


def _matrices(A: Float, G: Float, dt: Float, variant: int) -> Float:
    """M of every oscillator on (z, y), shape (d, 2, 2)."""
    explicit = variant in (IMEX2, EX)
    keep = 1.0 - dt * G if explicit else np.ones_like(dt)
    S = np.ones_like(dt) if explicit else 1.0 + dt * G + (dt * dt * A if variant == IM else 0.0)
    first = np.array([keep / S, -dt * A / S])
    second = (np.array([dt, 0.0 * dt]) if variant == EX else dt * first) + np.array(
        [0.0 * dt, np.ones_like(dt)]
    )
    return np.stack([first, second]).transpose(2, 0, 1)


def _undamped_bound(cell: Cell, h: Float, n_steps: int) -> Float:
    p = cell.parameters
    M = _matrices(p["A"], 0.0 * p["A"], p["dt"], IM if p["implicit"] else IMEX1)
    return np.full(h.shape, _log_bound(M, n_steps))


def _damped_bound(cell: Cell, h: Float, n_steps: int) -> Float:
    p = cell.parameters
    return np.full(h.shape, _log_bound(_matrices(p["A"], p["G"], p["dt"], int(p["variant"])), n_steps))


def _verlet_bound(cell: Cell, h: Float, n_steps: int) -> Float:
    p = cell.parameters
    A, dt = p["A"], p["dt"]
    diagonal = 1.0 - dt * dt * A / 2.0
    M = np.array([[diagonal, -dt * A * (1.0 - dt * dt * A / 4.0)], [dt, diagonal]]).transpose(2, 0, 1)
    return np.full(h.shape, _log_bound(M, n_steps))


def _undamped_kind(name: str, point: Any, bound: Any, constants: dict[str, float] | None = None) -> Kind:
    every = "u z y A dt"
    return Kind(
        name=name,
        state=("z", "y"),
        rows=("u",),
        point=point,
        depends={"z": every, "y": every},
        recurrent=0,
        linear=True,
        vectors=("A", "dt"),
        constants=constants,
        reference=_LINOSS,
        bound=bound,
        structure=Oscillator(),
    )


LINOSS_IM = _undamped_kind("linoss_im", _undamped, _undamped_bound, {"implicit": 1.0})
LINOSS_IMEX = _undamped_kind("linoss_imex", _undamped, _undamped_bound, {"implicit": 0.0})
LINOSS_VV = _undamped_kind("linoss_vv", _verlet, _verlet_bound)

DAMPED = Kind(
    name="dlinoss",
    state=("z", "y"),
    rows=("u",),
    point=_damped,
    depends={"z": "u z y A G dt", "y": "u z y A G dt"},
    recurrent=0,
    linear=True,
    vectors=("A", "G", "dt"),
    constants={"variant": float(IMEX1)},
    reference=_DLINOSS,
    bound=_damped_bound,
    structure=DampedOscillator(),
)


def _drawn_inputs(generator: np.random.Generator, d: int, n_inputs: int) -> dict[str, Float]:
    if not n_inputs:
        return {}
    limit = 1.0 / np.sqrt(n_inputs)
    return {"V": generator.uniform(-limit, limit, (d, n_inputs))}


def _given(kind: Kind, d: int, n_inputs: int, given: dict[str, Any], drawn: dict[str, Float]) -> Cell:
    """The cell with the drawn free parameters; those that are given replace what these make."""
    cell = kind(d, n_inputs, **drawn)
    told = {name: np.broadcast_to(value, (d,)) for name, value in given.items() if value is not None}
    return cell.unstructured().with_parameters(**told) if told else cell


def _undamped_cell(kind: Kind, d: int, n_inputs: int, rng: Rng, A: Any, dt: Any) -> Cell:
    generator = np.random.default_rng(rng)
    drawn = {"A_free": generator.uniform(0.0, 1.0, d), "dt_logit": generator.uniform(0.0, 1.0, d)}
    drawn |= _drawn_inputs(generator, d, n_inputs)
    return _given(kind, d, n_inputs, {"A": A, "dt": dt}, drawn)


@published_start
def linoss_im(d: int, n_inputs: int = 0, rng: Rng = 0, A: Any = None, dt: Any = None) -> Cell:
    """z' = z + Δt (−A y' + B x + b), y' = y + Δt z': implicit, M = S [[1, −ΔtA], [Δt, 1]], S = 1/(1 + Δt²A).

    Start: A = max(0, Â), Â ~ U(0, 1); Δt = 1/(1 + e^−ŝ), ŝ ~ U(0, 1); B ~ U(±1/√n_inputs); b = 0. With `A` or
    `dt`, one number or d of them, the parameters are A and Δt themselves. State (z, y).
    """
    return _undamped_cell(LINOSS_IM, d, n_inputs, rng, A, dt)


@published_start
def linoss_imex(d: int, n_inputs: int = 0, rng: Rng = 0, A: Any = None, dt: Any = None) -> Cell:
    """z' = z + Δt (−A y + B x + b), y' = y + Δt z': symplectic Euler, M = [[1, −ΔtA], [Δt, 1 − Δt²A]].

    The eigenvalues have modulus one for 0 < Δt²A < 4. Start as `linoss_im`.
    """
    return _undamped_cell(LINOSS_IMEX, d, n_inputs, rng, A, dt)


@published_start
def linoss_vv(d: int, n_inputs: int = 0, rng: Rng = 0, A: Any = None, dt: Any = None) -> Cell:
    """Velocity Verlet: z½ = z + Δt/2 (−A y + u), y' = y + Δt z½, z' = z½ + Δt/2 (−A y' + u), u = B x + b.

    Both halves of a step see the input of that step; the authors' second half sees the next one. Start as
    `linoss_im`.
    """
    return _undamped_cell(LINOSS_VV, d, n_inputs, rng, A, dt)


def _from_poles(variant: int, square: Float, trace: Float, dt: Float) -> tuple[Float, Float]:
    """A and G of the steps whose M has the determinant r² and the trace 2r cos θ."""
    if variant == IMEX1:
        return (1.0 + (1.0 - trace) / square) / dt**2, (1.0 / square - 1.0) / dt
    if variant == IMEX2:
        return (1.0 + square - trace) / dt**2, (1.0 - square) / dt
    if variant == IM:
        return (1.0 + (1.0 - trace) / square) / dt**2, (trace / square - 2.0) / dt
    return (1.0 + square - trace) / dt**2, (2.0 - trace) / dt


@published_start
def dlinoss(
    d: int,
    n_inputs: int = 0,
    rng: Rng = 0,
    A: Any = None,
    G: Any = None,
    dt: Any = None,
    variant: str = "imex1",
) -> Cell:
    """z' = (z + Δt (−A y + B x + b))/(1 + ΔtG), y' = y + Δt z': LinOSS-IMEX with an implicit damping G.

    Its poles have |λ|² = 1/(1 + ΔtG). Variants: "imex1", this one; "imex2", explicit damping; "im", all
    implicit; "ex", all explicit. Start: |λ|² ~ U(0.9², 1), arg λ ~ U(0, π), Δt = 1/(1 + e^−ŝ), ŝ ~ N(0, ½²),
    B ~ U(±1/√n_inputs), b = 0. "imex1" keeps A between A_low and A_high, where its poles are complex. With
    `A`, `G` or `dt` the parameters are these themselves. State (z, y).
    """
    code = WORDS["variant"].index(variant)
    generator = np.random.default_rng(rng)
    square, angle = generator.uniform(0.81, 1.0, d), generator.uniform(0.0, np.pi, d)
    logits = 0.5 * generator.normal(size=d)
    step = np.broadcast_to(1.0 / (1.0 + np.exp(-logits)) if dt is None else dt, (d,))
    drawn_A, drawn_G = _from_poles(code, square, 2.0 * np.sqrt(square) * np.cos(angle), step)
    inputs = _drawn_inputs(generator, d, n_inputs)
    if code == IMEX1 and A is None and G is None and dt is None:
        return DAMPED(d, n_inputs, A_free=drawn_A, G_free=drawn_G, dt_logit=logits, **inputs)
    told = {"A": drawn_A if A is None else A, "G": drawn_G if G is None else G, "dt": step}
    values = {name: np.broadcast_to(value, (d,)) for name, value in told.items()}
    return replace(DAMPED, structure=None)(d, n_inputs, **values, **inputs, variant=float(code))
