"""The falsifier: random cases, then an optimiser, both after a norm above its proved bound."""

from .cases import Trial
from .cell_cases import CellTrial
from .search import FalsifierReport, Worst, falsify
from .targets import CELL_TARGETS, TARGETS, Target, target_of

__all__ = [
    "CELL_TARGETS",
    "TARGETS",
    "CellTrial",
    "FalsifierReport",
    "Target",
    "Trial",
    "Worst",
    "falsify",
    "target_of",
]
