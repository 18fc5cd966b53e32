"""Fields, schemes and the compiled drivers that carry states, tangents and adjoints.

>>> from integrators import NeuralField, integrate
>>> trajectory = integrate(NeuralField.random(10), "leapfrog", None, None, step=1e-3, n_steps=1000)
"""

from . import main_interpreter as main_interpreter
from .activations import ACTIVATIONS, Activation
from .cells import Cell
from .fields import Field
from .kinds import Kind
from .neural import NeuralField
from .own_cell import own_cell, symbolic_cell
from .potential import PotentialField
from .problem import TrajectoryOverflow
from .schemes import SCHEMES, Scheme, get_scheme, register
from .solve import Trajectory, integrate
from .structure import Joint, Structure
from .symbolic import symbolic_field
from .textbook import harmonic, henon_heiles, kepler, pendulum

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
