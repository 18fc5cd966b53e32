"""docs/performance.md, written from one run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sensitivity.files import replacing

from .candidate import TUNED_JAX
from .growth import Curve, draw
from .machine import Description
from .measure import RowResult
from .peers_ode import Flow, FlowResult
from .rates import Rates
from .table import details, flow_table, growth_table, main_table, rates_table, shapes_table
from .training import BatchResult, training_table

__all__ = ["Narrow", "Report", "describe_machine", "text", "write"]

PICTURE = Path("images") / "cost_growth.png"


@dataclass(frozen=True)
class Narrow:
    """The rows on fewer registers than the processor has."""

    title: str
    rates: Rates
    rows: Sequence[RowResult]
    training: Sequence[BatchResult] = ()


@dataclass(frozen=True)
class Report:
    """Everything that one run of the benchmark gave; a part that was not asked for is empty."""

    machine: Description
    rates: Rates
    rows: Sequence[RowResult]
    flow: tuple[Flow, Sequence[FlowResult], Sequence[str]] | None
    growth: Sequence[Curve]
    seconds: float
    training: Sequence[BatchResult] = ()
    narrow: Narrow | None = None


def describe_machine(machine: Description) -> str:
    """Processor, versions and the settings of each library."""
    versions = ", ".join(f"{name} {version}" for name, version in sorted(machine.versions.items()))
    lines = [
        f"{machine.cpu}, {machine.cores} cores used; {machine.system}; {machine.python}; {versions}.",
        "",
        *[f"- {name}: {setting}." for name, setting in machine.settings.items()],
    ]
    lines.append(f"- XLA_FLAGS of {TUNED_JAX.name}: `{TUNED_JAX.environment['XLA_FLAGS']}`.")
    return "\n".join(lines)


HOW_TO_READ = """\
Each line is one piece of work: float64, tanh, y₀ = ẏ₀ = 0, the paper's weights U(0, 1/d) unless it says
otherwise, N = 1000 and 100 step sizes ε from 0.001 to 1 (two at d = 512), the whole of ∂y_N/∂y_0 for every
ε. The norm rows ask for ‖∂y_N/∂y_0‖₂ only; with Gaussian W for N = 200 and 16 step sizes up to 0.3, beyond
which one unit in the last place of W moves the norm by more than the accuracy asked for.

- Every library runs in a process of its own, with the same number of cores and threads, and waits while
  another is timed. In every round each candidate has one turn, which begins with a run that does not count
  unless it takes longer than five seconds; times are medians over rounds with the least and the most, and a
  ratio is the median of the ratios within a round. Compilation and the first call are never timed. PyTorch
  and autograd have their turns in the rows of leapfrog.
- Before anything is timed each candidate's numbers are compared with ours (1e-10 of the largest entry, member
  by member). A candidate that differs stops the benchmark. Norms are compared with the whole Jacobian's.
- **bound**: float operations of the matrix products ÷ measured dgemm rate + tanh evaluations ÷ measured tanh
  rate, all cores. What is counted is written in `benchmarks/bound.py`. The O(d²) updates of the columns are
  not in it, and are shown in the second table of each row; nor is memory traffic, so the bound cannot be
  reached for small d.
- **best JAX**: the fastest of the formulations in `benchmarks/peers_jax.py`, found anew for each row on short
  runs: the familiar jit(vmap(jacfwd)), and tangents written out by hand in several layouts, with and without
  blocks of members, in one call and in one thread a core, with XLA flags that suit short loops. Few users
  would write these. **JAX, default flags** is the faster of the two that they would: jit(vmap(jacfwd)), and a
  scan that carries the tangent columns.
- **×k** behind a number: that candidate was timed on 1/k of the work (fewer steps, or fewer step sizes where
  each costs the same) and its time multiplied by k.
- **peak memory**: what one run of ours adds at its highest to the resident memory of a fresh process, its
  result included.
- **norm rows**: best JAX is the best whole Jacobian and √λ_max(JJᵀ). The second tables also have Lanczos
  written by hand in JAX, which no library offers; it shows how much is the method and how much the
  implementation."""

MISSED = """\
Where a row misses what was asked of it: from d = 100 on nobody can be 1.4 times faster than a program that is
itself close to the bound, as the best JAX is. At d = 10 loops, and columns that do not fit the nearest cache,
take as long as the products, in both programs. At d = 1 a call is over before a second thread is awake, so
one core works against a bound of two, and Python's share before and after the loop is not small beside it;
XLA's is smaller."""

