"""`report`: the one call that says what the gradient of a network does."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from integrators.cells.cell import Cell
from integrators.display import Table
from integrators.fields.field import Field
from integrators.naming import shown
from integrators.run.recurrence import Recurrence
from integrators.schemes.table import Scheme
from integrators.validation import as_count
from integrators.values import ByValue
from sensitivity.analysis.growth import growth_exponents
from sensitivity.analysis.memory.along import log_norms_along
from sensitivity.analysis.memory.gradient_rows import theta_blocks
from sensitivity.analysis.memory.gradient_time import gradient_in_time
from sensitivity.analysis.memory.quantiles import quantiles
from sensitivity.analysis.profile import gradient_profile
from sensitivity.analysis.singular import block_of
from sensitivity.bounds import log_upper_bound
from sensitivity.figures.drawn import Drawn
from sensitivity.recurrences.cell import unroll
from sensitivity.recurrences.registry import drawn_inputs
from sensitivity.text import block_symbol, evenly_spread, from_log, number
from sensitivity.weights.entries import as_numpy
from sensitivity.weights.torch_names import in_both, torch_names
from sensitivity.weights.weight_files import load_weights
from sensitivity.weights.weights import from_torch

from .saturation import saturation
from .verdict import GradientVerdict, verdict_of

__all__ = ["NetworkReport", "report"]

Float = NDArray[np.float64]

POINTS, EXPONENTS = 60, 3
USUAL_STEPS = 200


@dataclass(frozen=True, eq=False)
class NetworkReport(ByValue, Drawn):
    """What the gradient of a network does: the result of `report`.

    ``print(report)`` shows a table and the verdict, and so does a notebook; `plot` draws it; `as_dict` is for
    JSON.

    Attributes
    ----------
    model, block : str
        The model, and the block of its state that h stands for; `symbol` is what formulas call it.
    n_steps, members : int
        N, and the number of batch members.
    steps : ndarray of int, shape (points,)
        The n of `log_norms`.
    log_norms : ndarray, shape (members, points)
        ln ‖∂h_n/∂h_0‖₂.
    log_bounds : ndarray, shape (members, points)
        ln of the proved bound on these norms; NaN where none is proved.
    index : ndarray of int, shape (places,)
        The i of `log_profile`.
    log_profile : ndarray, shape (members, places)
        ln ‖∂h_N/∂h_i‖₂.
    exponents, errors : ndarray, shape (members, k)
        The largest growth exponents per step, with standard errors.
    saturated : ndarray, shape (d,)
        The share of steps at which each unit is saturated; NaN where that is not known.
    window : int
        The steps from which 99 % of the parameter gradient comes, for the direction in which h_N moves most;
        the median over the batch.
    shares : dict of str to float
        By parameter, the share of that gradient, as a part of the sum of the squares.
    verdict : GradientVerdict
    torch_names : dict of str to str
        What PyTorch calls the parameters, where it has the cell.

    Examples
    --------
    >>> import leapgrad as lg
    >>> found = lg.report(lg.cell("vanilla", 8, 1, rng=0), n_steps=60)
    >>> found.verdict.word, found.n_steps
    ('vanishes', 60)
    """

    model: str
    block: str
    n_steps: int
    members: int
    steps: NDArray[np.int64]
    log_norms: Float
    log_bounds: Float
    index: NDArray[np.int64]
    log_profile: Float
    exponents: Float
    errors: Float
    saturated: Float
    window: int
    shares: dict[str, float]
    verdict: GradientVerdict
    torch_names: dict[str, str] = field(default_factory=dict)

    @property
    def symbol(self) -> str:
        """What the block is called in formulas: s for the whole state, y for the position of a field."""
        return block_symbol(self.block)

    @property
    def sentence(self) -> str:
        """The verdict in one sentence, computed from the numbers."""
        low, _, high = self._quantiles(self.log_norms[:, -1])
        said = self.verdict.sentence(self.n_steps, self.members, low, high, self.symbol)
        lost = int(np.count_nonzero(np.isnan(self.log_norms).any(axis=1)))
        if 0 < lost < self.members:
            said += f" The state of {lost} of the members leaves float64; they are not counted."
        if self.verdict.word == "overflows" or not self.shares:
            return said
        first = max(self.shares, key=lambda name: self.shares[name])
        return (
            f"{said} 99 % of the gradient of uᵀ{self.symbol}_N by the parameters, u the direction in which "
            f"{self.symbol}_N moves most, comes from the last {self.window} of {self.n_steps} steps; "
            f"{100.0 * self.shares[first]:.0f} % of it is that by {in_both(first, self.torch_names)}."
        )

    def _quantiles(self, values: Float) -> tuple[float, float, float]:
        """5 %, 50 % and 95 % over the batch; of logarithms that may be −inf."""
        low, middle, high = quantiles(values).tolist()
        return low, middle, high

    def rows(self) -> list[tuple[str, str]]:
        """The table: names and values as text."""
        several = self.members > 1

        def shown_quantiles(values: Float, text: Any = from_log) -> str:
            low, middle, high = self._quantiles(values)
            return f"{text(middle, 4)} ({text(low, 3)} … {text(high, 3)})" if several else text(middle, 4)

        h, last = self.symbol, len(self.index) // 2
        found = [(f"‖∂{h}_N/∂{h}_0‖, N = {self.n_steps}", shown_quantiles(self.log_norms[:, -1]))]
        if not np.isnan(self.log_bounds[:, -1]).all():
            found.append(("its proved bound", shown_quantiles(self.log_bounds[:, -1])))
        peak = self.log_norms.max(axis=1)
        found.append((f"largest ‖∂{h}_n/∂{h}_0‖, n ≤ N", shown_quantiles(peak)))
        found.append((f"‖∂{h}_N/∂{h}_i‖, i = {self.index[last]}", shown_quantiles(self.log_profile[:, last])))
        for number_of, values in enumerate(self.exponents.T, start=1):
            found.append((f"growth exponent {number_of} per step", shown_quantiles(values, number)))
        if np.isfinite(self.saturated).all():
            dead = int(np.count_nonzero(self.saturated > 0.99))
            mean = 100.0 * float(self.saturated.mean())
            found.append(
                ("saturated units", f"{mean:.1f} % of the time; {dead} of {self.saturated.size} always")
            )
        found.append((f"steps that make 99 % of ∂(uᵀ{h}_N)/∂θ", str(self.window)))
        for name, share in sorted(self.shares.items(), key=lambda item: -item[1])[:3]:
            found.append((f"share of it by {in_both(name, self.torch_names)}", f"{100.0 * share:.1f} %"))
        return found

    def _table(self) -> Table:
        return ("quantity", "value"), [*self.rows(), ("verdict", self.sentence)]

    def as_dict(self) -> dict[str, Any]:
        """All numbers by name, for JSON."""
        names = ("model", "block", "n_steps", "members", "steps", "log_norms", "log_bounds", "index",
                 "log_profile", "exponents", "errors", "saturated", "window", "shares",
                 "torch_names")  # fmt: skip
        verdict = {"word": self.verdict.word, "log_norm": self.verdict.log_norm, "rate": self.verdict.rate,
                   "length": self.verdict.length, "sentence": self.sentence}  # fmt: skip
        return {name: getattr(self, name) for name in names} | {"verdict": verdict}

    def __str__(self) -> str:
        rows = self.rows()
        width = max(len(name) for name, _ in rows)
        batch = "" if self.members == 1 else f", {self.members} members: median (5 % … 95 %)"
        lines = [f"{self.model}{batch}", *(f"  {name.ljust(width)}  {value}" for name, value in rows)]
        return "\n".join([*lines, self.sentence])

    def __repr__(self) -> str:
        return f"<NetworkReport on {self.model}, N = {self.n_steps}: {self.verdict.word}>"


def report(
    model: Any,
    inputs: Any = None,
    *,
    n_steps: int | None = None,
    s0: ArrayLike | None = None,
    step: ArrayLike | None = None,
    scheme: str | Scheme | None = None,
    block: str | None = None,
) -> NetworkReport:
    """What the gradient of a network does: norms, profile, exponents, bound, saturation, and a verdict.

    Parameters
    ----------
    model : torch.nn.Module, mapping, path, Cell, Field or Recurrence
        A module of PyTorch that is or contains one recurrent network, or its state dict; a file of weights
        (see `load_weights`); a cell, such as ``cell("lstm", 64, 3)``; a field, which needs `scheme` and
        `step`; or a recurrence that is unrolled already.
    inputs : array_like, shape (N, n_inputs) or (batch, N, n_inputs), optional
        Sequences of real data say most. By default `n_steps` inputs are drawn from N(0, 1). The order of the
        axes is that of PyTorch with ``batch_first=True``; without it, give ``x.transpose(0, 1)``.
    n_steps : int, optional
        N, where there are no inputs; 200 by default. The command ``leapgrad report`` takes 1000 by default,
        as every command does.
    s0, step, scheme
        As for `unroll`.
    block : str, optional
        Which block of the state h is, as for `jacobian`.

    Returns
    -------
    NetworkReport

    Raises
    ------
    TypeError, ValueError, OSError
        If the model is none of these, or something does not fit; the message names it.

    Notes
    -----
    The verdict is computed: the gradient holds if ‖∂h_N/∂h_0‖ lies within a factor of 100 of one, else it
    vanishes or explodes. Its length scale is the number of steps in which the norm changes by a factor of e,
    from the first quarter of the run on. The share of the parameters is that of the gradient of uᵀh_N, where
    u is the leading left singular vector of ∂h_N/∂h_0, over the first eight sequences.

    Examples
    --------
    >>> import leapgrad as lg
    >>> found = lg.report(lg.cell("exprnn", 6, 1, rng=0), n_steps=50)
    >>> found
    <NetworkReport on exprnn, d = 6, 1 inputs, N = 50: holds>
    >>> found.sentence[:50]
    'The gradient holds: ‖∂s_N/∂s_0‖ = 1 over 50 steps.'
    """
    run = _unrolled(model, inputs, n_steps, s0, step, scheme)
    N = as_count(run.n_steps, "n_steps", least=1)
    if run.members == 0:
        raise ValueError("inputs is an empty batch; a report needs one sequence at least.")
    part, _ = block_of(run, block)
    run = run.select(slice(0, run.members))
    steps = np.unique(np.geomspace(1, N, POINTS).round().astype(np.int64))
    index = evenly_spread(N + 1, POINTS)
    name = run.default_block if block is None else block
    label = f"{run.system.name}, d = {_dimension(run)}, {run.system.n_inputs} inputs"
    with warnings.catch_warnings():  # the verdict tells of members that overflow
        warnings.filterwarnings("ignore", message=".*batch members are NaN")
        log_norms = log_norms_along(run, steps, block)
        profile = gradient_profile(run, at=index, block=block).log_norms
        growth = growth_exponents(run, k=min(EXPONENTS, run.state_size))
        alive: Any = ~np.isnan(log_norms).any(axis=1)
        window, shares = _gradient(run, block, part, alive)
        saturated = saturation(run)
    return NetworkReport(
        label, name, N, run.members, steps, log_norms, _bounds(run, steps, block), index, profile,
        growth.exponents, growth.standard_error, saturated, window, shares, verdict_of(steps, log_norms),
        torch_names(run.system),
    )  # fmt: skip


def _dimension(run: Recurrence) -> int:
    return run.system.d if run.cell is not None else run.system.dim


def _unrolled(model: Any, inputs: Any, n_steps: int | None, s0: Any, step: Any, scheme: Any) -> Recurrence:
    """The run that is asked about."""
    if isinstance(model, Recurrence):
        given = {"inputs": inputs, "n_steps": n_steps, "s0": s0, "step": step, "scheme": scheme}
        for argument, value in given.items():
            if value is not None:
                raise TypeError(f"{argument} belongs to models; {model!r} is unrolled already: leave it out.")
        return model
    if isinstance(model, (str, os.PathLike)):
        path = Path(model)
        if path.suffix not in (".npz", ".safetensors") and not path.exists():
            raise ValueError(
                f"model {shown(model)} is no file of weights; give a cell such as cell('lstm', 64, 3), a "
                "module or a file."
            )
        model = load_weights(path)
    if not isinstance(model, (Cell, Field)):
        if not (isinstance(model, Mapping) or hasattr(model, "state_dict")):
            raise TypeError(
                f"model must be a module of PyTorch, a state dict, a file of weights, a cell, a field or a "
                f"recurrence, got {shown(model)}."
            )
        model = from_torch(model)
    if inputs is not None:
        inputs = as_numpy(inputs, "inputs") if hasattr(inputs, "detach") else inputs
    elif model.n_inputs:
        n_steps = USUAL_STEPS if n_steps is None else as_count(n_steps, "n_steps", least=1)
        inputs = drawn_inputs(n_steps, model.n_inputs, 0)
    elif n_steps is None:
        n_steps = USUAL_STEPS
    return unroll(model, n_steps, s0, inputs, step, scheme=scheme)


def _bounds(run: Recurrence, steps: NDArray[np.int64], block: str | None) -> Float:
    """ln of the proved bound after each number of steps, (members, points); NaN where none is proved."""
    found = np.full((run.members, steps.size), np.nan)
    if block_of(run, block)[0] != block_of(run, None)[0]:
        return found
    for place, n in enumerate(steps.tolist()):
        if run.cell is None:
            found[:, place] = log_upper_bound(run.system, run.scheme, run.steps, n)
        else:
            found[:, place] = run.cell.log_bound(run.steps, n, run.start)
    return found


def _gradient(
    run: Recurrence, block: str | None, part: slice, alive: NDArray[np.bool_]
) -> tuple[int, dict[str, float]]:
    """The window of 99 %, and the share of every parameter, for the direction in which h_N moves most."""
    unit = np.eye(run.state_size)[:, part]
    columns = run.pushforward(unit).aligned().values[:, part]
    finite = alive & np.isfinite(columns).all(axis=(1, 2))
    windows, squares = [], {name: 0.0 for name in theta_blocks(run.system)}
    for member in np.flatnonzero(finite)[:8]:  # a few sequences say it
        alone = run.select(slice(member, member + 1))
        u = (
            np.linalg.svd(columns[member])[0][:, 0]
            if columns[member].any()
            else unit[part.start, : unit.shape[1]]
        )
        u = u if np.abs(u).any() else np.ones(unit.shape[1])
        windows.append(int(np.atleast_1d(gradient_in_time(alone, u, block=block).window(0.01))[0]))
        gradient = alone.parameter_gradient(unit @ u)[0]
        total = float(gradient @ gradient)
        if math.isfinite(total) and total > 0.0:
            for name, value in _by_name(run, gradient).items():
                squares[name] = squares.get(name, 0.0) + float(np.sum(value * value)) / total
    whole = sum(squares.values())
    shares = {name: value / whole for name, value in squares.items() if value > 0.0} if whole > 0.0 else {}
    return int(np.median(windows)) if windows else run.n_steps, shares


def _by_name(run: Recurrence, gradient: Float) -> dict[str, Float]:
    """The parts of a gradient by the free parameters."""
    if run.cell is None:
        return {name: gradient[where] for name, where in theta_blocks(run.system).items()}
    layers = run.cell.unpack_free(gradient)
    several = len(layers) > 1
    return {
        f"{name}{number}" if several else name: value
        for number, layer in enumerate(layers)
        for name, value in layer.items()
    }
