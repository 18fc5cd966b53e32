"""Right-hand sides F of ÿ = F(y, x) (or ẏ = F(y, x)): a flat parameter vector and two compiled callbacks.

``kick(theta, y, x, c, p, dy, dp)``
    p += c F(y, x), and for every tangent column dp += c DF(y, x) dy.
``kick_adjoint(theta, y, x, c, lam_p, lam_y, grad_theta)``
    lam_y += c DF(y, x)ᵀ lam_p, and grad_theta += c (∂F/∂θ)ᵀ lam_p summed over columns and members
    (nothing, if `grad_theta` is empty).

The member axis is last and contiguous: y, p (d, m); x (n_inputs, m); c (m,), the kick weight times each
member's step; dy, dp, lam_p, lam_y (d, k, m). Every field has these two signatures, so drivers are compiled
once and take any field as an argument.

The stage of any field is a kick by its callback and the drift after it. The state of a splitting, and of the
explicit form, is (y, p) with d components each; that of a first-order scheme is y. What goes to the tape is y
at the kick, d rows.
"""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

import numpy as np
from numba import types
from numpy.typing import ArrayLike, NDArray

from integrators.codegen.array_types import COLUMNS, COUNTS, MATRIX, VECTOR
from integrators.codegen.compiled import Callback, Kernel, helper, inlined, kernel, user_kernel
from integrators.codegen.primitives import copy_into, flat, fma, get, put
from integrators.engine.drivers import (
    BLOCK,
    KEEP,
    REPLAY,
    RUN,
    TAPS,
    one_by_one,
    sweep_backward,
    sweep_forward,
)
from integrators.engine.program import FIRST_ORDER, SPLITTING
from integrators.naming import shown
from integrators.validation import as_array, as_count, as_name, as_vector
from integrators.values import ByValue

__all__ = [
    "BACKWARD",
    "FORWARD",
    "KICK",
    "KICK_ADJOINT",
    "Field",
    "as_field",
    "drift",
    "halves",
    "kicks_backward",
    "kicks_forward",
    "spare_rows",
]

Float = NDArray[np.float64]


_I = types.int64
KICK = types.void(VECTOR, MATRIX, MATRIX, VECTOR, MATRIX, COLUMNS, COLUMNS)
KICK_ADJOINT = types.void(VECTOR, MATRIX, MATRIX, VECTOR, COLUMNS, COLUMNS, VECTOR)
FORWARD = types.void(Callback(KICK), VECTOR, VECTOR, RUN, BLOCK, COLUMNS, COLUMNS, _I, _I)
BACKWARD = types.void(
    Callback(KICK_ADJOINT), VECTOR, VECTOR, RUN, COLUMNS, COLUMNS, COUNTS, VECTOR, TAPS, _I, _I
)


@helper
def drift(c, p, y):
    """y += c p for flat columns, members last; c as filled by `drivers.weights_and_factors`."""
    width = c.size
    whole = y.size - y.size % width
    for start in range(0, whole, width):
        for q in range(width):
            put(y, start + q, fma(c[q], get(p, start + q), get(y, start + q)))
    for q in range(y.size - whole):
        put(y, whole + q, fma(c[q], get(p, whole + q), get(y, whole + q)))


@inlined
def spare_rows(form, D):
    """A splitting acts in place; the other forms need the old state, or its half p."""
    return 0 if form == SPLITTING else D if form == FIRST_ORDER else D // 2


@inlined
def kick_workspace(layout, form, D, k, m, dtype):
    """The spare rows; kicks by a callback need no memory besides."""
    none = np.empty(0, dtype)
    return spare_rows(form, D), none, none


@inlined
def halves(form, state, columns):
    """(y, p, dy, dp); nothing in p and dp where the state is y alone."""
    d = state.shape[0] if form == FIRST_ORDER else state.shape[0] // 2
    return state[:d], state[d:], columns[:d], columns[d:]


