"""The potential form of the neural field, −Wᵀ σ(W y + V x + b): a gradient for every W."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from integrators.codegen.compiled import kernel
from integrators.codegen.primitives import aligned_empty, flat, get, put
from integrators.codegen.product import add_outer, add_product
from integrators.singular_values import spectral_norm

from .field import KICK, KICK_ADJOINT, Field
from .named import named
from .neural import NeuralField, linearise

__all__ = ["PotentialField", "hamiltonian_potential"]


@kernel(KICK)
def potential_kick(theta, y, x, c, p, dy, dp):
    """p −= c Wᵀ σ(z); dp −= c Wᵀ σ'(z) W dy, with z = W y + V x + b."""
    d, m = y.shape
    k = dy.shape[1]
    work = aligned_empty(3 * d * m, theta.dtype).reshape((3, d * m))
    linearise(theta, theta[:0], y, x, work)
    s, ds, minus = work[0], work[1], work[2]
    for i in range(d):
        for q in range(m):
            put(minus, i * m + q, -c[q])
    add_product(theta, 0, 1, d, d, d, s, flat(p), m, m, minus, True)
    if k > 0:
        inner = np.zeros((d, k, m), theta.dtype)
        add_product(theta, 0, d, 1, d, d, flat(dy), flat(inner), k * m, m, ds, True)
        add_product(theta, 0, 1, d, d, d, flat(inner), flat(dp), k * m, m, minus, True)


@kernel(KICK_ADJOINT)
def potential_kick_adjoint(theta, y, x, c, lam_p, lam_y, grad_theta):
    """With μ = −c lam_p and g = σ' W μ: lam_y += Wᵀ g; ∂W += g yᵀ + σ μᵀ, ∂V += g xᵀ, ∂b += g."""
    d, m = y.shape
    k, n_inputs = lam_p.shape[1], x.shape[0]
    work = aligned_empty(3 * d * m, theta.dtype).reshape((3, d * m))
    linearise(theta, theta[:0], y, x, work)
    s, ds = work[0], work[1]
    mu, g = np.empty((d, k, m), theta.dtype), np.zeros((d, k, m), theta.dtype)
    for i in range(d):
        for r in range(k):
            for q in range(m):
                mu[i, r, q] = -c[q] * lam_p[i, r, q]
    ones = np.ones(d, theta.dtype)
    add_product(theta, 0, d, 1, d, d, flat(mu), flat(g), k * m, m, ds, True)
    add_product(theta, 0, 1, d, d, d, flat(g), flat(lam_y), k * m, m, ones, False)
    if grad_theta.size == 0:
        return
    v_start = d * d
    b_start = v_start + d * n_inputs
    g_sum, mu_sum = np.zeros(d * m, theta.dtype), np.zeros(d * m, theta.dtype)
    for i in range(d):
        for r in range(k):
            for q in range(m):
                g_sum[i * m + q] += g[i, r, q]
                mu_sum[i * m + q] += mu[i, r, q]
        for q in range(m):
            grad_theta[b_start + i] += get(g_sum, i * m + q)
    add_outer(g_sum, d, flat(y), d, m, grad_theta[:v_start], ones)
    add_outer(s, d, mu_sum, d, m, grad_theta[:v_start], ones)
    if n_inputs > 0:
        add_outer(g_sum, d, flat(x), n_inputs, m, grad_theta[v_start:b_start], ones)


class PotentialField(Field):
    """F(y, x) = −Wᵀ σ(W y + V x + b) = −∇_y Σ_i S((W y + V x + b)_i) with S' = σ.

    Parameters and attributes are those of `NeuralField`, but for ``lipschitz`` = sup|σ'| ‖W‖₂².

    Notes
    -----
    DF = −Wᵀ D(z) W is symmetric, so ÿ = F is a Hamiltonian system for every W, which σ(W y + b) of the paper
    is for symmetric D(z) W only; splitting schemes are then symplectic.

    Examples
    --------
    >>> import leapgrad as lg
    >>> field = lg.PotentialField(W=[[0.5, -0.25], [1.0, 0.125]], b=[0.25, -0.5])
    >>> force, slope = field.linearise([0.1, 0.2])
    >>> bool((slope == slope.T).all())
    True
    """

    def __init__(
        self, W: ArrayLike, b: ArrayLike, V: ArrayLike | None = None, activation: str = "tanh"
    ) -> None:
        inner = NeuralField(W, b, V, activation)
        self.W, self.V, self.b, self.activation = inner.W, inner.V, inner.b, inner.activation
        self.vectorised = True
        self.factor_bits = 2 * inner.factor_bits
        super().__init__(
            inner.dim,
            potential_kick,
            potential_kick_adjoint,
            inner.theta,
            n_inputs=inner.n_inputs,
            lipschitz=inner.activation.lipschitz * float(spectral_norm(inner.W)) ** 2,
            name=f"potential {inner.activation.name}",
        )

    @classmethod
    def random(
        cls, d: int, rng: int | np.random.Generator = 0, inputs: int = 0, activation: str = "tanh"
    ) -> PotentialField:
        """The paper's random set-up, see `NeuralField.random`."""
        field = NeuralField.random(d, rng, inputs, activation)
        return cls(field.W, field.b, field.V, activation)


@named("Rusch, Pearson, Zygalakis (2019)", PotentialField)
def hamiltonian_potential(
    d: int, n_inputs: int = 0, rng: int | np.random.Generator = 0, activation: str = "tanh"
) -> PotentialField:
    """The field −Wᵀ σ(W y + V x + b), with all weights uniform on (0, 1/d); see `PotentialField.random`."""
    return PotentialField.random(d, rng, n_inputs, activation)
