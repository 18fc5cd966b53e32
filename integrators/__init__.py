"""Fields, schemes and the compiled drivers that carry states, tangents and adjoints.

>>> from integrators import NeuralField, integrate
>>> trajectory = integrate(NeuralField.random(10), "leapfrog", None, None, step=1e-3, n_steps=1000)
"""

from . import main_interpreter as main_interpreter
from .cells.cell import Cell
from .cells.kind import Kind
from .cells.own import own_cell, symbolic_cell
from .cells.structure import Joint, Structure
from .fields.activations import ACTIVATIONS, Activation
from .fields.field import Field
from .fields.neural import NeuralField
from .fields.potential import PotentialField
from .fields.symbolic import symbolic_field
from .fields.textbook import harmonic, henon_heiles, kepler, pendulum
from .run.problem import TrajectoryOverflow
from .run.solve import Trajectory, integrate
from .schemes.table import SCHEMES, Scheme, get_scheme, register

__all__ = [
    "ACTIVATIONS",
    "SCHEMES",
    "Activation",
    "Cell",
    "Field",
    "Joint",
    "Kind",
    "NeuralField",
    "PotentialField",
    "Scheme",
    "Structure",
    "Trajectory",
    "TrajectoryOverflow",
    "get_scheme",
    "harmonic",
    "henon_heiles",
    "integrate",
    "kepler",
    "own_cell",
    "pendulum",
    "register",
    "symbolic_cell",
    "symbolic_field",
]

DISTRIBUTION = "leapgrad"
"""Whose package this is; other projects have packages of this name."""
