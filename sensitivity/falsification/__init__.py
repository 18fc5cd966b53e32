"""The falsifier: random cases, then an optimiser, both after a norm above its proved bound."""

from .cases import Trial
from .search import FalsifierReport, Worst, falsify
from .targets import TARGETS, Target, target_of

__all__ = ["TARGETS", "FalsifierReport", "Target", "Trial", "Worst", "falsify", "target_of"]
