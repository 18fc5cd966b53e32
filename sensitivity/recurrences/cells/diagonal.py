"""Linear recurrences with a diagonal complex matrix: the LRU, and S4D with the diagonal form of S5.

The state is (Re h, Im h), and the Jacobian of a step is made of d blocks [[Re λ, −Im λ], [Im λ, Re λ]], so
‖∂s_N/∂s_0‖₂ = max |λ|^N exactly. What is read out, Re(C h) + D x in the publications, is no part of the
state.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from integrators.cells.cell import Cell, Kind
from integrators.cells.layout import POINT
from integrators.codegen.compiled import kernel
from sensitivity.recurrences.settings import published_start
from sensitivity.recurrences.structures.vectors import Ring, Sampled

__all__ = ["lru", "s4d"]

Float = NDArray[np.float64]
Rng = int | np.random.Generator


@kernel(POINT)
def _diagonal(constants, v, out, slopes):
    """h' = a h + g u with complex numbers; the locals are u (re, im), h, a, g."""
    for f in range(v.shape[1]):
        u, w, x, y = v[0, f], v[1, f], v[2, f], v[3, f]
        a, b, g, k = v[4, f], v[5, f], v[6, f], v[7, f]
        out[0, f] = a * x - b * y + (g * u - k * w)
        out[1, f] = b * x + a * y + (k * u + g * w)
        slopes[0, 0, f], slopes[0, 1, f], slopes[1, 0, f], slopes[1, 1, f] = g, -k, k, g
        slopes[0, 2, f], slopes[0, 3, f], slopes[1, 2, f], slopes[1, 3, f] = a, -b, b, a
        slopes[0, 4, f], slopes[0, 5, f], slopes[1, 4, f], slopes[1, 5, f] = x, -y, y, x
        slopes[0, 6, f], slopes[0, 7, f], slopes[1, 6, f], slopes[1, 7, f] = u, -w, w, u


def _bound(cell: Cell, h: Float, n_steps: int) -> Float:
    """max |λ|^N, which is the norm itself."""
    p = cell.parameters
    with np.errstate(divide="ignore"):
        rate = float(np.log(np.hypot(p["a_re"], p["a_im"])).max())
    return np.full(h.shape, n_steps * rate)


def _kind(name: str, structure: Ring | Sampled, reference: str) -> Kind:
    every = "u_re u_im re im a_re a_im g_re g_im"
    return Kind(
        name=name,
        state=("re", "im"),
        rows=("u_re", "u_im"),
        point=_diagonal,
        depends={"re": every, "im": every},
        recurrent=0,
        linear=True,
        biases=(0, 0),
        vectors=("a_re", "a_im", "g_re", "g_im"),
        reference=reference,
        bound=_bound,
        structure=structure,
    )


LRU = _kind("lru", Ring(), "A. Orvieto et al., ICML 2023")
_S4D = {
    rule: _kind("s4d", Sampled(rule), "A. Gu, A. Gupta, K. Goel, C. Ré, NeurIPS 2022")
    for rule in ("zoh", "bilinear")
}


def _inputs(generator: np.random.Generator, d: int, n_inputs: int) -> dict[str, Float]:
    """Both parts of B normal with the variance 1/(2 n_inputs)."""
    if not n_inputs:
        return {}
    return {"V": generator.normal(size=(2 * d, n_inputs)) / math.sqrt(2.0 * n_inputs)}


@published_start
def lru(d: int, n_inputs: int = 0, rng: Rng = 0, r_min: float = 0.9, r_max: float = 0.999) -> Cell:
    """h' = λ∘h + γ∘(B x) in ℂ^d, λ = exp(−e^ν + i e^θ), γ = √(1 − |λ|²); state (Re h, Im h).

    Start: |λ|² ~ U(r_min², r_max²), arg λ ~ U(0, 2π), both parts of B ~ N(0, 1/(2 n_inputs)). V holds the
    rows of Re B, then those of Im B. ‖∂s_N/∂s_0‖₂ = max |λ|^N.
    """
    generator = np.random.default_rng(rng)
    low, high = min(r_min, r_max), max(r_min, r_max)
    square = low**2 + (high**2 - low**2) * generator.uniform(0.0, 1.0, d)
    phase = 2.0 * math.pi * (1.0 - generator.uniform(0.0, 1.0, d))  # in (0, 2π]: its logarithm is finite
    nu = np.log(-0.5 * np.log(square))
    return LRU(d, n_inputs, nu=nu, theta=np.log(phase), **_inputs(generator, d, n_inputs))


@published_start
def s4d(d: int, n_inputs: int = 0, rng: Rng = 0, discretisation: str = "zoh") -> Cell:
    """x' = a x + B u in steps of Δ, with a diagonal a: h' = Ā∘h + g∘(B x), Ā = e^{aΔ}, g = (Ā − 1)/a.

    With ``discretisation="bilinear"`` Ā = (1 + aΔ/2)/(1 − aΔ/2) and g = Δ/(1 − aΔ/2). Start: S4D-Lin,
    a_n = −½ + iπn; Δ log-uniform on (1e-3, 1e-1), one for each neuron, as in S5; B as `lru`. Every neuron
    sees all inputs, which is the form of S5. State (Re h, Im h). ‖∂s_N/∂s_0‖₂ = max |Ā|^N.
    """
    generator = np.random.default_rng(rng)
    log_dt = generator.uniform(math.log(1e-3), math.log(1e-1), d)
    free = {"log_dt": log_dt, "log_decay": np.full(d, math.log(0.5)), "frequency": math.pi * np.arange(d)}
    return _S4D[discretisation](d, n_inputs, **free, **_inputs(generator, d, n_inputs))
