"""The tables of the paper as plans: tasks, lengths, and the settings that each network may choose from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from sensitivity.papers.hamiltonian import RULE, RULE_FREE
from sensitivity.papers.kept import committed
from sensitivity.training.models import Shape, make_network
from sensitivity.training.networks.network import Network
from sensitivity.training.start import Start
from sensitivity.training.trainer import Recipe
from sensitivity.training.units import InUnits, first_parameters, step_units

__all__ = [
    "FIGURES", "FULL", "QUICK", "TABLES", "THRESHOLDS", "Candidate", "ContestPlan", "Entrant", "measured_c",
]  # fmt: skip

Float = NDArray[np.float64]

THRESHOLDS = Start("thresholds", input_scale=1.2, coupling=0.5)


@dataclass(frozen=True)
class Candidate:
    """One point of an entrant's grid.

    Attributes
    ----------
    model : str
    d : int
    rate : float
    c : float, optional
        ε = c/N; gated networks have none.
    gamma : float, optional
        Of the antisymmetric network.
    growth, bias : float, optional
        Of the start "thresholds", which is taken where they are given; "uniform" otherwise.
    """

    model: str
    d: int
    rate: float
    c: float | None = None
    gamma: float | None = None
    growth: float | None = None
    bias: float | None = None

    def epsilon(self, n_steps: int) -> float | None:
        return None if self.c is None else self.c / n_steps

    def network(self, n_steps: int) -> Network:
        """The network; its W and R in units ∝ 1/ε² where W begins with thresholds."""
        step = self.epsilon(n_steps)
        own = make_network(self.model, Shape(self.d, n_steps, threads=1), step=step, gamma=self.gamma)
        if self.growth is None or step is None:
            return own
        return InUnits(own, step_units(step, n_steps))

    def first(self, network: Network, seed: int) -> Float:
        """The first parameters of its network, in the network's units."""
        if not isinstance(network, InUnits):
            return Start().draw(network, seed)
        assert self.growth is not None and self.bias is not None
        start = replace(THRESHOLDS, growth=self.growth, bias_scale=self.bias)
        return first_parameters(network, start, seed)

    def text(self) -> str:
        parts = [f"d = {self.d}", f"rate {self.rate:g}"]
        parts += [f"ε = {self.c:.3g}/N"] if self.c is not None else []
        parts += [f"γ = {self.gamma:g}"] if self.gamma is not None else []
        parts += [f"growth {self.growth:g}, b on ±{self.bias:g}"] if self.growth is not None else []
        return ", ".join(parts)


@dataclass(frozen=True)
class Entrant:
    """A column of a table: a network and the settings it may choose from.

    Attributes
    ----------
    name : str
    grid : tuple of Candidate
    longest : int
        Not run on longer sequences; the table says so.
    """

    name: str
    grid: tuple[Candidate, ...]
    longest: int = 10**9


@dataclass(frozen=True)
class ContestPlan:
    """How much to run.

    Attributes
    ----------
    tasks : mapping
        Task → lengths.
    entrants : tuple of Entrant
    seeds : int
        Fresh ones for what is shown; the search has seeds of its own. Where none of the first `majority` gets
        there, the others cannot change the median, and are not run.
    search_seeds : int
    iterations, search_iterations : int
        Budget of one run that is shown, and of one in the search.
    search_lengths : int
        Settings are tried at so many of the shortest lengths, and the best over them is kept for all.
    train, test : int
        Number of sequences.
    every : int
        Iterations between two looks at the test accuracy.
    threshold, clip, batch : float
    """

    tasks: Mapping[str, tuple[int, ...]]
    entrants: tuple[Entrant, ...]
    seeds: int
    search_seeds: int
    iterations: int
    search_iterations: int
    search_lengths: int = 2
    train: int = 4000
    test: int = 1000
    every: int = 10
    threshold: float = 0.9
    clip: float = 0.1
    batch: int = 100

    def searched(self, task: str) -> tuple[int, ...]:
        """The lengths of a task at which settings are tried."""
        return tuple(sorted(self.tasks[task])[: self.search_lengths])

    @property
    def majority(self) -> int:
        return self.seeds // 2 + 1

    def recipe(self, rate: float, seed: int) -> Recipe:
        """Of a run; seeds from `seeds` on are those of the search."""
        iterations = self.iterations if seed < self.seeds else self.search_iterations
        epochs = -(-iterations // (self.train // self.batch))
        return Recipe(rate, self.batch, epochs, seed, self.clip, self.threshold, self.every)


SHOCK, XOR = (100, 500, 2000, 5000), (50, 100, 200, 500)
TABLES = {"shock": "Table 1", "shock_std": "Table 1, 10 as standard deviation", "xor": "Table 2"}
FIGURES = {"shock": 6, "xor": 7}


def measured_c() -> float:
    """c of ε = c/N on the Gaussian-mean task, from the kept result of `leapgrad heuristic`; 5 without one."""
    kept = committed("heuristic", "heuristic.json")
    return 5.0 if kept is None else float(kept["main"]["law"]["factor"])


def _hamiltonian(
    rates: tuple[float, ...], growth: tuple[float, ...], bias: tuple[float, ...], rate: float
) -> tuple[Entrant, ...]:
    """ε = 1/N and c/N, each with W of the size of one and with W that begins with thresholds."""
    columns = []
    for c, name, freed in (
        (1.0, RULE, RULE_FREE),
        (measured_c(), "Hamiltonian, ε = c/N", "Hamiltonian with thresholds, ε = c/N"),
    ):
        plain = tuple(Candidate("hamiltonian", 10, one, c) for one in rates)
        free = tuple(
            Candidate("hamiltonian", 10, rate, c, growth=g, bias=b) for g, b in product(growth, bias)
        )
        # What does not learn at all costs most: it is left out where the sequences are longest.
        columns += [Entrant(name, plain, SHOCK[2] if c == 1.0 else SHOCK[1]), Entrant(freed, free)]
    return tuple(columns)


def _antisymmetric(
    c: tuple[float, ...], gamma: tuple[float, ...], rates: tuple[float, ...], longest: int
) -> Entrant:
    grid = product(c, gamma, rates)
    return Entrant(
        "antisymmetric",
        tuple(Candidate("antisymmetric", 20, rate, one, damping) for one, damping, rate in grid), longest,
    )  # fmt: skip


def _lstm(sizes: tuple[int, ...], rates: tuple[float, ...], longest: int) -> Entrant:
    return Entrant("LSTM", tuple(Candidate("lstm", d, rate) for d, rate in product(sizes, rates)), longest)


FULL = ContestPlan(
    {"shock": SHOCK, "shock_std": SHOCK[:1], "xor": XOR},
    (
        *_hamiltonian((1e-2, 3e-2, 1e-1), (0.2, 1.0), (1.0, 3.0), 1e-2),
        _antisymmetric((10.0, 50.0), (0.0, 0.01), (1e-2,), 2000),
        _lstm((20,), (1e-2,), 100),
    ),
    seeds=5, search_seeds=2, iterations=400, search_iterations=160,
)  # fmt: skip
QUICK = ContestPlan(
    {"shock": SHOCK[:2], "xor": XOR},
    (
        *_hamiltonian((1e-2, 3e-2), (0.2, 1.0), (1.0, 3.0), 1e-2),
        _antisymmetric((10.0,), (0.0, 0.01), (1e-2,), 500),
        _lstm((20,), (1e-2,), 100),
    ),
    seeds=3, search_seeds=1, iterations=400, search_iterations=160,
)  # fmt: skip
