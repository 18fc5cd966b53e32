"""Another problem: the sensitivity ∂y(t)/∂y(0) of the differential equation itself, to a given accuracy.

The rest of the benchmark asks for the derivative of a recurrence, which is exact whatever the step. Here the
recurrence is only a means: ÿ = tanh(W y + b) in continuous time, one trajectory, every candidate at the
cheapest setting of its own that is accurate enough.
"""

# pyright: reportMissingImports=false
# The libraries compared with are not part of the development set-up.

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from integrators import NeuralField
from sensitivity import jacobian

from .work import Work

__all__ = ["Flow", "FlowResult", "measure"]

Float = NDArray[np.float64]
SYMMETRIC = ("blanes_moan6", "kahan_li6", "kahan_li8", "yoshida8")


@dataclass(frozen=True)
class Flow:
    """The differential equation with the paper's weights, up to `time`.

    Attributes
    ----------
    accuracy : float
        Largest error of ∂y(t)/∂y(0) over its largest entry.
    """

    d: int = 10
    time: float = 10.0
    accuracy: float = 1e-10

    @property
    def work(self) -> Work:
        return Work("leapfrog", self.d)


@dataclass(frozen=True)
class FlowResult:
    """What one candidate took.

    Attributes
    ----------
    name : str
    setting : str
        The cheapest that was accurate enough.
    seconds : tuple of float
        One entry a round.
    error : float
    preparation : float
        Seconds of compiling, not in `seconds`.
    """

    name: str
    setting: str
    seconds: tuple[float, ...]
    error: float
    preparation: float = 0.0


Solver = tuple[str, Callable[[], Float], float]
"""Setting, the call, seconds of preparation."""


def _ours(flow: Flow, scheme: str) -> Iterable[Solver]:
    field = NeuralField(flow.work.W, flow.work.b)
    for n in (5, 7, 10, 14, 20, 28, 40, 56, 80, 113, 160):
        yield f"{n} steps", partial(jacobian, field, scheme, flow.time / n, n, progress=False), 0.0


def _heyoka(flow: Flow, compact: bool, tolerances: Iterable[float]) -> Iterable[Solver]:
    import heyoka

    d, W, b = flow.d, flow.work.W, flow.work.b
    y = heyoka.make_vars(*[f"y{i}" for i in range(d)])
    p = heyoka.make_vars(*[f"p{i}" for i in range(d)])
    force = [
        heyoka.tanh(heyoka.sum([float(w) * y[j] for j, w in enumerate(W[i])]) + float(b[i])) for i in range(d)
    ]
    equations = [*zip(y, p, strict=True), *zip(p, force, strict=True)]
    system = heyoka.var_ode_sys(equations, args=list(y), order=1)
    for tolerance in tolerances:
        began = time.perf_counter()
        solver: Any = heyoka.taylor_adaptive(system, [0.0] * (2 * d), tol=tolerance, compact_mode=compact)
        spent = time.perf_counter() - began
        start, part = solver.state.copy(), solver.get_vslice(order=1)

        def run(solver: Any = solver, start: Float = start, part: slice = part) -> Float:
            solver.time = 0.0
            solver.state[:] = start
            solver.propagate_until(flow.time)
            return solver.state[part].reshape(2 * d, d)[:d].copy()

        yield f"tolerance {tolerance:g}", run, spent


def _scipy(flow: Flow) -> Iterable[Solver]:
    from scipy.integrate import solve_ivp

    d, W, b = flow.d, flow.work.W, flow.work.b

    def right_hand_side(_: float, z: Float) -> Float:
        T, P = z[2 * d : 2 * d + d * d].reshape(d, d), z[2 * d + d * d :]
        s = np.tanh(W @ z[:d] + b)
        return np.concatenate([z[d : 2 * d], s, P, ((1.0 - s * s)[:, None] * (W @ T)).ravel()])

    start = np.concatenate([np.zeros(2 * d), np.eye(d).ravel(), np.zeros(d * d)])

    def run(tolerance: float) -> Float:
        found = solve_ivp(
            right_hand_side, (0.0, flow.time), start, method="DOP853", rtol=tolerance, atol=tolerance / 100
        )
        return found.y[2 * d : 2 * d + d * d, -1].reshape(d, d)

    for tolerance in (1e-7, 1e-8, 1e-9, 1e-10, 1e-11, 1e-12):
        yield f"tolerance {tolerance:g}", partial(run, tolerance), 0.0


def _accurate(solvers: Iterable[Solver], exact: Float, accuracy: float) -> tuple[Solver, float] | None:
    """The first that is accurate enough, and its error."""
    for solver in solvers:
        error = float(np.abs(solver[1]() - exact).max() / np.abs(exact).max())
        if error <= accuracy:
            return solver, error
    return None


def measure(flow: Flow, rounds: int, unrolled: bool) -> tuple[list[FlowResult], list[str]]:
    """Time every candidate in turn, round after round; and say which were not available.

    Parameters
    ----------
    unrolled : bool
        Also heyoka's straight-line code, the fastest, whose compilation takes half a minute.
    """
    field = NeuralField(flow.work.W, flow.work.b)
    exact = jacobian(field, "kahan_li8", flow.time / 300, 300, progress=False)
    tolerances = (1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-11, 1e-12)
    families: list[tuple[str, Callable[[], Iterable[Solver]]]] = [
        (f"leapgrad, {scheme}", partial(_ours, flow, scheme)) for scheme in SYMMETRIC
    ]
    families.append(("SciPy DOP853, variational system", partial(_scipy, flow)))
    families.append(("heyoka, compact mode", partial(_heyoka, flow, True, tolerances)))
    chosen: dict[str, tuple[Solver, float]] = {}
    missing: list[str] = []

    def choose(name: str, solvers: Callable[[], Iterable[Solver]]) -> None:
        try:
            found = _accurate(solvers(), exact, flow.accuracy)
        except ImportError as error:
            missing.append(f"{name}: {error}")
            return
        if found is None:
            missing.append(f"{name}: no setting reached {flow.accuracy:g}")
        else:
            chosen[name] = found

    for name, solvers in families:
        choose(name, solvers)
    if unrolled and "heyoka, compact mode" in chosen:
        tolerance = float(chosen["heyoka, compact mode"][0][0].split()[1])
        choose("heyoka", partial(_heyoka, flow, False, (tolerance,)))

    seconds: dict[str, list[float]] = {name: [] for name in chosen}
    for _ in range(rounds):
        for name, ((_, run, _), _) in chosen.items():
            run()
            spans = []
            for _ in range(20):
                began = time.perf_counter()
                run()
                spans.append(time.perf_counter() - began)
            seconds[name].append(median(spans))
    results = [
        FlowResult(name, setting, tuple(seconds[name]), error, preparation)
        for name, ((setting, _, preparation), error) in chosen.items()
    ]
    ours = [result for result in results if result.name.startswith("leapgrad")]
    best = min(ours, key=lambda result: median(result.seconds))
    return [best, *(result for result in results if result not in ours)], missing
