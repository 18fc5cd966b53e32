"""An unspecified smooth activation as SymPy functions that know each other's derivatives.

``primitive' = sigma`` and ``sigma' = dsigma``: the chain rule then gives closed expressions with
``dsigma(u)`` in them.
"""

from __future__ import annotations

from typing import Any

import sympy as sp


class ActivationSymbol(sp.Function):
    """Common base: one real argument, real value."""

    nargs = 1
    is_real = True


class ddsigma(ActivationSymbol):
    """Second derivative σ''."""


class dsigma(ActivationSymbol):
    """Derivative σ'."""

    def fdiff(self, argindex: int = 1) -> Any:
        return ddsigma(self.args[0])


class sigma(ActivationSymbol):
    """Activation σ."""

    def fdiff(self, argindex: int = 1) -> Any:
        return dsigma(self.args[0])


class primitive(ActivationSymbol):
    """A primitive of σ."""

    def fdiff(self, argindex: int = 1) -> Any:
        return sigma(self.args[0])


class Jet(sp.Function):
    """Partial derivative of an unspecified potential U of two variables: Jet(m, n, x, y) = ∂ᵐ⁺ⁿU/∂xᵐ∂yⁿ."""

    nargs = 4
    is_real = True

    def fdiff(self, argindex: int = 1) -> Any:
        m, n, x, y = self.args
        return Jet(m + (argindex == 3), n + (argindex == 4), x, y) if argindex >= 3 else sp.Integer(0)


def vector(name: str, d: int) -> sp.Matrix:
    """Real symbols name0, name1, … as a column."""
    return sp.Matrix([sp.Symbol(f"{name}{k}", real=True) for k in range(d)])


def square(name: str, d: int) -> sp.Matrix:
    """Real symbols as a d×d matrix."""
    return sp.Matrix(d, d, lambda i, j: sp.Symbol(f"{name}{i}{j}", real=True))
