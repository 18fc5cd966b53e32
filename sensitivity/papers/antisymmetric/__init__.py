"""B. Chang, M. Chen, E. Haber, E. H. Chi, *AntisymmetricRNN* (2019): its ledger."""

from .ledger import PAPER

__all__ = ["PAPER"]
