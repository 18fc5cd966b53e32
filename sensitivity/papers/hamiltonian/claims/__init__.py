"""The ledger: what the paper claims, in our words, each claim with a verdict computed when it is asked for.

The paper is K. Rusch, J. W. Pearson, K. C. Zygalakis, *Constructing Gradient Controllable Recurrent Neural
Networks Using Hamiltonian Dynamics* (2019). A claim is a row of a table: a sentence, its place in the paper,
a function that decides it, and the command that shows it. To add one, add a row to one of the modules here.
"""

from sensitivity.papers.paper import summary

from .ledger import PAPER, Tools

LEDGER = PAPER.claims
"""Name → claim, in the order of the paper."""
chosen, evaluate = PAPER.chosen, PAPER.evaluate
to_json, to_markdown = PAPER.to_json, PAPER.to_markdown

__all__ = ["LEDGER", "PAPER", "Tools", "chosen", "evaluate", "summary", "to_json", "to_markdown"]