@inlined
def push_kick(callback, second, layout, theta, operation, x, c, e, entry, parts, spare, spare_columns, work):
    """See `drivers`."""
    y, p, dy, dp = parts
    m = y.shape[1]
    if operation.weight != 0.0 and operation.tape == KEEP:
        copy_into(flat(y), flat(entry))
    replayed = operation.tape == REPLAY
    if operation.form == SPLITTING:
        if operation.weight != 0.0:
            callback(theta, entry if replayed else y, x, c[:m], p, dy, dp)
        if operation.drift != 0.0:
            drift(e, flat(p), flat(y))
            drift(e, flat(dp), flat(dy))
    elif operation.form == FIRST_ORDER:
        copy_into(flat(y), flat(spare))
        copy_into(flat(dy), flat(spare_columns))
        callback(theta, entry if replayed else spare, x, c[:m], y, spare_columns, dy)
    else:
        copy_into(flat(p), flat(spare))
        copy_into(flat(dp), flat(spare_columns))
        callback(theta, entry if replayed else y, x, c[:m], p, dy, dp)
        drift(e, flat(spare), flat(y))
        drift(e, flat(spare_columns), flat(dy))
    return False


@inlined
def pull_kick(
    callback, second, layout, theta, operation, x, c, e, entry, columns, spare, by_input, gradient, work
):
    """See `drivers`; the callback has no derivative by the input."""
    m = columns.shape[2]
    d = columns.shape[0] if operation.form == FIRST_ORDER else columns.shape[0] // 2
    lam_y, lam_p = columns[:d], columns[d:]
    if operation.form == SPLITTING:
        if operation.drift != 0.0:
            drift(e, flat(lam_y), flat(lam_p))
        if operation.weight != 0.0:
            callback(theta, entry, x, c[:m], lam_p, lam_y, gradient)
    elif operation.form == FIRST_ORDER:
        copy_into(flat(columns), flat(spare))
        callback(theta, entry, x, c[:m], spare, columns, gradient)
    else:
        copy_into(flat(lam_y), flat(spare))
        callback(theta, entry, x, c[:m], lam_p, lam_y, gradient)
        drift(e, flat(spare), flat(lam_p))
    return False


@kernel(FORWARD)
def kicks_forward(kick, theta, transposed, run, block, tape, nodes, start, stop):
    """`sweep_forward` of any field."""
    sweep_forward(
        push_kick, one_by_one, halves, kick_workspace, kick, 0, 0, theta, run, block, tape, nodes,
        start, stop,
    )  # fmt: skip


@kernel(BACKWARD)
def kicks_backward(
    kick_adjoint, theta, transposed, run, tape, columns, exponent, gradient, taps, start, stop
):
    """`sweep_backward` of any field."""
    sweep_backward(
        pull_kick, kick_workspace, kick_adjoint, 0, 0, theta, run, tape, columns, exponent,
        gradient, taps, start, stop,
    )  # fmt: skip


# What a kick of a user's own field may take: first calls are short and Ctrl-C acts, even if it is slow.
SECONDS_OF_A_KICK = 5e-6


