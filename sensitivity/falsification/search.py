"""The attack: many random cases, then Nelder–Mead from the worst of them."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from integrators.validation import as_count
from integrators.values import ByValue

from .cases import MEMBERS
from .targets import TARGETS, Case, Target

__all__ = ["FalsifierReport", "Worst", "falsify"]

Float = NDArray[np.float64]
# The worst random cases from which the optimiser starts.
STARTS = 3
EVALUATIONS = 120


@dataclass(frozen=True, eq=False)
class Worst(ByValue):
    """The case that came closest to breaking a bound.

    Attributes
    ----------
    log_ratio : float
        The largest log(norm ÷ bound); above 0 if the bound is broken, −inf if no case was about it.
    tightness : float
        The largest log norm ÷ log bound, which is above 1 if the bound is broken; where both are negative,
        their quotient the other way round. Unlike the ratio it does not come near 1 just because the step is
        small and both are near 1: this is what the search climbs.
    case : Trial, CellTrial or None
        Where the tightness was reached, with its one step.
    found_by : {"random", "search", ""}
    random_cases, searched_cases : int
        How many cases were about this bound.
    """

    log_ratio: float
    tightness: float
    case: Case | None
    found_by: str
    random_cases: int
    searched_cases: int

    @property
    def ratio(self) -> float:
        """norm ÷ bound; 1 is equality."""
        return math.exp(min(self.log_ratio, 709.0))

    @property
    def broken(self) -> bool:
        return self.log_ratio > 0.0


@dataclass(frozen=True, repr=False, eq=False)
class FalsifierReport(ByValue):
    """What the attack found, bound by bound.

    Attributes
    ----------
    worst : dict
        Name of the bound → the worst case.
    seed : int
    """

    worst: dict[str, Worst]
    seed: int

    @property
    def broken(self) -> tuple[str, ...]:
        """Names of the bounds that were broken."""
        return tuple(name for name, worst in self.worst.items() if worst.broken)

    @property
    def cases(self) -> int:
        """Comparisons of a norm with a bound, random and searched."""
        return sum(worst.random_cases + worst.searched_cases for worst in self.worst.values())

    def __repr__(self) -> str:
        lines = [
            f"{name}: largest ratio {worst.ratio:.12g}, tightness {worst.tightness:.6g} ({worst.found_by}, "
            f"{worst.random_cases} + {worst.searched_cases} cases); {worst.case}"
            for name, worst in self.worst.items()
        ]
        said = f"broken: {', '.join(self.broken)}" if self.broken else "no bound broken"
        head = f"FalsifierReport, seed {self.seed}, {self.cases} comparisons, {said}"
        return "<" + "\n  ".join([head, *lines]) + ">"

    def to_dict(self) -> dict[str, Any]:
        """Plain data, with the worst cases in full."""
        return {
            "seed": self.seed,
            "comparisons": self.cases,
            "broken": list(self.broken),
            "bounds": {
                name: {
                    "ratio": worst.ratio,
                    "log_ratio": worst.log_ratio,
                    "tightness": worst.tightness,
                    "found_by": worst.found_by,
                    "random_cases": worst.random_cases,
                    "searched_cases": worst.searched_cases,
                    "case": worst.case and worst.case.to_dict(),
                }
                for name, worst in self.worst.items()
            },
        }


def falsify(
    cases: int = 10_000,
    seed: int = 0,
    targets: Mapping[str, Target] = TARGETS,
    *,
    starts: int = STARTS,
    tick: Callable[[int], object] | None = None,
) -> FalsifierReport:
    """Try to break every bound.

    Parameters
    ----------
    cases : int
        Random cases (network, scheme, step, initial values, inputs); each is held against every bound that is
        about it. Bounds with hypotheses of their own get a fifth as many of their own, and cells as many.
    seed : int
        The report is a function of it.
    targets : mapping
        Name → bound to attack: those of fields, unless told otherwise; ``CELL_TARGETS`` are those of cells.
    starts : int
        For each bound, the number of worst random cases that Nelder–Mead starts from; 0 for no search.
    tick : callable, optional
        Called with the number of random cases after each batch.

    Returns
    -------
    FalsifierReport

    Notes
    -----
    Ratios reach 1 to within the outward rounding of the bounds where a theorem holds with equality (σ =
    identity, W symmetric and positive semidefinite).
    """
    cases, seed = as_count(cases, "cases", least=1), as_count(seed, "seed", most=None)
    starts = as_count(starts, "starts")
    if not isinstance(targets, Mapping) or not all(isinstance(one, Target) for one in targets.values()):
        raise TypeError(f"targets must map names to targets, as TARGETS does, got {targets!r}.")
    tallies = {name: _Tally(target, starts) for name, target in targets.items()}
    draws = dict.fromkeys(target.draw for target in targets.values())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # members that leave float64 are not cases
        for kind, drawing in enumerate(draws):
            members = [tally for tally in tallies.values() if tally.target.draw is drawing]
            share = cases if kind == 0 else math.ceil(cases * members[0].target.share)
            for batch in range(math.ceil(share / MEMBERS)):
                case = drawing(np.random.default_rng([seed, kind, batch]))
                for tally in members:
                    tally.add(case)
                if tick is not None:
                    tick(MEMBERS)
        for tally in tallies.values():
            tally.search()
    return FalsifierReport({name: tally.worst() for name, tally in tallies.items()}, seed)


class _Tally:
    """What is known about one bound so far."""

    def __init__(self, target: Target, starts: int) -> None:
        self.target, self.starts = target, min(starts, target.starts)
        self.random_cases = self.searched_cases = 0
        self.largest = -math.inf
        self.best: list[tuple[float, Case]] = []  # by tightness, descending
        self.found_by = ""

    def weigh(self, case: Case) -> Float:
        """log norm ÷ log bound for every member, −inf where that says nothing; keeps the largest ratio."""
        norm, bound = self.target.logs(case)
        with np.errstate(invalid="ignore", divide="ignore"):
            excess = norm - bound
            # A bound of exactly one is that of no step, or of a step that changes nothing.
            usable = ~np.isnan(excess) & ((bound != 0.0) | (excess > 0.0)) & (bound < np.inf)
            tightness = np.where(bound > 0.0, norm / bound, np.where(norm < 0.0, bound / norm, np.inf))
        if usable.any():
            self.largest = max(self.largest, float(excess[usable].max()))
        return np.where(usable, tightness, -np.inf)

    def add(self, case: Case) -> None:
        if not self.target.applies(case):
            return
        tightness = self.weigh(case)
        self.random_cases += int(np.isfinite(tightness).sum())
        member = int(np.argmax(tightness))
        if tightness[member] > -np.inf:
            self.best.append((float(tightness[member]), case.only(member)))
            self.best.sort(key=lambda pair: -pair[0])
            del self.best[max(1, self.starts) :]
            self.found_by = "random"

    def search(self) -> None:
        """Climb from the tightest random cases."""
        from scipy.optimize import minimize

        before = self.best[0][0] if self.best else -math.inf
        options: Any = {"maxfev": EVALUATIONS, "xatol": 1e-9, "fatol": 1e-14}
        for number in range(min(self.starts, len(self.best))):
            start = self.best[number][1]

            def loss(vector: Float, start: Case = start, number: int = number) -> float:
                case = start.moved(vector)
                tightness = float(self.weigh(case)[0])
                if not math.isfinite(tightness):
                    return 1e3
                self.searched_cases += 1
                if tightness > self.best[number][0]:
                    self.best[number] = tightness, case.only(0)
                return -tightness

            minimize(loss, start.vector, method="Nelder-Mead", options=options)
        if max((tightness for tightness, _ in self.best), default=before) > before:
            self.found_by = "search"

    def worst(self) -> Worst:
        tightness, case = max(self.best, key=lambda pair: pair[0], default=(-math.inf, None))
        return Worst(self.largest, tightness, case, self.found_by, self.random_cases, self.searched_cases)
