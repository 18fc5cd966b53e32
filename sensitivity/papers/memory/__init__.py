"""N. Zucchet, A. Orvieto on the curse of memory (2024): its ledger."""

from .ledger import PAPER

__all__ = ["PAPER"]
