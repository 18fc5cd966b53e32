"""L. Feng et al. on minGRU and minLSTM (2024): its ledger."""

from .ledger import PAPER

__all__ = ["PAPER"]
