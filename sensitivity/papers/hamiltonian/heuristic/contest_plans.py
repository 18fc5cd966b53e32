"""The tables of the paper as plans: tasks, lengths, and the settings that each network may choose from."""

from __future__ import annotations

from itertools import product

from sensitivity.papers.hamiltonian.results import RULE, RULE_FREE, committed

from .entrants import Entrant, Plan, Setting

__all__ = ["FIGURES", "FULL", "QUICK", "TABLES", "measured_c"]

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
        plain = tuple(Setting("hamiltonian", 10, one, c) for one in rates)
        free = tuple(Setting("hamiltonian", 10, rate, c, growth=g, bias=b) for g, b in product(growth, bias))
        # What does not learn at all costs most: it is left out where the sequences are longest.
        columns += [Entrant(name, plain, SHOCK[2] if c == 1.0 else SHOCK[1]), Entrant(freed, free)]
    return tuple(columns)


def _antisymmetric(
    c: tuple[float, ...], gamma: tuple[float, ...], rates: tuple[float, ...], longest: int
) -> Entrant:
    grid = product(c, gamma, rates)
    return Entrant(
        "antisymmetric",
        tuple(Setting("antisymmetric", 20, rate, one, damping) for one, damping, rate in grid), longest,
    )  # fmt: skip


def _lstm(sizes: tuple[int, ...], rates: tuple[float, ...], longest: int) -> Entrant:
    return Entrant("LSTM", tuple(Setting("lstm", d, rate) for d, rate in product(sizes, rates)), longest)


FULL = Plan(
    {"shock": SHOCK, "shock_std": SHOCK[:1], "xor": XOR},
    (
        *_hamiltonian((1e-2, 3e-2, 1e-1), (0.2, 1.0), (1.0, 3.0), 1e-2),
        _antisymmetric((10.0, 50.0), (0.0, 0.01), (1e-2,), 2000),
        _lstm((20,), (1e-2,), 100),
    ),
    seeds=5, search_seeds=2, iterations=400, search_iterations=160,
)  # fmt: skip
QUICK = Plan(
    {"shock": SHOCK[:2], "xor": XOR},
    (
        *_hamiltonian((1e-2, 3e-2), (0.2, 1.0), (1.0, 3.0), 1e-2),
        _antisymmetric((10.0,), (0.0, 0.01), (1e-2,), 500),
        _lstm((20,), (1e-2,), 100),
    ),
    seeds=3, search_seeds=1, iterations=400, search_iterations=160,
)  # fmt: skip
