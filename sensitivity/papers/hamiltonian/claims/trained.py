"""Claims about trained networks, decided by the results that are kept in docs/results."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from types import MappingProxyType
from typing import Any

from sensitivity.papers.hamiltonian import MNIST, RULE, RULE_FREE, SHOCK_LENGTHS, XOR_LENGTHS
from sensitivity.papers.kept import committed
from sensitivity.papers.ledger import Claim, ClaimVerdict, Finding, ProofTools

__all__ = ["ROWS"]

Place = tuple[int, str]
Cell = Mapping[str, Any]


class _Absent(LookupError):
    """An entry on which a claim depends has not been run.

    Attributes
    ----------
    n : int
        Its length.
    """

    def __init__(self, n: int, name: str) -> None:
        super().__init__(f"{name} at N = {n}")
        self.n = n


class _Cells(dict[Place, Cell]):
    """The entries of a table that were run; asking for another raises `_Absent`.

    A column that stands for another is `called` by its own name there.
    """

    called: Mapping[str, str] = MappingProxyType({})

    def __missing__(self, place: Place) -> Cell:
        n, name = place
        raise _Absent(n, self.called.get(name, name))

    def of(self, names: Sequence[str], *lengths: int) -> list[Cell]:
        """Those of some networks at some lengths that are there."""
        return [self[n, name] for n in lengths for name in names if (n, name) in self]


Judge = Callable[[_Cells], tuple[bool, list[str]]]
"""Whether a claim holds, with the entries that say so. A claim may be refuted by a few of its entries: the
others are asked for only where these do not decide."""

COMPARED = (RULE, "antisymmetric", "LSTM")
OPEN = "LSTM, open gates"
"""The paper does not say how its LSTM begins: the faster of both columns stands for it."""
TABLES = ("tables-full", "tables")
"""Where tables are kept: with the paper's budgets as far as they are done, and with smaller ones."""
HIDDEN_WEIGHTS = 100
TIMES = 2.0
""" "About ten times" counts as confirmed from five to twenty."""
NEARLY = 2.0
""" "Nearly independent of N": no two lengths differ by more."""
LARGE = "W begins of the order of 1/ε², with thresholds"
NAMES = {"hamiltonian": "Hamiltonian", "antisymmetric": "antisymmetric", "lstm": "LSTM"}


def _missing(command: str) -> Finding:
    return Finding(ClaimVerdict.NOT_MEASURED, (f"no result of `{command}` is kept with this version",))


def _verdict(holds: bool) -> ClaimVerdict:
    return ClaimVerdict.CONFIRMED if holds else ClaimVerdict.NOT_REPRODUCED


def _source(kept: Mapping[str, Any]) -> str:
    return f"kept result of `{kept['manifest']['command']}`"


def _figure_4(tools: ProofTools) -> Finding:
    """Is α = −1 in the interval, and is the interval narrow enough to say so?"""
    kept = committed("heuristic", "heuristic.json")
    if kept is None:
        return _missing("leapgrad heuristic --full")
    laws = {"ε* = c N^α": kept["main"]["law"]}
    if "control" in kept:
        laws["the control, in which no N appears"] = kept["control"]["law"]
    said = [
        "{}: α = {:.2f}, 95 % interval [{:.2f}, {:.2f}]".format(name, law["exponent"], *law["interval"])
        for name, law in laws.items()
    ]
    said += _set_up(kept)
    low, high = kept["main"]["law"]["interval"]
    return Finding(_verdict(low <= -1.0 <= high), (*said, _source(kept)), numbers=kept["main"]["law"])


def _set_up(kept: Mapping[str, Any]) -> list[str]:
    """Where the kept experiment differs from what the paper states, from its own manifest."""
    parameters = kept["manifest"]["parameters"]
    setting = parameters.get("setting")
    if setting is None:
        return []
    recipe = setting["recipe"]
    return [
        f"set-up: Adam with {recipe['rate']:g} (the paper: 0.001), batch {recipe['batch']} (100), d = "
        f"{setting['d']} (not printed), {recipe['epochs']} epochs (not printed), {setting['train']} "
        f"training and {setting['test']} test sequences (1000 and about as many), "
        f"{parameters['seeds']} seeds (not printed)",
        f"steps: {parameters['a_decade']} a decade for Nε in {parameters['window']} in place of 100 "
        f"equidistant ε in "
        f"[0.01, 1], which leave out 1/N for N > 100; N = {', '.join(map(str, parameters['lengths']))}",
    ]


