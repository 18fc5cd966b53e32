"""The ledger of this paper: all rows, and what they compute with."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from sensitivity.papers.hamiltonian.curves import Curve
from sensitivity.papers.hamiltonian.plan import FigurePlan
from sensitivity.papers.hamiltonian.reproduce import compute
from sensitivity.papers.ledger import ProofTools
from sensitivity.papers.paper import Paper

from . import driven, dynamics, pictures, tables, theory, trained

__all__ = ["PAPER", "PLAN", "Tools"]

# Ten step sizes a decade, where d = 1 and 10; fewer where one step size costs as much as all of these.
_HALF, _LAST = tuple(range(0, 31, 2)), (0, 10, *range(20, 31, 2))
PLAN = FigurePlan(
    {1: 7, 10: 7, 100: 3},
    points=31,
    every={(1, 100): _HALF, (2, 100): _HALF, (3, 100): _LAST},
    more={(3, 100): 7},
)
"""How much of Figures 1 to 3 the ledger runs: enough for every verdict, a fraction of `reproduce figures`."""


@dataclass
class Tools(ProofTools):
    """Propositions, and the curves of Figures 1 to 3; each is computed once.

    Attributes
    ----------
    plan : FigurePlan
        How much of the figures to run.
    """

    plan: FigurePlan = PLAN
    _curves: dict[int, dict[int, list[Curve]]] = field(default_factory=dict)

    def curve(self, figure: int, d: int, gamma: float | None = None) -> Curve:
        """A curve of Figure 1, 2 or 3; those of one d are computed together, when first asked for."""
        if d not in self._curves:
            self._curves[d] = compute(replace(self.plan, draws={d: self.plan.draws[d]}))
        return next(curve for curve in self._curves[d][figure] if curve.gamma == gamma)


PAPER = Paper(
    "Hamiltonian RNN",
    "K. Rusch, J. W. Pearson, K. C. Zygalakis, *Constructing Gradient Controllable Recurrent Neural Networks "
    "Using Hamiltonian Dynamics* (November 2019)",
    (
        "`leapgrad reproduce figures` draws the curves of Figures 1 to 3 on a finer grid of steps.",
        "A place that ends in “(not compared)” was not compared with the text of the paper: the sentence is "
        "the paper's by report.",
        "y is the hidden state, W the recurrent matrix, b the bias, σ the activation (tanh where the paper "
        "prints none), ε the step, N the sequence length, T = Nε the final time, d the hidden dimension; ‖·‖ "
        "is the spectral norm. Further u = Wy + b, D(u) = diag(σ'(u)), F(y) = σ(u) with derivative "
        "DF = D(u)W, S(t) = ∂y(t)/∂y(0), L = sup|σ'|, C_N the Chebyshev polynomial of the first kind, and "
        "σ_0 the value of σ(u) at the start.",
    ),
    {
        claim.name: claim
        for claim in (*theory.ROWS, *pictures.ROWS, *dynamics.ROWS, *driven.ROWS, *tables.ROWS, *trained.ROWS)
    },
    Tools,
)
