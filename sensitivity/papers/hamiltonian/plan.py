"""What Figures 1, 2 and 3 of Rusch, Pearson, Zygalakis (2019) consist of, as data.

Set-up (Examples 1 to 3): W_ij, b_i ~ U(0, 1/d), y_0 = ẏ_0 = 0, N = 1000, ε log-spaced in [10⁻³, 1],
d = 1, 10, 100. Not in the paper, and chosen here: σ = tanh, the number of draws, the values of γ, and every d
for Figure 3.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["FIGURES", "FULL", "QUICK", "FigurePlan", "FigureSpec"]

Float = NDArray[np.float64]


@dataclass(frozen=True)
class FigureSpec:
    """A figure: which recurrence, which scheme, which theorem bounds it."""

    number: int
    system: str
    scheme: str
    theorem: str
    gammas: tuple[float | None, ...] = (None,)


FIGURES = (
    FigureSpec(1, "Hamiltonian RNN", "leapfrog", "B"),
    FigureSpec(2, "Euler RNN", "euler", "D"),
    FigureSpec(3, "Antisymmetric RNN", "euler", "D", (0.0, 0.001, 0.01, 0.1)),
)


@dataclass(frozen=True)
class FigurePlan:
    """How much to compute.

    Attributes
    ----------
    draws : mapping
        d → number of random draws; the seeds are 0, 1, 2, …
    points : int
        Number of step sizes, log-spaced in [10⁻³, 1].
    every : mapping
        (figure, d) → indices of the step sizes that are used; all of them where it is absent.
    n_steps : int
    activation : str
    more : mapping
        (figure, d) → number of random draws where a figure has more than others of the same d.
    """

    draws: Mapping[int, int]
    points: int = 100
    every: Mapping[tuple[int, int], Sequence[int]] | None = None
    n_steps: int = 1000
    activation: str = "tanh"
    more: Mapping[tuple[int, int], int] | None = None

    def draws_of(self, figure: int, d: int) -> int:
        """Number of random draws of a curve."""
        return (self.more or {}).get((figure, d), self.draws[d])

    def steps(self, figure: int, d: int) -> Float:
        grid = np.geomspace(1e-3, 1.0, self.points)
        chosen = (self.every or {}).get((figure, d))
        return grid if chosen is None else grid[list(chosen)]

    def jobs(self) -> Iterator[tuple[FigureSpec, int, float | None]]:
        """Every curve: figure, d, γ."""
        for spec in FIGURES:
            for d in self.draws:
                for gamma in spec.gammas:
                    yield spec, d, gamma

    def parameters(self) -> dict[str, Any]:
        """What the numbers depend on, for the manifest."""
        return {
            "n_steps": self.n_steps,
            "activation": self.activation,
            "weights": "W, then b, uniform on (0, 1/d) by numpy.random.default_rng(seed)",
            "y0": 0.0,
            "p0": 0.0,
            "seeds": {str(d): list(range(n)) for d, n in self.draws.items()},
            "figures": [
                {
                    "figure": spec.number,
                    "system": spec.system,
                    "scheme": spec.scheme,
                    "bound": f"theorem {spec.theorem}",
                    "gamma": list(spec.gammas),
                    "step_sizes": {str(d): self.steps(spec.number, d).size for d in self.draws},
                    "step_range": [1e-3, 1.0],
                }
                for spec in FIGURES
            ],
        }


# At d = 100 one step size costs as much as all hundred at d = 10: every third one is enough, but around the
# bend at ε = 0.01 of Figures 1 and 2, and more than enough where the curves of Figure 3 are nearly straight.
_THIRDS = (*range(0, 24, 3), *range(24, 37), *range(39, 100, 3))
_BENT = (0, 11, 22, *range(33, 66, 7), *range(66, 100, 3))
FULL = FigurePlan({1: 7, 10: 7, 100: 3}, every={(1, 100): _THIRDS, (2, 100): _THIRDS, (3, 100): _BENT})
"""The plan of `leapgrad reproduce figures`."""
_COARSE = tuple(range(0, 31, 5))
QUICK = FigurePlan({1: 2, 10: 2, 100: 1}, points=31, every={(n, 100): _COARSE for n in (1, 2, 3)})
"""A look at all three figures in a few seconds."""