def _by_table(task: str, judge: Judge, baselines: Sequence[Place] = ()) -> Callable[[ProofTools], Finding]:
    """The paper's network is the column ε = 1/N; where it fails, the one whose W begins larger.

    The claim compares with `baselines`: one of these that ended at the cap on iterations decides nothing.
    """

    def decide(tools: ProofTools) -> Finding:
        every = (committed(folder, "tables.json") for folder in TABLES)
        found = [_by_kept(kept, task, judge, baselines) for kept in every if kept is not None]
        settled = (one for one in found if one.verdict is not ClaimVerdict.NOT_MEASURED)
        return next(settled, found[0] if found else _missing("leapgrad reproduce tables"))

    return decide


def _by_kept(kept: Mapping[str, Any], task: str, judge: Judge, baselines: Sequence[Place]) -> Finding:
    run = _Cells(
        ((c["n_steps"], c["entrant"]), c)
        for c in kept["cells"]
        if c["task"] == task and c["setting"] is not None
    )
    for n, name in [key for key in run if key[1] == OPEN]:
        run[n, "LSTM"] = min((run[n, name], run.get((n, "LSTM"), run[n, name])), key=_iterations)
    freed = {(n, RULE): run[n, name] for n, name in run if name == RULE_FREE}
    parameters = kept["manifest"]["parameters"]
    source = f"{_source(kept)}, at most {_cap(parameters, task)} iterations a run"
    capped = [run[key] for key in baselines if key in run and run[key]["median"] is None]
    if capped:
        reason = (
            f"the claim is about numbers of iterations; of {_names(capped, parameters)} most runs ended "
            "at their cap before they reached 90 %, so that theirs are not known"
        )
        tried = {cell["entrant"]: len(cell["searched"]) for cell in capped if cell.get("searched")}
        once = [name for name, count in tried.items() if count == 1]
        reason += f"; of {', '.join(once)} one setting was tried" if once else ""
        had = [_told(cell) for (_, name), cell in sorted(run.items()) if name in COMPARED]
        return Finding(ClaimVerdict.NOT_MEASURED, (reason, *had, source))
    absent: list[tuple[str, str, list[str]]] = []
    judged: list[str] = []
    readings = [(run, ClaimVerdict.CONFIRMED, "")]
    if freed:
        instead = _Cells({place: cell for place, cell in run.items() if place[1] != RULE} | freed)
        instead.called = {RULE: RULE_FREE}
        readings.append((instead, ClaimVerdict.HOLDS_ONLY_IF, LARGE))
    for having, verdict, condition in readings:
        try:
            holds, said = judge(having)
        except _Absent as missing:
            beside = [_told(cell) for cell in having.of(COMPARED, missing.n)]
            absent.append((condition, str(missing), beside))
            continue
        judged += said
        if holds:
            return Finding(verdict, (*dict.fromkeys(judged), source), condition)
    if judged:  # the set-up of the paper; what another choice would give may not be known
        for other, place, beside in absent:
            judged += [*beside, f"where {other}, this is not decided without {place}"]
        return Finding(ClaimVerdict.NOT_REPRODUCED, (*dict.fromkeys(judged), source))
    lacks = f"the kept result does not have {absent[0][1]}; what it has:"
    had = dict.fromkeys(_told(cell) for _, cell in sorted(run.items()))
    return Finding(ClaimVerdict.NOT_MEASURED, (lacks, *had, source))


def _iterations(cell: Cell) -> float:
    return math.inf if cell["median"] is None else cell["median"]


def _names(cells: Sequence[Cell], parameters: Mapping[str, Any]) -> str:
    caps = [c.get("iterations") or _cap(parameters, c["task"], c["entrant"]) for c in cells]
    told = (f"{c['entrant']} (N = {c['n_steps']}), cap {cap}" for c, cap in zip(cells, caps, strict=True))
    return ", ".join(told)


def _cap(parameters: Mapping[str, Any], task: str, name: str | None = None) -> int:
    """The most iterations of a run on a task, of one network where it is named."""
    most = parameters.get("longer", {}).get(task, parameters["iterations"])
    own = (one["most"] for one in parameters.get("entrants", ()) if one["name"] == name)
    return min([most, *own])


