"""The tables of the paper as plans: tasks, lengths, and the settings that each network may choose from."""

from __future__ import annotations

from itertools import product

from ..results import RULE
from .contest import Entrant, Plan, Setting

__all__ = ["FIGURES", "FULL", "QUICK", "TABLES"]

SHOCK, XOR = (100, 500, 2000, 5000), (50, 100, 200, 500)
TABLES = {"shock": "Table 1", "shock_std": "Table 1, 10 as standard deviation", "xor": "Table 2"}
FIGURES = {"shock": 6, "xor": 7}


def _rule(rates: tuple[float, ...]) -> Entrant:
    return Entrant(RULE, tuple(Setting("hamiltonian", 10, rate, 1.0) for rate in rates))


def _found(c: tuple[float, ...], steps: tuple[float, ...], rates: tuple[float, ...]) -> Entrant:
    """ε = c/N, and the same ε for every N: what first inputs alone decide wants them to grow for a while."""
    moving = tuple(Setting("hamiltonian", 10, rate, one) for one, rate in product(c, rates))
    fixed = tuple(Setting("hamiltonian", 10, rate, step=one) for one, rate in product(steps, rates))
    return Entrant("Hamiltonian, best ε", moving + fixed)


def _antisymmetric(c: tuple[float, ...], gamma: tuple[float, ...], rates: tuple[float, ...]) -> Entrant:
    grid = product(c, gamma, rates)
    return Entrant(
        "antisymmetric",
        tuple(Setting("antisymmetric", 20, rate, one, damping) for one, damping, rate in grid),
    )


def _lstm(sizes: tuple[int, ...], rates: tuple[float, ...], longest: int) -> Entrant:
    return Entrant("LSTM", tuple(Setting("lstm", d, rate) for d, rate in product(sizes, rates)), longest)


FULL = Plan(
    {"shock": SHOCK, "shock_std": SHOCK, "xor": XOR},
    (
        _rule((3e-3, 1e-2, 3e-2)),
        _found((10.0, 20.0, 50.0), (0.1, 0.3, 0.6, 1.0), (3e-3, 1e-2)),
        _antisymmetric((10.0, 50.0), (0.0, 0.01), (3e-3, 1e-2)),
        _lstm((20, 50), (3e-3, 1e-2), 5000),
    ),
    seeds=5, search_seeds=2, iterations=2000,
)  # fmt: skip
QUICK = Plan(
    {"shock": SHOCK[:2], "xor": XOR},
    (
        _rule((1e-2, 3e-2)),
        _found((10.0, 50.0), (0.1, 0.3, 0.6), (1e-2,)),
        _antisymmetric((10.0,), (0.0, 0.01), (1e-2,)),
        _lstm((20,), (1e-2,), 100),
    ),
    seeds=3, search_seeds=1, iterations=500, train=2000,
)  # fmt: skip
