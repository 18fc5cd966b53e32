"""The falsifier: random cases, then an optimiser, both after a norm above its proved bound."""

from .cases import Case
from .search import FalsifierReport, Worst, falsify
from .targets import TARGETS, Target

__all__ = ["TARGETS", "Case", "FalsifierReport", "Target", "Worst", "falsify"]