def _told(cell: Cell) -> str:
    where = f"{cell['entrant']}, N = {cell['n_steps']}"
    if cell["setting"] is None:
        return f"{where}: not run"
    if cell["median"] is None:
        best = max(one["best"] for one in cell["outcomes"])
        within = f" within {cell['iterations']} iterations" if cell.get("iterations") else ""
        return f"{where}: 90 % not reached by most seeds{within}, best accuracy {100 * best:.0f} %"
    low, high = cell["span"]
    return f"{where}: 90 % after {cell['median']:g} iterations (median; {low} to {high})"


def _table_1(cells: _Cells) -> tuple[bool, list[str]]:
    own, others = cells.of((RULE,), 5000), cells.of(COMPARED[1:], 5000)
    if _unlearned(own) or len(_unlearned(others)) < len(others):
        return False, [_told(cell) for cell in own + others]
    every = [cells[5000, name] for name in COMPARED]
    weights = [one["hidden"] for one in every[0]["outcomes"]]
    return all(one <= HIDDEN_WEIGHTS for one in weights), [_told(cell) for cell in every]


def _figure_6(cells: _Cells) -> tuple[bool, list[str]]:
    first = [cells[100, name] for name in COMPARED]
    own = cells.of((RULE,), *SHOCK_LENGTHS)
    said = [_told(cell) for cell in (*first, *own)]
    if _unlearned([*first, *own]):
        return False, said
    tenfold = all(10 / TIMES <= b["median"] / a["median"] <= 10 * TIMES for a, b in pairwise(first))
    if not (tenfold and _nearly_equal(own)):
        return False, said
    return _nearly_equal([cells[n, RULE] for n in SHOCK_LENGTHS]), said


def _table_2(cells: _Cells) -> tuple[bool, list[str]]:
    if _unlearned(mine := cells.of(COMPARED, *XOR_LENGTHS)):
        return False, [_told(cell) for cell in mine]
    return True, [_told(cells[n, name]) for n in XOR_LENGTHS for name in COMPARED]


def _figure_7(cells: _Cells) -> tuple[bool, list[str]]:
    said, holds = [], True
    for n, factor in ((200, 4.0), (500, 5.0)):
        pair = [cells[n, name] for name in (RULE, "LSTM")]
        said += [_told(cell) for cell in pair]
        own, other = (cell["median"] for cell in pair)
        near = None not in (own, other) and factor / TIMES <= other / own <= factor * TIMES
        holds = holds and near
    return holds, said


def _unlearned(cells: Sequence[Cell]) -> list[Cell]:
    """Those of which most runs ended at their budget."""
    return [cell for cell in cells if cell["median"] is None]


def _nearly_equal(cells: Sequence[Cell]) -> bool:
    numbers = [cell["median"] for cell in cells]
    return max(numbers) <= NEARLY * min(numbers)


def _mnist_run(model: str) -> tuple[Mapping[str, Any] | None, str]:
    """The kept run of a model, and the command that makes it."""
    recipe = "mnist" if model == "hamiltonian" else f"mnist-{model}"
    kept = committed(f"mnist-{model}", "run.json")
    # The claims are about test accuracies along the run; files of old, which do not say so, have them.
    seen = kept is not None and kept.get("watched", "test") == "test"
    return kept if seen else None, f"leapgrad train mnist --recipe {recipe} --watch test"


MOST = 0.01
"""A test accuracy within one percentage point of the printed one counts as the same."""


def _mnist(model: str) -> Callable[[ProofTools], Finding]:
    def decide(tools: ProofTools) -> Finding:
        kept, command = _mnist_run(model)
        if kept is None:
            return _missing(command)
        best, network = max(a for a in kept["accuracy"] if a is not None), kept["network"]
        last, printed = kept["accuracy"][-1], MNIST[model]
        said = (
            f"test accuracy {100 * last:.2f} % at the end, {100 * best:.2f} % at best, d = {network['d']}, "
            f"{kept['iteration'][-1]} iterations, one seed; the paper has {100 * printed:.0f} %",
            _source(kept),
        )
        numbers = {"last": last, "best": best}
        if model == "hamiltonian":
            return Finding(_verdict(last >= printed), said, numbers=numbers)
        return Finding(*_largest(last, printed, said), numbers=numbers)

    return decide


