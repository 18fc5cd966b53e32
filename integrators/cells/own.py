"""A recurrence of your own: from compiled functions, or from SymPy expressions for one step.

To the common algebra (`integrators.cells.layout`) it is a cell of one neuron with D state blocks: its
pointwise rule is the whole map, and its parameters are the cell's vectors. So it gets Jacobians, norms,
profiles, spectra, gradients and members like any other, with a Jacobian of D × D entries a step.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numba.core.errors import NumbaError
from numpy.typing import ArrayLike, NDArray

from integrators.codegen.compiled import Kernel, first_reason, helper, user_function
from integrators.codegen.expressions import compiled, digest, prepared, source
from integrators.validation import as_array, as_count, as_name, as_vector

from .cell import Cell, Kind
from .check import check_cell
from .layout import POINT

__all__ = ["own_cell", "symbolic_cell"]

Float = NDArray[np.float64]


def own_cell(
    step: Any,
    slopes: Any,
    dim: int,
    theta: Mapping[str, float] | None = None,
    *,
    n_inputs: int = 0,
    name: str = "own",
    check_at: ArrayLike | None = None,
) -> Cell:
    """A cell s' = Φ(s, x; θ) from two functions of your own.

    Parameters
    ----------
    step : callable
        ``step(theta, s, x, out, by_state)``, plain or with ``@njit``. It fills out with Φ, shape (D, m), and
        by_state with ∂Φ_i/∂s_j, shape (D, D, m), for m batch members. The arguments are theta (P,), s (D, m)
        and x (n_inputs, m). `by_state` comes filled with zeros and `out` with NaN.
    slopes : callable
        ``slopes(theta, s, x, by_theta, by_input)``. It fills by_theta with ∂Φ_i/∂θ_p, shape (D, P, m), and
        by_input with ∂Φ_i/∂x_j, shape (D, n_inputs, m).
    dim : int
        D.
    theta : mapping, optional
        Parameters by name.
    n_inputs : int
        Length of the input.
    name : str
        Shown by ``repr`` and in messages.
    check_at : array_like, shape (D,), optional
        A state at which the slopes are checked; a random one by default.

    Returns
    -------
    Cell
        Its blocks are s0, …, s(D − 1). Its parameter V is the identity, through which the inputs enter.

    Raises
    ------
    ValueError
        If a slope is not the derivative of `step`; the message names the entry. The slopes are compared with
        complex steps through the Python function if it accepts complex numbers, and with differences
        otherwise.
    TypeError
        If an argument is not a function, or does not compile for these arguments, or raises an error.

    Examples
    --------
    >>> import numba
    >>> import leapgrad as lg
    >>> @numba.njit
    ... def step(theta, s, x, out, by_state):
    ...     for m in range(s.shape[1]):
    ...         out[0, m] = theta[0] * s[0, m] * (1 - s[0, m])
    ...         by_state[0, 0, m] = theta[0] * (1 - 2 * s[0, m])
    ...
    >>> @numba.njit
    ... def slopes(theta, s, x, by_theta, by_input):
    ...     for m in range(s.shape[1]):
    ...         by_theta[0, 0, m] = s[0, m] * (1 - s[0, m])
    ...
    >>> logistic = lg.own_cell(step, slopes, 1, {"r": 3.9}, check_at=[0.3])
    >>> lg.growth_exponents(lg.unroll(logistic, 4000, s0=[0.3]))[0].round(1)
    np.float64(0.5)
    """
    name = as_name(name)
    dim, n_inputs, values = as_count(dim, "dim", least=1), as_count(n_inputs, "n_inputs"), _named(theta)
    state = [f"s{i}" for i in range(dim)]
    own_step, own_slopes = _tried(name, (step, slopes), dim, n_inputs, values, check_at)
    point = _own_point(own_step, own_slopes, dim, n_inputs, len(values))
    everything = [f"input.{j}" for j in range(n_inputs)] + state + list(values)
    depends = {block: " ".join(everything) for block in state}
    cell = _cell(name, state, point, depends, values, n_inputs)
    check_cell(cell, check_at, own_step)
    return cell


def symbolic_cell(
    expressions: Any,
    y: Any,
    x: Any = (),
    parameters: Mapping[Any, float] | None = None,
    *,
    name: str = "symbolic",
    check_at: ArrayLike | None = None,
) -> Cell:
    """The recurrence y' = Φ(y, x; θ) whose step is given by SymPy expressions.

    Tangent, adjoint and the gradients by θ and x come from SymPy's differentiation and are compiled, and kept
    in the cache; entries of the Jacobian that are zero everywhere cost nothing.

    Parameters
    ----------
    expressions : sequence of SymPy expressions, length D
    y, x : sequence of Symbol
        Components of the state, in order, and of the input.
    parameters : mapping Symbol → float, optional
    name : str
    check_at : array_like, shape (D,), optional
        A state inside the domain of Φ.

    Returns
    -------
    Cell
        With a block for every component, of its name. Its parameter V is the identity, by which the inputs
        come in.

    Raises
    ------
    ValueError, TypeError
        As for `symbolic_field`.

    Examples
    --------
    >>> import sympy
    >>> import leapgrad as lg
    >>> u, v, a, b = sympy.symbols("u v a b")
    >>> henon = lg.symbolic_cell([1 - a * u**2 + v, b * u], [u, v], parameters={a: 1.4, b: 0.3}, name="Hénon")
    >>> henon.step([0.5, 0.1])
    array([0.75, 0.15])
    """
    name = as_name(name)
    found = prepared(expressions, y, x, parameters, "recurrence")
    dim, n_inputs = len(found.state), len(found.drive)
    by_state, by_theta, by_input = map(found.derivatives, (found.state, found.constants, found.drive))
    sources = (
        source("step", found.symbols, dim, {"out": found.values, "by_state": by_state}),
        source("slopes", found.symbols, dim, {"by_theta": by_theta, "by_input": by_input}),
    )
    state, constants = found.names[:dim], found.names[dim + n_inputs :]
    own_name = f"{re.sub(r'[^0-9A-Za-z]+', '_', name)}_{digest(sources)}_point"
    rows = zip(*(_rows(part, dim) for part in (by_input, by_state, by_theta)), strict=True)
    locals_ = [f"input.{j}" for j in range(n_inputs)] + state + constants
    depends = {
        block: " ".join(
            local
            for local, slope in zip(locals_, [e for part in row for e in part], strict=True)
            if slope != 0
        )
        for block, row in zip(state, rows, strict=True)
    }
    moving = {*found.state, *found.drive}
    cell = _cell(
        name,
        state,
        _symbolic_point(sources, own_name, dim, n_inputs, len(constants)),
        depends,
        dict(zip(constants, found.theta, strict=True)),
        n_inputs,
        linear=not any(slope.free_symbols & moving for slope in by_state),
    )
    try:
        check_cell(cell, check_at)
    except NumbaError as error:
        reason = first_reason(error)
        raise ValueError(f"{name}: the expressions do not compile to real functions: {reason}") from error
    return cell


def _tried(
    name: str,
    given: tuple[Any, Any],
    dim: int,
    n_inputs: int,
    theta: Mapping[str, float],
    at: ArrayLike | None,
) -> list[Any]:
    """The two functions of `own_cell`, called once for two members: they compile and fill all of Φ."""
    rng = np.random.default_rng(2019)
    s = np.repeat(
        (rng.normal(size=dim) if at is None else as_vector(at, "check_at", dim))[:, None], 2, axis=1
    )
    inputs = np.array([*theta.values()]), s, rng.normal(size=(n_inputs, 2))
    out = np.full((dim, 2), np.nan)
    step = user_function(given[0], (*inputs, out, np.zeros((dim, dim, 2))), "step")
    by_both = np.zeros((dim, len(theta), 2)), np.zeros((dim, n_inputs, 2))
    slopes = user_function(given[1], (*inputs, *by_both), "slopes")
    missing = np.argwhere(~np.isfinite(out))
    if missing.size:
        i, q = missing[0]
        raise ValueError(
            f"{name}: step gives no finite out[{i}, {q}] at s = {s[:, 0]}; it must fill out for every "
            "component and every member, or pass check_at=, a state of its domain."
        )
    return [step, slopes]


def _named(theta: Any) -> dict[str, float]:
    """The parameters of `own_cell`, checked."""
    try:
        values: dict[Any, Any] = {} if theta is None else dict(theta)
        if isinstance(theta, str):
            raise TypeError
    except (TypeError, ValueError):
        values = {None: 0.0}
    if not all(isinstance(name, str) for name in values):
        raise TypeError(f'theta must be a mapping of names to numbers, such as {{"r": 3.9}}; got {theta!r}.')
    return {name: float(as_array(value, f"theta[{name!r}]", 0)) for name, value in values.items()}


def _rows(entries: Sequence[Any], dim: int) -> list[Sequence[Any]]:
    """D rows of entries that were listed row by row."""
    width = len(entries) // dim
    return [entries[i * width : (i + 1) * width] for i in range(dim)]


def _own_point(step: Any, slopes: Any, D: int, n: int, P: int) -> Kernel:
    point = _point(helper(step), helper(slopes), D, n, P)
    return Kernel(point, POINT, cached=False, recipe=(_own_point, step, slopes, D, n, P))


@lru_cache(maxsize=64)
def _symbolic_point(sources: tuple[str, str], name: str, D: int, n: int, P: int) -> Kernel:
    point = _point(compiled(sources[0]), compiled(sources[1]), D, n, P)
    point.__name__ = point.__qualname__ = name
    return Kernel(point, POINT, recipe=(_symbolic_point, sources, name, D, n, P))


def _point(step: Any, slopes: Any, D: int, n: int, P: int) -> Any:
    """The pointwise kernel: locals are the inputs, the state, the parameters."""

    def point(constants, v, out, by):
        m = v.shape[1]
        theta, x, s = np.empty(P), np.empty((n, m)), np.empty((D, m))
        for p in range(P):
            theta[p] = v[n + D + p, 0]
        for q in range(m):
            for j in range(n):
                x[j, q] = v[j, q]
            for j in range(D):
                s[j, q] = v[n + j, q]
        out[:] = np.nan  # where the step leaves something out
        by_state, by_theta, by_input = np.zeros((D, D, m)), np.zeros((D, P, m)), np.zeros((D, n, m))
        step(theta, s, x, out, by_state)
        slopes(theta, s, x, by_theta, by_input)
        for i in range(D):
            for q in range(m):
                for j in range(n):
                    by[i, j, q] = by_input[i, j, q]
                for j in range(D):
                    by[i, n + j, q] = by_state[i, j, q]
                for j in range(P):
                    by[i, n + D + j, q] = by_theta[i, j, q]

    return point


def _cell(
    name: str,
    state: Sequence[str],
    point: Kernel,
    depends: Mapping[str, str],
    theta: Mapping[str, float],
    n_inputs: int,
    linear: bool = False,
) -> Cell:
    names = [*state, *theta, *(("V",) if n_inputs else ())]
    for own in names:
        if names.count(own) > 1:
            owner = "the input matrix" if own == "V" else "the state" if own in state else "another"
            raise ValueError(f"{name}: the name {own!r} is taken by {owner}; rename that component.")
        if len(own.split()) != 1 or own.startswith("input."):
            raise ValueError(
                f"{name}: the name {own!r} is empty, has blanks or begins with 'input.'; rename it."
            )
    kind = Kind(
        name=name,
        state=tuple(state),
        rows=tuple(f"input.{j}" for j in range(n_inputs)),
        point=point,
        depends=depends,
        recurrent=0,
        biases=(0, 0),
        vectors=tuple(theta),
        linear=linear,
        fixed=("V",),
        reference="a recurrence of your own",
    )
    given: dict[str, ArrayLike] = {key: [float(value)] for key, value in theta.items()}
    if n_inputs:
        given["V"] = np.eye(n_inputs)
    return Cell(kind, 1, n_inputs, [given])