class Field(ByValue):
    """A right-hand side F(y, x) of dimension d, given by two compiled callbacks.

    Parameters
    ----------
    dim : int
        d, the number of components of y.
    kick, kick_adjoint : callable
        ``@njit`` (or plain) functions with the signatures of the module's docstring.
    theta : array_like, shape (P,)
        Parameters, handed to both callbacks; new parameters need no new compilation.
    n_inputs : int
        Number of components of x; 0 for an autonomous field.
    lipschitz : float, optional
        A bound on sup ‖DF‖₂ over all y and x, where one is known. The bounds need it.
    name : str, optional
        Shown by ``repr`` and in messages; that of `kick` by default.
    check_at : array_like, shape (d,), optional
        Where the callbacks are compared with finite differences; a random point by default.

    Raises
    ------
    ValueError
        If a tangent or an adjoint does not agree with a finite difference of the kick.
    ValueError, TypeError
        If an argument makes no sense, or a callback does not compile.

    Examples
    --------
    >>> import numba
    >>> import leapgrad as lg
    >>> @numba.njit
    ... def kick(theta, y, x, c, p, dy, dp):
    ...     for m in range(y.shape[1]):
    ...         p[0, m] -= c[m] * theta[0] * y[0, m] ** 3
    ...         for k in range(dy.shape[1]):
    ...             dp[0, k, m] -= c[m] * 3 * theta[0] * y[0, m] ** 2 * dy[0, k, m]
    ...
    >>> @numba.njit
    ... def kick_adjoint(theta, y, x, c, lam_p, lam_y, grad_theta):
    ...     for m in range(y.shape[1]):
    ...         for k in range(lam_p.shape[1]):
    ...             lam_y[0, k, m] -= c[m] * 3 * theta[0] * y[0, m] ** 2 * lam_p[0, k, m]
    ...             if grad_theta.size:
    ...                 grad_theta[0] -= c[m] * y[0, m] ** 3 * lam_p[0, k, m]
    ...
    >>> spring = lg.Field(1, kick, kick_adjoint, theta=[2.0])
    >>> spring
    Field(kick, d=1)
    >>> spring.linearise([0.5])
    (array([-0.25]), array([[-1.5]]))
    >>> lg.jacobian(spring, "leapfrog", 0.1, 10, y0=[1.0]).round(6)
    array([[-0.686042]])
    """

    vectorised = False
    """Whether the callbacks are fastest on whole registers: of members, or of columns of a single member."""

    pads_one_column = True
    """Whether a single column goes through the products of many, with columns of zeros beside it."""

    constant_jacobian = False
    """Whether DF is the same everywhere, so that tangents outlive an overflow of the state."""

    decoupled = False
    """Whether neurons do not see one another, so that a Jacobian is one small matrix for each; of cells."""

    factor_bits = 0
    """By how many powers of two the largest number that columns are multiplied by differs from one."""

    def __init__(
        self,
        dim: int,
        kick: Any,
        kick_adjoint: Any,
        theta: ArrayLike = (),
        *,
        n_inputs: int = 0,
        lipschitz: float | None = None,
        name: str | None = None,
        check_at: ArrayLike | None = None,
    ) -> None:
        self.dim = as_count(dim, "dim", least=1)
        self.n_inputs = as_count(n_inputs, "n_inputs")
        # Kernels take writable arrays only (one signature); users see a read-only view.
        self.packed = np.zeros(0) if _empty(theta) else as_array(theta, "theta", 1)
        self.lipschitz = _bound(lipschitz)
        self.name = getattr(kick, "__name__", "field") if name is None else as_name(name)
        ours = isinstance(kick, Kernel) and isinstance(kick_adjoint, Kernel)
        self.kick = user_kernel(kick, KICK, "kick")
        self.kick_adjoint = user_kernel(kick_adjoint, KICK_ADJOINT, "kick_adjoint")
        # A field's own loops, where it can do better than to be called kick by kick (see `NeuralField`). They
        # may keep something cheaper than y on the tape for a replay, and read θ in another order, too.
        self.driver_forward, self.driver_backward = kicks_forward, kicks_backward
        # Loops that never call the callbacks get no address, so that these need not be compiled: those of a
        # `NeuralField` take six seconds.
        self.calls_kicks, self.condenses, self.transposed = True, False, np.zeros(0)
        if not ours:
            from .check import check_field

            check_field(self, check_at)

    @property
    def neurons(self) -> int:
        """Rows of the matrix that one evaluation multiplies with."""
        return self.dim

    @property
    def condensed_rows(self) -> int:
        """Rows of what `condenses` says."""
        return self.dim

    @property
    def cached_rows(self) -> int:
        """Rows of a column that one evaluation reads and writes: those of y and p."""
        return 2 * self.dim

    def seconds(self, k: int) -> float:
        """A rough estimate of the time of one evaluation with k columns, for one batch member."""
        d, unknown = self.dim, 0.0 if self.vectorised else SECONDS_OF_A_KICK
        return 2.0 * d * d * (k + 1) / 2e10 + 4e-9 * d + 2e-9 + unknown

    @property
    def theta(self) -> Float:
        """The flat parameter vector, read-only."""
        view = self.packed.view()
        view.flags.writeable = False
        return view

    def forward(self, theta: NDArray, *rest: Any) -> None:
        """`sweep_forward` with this field's stage: run, block, tape, nodes, and steps [start, stop).

        The arithmetic is that of `theta`.
        """
        driver, kick, transposed = self.driver_forward, self.kick, self.transposed
        if theta.dtype != transposed.dtype:
            driver, kick, transposed = self._narrowed(driver, kick)
        driver.entry(kick.pointer if self.calls_kicks else 0, theta, transposed, *rest)

    def backward(self, theta: NDArray, *rest: Any) -> None:
        """`sweep_backward` with this field's stage: run, tape, columns, exponent, gradient, taps, steps."""
        driver, kick_adjoint, transposed = self.driver_backward, self.kick_adjoint, self.transposed
        if theta.dtype != transposed.dtype:
            driver, kick_adjoint, transposed = self._narrowed(driver, kick_adjoint)
        driver.entry(kick_adjoint.pointer if self.calls_kicks else 0, theta, transposed, *rest)

    def _narrowed(self, driver: Kernel, kick: Kernel) -> tuple[Kernel, Kernel, NDArray]:
        """The same in float32, with Wᵀ."""
        narrow = np.float32
        return driver.for_dtype(narrow), kick.for_dtype(narrow), self.transposed.astype(narrow)

    def force(self, y: ArrayLike, x: ArrayLike | None = None) -> Float:
        """F(y, x) at one point: shapes (d,), (n_inputs,) → (d,)."""
        return self.linearise(y, x)[0]

    def linearise(self, y: ArrayLike, x: ArrayLike | None = None) -> tuple[Float, Float]:
        """F(y, x) and DF(y, x) = ∂F/∂y at one point: shapes (d,) and (d, d)."""
        d = self.dim
        point = as_vector(y, "y", d)[:, None]
        drive = as_vector(x, "x", self.n_inputs)[:, None]
        force, jacobian = np.zeros((d, 1)), np.zeros((d, d, 1))
        self.kick(self.packed, point, drive, np.ones(1), force, np.eye(d)[:, :, None].copy(), jacobian)
        return force[:, 0], jacobian[:, :, 0]

    def __repr__(self) -> str:
        driven = f", n_inputs={self.n_inputs}" if self.n_inputs else ""
        return f"{type(self).__name__}({self.name}, d={self.dim}{driven})"


def _empty(theta: Any) -> bool:
    """No parameters: () and [] are no array of numbers to NumPy where their type matters."""
    return isinstance(theta, (tuple, list)) and not theta


def _bound(lipschitz: Any) -> float | None:
    """A bound on a norm as a float, None where none is known."""
    if lipschitz is None:
        return None
    if isinstance(lipschitz, bool) or not isinstance(lipschitz, Real):
        raise TypeError(f"lipschitz must be a number, or None if no bound is known; got {shown(lipschitz)}.")
    try:
        bound = float(lipschitz)
    except OverflowError:
        bound = math.nan
    if not bound >= 0.0:
        raise ValueError(
            f"lipschitz must be at least 0, or None if no bound is known; got {shown(lipschitz)}."
        )
    return bound


def as_field(value: Any) -> Field:
    """The argument itself, or a TypeError that says what a field is."""
    if not isinstance(value, Field):
        raise TypeError(f"field must be a Field such as NeuralField, got {type(value).__name__}.")
    return value