def _largest(last: float, printed: float, said: tuple[str, ...]) -> tuple[ClaimVerdict, tuple[str, ...]]:
    """A run above a printed maximum contradicts it; one below says nothing about other settings."""
    if last > printed + MOST:
        above = (
            "this run of other settings, with training of its own, is above the printed maximum; the "
            "paper notes itself that others report more for this network"
        )
        return ClaimVerdict.NOT_REPRODUCED, (*said, above)
    return ClaimVerdict.NOT_MEASURED, (
        *said,
        "one run is no search over settings, of which this is the maximum",
    )


def _mnist_order(*pairs: tuple[str, str]) -> Callable[[ProofTools], Finding]:
    """Whether the first of each pair is ahead after as many iterations as the shortest of the runs has."""

    def decide(tools: ProofTools) -> Finding:
        runs = {model: _mnist_run(model) for model in NAMES}
        absent = next((command for kept, command in runs.values() if kept is None), None)
        if absent is not None:
            return _missing(absent)
        found = {model: kept for model, (kept, _) in runs.items() if kept is not None}
        shared = min(kept["iteration"][-1] for kept in found.values())
        at = {model: kept["accuracy"][kept["iteration"].index(shared)] for model, kept in found.items()}
        said = [
            f"{NAMES[model]}, {kept['hidden_parameters']} hidden parameters: {100 * at[model]:.2f} % "
            f"after {shared} iterations, {100 * kept['accuracy'][-1]:.2f} % at its end after "
            f"{kept['iteration'][-1]} ({_source(kept)})"
            for model, kept in found.items()
        ]
        said.append("one seed of each network, and settings of our own")
        ordered = all(at[first] > at[second] for first, second in pairs)
        return Finding(_verdict(ordered), tuple(said), numbers={"iterations": shared, **at})

    return decide


def _claim(name: str, place: str, text: str, decide: Callable[[ProofTools], Finding]) -> Claim:
    return Claim(name, place, text, decide, f"leapgrad claims {name}")


ROWS = (
    _claim("figure_4", "section 4 and Figure 4",
           "On the Gaussian-mean task the best step is proportional to 1/N.", _figure_4),
    _claim("table_1_training", "Table 1",
           "On shock preservation only the Hamiltonian network, with ε = 1/N, converges at N = 5000, with "
           "100 weights.", _by_table("shock", _table_1)),
    _claim("figure_6", "Figure 6",
           "At N = 100 the antisymmetric network needs about ten times the iterations of the Hamiltonian "
           "one, and the LSTM ten times more again; the Hamiltonian number hardly depends on N.",
           _by_table("shock", _figure_6, [(100, name) for name in COMPARED[1:]])),
    _claim("table_2_training", "Table 2",
           "On disturbed XOR all three networks converge at every length.",
           _by_table("xor", _table_2)),
    _claim("figure_7", "Figure 7",
           "On disturbed XOR the LSTM needs about four times the iterations of the Hamiltonian network at "
           "N = 200, and five times at N = 500.", _by_table("xor", _figure_7)),
    _claim("sequential_mnist_hamiltonian", "section 5.3, sequential MNIST",
           f"On sequential MNIST the Hamiltonian network reaches {100 * MNIST['hamiltonian']:.0f} % test "
           "accuracy.", _mnist("hamiltonian")),
    *(
        _claim(f"sequential_mnist_{model}", "section 5.3, sequential MNIST",
               f"On sequential MNIST the {NAMES[model]} network reaches {100 * MNIST[model]:.0f} % "
               "test accuracy and no more, over a grid of learning rates and hidden sizes.",
               _mnist(model))
        for model in ("antisymmetric", "lstm")
    ),
    _claim("sequential_mnist_order", "section 5.3, sequential MNIST",
           "On sequential MNIST the Hamiltonian network is ahead of both others.",
           _mnist_order(("hamiltonian", "antisymmetric"), ("hamiltonian", "lstm"))),
    _claim("sequential_mnist_order_of_others", "section 5.3, sequential MNIST",
           "On sequential MNIST the antisymmetric network is ahead of the LSTM.",
           _mnist_order(("antisymmetric", "lstm"))),
)  # fmt: skip
