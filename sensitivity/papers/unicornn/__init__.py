"""T. K. Rusch, S. Mishra, *UnICORNN* (2021): its ledger."""

from .ledger import PAPER

__all__ = ["PAPER"]
