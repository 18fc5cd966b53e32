"""Right-hand sides F of ÿ = F(y, x) (or ẏ = F(y, x)): a flat parameter vector and two compiled callbacks.

``kick(theta, y, x, c, p, dy, dp)``
    p += c F(y, x), and for every tangent column dp += c DF(y, x) dy.
``kick_adjoint(theta, y, x, c, lam_p, lam_y, grad_theta)``
    lam_y += c DF(y, x)ᵀ lam_p, and grad_theta += c (∂F/∂θ)ᵀ lam_p summed over columns and members
    (nothing, if `grad_theta` is empty).

The member axis is last and contiguous: y, p (d, m); x (n_inputs, m); c (m,), the kick weight times each
member's step; dy, dp, lam_p, lam_y (d, k, m). Every field has these two signatures, so drivers are compiled
once and take any field as an argument.
"""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from integrators.codegen.compiled import Kernel, user_kernel
from integrators.naming import shown
from integrators.validation import as_array, as_count, as_name, as_vector
from integrators.values import ByValue

from .stage import KICK, KICK_ADJOINT, kicks_backward, kicks_forward

__all__ = ["Field", "as_field"]

Float = NDArray[np.float64]


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
        self.condenses, self.transposed = False, np.zeros(0)
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
        driver, kick = (kernel.for_dtype(theta.dtype) for kernel in (self.driver_forward, self.kick))
        driver(kick, theta, self.transposed.astype(theta.dtype, copy=False), *rest)

    def backward(self, theta: NDArray, *rest: Any) -> None:
        """`sweep_backward` with this field's stage: run, tape, columns, exponent, gradient, taps, steps."""
        kernels = self.driver_backward, self.kick_adjoint
        driver, kick_adjoint = (kernel.for_dtype(theta.dtype) for kernel in kernels)
        driver(kick_adjoint, theta, self.transposed.astype(theta.dtype, copy=False), *rest)

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
