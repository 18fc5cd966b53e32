"""Figures 1, 2 and 3 of Rusch, Pearson, Zygalakis (2019): the computation, and the files it leaves."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from integrators.codegen.threads import default_threads
from integrators.engine.blocks import progress_bar
from integrators.fields.neural import NeuralField
from sensitivity import bounds
from sensitivity.analysis.jacobians import norm_and_log
from sensitivity.files import replacing_folder
from sensitivity.manifest import write_manifest
from sensitivity.text import csv_text

from . import captions
from .curves import Curve
from .plan import FIGURES, FULL, FigurePlan, FigureSpec

__all__ = ["COLUMNS", "Result", "compute", "reproduce", "to_csv", "total_work"]

Float = NDArray[np.float64]
Tick = Callable[[int], object]
COLUMNS = ("figure", "d", "gamma", "seed", "step", "norm", "log_norm", "bound", "log_bound", "local_slope")


@dataclass(frozen=True)
class Result:
    """What a run gave.

    Attributes
    ----------
    curves : dict
        Figure number → its curves.
    captions : dict
        Figure number → verdicts and numbers.
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


def compute(plan: FigurePlan, tick: Tick | None = None) -> dict[int, list[Curve]]:
    """All curves of a plan, by figure number.

    Parameters
    ----------
    plan : FigurePlan
    tick : callable, optional
        Called as ``tick(work)`` after every part; the work of all parts is `total_work`.
    """
    curves: dict[int, list[Curve]] = {spec.number: [] for spec in FIGURES}
    for spec, d, gamma in plan.jobs():
        step, seeds = plan.steps(spec.number, d), tuple(range(plan.draws_of(spec.number, d)))
        draws = []
        for seed in seeds:
            field = NeuralField.random(d, seed, activation=plan.activation)
            if gamma is not None:
                field = NeuralField.antisymmetric(field.W, field.b, gamma, activation=plan.activation)
            draws.append(_one_draw(field, spec, step, plan, tick))
        norms, log_norms, limits, log_limits = (np.array(column) for column in zip(*draws, strict=True))
        curve = Curve(d, step, norms, log_norms, limits, log_limits, seeds, gamma, spec.theorem)
        curves[spec.number].append(curve)
    return curves


def _one_draw(
    field: NeuralField, spec: FigureSpec, step: Float, plan: FigurePlan, tick: Tick | None
) -> tuple[Float, ...]:
    """Norms, bounds and the logarithms of each, for one field."""
    parts = []
    for part in _parts(step, field.dim):
        # method: by Lanczos the last bits of a norm depend on the steps beside it, and would on the parts.
        parts.append(norm_and_log(field, spec.scheme, part, plan.n_steps, method="full", progress=False))
        if tick is not None:
            tick(_work(part.size, field.dim))
    norms, log_norms = (np.concatenate(pieces) for pieces in zip(*parts, strict=True))
    limits = bounds.majorant(field, spec.scheme, step, plan.n_steps)
    log_limits = bounds.log_majorant(field, spec.scheme, step, plan.n_steps)
    return norms, log_norms, limits, log_limits


def total_work(plan: FigurePlan) -> int:
    """The sum of the work that `compute` reports, in arbitrary units."""
    return sum(
        plan.draws_of(spec.number, d) * _work(plan.steps(spec.number, d).size, d)
        for spec, d, _ in plan.jobs()
    )


def _work(size: int, d: int) -> int:
    return size * d * d


