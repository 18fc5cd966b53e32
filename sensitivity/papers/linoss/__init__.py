"""T. K. Rusch, D. Rus, *Oscillatory State-Space Models* (2025): its ledger."""

from .ledger import PAPER

__all__ = ["PAPER"]
