"""One oscillator ÿ = −A y − G ẏ of a state-space model: its step by each discretisation, and its run from any
start.

A step is written as it is published, as equations between the old and the new velocity and position; the
matrix M on (z, y) is their solution. A run is a pair of sequences Z(i), Y(i), so that a bound on |(Z, Y)| for
every start is a bound on ‖Mᴺ‖.
"""

from __future__ import annotations

from typing import Any

import sympy as sp

from proofs.kernel.formulas import AtMost
from proofs.majorant import N
from proofs.theorems.theorem_b import i

__all__ = ["SQUARE", "A", "G", "N", "Y", "Z", "dt", "i", "squared", "step_matrix", "x"]

A, dt = sp.symbols("A Delta", positive=True)
G = sp.Symbol("G", real=True)
Z, Y = sp.Function("Z", real=True), sp.Function("Y", real=True)
"""Velocity and position after i steps, from any start."""
x = sp.Symbol("x", real=True)
SQUARE = AtMost(0, x**2)
"""What is put in for x is a combination of velocity and position, whose square is not negative."""


def squared(index: Any) -> Any:
    """|(Z, Y)|² after that many steps."""
    return Z(index) ** 2 + Y(index) ** 2


def step_matrix(name: str, stiffness: Any = A, damping: Any = G, size: Any = dt) -> sp.Matrix:
    """M on (z, y), from the published equations of "im", "imex" or "damped" (implicit damping)."""
    z, y, new_z, new_y = sp.symbols("z y new_z new_y")
    force = {"im": -stiffness * new_y, "imex": -stiffness * y, "damped": -stiffness * y - damping * new_z}
    equations = [new_z - z - size * force[name], new_y - y - size * new_z]
    solution = sp.solve(equations, [new_z, new_y], dict=True)[0]
    return sp.Matrix([solution[new_z], solution[new_y]]).jacobian([z, y]).applyfunc(sp.cancel)