def _parts(step: Float, d: int) -> list[Float]:
    """Step sizes in parts of a fraction of a second, so that the bar moves; no norm depends on it."""
    size = max(4 * default_threads(), 80_000 // (d * d))
    return [step[start : start + size] for start in range(0, step.size, size)]


# ------------------------------------------------------------------------------------------------- files


def reproduce(
    out: str | Path, plan: FigurePlan = FULL, *, command: str = "", progress: bool | None = None
) -> Result:
    """Compute, draw and write Figures 1 to 3.

    Parameters
    ----------
    out : path
        Folder, made if need be. It receives figure_1 … figure_3 as .png, .pdf and .csv, README.md with the
        captions, and manifest.json; files of these names are replaced, all at the end or none.
    plan : FigurePlan
    command : str
        Kept in the manifest.
    progress : bool, optional
        Force or forbid the progress bar; by default it shows on a terminal.

    Raises
    ------
    OSError
        If the folder cannot be made or written: before anything is computed.
    """
    began = time.perf_counter()
    with replacing_folder(out) as staging:
        with progress_bar(total_work(plan), "Figures 1 to 3", "unit", progress) as tick:
            curves = compute(plan, tick)
        said = {
            1: captions.figure_1(curves[1]),
            2: captions.figure_2(curves[2], curves[1]),
            3: captions.figure_3(curves[3]),
        }
        draw(staging, curves, plan)
        for number, members in curves.items():
            text = to_csv(number, members)
            (staging / f"figure_{number}.csv").write_text(text, encoding="utf-8", newline="")
        (staging / "README.md").write_text(readme(said, plan, command), encoding="utf-8")
        write_manifest(staging, command, plan.parameters(), time.perf_counter() - began)
        names = tuple(sorted(path.name for path in staging.iterdir()))
    return Result(curves, said, names, time.perf_counter() - began)


def draw(folder: Path, curves: Mapping[int, Sequence[Curve]], plan: FigurePlan) -> None:
    """Write every figure as PNG and as PDF."""
    from sensitivity.figures.plots import save

    from . import figures

    setting = (
        f"σ = {plan.activation}, N = {plan.n_steps}; lines: medians over draws; bands: ranges over draws"
    )
    drawn = {
        1: figures.figure_1(curves[1], setting),
        2: figures.figure_2(curves[2], curves[1], setting),
        3: figures.figure_3(curves[3], setting),
    }
    for number, figure in drawn.items():
        for suffix in ("png", "pdf"):
            save(figure, folder / f"figure_{number}.{suffix}")


def to_csv(number: int, curves: Sequence[Curve]) -> str:
    """The numbers of a figure, one row a draw and step size; floats in full, to read back exactly."""
    rows: list[tuple[object, ...]] = []
    for curve in curves:
        gamma = "" if curve.gamma is None else curve.gamma
        columns = (curve.norms, curve.log_norms, curve.bounds, curve.log_bounds, curve.local_slope)
        table = np.stack(np.broadcast_arrays(curve.step, *columns), axis=-1)
        for seed, values in zip(curve.seeds, table.tolist(), strict=True):
            rows += [(number, curve.d, gamma, seed, *row) for row in values]
    return csv_text(COLUMNS, rows)


def readme(said: Mapping[int, str], plan: FigurePlan, command: str) -> str:
    """What lies in the folder: set-up, captions and the columns of the CSV files."""
    draws = ", ".join(f"{n} for d = {d}" for d, n in plan.draws.items())
    lines = [
        "# Figures 1 to 3",
        "",
        f"- command: `{command}`",
        f"- W_ij, b_i ~ U(0, 1/d), y_0 = ẏ_0 = 0, N = {plan.n_steps}, σ = {plan.activation}, ε in [0.001, 1]",
        f"- draws: {draws}",
        "- not printed in the paper: σ, the number of draws, the γ and d of Figure 3",
        "",
    ]
    for number, caption in said.items():
        lines += [f"![Figure {number}](figure_{number}.png)", "", f"**Figure {number}.** {caption}", ""]
    lines += [
        "Columns of the CSV files: `figure`, `d`, `gamma` (empty without one), `seed`, `step` ε, `norm`",
        "‖∂y_N/∂y_0‖₂, `bound` theorem B (Figure 1) or D (inf beyond float64), `log_norm` and `log_bound`",
        "their natural logarithms, `local_slope` d log norm / d log ε.",
        "",
    ]
    return "\n".join(lines)
