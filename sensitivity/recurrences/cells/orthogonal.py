"""Orthogonal, unitary and eigenvalue-normalised cells: a modReLU cell each, and its matrix."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from integrators.cells.cell import Cell, Kind
from integrators.cells.layout import POINT
from integrators.codegen.compiled import helper, kernel
from sensitivity.recurrences.majorants import log_power
from sensitivity.recurrences.settings import published_start
from sensitivity.recurrences.structures.matrices import (
    Cayley,
    ComplexMatrix,
    FourierFactors,
    UnitaryCayley,
    above_diagonal,
    cayley,
)
from sensitivity.recurrences.structures.spectral import EigenNormalised, Exponential

from .initial import spectral

__all__ = ["MODRELU", "MODRELU_COMPLEX", "cayley", "enrnn", "exprnn", "rotations", "scornn", "scurnn", "urnn"]

Float = NDArray[np.float64]
Rng = int | np.random.Generator
# Squares below this lose digits, and products of three such sizes vanish.
UNDERFLOWING = 1e-200


@kernel(POINT)
def _modrelu(constants, v, out, slopes):
    for f in range(v.shape[1]):
        a, b = v[0, f], v[2, f]
        # At a = 0 the rule is the identity for b = 0; for b > 0 it jumps, with slope 1 on both sides.
        on = 1.0 if abs(a) + b > 0.0 or b >= 0.0 else 0.0
        sign = math.copysign(1.0, a) if a != 0.0 else 0.0
        out[0, f] = on * (a + sign * b)
        slopes[0, 0, f], slopes[0, 2, f] = on, on * sign


def _modrelu_bound(cell, h, n_steps):
    """‖W‖₂^N, since every slope is 0 or 1."""
    return log_power(spectral(cell), n_steps, h.shape)


MODRELU = Kind(
    name="modrelu",
    state=("h",),
    rows=("a",),
    point=_modrelu,
    depends={"h": "a b"},
    recurrent=1,
    biases=(0, 0),
    vectors=("b",),
    bound=_modrelu_bound,
)


@helper
def _near_zero(x, y, b, inside, outside, f, out, slopes):
    """Complex modReLU where |z|² underflows, at z = 0 in particular.

    The derivative of z (|z| + b)/(|z| + e) at 0 is b/e I for b > 0; for b = 0 it is 0, or I if e = 0, too.
    With b > 0 = e the rule jumps, with slope 1 along every line through 0 on both sides, as the real rule
    does: we take I.
    """
    radius = math.hypot(x, y)
    size = math.hypot(radius, math.sqrt(inside))
    below = size + outside
    c, s = (x / radius, y / radius) if radius > 0.0 else (0.0, 0.0)
    on = size + b > 0.0 or b >= 0.0
    if below > 0.0:
        across = (size + b) / below if on else 0.0
        along = (outside - b) / below * (radius / below) * (radius / size) if on and radius > 0.0 else 0.0
        by_b = radius / below if on else 0.0
    else:
        across, along, by_b = 1.0 if on else 0.0, 0.0, 0.0
    out[0, f], out[1, f] = across * x, across * y
    slopes[0, 0, f], slopes[1, 1, f] = across + along * c * c, across + along * s * s
    slopes[0, 1, f] = slopes[1, 0, f] = along * c * s
    slopes[0, 4, f], slopes[1, 4, f] = by_b * c, by_b * s


@kernel(POINT)
def _modrelu_complex(constants, v, out, slopes):
    inside, outside = constants[0], constants[1]
    near = 0
    for f in range(v.shape[1]):
        x, y, b = v[0, f], v[1, f], v[4, f]
        square = x * x + y * y + inside
        near += 1 if square < UNDERFLOWING else 0
        size = math.sqrt(square)
        on = size + b > 0.0 and size > 0.0
        below = size + outside
        s = (size + b) / below if on else 0.0
        t = (outside - b) / (below * below * size) if on else 0.0
        out[0, f], out[1, f] = s * x, s * y
        slopes[0, 0, f], slopes[1, 1, f] = s + t * x * x, s + t * y * y
        slopes[0, 1, f] = slopes[1, 0, f] = t * x * y
        slopes[0, 4, f], slopes[1, 4, f] = (x / below, y / below) if on else (0.0, 0.0)
    if near > 0:  # in a loop of its own, or the one above would not be vectorised
        for f in range(v.shape[1]):
            x, y = v[0, f], v[1, f]
            if x * x + y * y + inside < UNDERFLOWING:
                _near_zero(x, y, v[4, f], inside, outside, f, out, slopes)


def _complex_bound(cell, h, n_steps):
    """(g ‖W‖₂)^N; the slope of modReLU has the norm g = max(1, (m + b)/(m + e)) at most, m² = `inside`.

    With z = |z| and m = √(z² + inside) its tangential gain is (m + b)/(m + e), which falls with m where b > e
    and stays below 1 elsewhere; the radial gain is smaller where b > e, and at most (m² + 2em + be)/(m + e)²
    ≤ 1 elsewhere. g is infinite for b > 0 where nothing keeps m + e away from 0.
    """
    p = cell.parameters
    least, offset, b = math.sqrt(p["inside"]), float(p["outside"]), float(p["b"].max())
    gain = 1.0 if b <= offset else math.inf if least + offset == 0.0 else (least + b) / (least + offset)
    norm = spectral(cell)  # a W of zeros has the bound 0 also where the slope has none
    return log_power(gain * norm if norm > 0.0 else 0.0, n_steps, h.shape)


MODRELU_COMPLEX = Kind(
    name="modrelu_complex",
    state=("re", "im"),
    rows=("x", "y"),
    point=_modrelu_complex,
    depends={"re": "x y b", "im": "x y b"},
    recurrent=2,
    source=2,
    biases=(0, 0),
    vectors=("b",),
    constants={"inside": 0.0, "outside": 0.0},
    bound=_complex_bound,
    structure=ComplexMatrix(),
)

SCORNN = replace(
    MODRELU, name="scornn", structure=Cayley(), reference="K. Helfrich, D. Willmott, Q. Ye, ICML 2018"
)
EXPRNN = replace(
    MODRELU,
    name="exprnn",
    structure=Exponential(),
    reference="M. Lezcano-Casado, D. Martínez-Rubio, ICML 2019",
)
ENRNN = replace(MODRELU, name="enrnn", structure=EigenNormalised(), reference="K. Helfrich, Q. Ye, AAAI 2020")
URNN = replace(
    MODRELU_COMPLEX,
    name="urnn",
    structure=FourierFactors(),
    reference="M. Arjovsky, A. Shah, Y. Bengio, ICML 2016",
)
SCURNN = replace(
    MODRELU_COMPLEX,
    name="scurnn",
    structure=UnitaryCayley(),
    reference="K. Maduranga, K. Helfrich, Q. Ye, AAAI 2019",
)


def rotations(angles: Float, d: int, sign: float = 1.0) -> Float:
    """Antisymmetric A of 2 × 2 blocks whose Cayley transform rotates each pair by its angle; shape (d, d)."""
    A = np.zeros((d, d))
    for j, angle in enumerate(angles[: d // 2]):
        s = -sign * math.tan(angle / 2.0)
        A[2 * j, 2 * j + 1], A[2 * j + 1, 2 * j] = s, -s
    return A


def _inputs(generator: np.random.Generator, rows: int, n_inputs: int, limit: float) -> dict[str, Float]:
    return {"V": generator.uniform(-limit, limit, (rows, n_inputs))} if n_inputs else {}


@published_start
def scornn(d: int, n_inputs: int = 0, rng: Rng = 0, negative: int | None = None) -> Cell:
    """h' = modReLU_b(W h + V x), W = (I + A)⁻¹(I − A) diag(±1) orthogonal: ‖∂h_N/∂h_0‖₂ ≤ 1 for every b.

    Start: A of rotations by t ~ U(0, π/2), `negative` signs −1 (d/2 by default), b = 0, V ~ U(±0.01).
    """
    generator = np.random.default_rng(rng)
    signs = np.ones(d)
    signs[d - (d // 2 if negative is None else negative) :] = -1.0
    A = rotations(generator.uniform(0.0, math.pi / 2, d // 2), d)
    return SCORNN(d, n_inputs, A=A, D=signs, **_inputs(generator, d, n_inputs, 0.01))


@published_start
def exprnn(d: int, n_inputs: int = 0, rng: Rng = 0) -> Cell:
    """h' = modReLU_b(W h + V x), W = exp(A), A antisymmetric: ‖∂h_N/∂h_0‖₂ ≤ 1 for every b.

    Start: A of 2 × 2 blocks ~ U(−π, π), b ~ U(±0.01), V Kaiming normal.
    """
    generator = np.random.default_rng(rng)
    A = np.zeros((d, d))
    for j, angle in enumerate(generator.uniform(-math.pi, math.pi, d // 2)):
        A[2 * j, 2 * j + 1], A[2 * j + 1, 2 * j] = angle, -angle
    b = generator.uniform(-0.01, 0.01, d)
    V = generator.normal(size=(d, n_inputs)) * math.sqrt(2.0 / n_inputs) if n_inputs else None
    given = {} if V is None else {"V": V}
    return EXPRNN(d, n_inputs, A=A, b=b, **given)


@published_start
def enrnn(d: int, n_inputs: int = 0, rng: Rng = 0, split: int | None = None) -> Cell:
    """modReLU cell on (h¹, h²) with W = [[W₁, W₃], [0, W₂/ρ(W₂)]], W₁ orthogonal; only h¹–h¹ is bounded.

    Start: W₁ as in `scornn` without signs, rotating the other way; W₂ of rotations times pairs ~ U(−1, 1),
    W₃ Glorot, V ~ U(±0.01), b = 0. `split` is the length of h¹, d/2 by default. The blocks "h1" and "h2"
    are named.
    """
    generator = np.random.default_rng(rng)
    d1 = d // 2 if split is None else split
    d2 = d - d1
    given = {"A": above_diagonal(rotations(generator.uniform(0.0, math.pi / 2, d1 // 2), d1, -1.0))}
    pairs = np.repeat(generator.uniform(-1.0, 1.0, d2 // 2 + d2 % 2), 2)[:d2]
    W2 = cayley(rotations(generator.uniform(0.0, math.pi / 2, d2 // 2), d2, -1.0), pairs)
    limit = math.sqrt(6.0 / d)
    W3 = generator.uniform(-limit, limit, (d1, d2))
    given |= {name: value for name, value in (("W2", W2), ("W3", W3)) if value.size}
    kind = replace(ENRNN, structure=EigenNormalised(d1))
    cell = kind(d, n_inputs, **given, **_inputs(generator, d, n_inputs, 0.01))
    cell.blocks |= {"h1": slice(0, d1), "h2": slice(d1, d)}
    return cell


@published_start
def urnn(d: int, n_inputs: int = 0, rng: Rng = 0) -> Cell:
    """h' = modReLU_b(W h + V x) in ℂ^d, W = D₃ R₂ F⁻¹ D₂ Π R₁ F D₁ unitary; state (Re h, Im h).

    ‖∂h_N/∂h_0‖₂ ≤ 1 if b ≤ 0. D diagonal of phases ~ U(−π, π), R reflections at vectors ~ Glorot, F the
    unitary Fourier transform, Π a random permutation; b ~ U(±0.01), V Glorot. As in the authors' code |z|
    is divided by |z| + 1e-5.
    """
    generator = np.random.default_rng(rng)
    phases = generator.uniform(-math.pi, math.pi, (3, d))
    limit = math.sqrt(6.0 / (2 + 2 * d))
    reflected = generator.uniform(-limit, limit, (2, d)) + 1j * generator.uniform(-limit, limit, (2, d))
    permutation = generator.permutation(d)
    factors = {f"D{k + 1}": phases[k] for k in range(3)} | {"R1": reflected[0], "R2": reflected[1]}
    b = generator.uniform(-0.01, 0.01, d)
    given = _inputs(generator, 2 * d, n_inputs, math.sqrt(6.0 / (n_inputs + 2 * d)))
    return URNN(d, n_inputs, **factors, permutation=permutation, b=b, outside=1e-5, **given)


@published_start
def scurnn(d: int, n_inputs: int = 0, rng: Rng = 0) -> Cell:
    """h' = modReLU_b(W h + V x) in ℂ^d, W = (I + A)⁻¹(I − A) diag(e^{iθ}), A = −A*; state (Re h, Im h).

    Start: A of rotations by t ~ U(0, π/2), θ ~ U(0, 2π), b ~ U(±0.01), V Glorot. As in the authors' code
    |z| is √(|z|² + 1e-5), divided by itself + 1e-5.
    """
    generator = np.random.default_rng(rng)
    A = rotations(generator.uniform(0.0, math.pi / 2, d // 2), d)
    phases = generator.uniform(0.0, 2.0 * math.pi, d)
    b = generator.uniform(-0.01, 0.01, d)
    given = _inputs(generator, 2 * d, n_inputs, math.sqrt(6.0 / (n_inputs + 2 * d)))
    return SCURNN(d, n_inputs, A=A, phases=phases, b=b, inside=1e-5, outside=1e-5, **given)