TRAINING = """\
Loss and gradient by all weights of the Hamiltonian network (leapfrog, one input a step) on one batch. The
bound is that of three products a kick, A (y; x; 1), its adjoint and ∂A, and of one tanh."""

CONTINUOUS_TIME = """\
Above, the recurrence is the model and its derivative is exact at any ε. Who wants the sensitivity of the
differential equation itself needs a solver with error control; heyoka's Taylor method is made for that and is
expected to win, the more so the tighter the tolerance. Each candidate runs at the cheapest of its settings
that is accurate enough; ours is the fastest of several symmetric schemes of order six and eight."""

NARROW = """\
As most desktops, laptops and cloud machines have it: Numba, BLAS, NumPy, XLA and PyTorch are told to use no
more than AVX2, by the variables in `benchmarks/shapes.py`. The rates behind the bound are measured anew. Of
each library the formulations are those that were fastest above."""

GROWTH = """\
Leapfrog, the paper's weights. The line is fitted to the filled points. A few step sizes share the width of
the registers, and small sizes the cost of a call, so the exponents start low."""

RECURRENT = """\
Recurrent cells (LSTM, GRU, coRNN, LEM, expRNN, UnICORNN) and gradient steps of LSTM and GRU classifiers have
a benchmark of their own, `python -m benchmarks.recurrent`, beside `torch.func`, `torch.nn` and JAX; with
`--avx2` every library is restricted to AVX2."""

NOT_MEASURED = """\
Other processors and core counts; graphics cards; float32; fields with inputs; schemes other than leapfrog and
Euler; compilation (ours is kept on disk: the first process that uses a kernel compiles it, later ones load
it); the cost of the first call in a process; energy. PyTorch and autograd are not timed where one run would
take minutes. The processors of such machines change their speed by a third for seconds at a time, as their
neighbours come and go: least values tell more of the programs, medians more of the machine."""


def text(report: Report) -> str:
    """The page."""
    parts = [
        "# Performance",
        "This page is written by `python -m benchmarks --write-docs` and holds the numbers of one run on one "
        "machine; nothing in it was typed by hand.",
        "## Machine",
        describe_machine(report.machine),
        rates_table(report.rates),
        "## Jacobians and norms",
        main_table(report.rows),
        *_narrow(report),
        MISSED,
        "## How to read it",
        HOW_TO_READ,
        "## Every candidate",
        *[details(result) for result in report.rows],
    ]
    if report.training:
        parts += [
            "## One gradient step of the trainer",
            TRAINING,
            training_table(report.training, report.rates),
        ]
        if report.narrow is not None and report.narrow.training:
            parts += [
                f"{_sentence(report.narrow.title)}:",
                training_table(report.narrow.training, report.narrow.rates),
            ]
    if report.flow is not None:
        parts += [
            "## Another problem: continuous time",
            CONTINUOUS_TIME,
            flow_table(*report.flow),
        ]
    if report.growth:
        parts += [
            "## Growth of the cost",
            f"![seconds against d, N and the number of step sizes]({PICTURE.as_posix()})",
            growth_table(report.growth),
            GROWTH,
        ]
    parts += [
        "## Recurrent cells",
        RECURRENT,
        "## What is not measured",
        NOT_MEASURED,
        f"The run took {report.seconds / 60:.0f} minutes.",
    ]
    return "\n\n".join(parts) + "\n"


def _sentence(title: str) -> str:
    return title[0].upper() + title[1:]


def _narrow(report: Report) -> list[str]:
    """The tables of the second shape, side by side with the first."""
    narrow = report.narrow
    if narrow is None or not narrow.rows:
        return []
    return [
        f"### {_sentence(narrow.title)}",
        NARROW,
        rates_table(narrow.rates),
        main_table(narrow.rows),
        "Both beside each other:",
        shapes_table(report.rows, narrow.rows, narrow.title),
    ]


def write(report: Report, folder: Path) -> list[Path]:
    """Write performance.md and its picture into `folder`."""
    page, picture = folder / "performance.md", folder / PICTURE
    picture.parent.mkdir(parents=True, exist_ok=True)
    with replacing(picture) as temporary:
        draw(report.growth, temporary)
    with replacing(page) as temporary:
        temporary.write_text(text(report), encoding="utf-8")
    return [page, picture]
