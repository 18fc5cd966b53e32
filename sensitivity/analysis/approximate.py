"""Approximate gradients beside the exact one: truncated backpropagation, and RFLO for the leaky cell."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from integrators.engine.column_scale import from_scaled
from integrators.fields.activations import ACTIVATIONS
from integrators.naming import shown
from integrators.run.recurrence import Recurrence
from integrators.singular_values import frobenius_norm
from integrators.validation import as_array, as_count
from integrators.values import ByValue

__all__ = ["Agreement", "agreement", "rflo_gradient", "truncated_gradient"]

Float = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Agreement(ByValue):
    """How an approximate gradient g compares with the exact gradient G.

    Attributes
    ----------
    angle : float
        The angle between g and G in radians; NaN if one of them is zero.
    norm_ratio : float
        ‖g‖/‖G‖; NaN if G is zero.

    Examples
    --------
    >>> import math
    >>> from sensitivity import agreement
    >>> found = agreement([1.0, 1.0], [0.0, 2.0])
    >>> round(math.degrees(found.angle), 6), round(found.norm_ratio, 6)
    (45.0, 0.707107)
    """

    angle: float
    norm_ratio: float

    def __repr__(self) -> str:
        return f"<Agreement: {math.degrees(self.angle):.4g}° off, {self.norm_ratio:.4g} of the length>"


def agreement(approximate: ArrayLike, exact: ArrayLike) -> Agreement:
    """The angle between two gradients and the ratio of their norms.

    Parameters
    ----------
    approximate, exact : array_like, same shape
        The gradient g that is judged, and the exact gradient G.

    Returns
    -------
    Agreement

    Raises
    ------
    ValueError, TypeError
        If the shapes differ or an entry is not a finite real number.

    Notes
    -----
    With the unit vectors u = g/‖g‖ and v = G/‖G‖ the angle is 2 atan2(‖u − v‖, ‖u + v‖). It is accurate also
    near 0 and π, where arccos(u·v) loses half of the digits.

    Examples
    --------
    >>> from sensitivity import agreement
    >>> agreement([1.0, 1.0], [0.0, 2.0])
    <Agreement: 45° off, 0.7071 of the length>
    """
    g, G = (
        as_array(v, name, tuple(range(33))) for v, name in ((approximate, "approximate"), (exact, "exact"))
    )
    if g.shape != G.shape:
        raise ValueError(
            f"approximate has shape {g.shape} and exact {G.shape}; they must be of one shape, entry by entry."
        )
    # Near 1, by powers of two, so that no square leaves float64.
    bits = [int(np.frexp(np.abs(v).max(initial=0.0))[1]) for v in (g, G)]
    g, G = (np.ldexp(v.ravel(), -shift) for v, shift in zip((g, G), bits, strict=True))
    sizes = [float(frobenius_norm(v[None])) for v in (g, G)]
    if 0.0 in sizes:
        return Agreement(math.nan, 0.0 if sizes[1] else math.nan)
    u, v = g / sizes[0], G / sizes[1]
    apart, together = (float(frobenius_norm(w[None])) for w in (u - v, u + v))
    angle = 2.0 * math.atan2(apart, together)
    return Agreement(angle, float(from_scaled(sizes[0] / sizes[1], bits[0] - bits[1])))


def _of_every_state(run: Recurrence, cotangents: ArrayLike) -> Float:
    """∂C/∂s_i, checked, shape (*batch, N + 1, D)."""
    if not isinstance(run, Recurrence) or run.cell is None:
        raise TypeError(
            "run must be an unrolled cell, unroll(cell, inputs=…), since pieces of a run are defined for "
            f"cells only, got {shown(run)}."
        )
    given = as_array(cotangents, "cotangents", len(run.shape) + 2)
    wanted = (*run.shape, run.n_steps + 1, run.cell.dim)
    if given.shape != wanted:
        raise ValueError(f"cotangents has shape {given.shape}; this run asks for {wanted}.")
    return given


def truncated_gradient(run: Recurrence, cotangents: ArrayLike, window: int) -> Float:
    """Backpropagation truncated at every `window` steps: ∂C/∂θ with the state taken as constant there.

    Parameters
    ----------
    run : Recurrence
    cotangents : array_like, shape (*batch, N + 1, D)
        ∂C/∂s_i, as for `Recurrence.backpropagate`.
    window : int
        Steps of a piece; window ≥ N gives the exact gradient.

    Returns
    -------
    ndarray, shape (F,)
        By the free parameters, as `Recurrence.backpropagate`.

    Raises
    ------
    TypeError
        For a field under a scheme, whose kicks at the end of a piece belong to two steps.
    ValueError
        For a cell that counts its steps (Nesterov's), unless every piece begins where its count does: a piece
        would be another recurrence.

    Examples
    --------
    >>> import numpy as np
    >>> import leapgrad as lg
    >>> run = lg.unroll(lg.cell("vanilla", 4, 2), inputs=np.ones((20, 2)))
    >>> loss = run.states()
    >>> exact = run.backpropagate(loss).theta
    >>> truncated = lg.truncated_gradient(run, loss, window=5)
    >>> truncated.shape == exact.shape, lg.agreement(truncated, exact).angle > 0
    (True, True)
    >>> bool(np.allclose(lg.truncated_gradient(run, loss, window=20), exact))
    True
    """
    given = _of_every_state(run, cotangents)
    window, N = as_count(window, "window", least=1), run.n_steps
    pieces = [(start, min(start + window, N)) for start in range(0, N, window)]
    clock = run.cell.clock(N)
    if any(not np.array_equal(run.cell.clock(stop - start), clock[start:stop]) for start, stop in pieces):
        raise ValueError(
            f"{run.cell.name} counts its steps, so that a piece of {window} is another recurrence; take a "
            f"window of {N} or more, or a multiple of the steps between two restarts."
        )
    states, total = run.states(), np.zeros(run.cell.free.size)
    for start, stop in pieces:
        own = given[..., start : stop + 1, :].copy()
        own[..., 0, :] = 0.0  # what reaches the first state goes no further
        total += run.piece(states[..., start, :], start, stop).backpropagate(own).theta
    return total


def rflo_gradient(run: Recurrence, cotangents: ArrayLike) -> Float:
    """Murray's local rule for the leaky cell: ∂C/∂θ with (1 − 1/τ) I in place of every one-step Jacobian.

    Parameters
    ----------
    run : Recurrence
        Of a "leaky" cell.
    cotangents : array_like, shape (*batch, N + 1, D)
        ∂C/∂h_i. Murray feeds errors back by a fixed random matrix B; hand over B e_i for that.

    Returns
    -------
    ndarray, shape (F,)

    Notes
    -----
    With λ_i = ∂C/∂h_i and μ_i = λ_i + (1 − 1/τ) μ_{i+1} the gradient is Σ (1/τ) (μ_i ∘ σ'(a_i)) h_{i−1}ᵀ,
    the sum of λ_i against the eligibility traces of J. M. Murray, eLife 8 (2019) e43299.
    It is not a gradient of anything; `agreement` tells how far it is from one.

    Examples
    --------
    >>> import numpy as np
    >>> import leapgrad as lg
    >>> run = lg.unroll(lg.cell("leaky", 4, 2), inputs=np.ones((20, 2)))
    >>> loss = run.states()
    >>> lg.agreement(lg.rflo_gradient(run, loss), run.backpropagate(loss).theta).angle > 0
    True
    """
    given, cell = _of_every_state(run, cotangents), run.cell
    if cell.kind.name != "leaky" or cell.layout.layers > 1:
        raise ValueError(f"run is of {cell!r}, and RFLO is defined for the leaky cell with one layer.")
    given = given.reshape(run.members, -1, cell.dim)
    states = run.states().reshape(given.shape)
    x, h = run.drive(), run.steps[:, None]
    p = cell.parameters
    before = states[:, :-1]
    a = before @ p["W"].T + p["b"] + (x @ p["V"].T if cell.n_inputs else 0.0)
    names = {record.code: name for name, record in ACTIVATIONS.items()}
    slope = ACTIVATIONS[names[int(p["activation"])]].derivative(a)
    mu, weights = np.zeros_like(given[:, 0]), np.empty_like(before)
    for i in range(run.n_steps - 1, -1, -1):
        mu = given[:, i + 1] + (1.0 - h) * mu
        weights[:, i] = h * mu * slope[:, i]
    gradient = np.zeros(cell.theta.size)
    parts = cell.unpack(gradient)[0]
    parts["W"][...] = np.einsum("lni,lnj->ij", weights, before)
    parts["b"][...] = weights.sum(axis=(0, 1))
    if cell.n_inputs:
        parts["V"][...] = np.einsum(
            "lni,lnj->ij", weights, np.broadcast_to(x, (*weights.shape[:2], x.shape[-1]))
        )
    return cell.gradient_by_free(gradient)
