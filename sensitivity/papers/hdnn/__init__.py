"""C. L. Galimberti et al. on Hamiltonian deep networks (2023): its ledger."""

from .ledger import PAPER

__all__ = ["PAPER"]
