"""Figures 1, 2 and 3 of Rusch, Pearson, Zygalakis (2019): the computation, and the files it leaves.

Set-up (Examples 1 to 3): W_ij, b_i ~ U(0, 1/d), y_0 = ẏ_0 = 0, N = 1000, ε log-spaced in [10⁻³, 1],
d = 1, 10, 100. Not in the paper, and chosen here: σ = tanh, the number of draws, the values of γ, and every d
for Figure 3.
"""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from integrators.neural import NeuralField

from . import bounds, captions
from .curves import Curve
from .files import replacing_folder
from .jacobian import jacobian_norm, log_jacobian_norm
from .manifest import manifest

__all__ = ["COLUMNS", "FIGURES", "FULL", "QUICK", "FigureSpec", "Plan", "Result", "compute", "reproduce"]

Float = NDArray[np.float64]
COLUMNS = ("figure", "d", "gamma", "seed", "step", "norm", "log_norm", "bound", "log_bound", "local_slope")


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
class Plan:
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
    """

    draws: Mapping[int, int]
    points: int = 100
    every: Mapping[tuple[int, int], Sequence[int]] | None = None
    n_steps: int = 1000
    activation: str = "tanh"

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


# At d = 100 one step size costs as much as all hundred at d = 10: every third one, and where the curves of
# Figure 3 are straight, only three a decade.
_THIRDS = tuple(range(0, 100, 3))
_BENT = (*range(0, 66, 11), *range(66, 100, 3))
FULL = Plan({1: 7, 10: 7, 100: 3}, every={(1, 100): _THIRDS, (2, 100): _THIRDS, (3, 100): _BENT})
"""The plan of `leapgrad reproduce figures`."""
_COARSE = tuple(range(0, 31, 5))
QUICK = Plan({1: 2, 10: 2, 100: 1}, points=31, every={(n, 100): _COARSE for n in (1, 2, 3)})
"""A look at all three figures in a few seconds."""


@dataclass(frozen=True)
class Result:
    """What a run gave.

    Attributes
    ----------
    curves : dict
        Figure number → its curves.
    captions : dict
        Figure number → its sentence.
    files : tuple of str
        Names of the files written.
    seconds : float
    """

    curves: dict[int, list[Curve]]
    captions: dict[int, str]
    files: tuple[str, ...]
    seconds: float

    @property
    def violations(self) -> int:
        """Number of norms above their proved bound."""
        return sum(curve.violations for curves in self.curves.values() for curve in curves)


def compute(plan: Plan, tick: Callable[[str, int], None] | None = None) -> dict[int, list[Curve]]:
    """All curves of a plan, by figure number.

    Parameters
    ----------
    plan : Plan
    tick : callable, optional
        Called as ``tick(label, work)`` after every draw; the work of all draws is `total_work`.
    """
    curves: dict[int, list[Curve]] = {spec.number: [] for spec in FIGURES}
    for spec, d, gamma in plan.jobs():
        step, seeds = plan.steps(spec.number, d), tuple(range(plan.draws[d]))
        norms, log_bounds = [], []
        for seed in seeds:
            field = NeuralField.random(d, seed, activation=plan.activation)
            if gamma is not None:
                field = NeuralField.antisymmetric(field.W, field.b, gamma, activation=plan.activation)
            norms.append(_log_norm(field, spec.scheme, step, plan.n_steps))
            log_bounds.append(bounds.log_majorant(field, spec.scheme, step, plan.n_steps))
            if tick is not None:
                tick(f"Figure {spec.number}, d = {d}", _work(step.size, d))
        curve = Curve(d, step, np.array(norms), np.array(log_bounds), seeds, gamma, spec.theorem)
        curves[spec.number].append(curve)
    return curves


def total_work(plan: Plan) -> int:
    """The sum of the work that `compute` reports, in arbitrary units."""
    jobs = [(plan.steps(spec.number, d).size, d) for spec, d, _ in plan.jobs()]
    return sum(plan.draws[d] * _work(size, d) for size, d in jobs)


def _work(size: int, d: int) -> int:
    return size * d * d


def _log_norm(field: NeuralField, scheme: str, step: Float, n_steps: int) -> Float:
    """Logarithm of the norm, taken from the norm itself wherever that is a float64 number."""
    with np.errstate(divide="ignore"):
        values = np.log(jacobian_norm(field, scheme, step, n_steps, progress=False))
    outside = np.isinf(values)
    if outside.any():
        values[outside] = log_jacobian_norm(field, scheme, step[outside], n_steps, progress=False)
    return values


# ------------------------------------------------------------------------------------------------- files


def reproduce(
    out: str | Path, plan: Plan = FULL, *, command: str = "", progress: bool | None = None
) -> Result:
    """Compute, draw and write Figures 1 to 3.

    Parameters
    ----------
    out : path
        Folder, made if need be. It receives figure_1 … figure_3 as .png, .pdf and .csv, README.md with the
        captions, and manifest.json; files of these names are replaced, all at the end or none.
    plan : Plan
    command : str
        Kept in the manifest.
    progress : bool, optional
        Force or forbid the progress bar; by default it shows on a terminal.

    Raises
    ------
    OSError
        If the folder cannot be made or written: before anything is computed.
    """
    from tqdm import tqdm

    began = time.perf_counter()
    with replacing_folder(out) as staging:
        bar = tqdm(
            total=total_work(plan),
            bar_format="{desc:<20s} {percentage:3.0f}%|{bar}| {elapsed} gone, {remaining} to go",
            disable=None if progress is None else not progress,
            leave=False,
        )

        def tick(label: str, work: int) -> None:
            bar.set_description_str(label, refresh=False)
            bar.update(work)

        with bar:
            curves = compute(plan, tick)
        sentences = write_captions(curves)
        draw(staging, curves, sentences, plan)
        for number, members in curves.items():
            (staging / f"figure_{number}.csv").write_text(to_csv(number, members), encoding="utf-8", newline="")
        (staging / "README.md").write_text(readme(sentences, plan, command), encoding="utf-8")
        seconds = time.perf_counter() - began
        files = {path.name: path for path in staging.iterdir()}
        record = manifest(command, plan.parameters(), seconds, files)
        text = json.dumps(record, indent=2, ensure_ascii=False) + "\n"
        (staging / "manifest.json").write_text(text, encoding="utf-8")
        names = tuple(sorted([*files, "manifest.json"]))
    return Result(curves, sentences, names, time.perf_counter() - began)


def write_captions(curves: Mapping[int, Sequence[Curve]]) -> dict[int, str]:
    """The sentence under each figure, by number."""
    return {
        1: captions.figure_1(curves[1]),
        2: captions.figure_2(curves[2], curves[1]),
        3: captions.figure_3(curves[3]),
    }


def draw(
    folder: Path, curves: Mapping[int, Sequence[Curve]], sentences: Mapping[int, str], plan: Plan
) -> None:
    """Write every figure as PNG and as PDF."""
    from . import figures

    setting = f"σ = {plan.activation}, N = {plan.n_steps}; lines: medians over draws, bands: ranges"
    drawn = {
        1: figures.figure_1(curves[1], sentences[1], setting),
        2: figures.figure_2(curves[2], curves[1], sentences[2], setting),
        3: figures.figure_3(curves[3], sentences[3], setting),
    }
    for number, figure in drawn.items():
        for suffix in ("png", "pdf"):
            figures.save(figure, folder / f"figure_{number}.{suffix}")


def to_csv(number: int, curves: Sequence[Curve]) -> str:
    """The numbers of a figure, one row a draw and step size; floats in full, so that they read back exactly."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for curve in curves:
        gamma = "" if curve.gamma is None else repr(curve.gamma)
        with np.errstate(over="ignore", under="ignore"):
            norm, bound = np.exp(curve.log_norm), np.exp(curve.log_bound)
        for row, seed in enumerate(curve.seeds):
            for column, step in enumerate(curve.step):
                values = (
                    step,
                    norm[row, column],
                    curve.log_norm[row, column],
                    bound[row, column],
                    curve.log_bound[row, column],
                    curve.local_slope[row, column],
                )
                writer.writerow((number, curve.d, gamma, seed, *(repr(float(value)) for value in values)))
    return text.getvalue()


