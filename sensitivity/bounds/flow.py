"""Theorem 3.2: the paper's own bound, on the differential equation behind the recursion."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from integrators.fields.field import Field, as_field
from integrators.fields.neural import NeuralField
from integrators.validation import as_count, as_steps, as_vector
from sensitivity.recurrences.arguments import needs_field

from .rounding import EPS, upward
from .table import BoundCase, proved

__all__ = ["theorem_3_2"]

Float = NDArray[np.float64]


def _fast_start(case: BoundCase) -> str:
    """The flow starts faster than T, see `theorem_3_2`."""
    theorem_3_2(case.field, case.step, case.n_steps, case.y0, case.p0)
    return "d = 1, |σ| ≤ 1, ẏ(0) > T"


@proved(
    "3.2", "|∂y(T)/∂y(0)| ≤ (T + ẏ_0)/ẏ_0 + |σ_0| (T + ẏ_0)/(ẏ_0 − T), T = Nε", (_fast_start,), of="flow"
)  # fmt: skip
@needs_field
def theorem_3_2(
    field: Field, step: ArrayLike, n_steps: int, y0: ArrayLike | None = None, p0: ArrayLike | None = None
) -> Float:
    """Theorem 3.2: |∂y(T)/∂y(0)| ≤ (T + ẏ_0)/ẏ_0 + |σ(W y_0 + b)| (T + ẏ_0)/(ẏ_0 − T), T = Nε.

    The paper's own bound, with the constant C̃ = 1/ẏ_0 that its proof leaves open. It bounds the flow of
    ÿ = σ(W y + b), not the recursion (11), whose gradient differs from it by O(ε²).

    Parameters
    ----------
    field : NeuralField
        With d = 1, |σ| ≤ 1 and no inputs.
    step, n_steps
        ε > 0, N ≥ 0; T = Nε.
    y0, p0 : array_like, shape (1,), optional
        y_0 and ẏ_0; zero by default, which the hypothesis ẏ_0 > T excludes.

    Returns
    -------
    ndarray, shape step.shape

    Raises
    ------
    ValueError
        If a hypothesis does not hold; the message says which. ẏ_0 = 0, where the paper's own networks
        start, is never allowed, and the conclusion is false there: σ = tanh, b = 0, W > 0, y_0 = 0 has
        ∂y(t)/∂y(0) = cosh(√W t).

    Examples
    --------
    >>> import leapgrad as lg
    >>> field = lg.NeuralField([[0.5]], [0.1])
    >>> lg.bounds.theorem_3_2(field, step=0.1, n_steps=20, p0=[4.0]).round(4)
    np.float64(1.799)
    """
    steps, n_steps = as_steps(step), as_count(n_steps, "n_steps")
    if as_field(field).dim != 1:
        raise ValueError(f"theorem 3.2 needs d = 1; the field has d = {field.dim}.")
    if not isinstance(field, NeuralField) or field.n_inputs:
        raise ValueError("theorem 3.2 is about ÿ = σ(Wy + b): it needs a NeuralField without inputs.")
    if field.activation.bound > 1.0:
        bound = field.activation.bound
        raise ValueError(f"theorem 3.2 needs |σ| ≤ 1; sup|{field.activation.name}| = {bound:g}.")
    start, speed = (float(as_vector(v, name, 1)[0]) for v, name in ((y0, "y0"), (p0, "p0")))
    with np.errstate(over="ignore"):
        T = n_steps * steps
    if (T >= speed).any() or speed <= 0.0:
        rest = (
            "from rest the conclusion itself is false, since σ = tanh, b = 0, W > 0, y0 = 0 has "
            "∂y(T)/∂y(0) = cosh(√W T)"
        )
        raise ValueError(
            f"theorem 3.2 needs p0 = ẏ(0) > T = n_steps · step, but p0 = {speed:g} and T = "
            f"{float(T.max(initial=0.0)):g}: {rest if speed == 0.0 else 'take a larger p0'}; theorem B "
            "(bounds.chebyshev) holds for every p0."
        )
    z = abs(field.W[0, 0] * start) + abs(field.b[0])  # how far rounding Wy_0 + b can move it, in half units
    force = float(np.abs(field.force([start])[0])) + 2.0 * EPS * field.activation.lipschitz * z
    # T and ẏ_0 − T are each rounded once, and the latter magnifies the rounding of T.
    slack = 16.0 * EPS * (1.0 + T / (speed - T))
    return upward(((T + speed) / speed + force * (T + speed) / (speed - T)) * (1.0 + slack))
