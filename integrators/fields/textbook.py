"""Textbook fields: harmonic oscillator, pendulum, Hénon–Heiles, Kepler; and the callbacks for small fields.

A field of few components is written as one `@helper` that fills F and DF for all members, and one that fills
∂F/∂θ; `callbacks` makes the kick and its adjoint of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from integrators.codegen.compiled import Kernel, helper
from integrators.codegen.primitives import fma
from integrators.validation import as_array

from .field import KICK, KICK_ADJOINT, Field, Float
from .named import named

__all__ = ["ConservativeField", "callbacks", "harmonic", "henon_heiles", "kepler", "pendulum"]


def callbacks(linearise: Any, by_theta: Any, name: str) -> tuple[Kernel, Kernel]:
    """The kick and the kick's adjoint of a field, from two helpers.

    Parameters
    ----------
    linearise : helper
        ``linearise(theta, y, x, force, jacobian)`` fills F, shape (d, m), and DF = ∂F_i/∂y_j, shape
        (d, d, m), for m members.
    by_theta : helper
        ``by_theta(theta, y, x, slopes)`` fills ∂F_i/∂θ_j, shape (d, P, m).
    name : str
        Names the kernels and their cache files; two fields of one name displace each other in the cache.
    """

    def kick(theta, y, x, c, p, dy, dp):
        """p += c F(y, x); dp += c DF(y, x) dy."""
        d, m = y.shape
        force, jacobian = np.empty((d, m), y.dtype), np.empty((d, d, m), y.dtype)
        linearise(theta, y, x, force, jacobian)
        for i in range(d):
            for q in range(m):
                p[i, q] = fma(c[q], force[i, q], p[i, q])
            for j in range(d):
                for q in range(m):
                    jacobian[i, j, q] *= c[q]
                for r in range(dy.shape[1]):
                    for q in range(m):
                        dp[i, r, q] = fma(jacobian[i, j, q], dy[j, r, q], dp[i, r, q])

    def kick_adjoint(theta, y, x, c, lam_p, lam_y, grad_theta):
        """lam_y += c DFᵀ lam_p; grad_theta += c (∂F/∂θ)ᵀ lam_p."""
        d, m = y.shape
        n = grad_theta.size
        force, jacobian = np.empty((d, m), y.dtype), np.empty((d, d, m), y.dtype)
        slopes = np.empty((d, n, m), y.dtype)
        linearise(theta, y, x, force, jacobian)
        if n > 0:
            by_theta(theta, y, x, slopes)
        for i in range(d):
            for r in range(lam_p.shape[1]):
                for j in range(d):
                    for q in range(m):
                        lam_y[j, r, q] = fma(c[q] * jacobian[i, j, q], lam_p[i, r, q], lam_y[j, r, q])
                for j in range(n):
                    for q in range(m):
                        grad_theta[j] += c[q] * slopes[i, j, q] * lam_p[i, r, q]

    # The cache keeps one file per qualified name.
    kick.__name__ = kick.__qualname__ = f"{name}_kick"
    kick_adjoint.__name__ = kick_adjoint.__qualname__ = f"{name}_kick_adjoint"
    return Kernel(kick, KICK), Kernel(kick_adjoint, KICK_ADJOINT)


class ConservativeField(Field):
    """A field F = −∇U, which conserves the energy H(y, p) = |p|²/2 + U(y).

    The textbook fields `harmonic`, `pendulum`, `henon_heiles` and `kepler` return one.

    Parameters
    ----------
    dim : int
        d, the number of components of y.
    kernels : tuple of two kernels
        The kick and its adjoint, see `Field`.
    theta : sequence of float, length P
        Parameters of the field.
    potential : callable
        U: an array of shape (d, …) → an array of shape (…).
    lipschitz : float, optional
        A bound on sup ‖DF‖₂ over all y, where one is known.
    name : str
        Shown by ``repr`` and in messages.

    Examples
    --------
    >>> import leapgrad as lg
    >>> field = lg.pendulum()
    >>> run = lg.integrate(field, "leapfrog", [1.0], [0.0], step=0.1, n_steps=100)
    >>> energy = field.energy(run.y, run.p)
    >>> energy.shape, energy[0].round(4), energy[-1].round(4)
    ((101,), np.float64(0.4597), np.float64(0.4597))
    """

    def __init__(
        self,
        dim: int,
        kernels: tuple[Kernel, Kernel],
        theta: Sequence[float],
        potential: Callable[[Float], Any],
        *,
        lipschitz: float | None = None,
        name: str,
    ) -> None:
        kick, kick_adjoint = kernels
        super().__init__(dim, kick, kick_adjoint, theta, lipschitz=lipschitz, name=name)
        self._potential = potential

    def energy(self, y: ArrayLike, p: ArrayLike) -> Float:
        """H(y, p) = |p|²/2 + U(y) for arrays of shape (…, d); shape (…).

        Raises
        ------
        ValueError, TypeError
            If the last axis of y or p is not of length d, naming it, or an entry is complex.
        """
        position, momentum = self._of_points(y, "y"), self._of_points(p, "p")
        kinetic = 0.5 * (momentum * momentum).sum(axis=-1)
        return kinetic + self._potential(np.moveaxis(position, -1, 0))

    def _of_points(self, value: ArrayLike, argument: str) -> Float:
        """An array of shape (…, d). States that overflowed stay inf or NaN."""
        array = np.asarray(value)
        if array.dtype.kind not in "fiu":
            raise TypeError(f"{argument} has dtype {array.dtype}; pass real numbers (float64).")
        if array.ndim == 0 or array.shape[-1] != self.dim:
            raise ValueError(
                f"{argument} has shape {array.shape}; its last axis must have length d = {self.dim}."
            )
        return array.astype(np.float64, copy=False)


@helper
def _linearise_harmonic(theta, y, x, force, jacobian):
    stiffness = theta[0] * theta[0]
    for q in range(y.shape[1]):
        force[0, q] = -stiffness * y[0, q]
        jacobian[0, 0, q] = -stiffness


@helper
def _harmonic_by_theta(theta, y, x, slopes):
    for q in range(y.shape[1]):
        slopes[0, 0, q] = -2.0 * theta[0] * y[0, q]


@helper
def _linearise_pendulum(theta, y, x, force, jacobian):
    stiffness = theta[0] * theta[0]
    for q in range(y.shape[1]):
        force[0, q] = -stiffness * math.sin(y[0, q])
        jacobian[0, 0, q] = -stiffness * math.cos(y[0, q])


@helper
def _pendulum_by_theta(theta, y, x, slopes):
    for q in range(y.shape[1]):
        slopes[0, 0, q] = -2.0 * theta[0] * math.sin(y[0, q])


@helper
def _linearise_henon_heiles(theta, y, x, force, jacobian):
    coupling = theta[0]
    for q in range(y.shape[1]):
        u, v = y[0, q], y[1, q]
        force[0, q] = -u - 2.0 * coupling * u * v
        force[1, q] = -v - coupling * (u * u - v * v)
        jacobian[0, 0, q] = -1.0 - 2.0 * coupling * v
        jacobian[0, 1, q] = -2.0 * coupling * u
        jacobian[1, 0, q] = -2.0 * coupling * u
        jacobian[1, 1, q] = -1.0 + 2.0 * coupling * v


@helper
def _henon_heiles_by_theta(theta, y, x, slopes):
    for q in range(y.shape[1]):
        u, v = y[0, q], y[1, q]
        slopes[0, 0, q] = -2.0 * u * v
        slopes[1, 0, q] = v * v - u * u


@helper
def _linearise_kepler(theta, y, x, force, jacobian):
    mu = theta[0]
    for q in range(y.shape[1]):
        u, v = y[0, q], y[1, q]
        square = u * u + v * v
        w = mu / (square * math.sqrt(square))
        force[0, q] = -w * u
        force[1, q] = -w * v
        mixed = 3.0 * w * u * v / square
        jacobian[0, 0, q] = w * (2.0 * u * u - v * v) / square
        jacobian[0, 1, q] = mixed
        jacobian[1, 0, q] = mixed
        jacobian[1, 1, q] = w * (2.0 * v * v - u * u) / square


@helper
def _kepler_by_theta(theta, y, x, slopes):
    for q in range(y.shape[1]):
        u, v = y[0, q], y[1, q]
        square = u * u + v * v
        w = 1.0 / (square * math.sqrt(square))
        slopes[0, 0, q] = -w * u
        slopes[1, 0, q] = -w * v


def _harmonic_potential(frequency, y):
    return 0.5 * frequency**2 * y[0] ** 2


def _pendulum_potential(frequency, y):
    return 2.0 * frequency**2 * np.sin(0.5 * y[0]) ** 2


def _henon_heiles_potential(strength, y):
    return 0.5 * (y[0] ** 2 + y[1] ** 2) + strength * (y[0] ** 2 * y[1] - y[1] ** 3 / 3.0)


def _kepler_potential(strength, y):
    return -strength / np.hypot(y[0], y[1])


# Under the names of their functions, by which they are found again when they are unpickled.
harmonic_kick, harmonic_kick_adjoint = callbacks(_linearise_harmonic, _harmonic_by_theta, "harmonic")
pendulum_kick, pendulum_kick_adjoint = callbacks(_linearise_pendulum, _pendulum_by_theta, "pendulum")
henon_heiles_kick, henon_heiles_kick_adjoint = callbacks(
    _linearise_henon_heiles, _henon_heiles_by_theta, "henon_heiles"
)
kepler_kick, kepler_kick_adjoint = callbacks(_linearise_kepler, _kepler_by_theta, "kepler")


@named("textbook")
def harmonic(omega: float = 1.0) -> ConservativeField:
    """The harmonic oscillator ÿ = −ω² y, with y(t) = y_0 cos ωt + (p_0/ω) sin ωt; U = ω² y²/2.

    Parameters
    ----------
    omega : float
        ω, the one entry of ``theta``.

    Examples
    --------
    >>> import numpy as np
    >>> import leapgrad as lg
    >>> run = lg.integrate(lg.harmonic(2.0), "kahan_li8", [1.0], [0.0], step=0.1, n_steps=10)
    >>> bool(np.allclose(run.y[:, 0], np.cos(2.0 * run.t), atol=1e-9))
    True
    """
    frequency = float(as_array(omega, "omega", 0))
    field = ConservativeField(
        1,
        (harmonic_kick, harmonic_kick_adjoint),
        [frequency],
        partial(_harmonic_potential, frequency),
        lipschitz=frequency**2,
        name="harmonic",
    )
    field.constant_jacobian = True
    return field


@named("textbook")
def pendulum(omega: float = 1.0) -> ConservativeField:
    """The pendulum ÿ = −ω² sin y; U = ω² (1 − cos y).

    Parameters
    ----------
    omega : float
        ω, the frequency of small swings; the one entry of ``theta``.

    Examples
    --------
    >>> import leapgrad as lg
    >>> lg.pendulum().force([0.5]).round(6)
    array([-0.479426])
    """
    frequency = float(as_array(omega, "omega", 0))
    return ConservativeField(
        1,
        (pendulum_kick, pendulum_kick_adjoint),
        [frequency],
        partial(_pendulum_potential, frequency),
        lipschitz=frequency**2,
        name="pendulum",
    )


@named("M. Hénon, C. Heiles, Astron. J. 69 (1964) 73–79")
def henon_heiles(coupling: float = 1.0) -> ConservativeField:
    """The Hénon–Heiles field, −∇U with U = (u² + v²)/2 + λ (u² v − v³/3) [1]_.

    Parameters
    ----------
    coupling : float
        λ, the one entry of ``theta``. With λ = 1 orbits below the energy 1/6 stay bounded.

    References
    ----------
    .. [1] M. Hénon, C. Heiles, Astron. J. 69 (1964) 73–79, eq. (11).

    Examples
    --------
    >>> import leapgrad as lg
    >>> lg.henon_heiles().energy([0.3, 0.1], [0.0, 0.2]).round(6)
    np.float64(0.078667)
    """
    strength = float(as_array(coupling, "coupling", 0))
    return ConservativeField(
        2,
        (henon_heiles_kick, henon_heiles_kick_adjoint),
        [strength],
        partial(_henon_heiles_potential, strength),
        name="henon_heiles",
    )


@named("textbook")
def kepler(mu: float = 1.0) -> ConservativeField:
    """Kepler's problem in the plane, ÿ = −μ y/|y|³; U = −μ/|y|. The origin is singular.

    Parameters
    ----------
    mu : float
        μ, the one entry of ``theta``.

    Examples
    --------
    >>> import leapgrad as lg
    >>> run = lg.integrate(lg.kepler(), "yoshida4", [1.0, 0.0], [0.0, 1.0], step=0.01, n_steps=100)
    >>> run.y[-1].round(4)
    array([0.5403, 0.8415])
    """
    strength = float(as_array(mu, "mu", 0))
    return ConservativeField(
        2, (kepler_kick, kepler_kick_adjoint), [strength], partial(_kepler_potential, strength), name="kepler"
    )
