"""Many recurrences side by side: ‖∂h_n/∂h_0‖ against n, ‖∂h_N/∂h_i‖ against i, growth exponents."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from integrators.display import Table
from integrators.engine.blocks import one_blas_thread, progress_bar
from integrators.run.overflow import TrajectoryOverflow
from integrators.run.recurrence import Recurrence
from integrators.validation import as_count
from integrators.values import ByValue
from sensitivity.figures.drawn import Drawn
from sensitivity.text import evenly_spread, from_log, number

from .growth import growth_exponents
from .memory.along import log_norms_along
from .memory.quantiles import quantiles
from .profile import gradient_profile

__all__ = ["Comparison", "ModelGradients", "compare"]

Float = NDArray[np.float64]
POINTS, EXPONENTS = 40, 3


@dataclass(frozen=True, eq=False)
class ModelGradients(ByValue):
    """What is known of one recurrence.

    Attributes
    ----------
    name, block : str
        h is this block of the state; "state" is the whole.
    log_norms : ndarray, shape (points,)
        ln ‖∂h_n/∂h_0‖₂ at the n of `Comparison.steps`; NaN where the trajectory left float64.
    log_profile : ndarray, shape (places,)
        ln ‖∂h_N/∂h_i‖₂ at the i of `Comparison.index`.
    exponents, errors : ndarray, shape (k,)
        Growth per step of the whole state, the largest first, with standard errors.
    members : int
        Of the ensemble; where there are several, the numbers above are medians.
    bands : dict of str to ndarray, shape (2, …)
        5 % and 95 % of ``log_norms``, ``log_profile`` and ``exponents`` over the ensemble; empty without one.
    """

    name: str
    block: str
    log_norms: Float
    log_profile: Float
    exponents: Float
    errors: Float
    members: int = 1
    bands: dict[str, Float] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Comparison(ByValue, Drawn):
    """Gradients of several recurrences of one length.

    Attributes
    ----------
    models : tuple
        One record for each recurrence: ``name``, ``block``, ``log_norms`` (ln ‖∂h_n/∂h_0‖₂ at the n of
        `steps`), ``log_profile`` (ln ‖∂h_N/∂h_i‖₂ at the i of `index`), ``exponents`` and their standard
        ``errors``.
    n_steps : int
        N.
    steps : ndarray of int
        Where the norms were computed, spread evenly on a logarithmic scale.
    index : ndarray of int
        Where the profiles were computed, spread evenly.

    Examples
    --------
    >>> import leapgrad as lg
    >>> found = lg.compare({"lstm": lg.unroll(lg.cell("lstm", 4), n_steps=50)})
    >>> sorted(found.columns())
    ['index', 'model', 'quantity', 'standard_error', 'value']
    """

    models: tuple[ModelGradients, ...]
    n_steps: int
    steps: NDArray[np.int64]
    index: NDArray[np.int64]

    def _table(self) -> Table:
        header = ("model", "block", "‖∂h_N/∂h_0‖", "λ_1 per step")
        rows = [
            (m.name, m.block, from_log(float(m.log_norms[-1])), number(float(m.exponents[0])))
            for m in self.models
        ]
        return header, rows

    def columns(self) -> dict[str, list[float | str]]:
        """One row for every number: model, quantity, its n or i or number, value, standard error."""
        rows: list[tuple[str, str, float, float, float]] = []
        for model in self.models:
            parts = (
                ("log_norm", self.steps, model.log_norms, None),
                ("log_profile", self.index, model.log_profile, None),
                ("exponent", np.arange(1, model.exponents.size + 1), model.exponents, model.errors),
            )
            for quantity, places, values, errors in parts:
                wrong = np.zeros(values.size) if errors is None else errors
                rows += [
                    (model.name, quantity, int(place), float(value), float(error))
                    for place, value, error in zip(places, values, wrong, strict=True)
                ]
                attribute = {"log_norm": "log_norms", "exponent": "exponents"}.get(quantity, quantity)
                for share, ends in zip(("5 %", "95 %"), model.bands.get(attribute, ()), strict=False):
                    rows += [
                        (model.name, f"{quantity}, {share}", int(place), float(value), 0.0)
                        for place, value in zip(places, ends, strict=True)
                    ]
        header = ("model", "quantity", "index", "value", "standard_error")
        return {name: [row[column] for row in rows] for column, name in enumerate(header)}

    def __repr__(self) -> str:
        return f"<Comparison of {', '.join(m.name for m in self.models)}; N = {self.n_steps}>"


def compare(
    recurrences: Mapping[str, Recurrence], *, ensemble: bool = False, progress: bool | None = None
) -> Comparison:
    """Compute gradients of several recurrences side by side, each for its default block.

    Parameters
    ----------
    recurrences : mapping
        Name → recurrence without a batch, such as ``unroll(cell("lstm", 64), n_steps=1000)``; all of one
        length.
    ensemble : bool
        Whether a recurrence may have a batch, of sequences or initial states. Medians over its members are
        then compared, and their 5 % and 95 % stand beside them; members that overflow are left out.
    progress : bool, optional
        Whether to show a progress bar.

    Returns
    -------
    Comparison
        Norms, profiles and growth exponents; NaN for a recurrence whose state leaves the range of float64.

    Raises
    ------
    ValueError
        If there is no recurrence, if their lengths differ, or if one of them has a batch without
        ``ensemble=True``, or an empty one.

    Examples
    --------
    >>> import leapgrad as lg
    >>> runs = {name: lg.unroll(lg.cell(name, 4), n_steps=50) for name in ("lstm", "gru")}
    >>> found = lg.compare(runs)
    >>> found
    <Comparison of lstm, gru; N = 50>
    >>> found.models[0].log_norms.shape == found.steps.shape
    True
    """
    if not isinstance(recurrences, Mapping) or not recurrences:
        raise TypeError(f"recurrences must be a mapping of names to recurrences, got {recurrences!r}.")
    for name, recurrence in recurrences.items():
        if not isinstance(name, str) or not hasattr(recurrence, "pushforward"):
            raise TypeError(
                f"recurrences must map names to recurrences such as unroll(cell, n_steps), got {name!r}: "
                f"{recurrence!r}."
            )
    lengths = {name: recurrence.n_steps for name, recurrence in recurrences.items()}
    if len(set(lengths.values())) != 1:
        raise ValueError(f"recurrences of one length are compared; got {lengths or 'none'}.")
    n_steps = as_count(next(iter(lengths.values())), "n_steps", least=1)
    for name, recurrence in recurrences.items():
        members = math.prod(recurrence.shape)
        if members == 0 or (members > 1 and not ensemble):
            raise ValueError(
                f"{name} has a batch of shape {recurrence.shape}; give it one member"
                + (", at least." if ensemble else ", or say ensemble=True for quantiles over them.")
            )
    steps = np.unique(np.geomspace(1, n_steps, POINTS).round().astype(np.int64))
    index = evenly_spread(n_steps + 1, POINTS)
    found = []
    # Held throughout: setting the number of BLAS threads anew for every small matrix costs more than its
    # norm; all models together took three times the processor time.
    with one_blas_thread(), progress_bar(len(recurrences), "models", "model", progress) as tick:
        for name, recurrence in recurrences.items():
            found.append(_gradients(name, recurrence, steps, index))
            tick()
    return Comparison(tuple(found), n_steps, steps, index)


def _gradients(
    name: str, recurrence: Recurrence, steps: NDArray[np.int64], index: NDArray[np.int64]
) -> ModelGradients:
    k, m = min(EXPONENTS, recurrence.state_size), recurrence.members
    block = recurrence.default_block
    try:
        growth = growth_exponents(recurrence, k=k)
        norms = log_norms_along(recurrence, steps)
        profile = gradient_profile(recurrence, at=index).log_norms.reshape(m, -1)
        exponents, errors = growth.exponents.reshape(m, k), growth.standard_error.reshape(m, k)
    except TrajectoryOverflow:
        none, lost = np.nan, np.full(k, np.nan)
        return ModelGradients(
            name, block, np.full(steps.size, none), np.full(index.size, none), lost, lost.copy()
        )
    if m == 1:
        return ModelGradients(name, block, norms[0], profile[0], exponents[0], errors[0])
    found = {"log_norms": norms, "log_profile": profile, "exponents": exponents}
    ends = {key: quantiles(values) for key, values in found.items()}
    middle = {key: values[1] for key, values in ends.items()}
    bands = {key: values[[0, 2]] for key, values in ends.items()}
    return ModelGradients(name, block, **middle, errors=quantiles(errors)[1], members=m, bands=bands)