def readme(sentences: Mapping[int, str], plan: Plan, command: str) -> str:
    """What lies in the folder: captions, set-up and the columns of the CSV files."""
    draws = ", ".join(f"{n} for d = {d}" for d, n in plan.draws.items())
    lines = [
        "# Figures 1 to 3",
        "",
        f"Made by `{command}`." if command else "",
        f"Set-up: W_ij, b_i ~ U(0, 1/d), y_0 = ẏ_0 = 0, N = {plan.n_steps}, σ = {plan.activation}, ε in [0.001, 1]; "
        f"draws: {draws}.",
        "The paper prints neither σ, nor the number of draws, nor the γ and d of Figure 3.",
        "",
    ]
    for number, sentence in sentences.items():
        lines += [f"![Figure {number}](figure_{number}.png)", "", f"**Figure {number}.** {sentence}", ""]
    lines += [
        "Columns of the CSV files: `figure`, `d`, `gamma` (empty without one), `seed`, `step` ε, `norm` ‖∂y_N/∂y_0‖₂,",
        "`log_norm` and `log_bound` natural logarithms, `bound` theorem B (Figure 1) or D (inf beyond float64),",
        "`local_slope` d log norm / d log ε. `manifest.json` has versions, parameters, machine and digests.",
        "",
    ]
    return "\n".join(lines)
