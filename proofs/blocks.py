"""Phase-space matrices of single flows, and schemes as exact lists of flows.

Two kinds of matrices are used. *Explicit* ones have symbols as entries and a given dimension. *Block* ones
are 2×2 matrices whose entries are non-commutative symbols: an identity between them holds for blocks of every
dimension.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import sympy as sp

from integrators.engine.program import Program
from integrators.schemes.table import SCHEMES, Scheme, is_built_in

Flow = tuple[str, Any]
"""``("drift", a)`` or ``("kick", b)``."""

eps = sp.Symbol("varepsilon", positive=True)


def block(name: str) -> sp.Symbol:
    """Return a symbol for a d×d block of unspecified d."""
    return sp.Symbol(name, commutative=False)


def drift(weight: Any, d: int = 1, step: Any = eps) -> sp.Matrix:
    """Tangent of y ← y + a ε p, explicit, shape (2d, 2d)."""
    return sp.Matrix(sp.BlockMatrix([[sp.eye(d), weight * step * sp.eye(d)], [sp.zeros(d), sp.eye(d)]]))


def kick(weight: Any, slope: Any, d: int = 1, step: Any = eps) -> sp.Matrix:
    """Tangent of p ← p + b ε F(y), with slope DF(y), explicit, shape (2d, 2d)."""
    G = slope if isinstance(slope, sp.MatrixBase) else sp.Matrix([[slope]])
    return sp.Matrix(sp.BlockMatrix([[sp.eye(d), sp.zeros(d)], [weight * step * G, sp.eye(d)]]))


def explicit_euler(slope: Any, d: int = 1, step: Any = eps) -> sp.Matrix:
    """Tangent of drift and kick both taken from the old state."""
    G = slope if isinstance(slope, sp.MatrixBase) else sp.Matrix([[slope]])
    return sp.Matrix(sp.BlockMatrix([[sp.eye(d), step * sp.eye(d)], [step * G, sp.eye(d)]]))


def omega(d: int = 1) -> sp.Matrix:
    """Return Ω = ((0, I), (−I, 0))."""
    return sp.Matrix(sp.BlockMatrix([[sp.zeros(d), sp.eye(d)], [-sp.eye(d), sp.zeros(d)]]))


@cache
def _exact(scheme: Scheme) -> tuple[Flow, ...]:
    program = Program.unrolled(scheme.form, *scheme.exact(), n_steps=1)
    return tuple((operation.stage, operation.weight) for operation in program)


def flows(scheme: str | Scheme) -> tuple[Flow, ...]:
    """Return the operations of one step with exact weights, in order, neighbours of one kind merged."""
    return _exact(SCHEMES[scheme] if isinstance(scheme, str) else scheme)


def splittings() -> tuple[str, ...]:
    """Names of all shipped schemes that are compositions of drifts and kicks."""
    return tuple(name for name in SCHEMES if is_built_in(name) and SCHEMES[name].form == "splitting")


def product(matrices: Sequence[sp.Matrix]) -> sp.Matrix:
    """Multiply tangents given in order of application (the first one acts first)."""
    total = sp.eye(matrices[0].rows)
    for matrix in matrices:
        total = (matrix * total).applyfunc(sp.expand)
    return total
