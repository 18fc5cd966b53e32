"""Fields, schemes and the compiled drivers that carry states, tangents and adjoints.

>>> from integrators import NeuralField, integrate
>>> trajectory = integrate(NeuralField.random(10), "leapfrog", None, None, step=1e-3, n_steps=1000)
"""

from . import main_interpreter as main_interpreter
from .cells.cell import Cell
from .cells.kind import Kind
from .cells.layout import POINT
from .cells.own import own_cell, symbolic_cell
from .cells.structure import Joint, Structure
from .codegen.compiled import kernel
from .fields.activations import ACTIVATIONS, TANH, Activation, activate
from .fields.field import Field
from .fields.neural import NeuralField
from .fields.potential import PotentialField
from .fields.symbolic import symbolic_field
from .fields.textbook import ConservativeField, harmonic, henon_heiles, kepler, pendulum
from .run.overflow import TrajectoryOverflow
from .run.solve import Trajectory, integrate
from .schemes.composition import composition, palindrome, symmetric
from .schemes.scheme import SCHEMES, Scheme, get_scheme
from .schemes.table import register

__all__ = [
    "ACTIVATIONS",
    "POINT",
    "SCHEMES",
    "TANH",
    "Activation",
    "Cell",
    "ConservativeField",
    "Field",
    "Joint",
    "Kind",
    "NeuralField",
    "PotentialField",
    "Scheme",
    "Structure",
    "Trajectory",
    "TrajectoryOverflow",
    "activate",
    "composition",
    "get_scheme",
    "harmonic",
    "henon_heiles",
    "integrate",
    "kepler",
    "kernel",
    "own_cell",
    "palindrome",
    "pendulum",
    "register",
    "symbolic_cell",
    "symbolic_field",
    "symmetric",
]

DISTRIBUTION = "leapgrad"
"""Whose package this is; other projects have packages of this name."""
