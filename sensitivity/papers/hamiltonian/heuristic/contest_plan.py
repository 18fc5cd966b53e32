"""The tables of the paper as plans: tasks, lengths, and the settings that each network may choose from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from sensitivity.papers.hamiltonian import RULE, RULE_FREE, SHOCK_LENGTHS, XOR_LENGTHS
from sensitivity.papers.kept import committed
from sensitivity.training.models import Shape, make_network
from sensitivity.training.networks.network import Network
from sensitivity.training.start import Start
from sensitivity.training.trainer import Recipe
from sensitivity.training.units import InUnits, step_units

__all__ = [
    "FIGURES", "FULL", "KEPT", "QUICK", "TABLES", "THRESHOLDS", "Candidate", "ContestPlan", "Entrant",
    "measured_c",
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
    c, step : float, optional
        ε = c/N, or the same ε at every N; gated networks have none.
    gamma : float, optional
        Of the antisymmetric network.
    growth, bias : float, optional
        Of the start "thresholds", which is taken where they are given.
    start : str
        Otherwise: "chrono" for an LSTM whose gates begin open.
    """

    model: str
    d: int
    rate: float
    c: float | None = None
    gamma: float | None = None
    growth: float | None = None
    bias: float | None = None
    step: float | None = None
    start: str = "published"

    def epsilon(self, n_steps: int) -> float | None:
        return self.step if self.c is None else self.c / n_steps

    def iteration_seconds(self, n_steps: int) -> float:
        """Of one core, measured for batches of 100."""
        microseconds = 0.042 * self.d**2 + 25.0 if self.model == "lstm" else 0.01 * self.d**2 + 2.0
        return 1.2e-6 * microseconds * n_steps

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
            return Start(self.start).draw(network, seed)
        assert self.growth is not None and self.bias is not None
        start = replace(THRESHOLDS, growth=self.growth, bias_scale=self.bias)
        return start.draw(network, seed)

    def text(self) -> str:
        parts = [f"d = {self.d}", f"rate {self.rate:g}"]
        parts += [f"ε = {self.c:.3g}/N"] if self.c is not None else []
        parts += [f"ε = {self.step:g}"] if self.step is not None else []
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
    most : int
        Its own budget of iterations, where this is smaller; the table says so.
    """

    name: str
    grid: tuple[Candidate, ...]
    longest: int = 10**9
    most: int = 10**9


@dataclass(frozen=True)
class ContestPlan:
    """How much to run.

    Attributes
    ----------
    tasks : mapping
        Task → lengths.
    entrants : tuple of Entrant
    seeds : int
        Fresh ones for what is shown; the search has seeds of its own. See `first`.
    search_seeds : int
    iterations, search_iterations : int
        Budget of one run that is shown, and of one in the search.
    search_lengths : int
        Settings are tried at so many of the shortest lengths, and the best over them is kept for all.
    search_rounds : int
        Where no setting gets there, the better half of them is tried again at the shortest length with four
        times as many iterations, and so on for so many rounds in all.
    train, test : int
        Number of sequences.
    every : int
        Iterations between two looks at the test accuracy.
    threshold, clip, batch : float
    longer : mapping
        Task → its own budget.
    more_seeds : int
        Fresh seeds at the shortest length of a task, where these are more.
    run_hours : float, optional
        Of one core for one run: where a step takes so long that the budget costs more, it is smaller, and the
        entry says so.
    seed : int
        The first seed.
    """

    tasks: Mapping[str, tuple[int, ...]]
    entrants: tuple[Entrant, ...]
    seeds: int
    search_seeds: int
    iterations: int
    search_iterations: int
    search_lengths: int = 2
    search_rounds: int = 1
    train: int = 4000
    test: int = 1000
    every: int = 10
    threshold: float = 0.9
    clip: float = 0.1
    batch: int = 100
    longer: Mapping[str, int] = field(default_factory=dict, hash=False)
    more_seeds: int = 0
    seed: int = 0
    run_hours: float | None = None

    def fresh(self, task: str, n_steps: int) -> range:
        """The seeds of what is shown."""
        shortest = n_steps == min(self.tasks[task])
        return range(self.seed, self.seed + max(self.seeds, self.more_seeds * shortest))

    def first(self, task: str, n_steps: int) -> range:
        """The seeds that are run first; where none of them gets there, the others are left out.

        They are more than half of them, which decides the median. Where the shortest length has more seeds,
        they are as many as at other lengths: if at least half of the seeds got there, none of five would in
        one case of 32 or fewer.
        """
        fresh = self.fresh(task, n_steps)
        return fresh[: self.seeds if len(fresh) > self.seeds else len(fresh) // 2 + 1]

    @property
    def search(self) -> range:
        """The seeds of the search, which are no others'."""
        first = self.seed + max(self.seeds, self.more_seeds)
        return range(first, first + self.search_seeds)

    def searched(self, task: str) -> tuple[int, ...]:
        """The lengths of a task at which settings are tried."""
        return tuple(sorted(self.tasks[task])[: self.search_lengths])

    def budget(self, task: str = "") -> int:
        """The most iterations of a run that is shown."""
        return self.longer.get(task, self.iterations)

    def affordable(self, setting: Candidate, n_steps: int) -> int:
        """The most iterations of a run by its time, in whole epochs."""
        if self.run_hours is None:
            return 10**9
        epoch = self.train // self.batch
        epochs = int(3600.0 * self.run_hours / (epoch * setting.iteration_seconds(n_steps)))
        return max(1, epochs) * epoch

    def recipe(self, rate: float, seed: int, task: str = "", most: int = 10**9, turn: int = 0) -> Recipe:
        """Of a run; what it is for is told by its seed, and in the search by the number of its round."""
        iterations = min(most, self.budget(task))
        if seed in self.search:
            iterations = min(iterations, self.search_iterations * 4**turn)
        epochs = -(-iterations // (self.train // self.batch))
        return Recipe(rate, self.batch, epochs, seed, self.clip, self.threshold, self.every, log_looks=True)


TABLES = {"shock": "Table 1", "shock_std": "Table 1, 10 as standard deviation", "xor": "Table 2"}
FIGURES = {"shock": 6, "xor": 7}


def measured_c() -> float:
    """c of ε = c/N on the Gaussian-mean task, from the kept result of `leapgrad heuristic`; 5 without one."""
    kept = committed("heuristic", "heuristic.json")
    return 5.0 if kept is None else float(kept["main"]["law"]["factor"])


RATES = (3e-3, 1e-2, 3e-2, 1e-1)
"""What every network may choose from; those with thresholds choose other settings as well."""


def _columns(
    rates: tuple[float, ...], widths: tuple[int, ...], longest: Mapping[str, int], gated: int = 10**9
) -> tuple[Entrant, ...]:
    """All networks with the same rates.

    ε = 1/N and c/N, each with W of order one and with thresholds; the same ε at every N; the antisymmetric
    network; the LSTM with ordinary gates and with gates that begin open. `gated` is a budget for LSTMs alone,
    whose iterations take ten to forty times as long.
    """
    columns = []
    for c, name, freed in (
        (1.0, RULE, RULE_FREE),
        (measured_c(), "Hamiltonian, εN = c", "Hamiltonian, wε² fixed, εN = c"),
    ):
        plain = tuple(Candidate("hamiltonian", 10, rate, c) for rate in rates)
        free = tuple(
            Candidate("hamiltonian", 10, rate, c, growth=g, bias=b)
            for g, b, rate in product((0.2, 1.0), (1.0, 3.0), rates if len(rates) > 2 else rates[:1])
        )
        columns += [Entrant(name, plain), Entrant(freed, free)]
    same = tuple(
        Candidate("hamiltonian", 10, rate, step=one) for one, rate in product((0.1, 0.2, 1.0), rates)
    )
    damped = tuple(
        Candidate("antisymmetric", 20, rate, c, gamma)
        for c, gamma, rate in product((10.0, 50.0), (0.0, 0.01), rates)
    )
    lstms = {
        name: tuple(Candidate("lstm", d, rate, start=start) for d, rate in product(widths, rates))
        for name, start in (("LSTM", "published"), ("LSTM, open gates", "chrono"))
    }
    columns += [Entrant("Hamiltonian, ε fixed", same), Entrant("antisymmetric", damped)]
    columns += [Entrant(name, grid) for name, grid in lstms.items()]
    shorter = [replace(one, most=gated) if "LSTM" in one.name else one for one in columns]
    return tuple(replace(one, longest=longest.get(one.name, one.longest)) for one in shorter)


FULL = ContestPlan(
    {"shock": SHOCK_LENGTHS, "shock_std": SHOCK_LENGTHS[:1], "xor": XOR_LENGTHS},
    _columns(RATES, (20, 50, 75), {"LSTM": 500}),
    seeds=5, search_seeds=2, iterations=20000, search_iterations=400, search_rounds=2, longer={"xor": 5000},
    more_seeds=20, run_hours=1.0,
)  # fmt: skip
"""The paper's lengths and budgets, the same for every network.

An hour of one core for a run allows every budget but those of LSTMs on shock preservation at N = 2000 and
5000: 20 000 iterations of d = 75 would take 3 and 9 hours there, for each seed. If no run reached 90 %, all
of them together would take 20 hours.

The LSTM with ordinary gates ends at N = 500: its budget at N = 5000 is a day, and it cannot learn there. The
gradient shrinks by e^0.4 a step at its start, and of the first inputs is left less than a float64 holds.
"""
SHORTER = {
    RULE: 2000,
    "Hamiltonian, εN = c": 500,
    "Hamiltonian, ε fixed": 500,
    "antisymmetric": 500,
    "LSTM": 100,
    "LSTM, open gates": 200,
}
KEPT = ContestPlan(
    {"shock": SHOCK_LENGTHS, "xor": XOR_LENGTHS}, _columns(RATES[1:3], (20, 50), SHORTER, 300),
    seeds=3, search_seeds=1, iterations=1000, search_iterations=200, search_lengths=1,
)  # fmt: skip
"""What some minutes can tell: fewer settings, budgets and lengths."""
QUICK = ContestPlan(
    {"shock": SHOCK_LENGTHS[:1], "xor": XOR_LENGTHS[:2]}, _columns(RATES[1:3], (20,), {}, 400),
    seeds=3, search_seeds=1, iterations=400, search_iterations=160, search_lengths=1,
)  # fmt: skip
