"""J. Boyer, T. K. Rusch, D. Rus on damped oscillatory state-space models (2025): its ledger."""

from .ledger import PAPER

__all__ = ["PAPER"]
