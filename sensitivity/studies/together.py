"""Networks of one shape computed together: their weights are drawn, and one compiled loop runs them all.

The bits are those of each network alone. That holds for neural fields with drawn weights and the quantities
of `TOGETHER`; other networks, and the few of those whose weights or bounds are out of the ordinary, are
computed one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from integrators.engine.blocks import one_blas_thread
from integrators.engine.column_scale import Scaled, from_scaled, log_scaled, scaled_in_place
from integrators.fields.activations import ACTIVATIONS
from integrators.fields.many import ManyBlocks, forward_many
from integrators.fields.neural import NeuralField, largest_slopes
from integrators.run.forward import FAR_FROM_ONE, block_shape, check_intervals, padded_members
from integrators.schemes.table import get_scheme
from integrators.singular_values import scaled_norm
from sensitivity.analysis.singular import FULL_COLUMNS
from sensitivity.bounds.growth import bounds_by_slope
from sensitivity.recurrences.case import ModelCase
from sensitivity.recurrences.registry import drawn_inputs

from .axes import AXES
from .input_files import n_inputs_of
from .models import INPUTS, NEURAL, build
from .quantities import QUANTITIES, checked

__all__ = ["Networks", "can_run_together", "can_stand_together"]

Float = NDArray[np.float64]
Flags = Any  # arrays of truth values, whose type NumPy leaves open
# From this time on a network gains nothing from running with others.
ALONE_SECONDS = 5e-3


def can_stand_together(model: str, parameters: Mapping[str, Any]) -> bool:
    """Whether networks are neural fields with drawn weights, which `Networks` knows."""
    return model == NEURAL and parameters.keys() <= AXES.keys()


def can_run_together(
    model: str, parameters: Mapping[str, Any], quantities: tuple[str, ...], seconds: float
) -> bool:
    """Whether networks of this kind, each of which takes so many seconds, are run by `Networks.numbers`."""
    return (
        can_stand_together(model, parameters)
        and parameters["d"] < FULL_COLUMNS
        and seconds < ALONE_SECONDS
        and all(QUANTITIES[name].compute in TOGETHER for name in quantities)
    )


@dataclass(frozen=True)
class Networks:
    """Neural fields with drawn weights that differ in nothing that their shapes and their cost depend on.

    Attributes
    ----------
    count : int
    parameters : mapping
        Those of the first network.
    varying : mapping
        Axis → its value for each network, for the axes on which they are not all as the first.
    steps : tuple of float
    """

    count: int
    parameters: Mapping[str, Any]
    varying: Mapping[str, Sequence[Any]]
    steps: tuple[float, ...]

    def each(self, axis: str) -> Sequence[Any]:
        """The value of every network on an axis."""
        return self.varying[axis] if axis in self.varying else [self.parameters[axis]] * self.count

    def parameters_of(self, place: int) -> dict[str, Any]:
        """The parameters of one network."""
        return {**self.parameters, **{axis: values[place] for axis, values in self.varying.items()}}

    @cached_property
    def drawn(self) -> tuple[Float, Float, Float]:
        """W, V and b of every network as `integrators.fields.neural.hamiltonian` draws them: W, b, V."""
        d, n_inputs = self.parameters["d"], n_inputs_of(self.parameters[INPUTS])
        numbers = np.empty((self.count, d * (d + 1 + n_inputs)))
        for own, seed in zip(numbers, self.each("seed"), strict=True):
            own[:] = np.random.default_rng(seed).uniform(0.0, 1.0 / d, own.size)
        W = numbers[:, : d * d].reshape(-1, d, d)
        scale = np.array(self.each("weight_scale"), dtype=np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            W = scale[:, None, None] * W
            gamma = self.each("gamma")
            shifted = np.array([value is not None for value in gamma])
            if shifted.any():
                shift = np.array([0.0 if value is None else value for value in gamma])[:, None, None]
                other = W - W.transpose(0, 2, 1) - shift * np.eye(d)
                W = np.where(shifted[:, None, None], other, W)
        b, V = numbers[:, d * d : d * d + d], numbers[:, d * d + d :].reshape(self.count, d, n_inputs)
        return W, V, b

    @cached_property
    def case(self) -> ModelCase:
        """The first network alone."""
        return build(NEURAL, self.parameters, self.steps)

    @cached_property
    def slopes(self) -> Float:
        """`NeuralField.lipschitz` of every network; not finite where W is not."""
        lipschitz = np.array([ACTIVATIONS[name].lipschitz for name in self.each("activation")])
        return largest_slopes(lipschitz, self.drawn[0])

    @cached_property
    def bounds(self) -> tuple[Float, Float, Flags]:
        """`log_bound` and `least_singular_value` of all networks, (count, steps), and which are known.

        What is found together is compared with the bounds of one network alone.
        """
        known = np.isfinite(self.slopes) & (self.slopes > 0.0)
        upper, lower = (np.full((self.count, len(self.steps)), np.nan) for _ in range(2))
        if known.any():
            steps = np.tile(np.array(self.steps), (int(np.count_nonzero(known)), 1))
            scheme, n_steps, d = (self.parameters[name] for name in ("scheme", "n_steps", "d"))
            found = bounds_by_slope(self.slopes[known, None], get_scheme(scheme), steps, n_steps, d)
            upper[known], lower[known] = found
            first = int(np.argmax(known))
            case = build(NEURAL, self.parameters_of(first), self.steps)
            alone = case.log_bound(), case.least_singular_value()
            if not all(
                np.array_equal(own[first], its) for own, its in zip((upper, lower), alone, strict=True)
            ):
                known[:] = False
        return upper, lower, known

    # --------------------------------------------------------------------------------------------- runs

    def numbers(self, quantities: tuple[str, ...]) -> tuple[dict[str, Float], Flags]:
        """The variables of all quantities, shape (count, steps) each, and which networks they are those of.

        The others must be computed alone.
        """
        with one_blas_thread():
            usable = self._ordinary()
            found: dict[str, Float] = {}
            for quantity in checked(quantities):
                arrays, its = TOGETHER[quantity.compute](self)
                usable &= its
                found |= {v.name: array for v, array in zip(quantity.variables, arrays, strict=True)}
        return found, usable

    def _ordinary(self) -> Flags:
        """Networks whose weights are finite and not so large or small that their runs take more care."""
        W = self.drawn[0]
        largest = np.abs(W).max(axis=(1, 2))
        finite = np.isfinite(largest) & np.isfinite(self.slopes)
        _, bits = np.frexp(np.where(finite, largest, 1.0))
        constant = np.array([name == "identity" for name in self.each("activation")])
        return finite & (np.abs(bits) <= FAR_FROM_ONE) & ~constant

    @cached_property
    def norms(self) -> tuple[Float, NDArray[np.int64], Flags]:
        """`ModelCase.norm` of every network, shape (count, steps) each, and which networks have run."""
        recurrence, m = self.case.recurrence, len(self.steps)
        width, pad_members, pad_columns = block_shape(
            recurrence.system, m, recurrence.system.dim, 1, recurrence.dtype
        )
        shape = (self.count, m)
        if m > width and m % width:
            return np.empty(shape), np.empty(shape, np.int64), np.zeros(self.count, bool)
        parts = [slice(first, min(first + width, m)) for first in range(0, m, width)]
        which = np.array([padded_members(part, pad_members, m) for part in parts])
        columns = self._columns(which, pad_columns, parts[0].stop)
        norm, exponent = scaled_norm(columns.values)
        return norm.reshape(shape), (columns.exponent + exponent).reshape(shape), np.ones(self.count, bool)

    def _columns(self, which: NDArray[np.intp], pad_columns: int, width: int) -> Scaled:
        """∂y_N/∂y_0 of every network and step, (count · steps, d, d).

        Parameters
        ----------
        which : ndarray, shape (blocks, n)
            The batch members of each block of a network.
        pad_columns : int
        width : int
            The members of a block that are not there to pad it.
        """
        recurrence, d, D = self.case.recurrence, self.case.d, self.case.recurrence.state_size
        program, runs, n = recurrence.program(close=False), self.count * len(which), which.shape[1]
        k = d + -d % pad_columns
        blocks = ManyBlocks(
            np.repeat(self._starts(), len(which), axis=0)[:, :, None].repeat(n, axis=2),
            np.zeros((runs, D, k, n)),
            np.zeros((runs, k * n), np.int64),
            np.full((runs, n), -1, np.int64),
        )
        blocks.columns[:, np.arange(d), np.arange(d)] = 1.0
        run = recurrence.driver_run(which[0], program)
        steps = np.tile(recurrence.steps[which], (self.count, 1))
        slopes = np.repeat(np.where(np.isfinite(self.slopes), self.slopes, 1.0), len(which))
        every = check_intervals(slopes, program, steps.max(axis=1))
        W, V, b = self.drawn
        codes = np.array([ACTIVATIONS[name].code for name in self.each("activation")], dtype=np.float64)
        thetas = np.concatenate([part.reshape(self.count, -1) for part in (W, V, b, codes)], axis=1)
        transposed = np.ascontiguousarray(W.transpose(0, 2, 1)).reshape(self.count, -1)
        field_of = np.repeat(np.arange(self.count), len(which))
        field: NeuralField = recurrence.system
        forward_many(field, thetas, transposed, run, every, self._drives(run), field_of, steps, blocks)
        values = np.ascontiguousarray(blocks.columns.transpose(0, 3, 1, 2)[:, :width, :, :d]).reshape(
            -1, D, d
        )
        exponents = (
            blocks.exponent.reshape(runs, k, n).transpose(0, 2, 1)[:, :width, :d].reshape(-1, d).copy()
        )
        scaled = scaled_in_place(values, exponents)
        scaled.values[(blocks.overflowed[:, :width] >= 0).ravel()] = np.nan
        return scaled.shaped((len(values),), slice(0, d)).aligned()

    def _starts(self) -> Float:
        """The initial state of every network, (count, D)."""
        y, p = (np.array(self.each(axis), dtype=np.float64) for axis in ("y0", "p0"))
        d, D = self.case.d, self.case.recurrence.state_size
        return np.concatenate([y[:, None].repeat(d, axis=1), p[:, None].repeat(D - d, axis=1)], axis=1)

    def _drives(self, run: Any) -> Float:
        """The inputs of every network, or one for all."""
        n_steps, given = self.parameters["n_steps"], self.parameters[INPUTS]
        if not isinstance(given, int) or given == 0 or n_steps == 0:
            return run.inputs[None]
        return np.stack([drawn_inputs(n_steps, given, seed) for seed in self.each("seed")])[..., None]


def _norm(networks: Networks) -> tuple[tuple[Float, ...], Flags]:
    norm, exponent, usable = networks.norms
    return (from_scaled(norm, exponent),), usable


def _log_norm(networks: Networks) -> tuple[tuple[Float, ...], Flags]:
    norm, exponent, usable = networks.norms
    return (log_scaled(norm, exponent),), usable


def _bounds(networks: Networks) -> tuple[tuple[Float, ...], Flags]:
    upper, lower, known = networks.bounds
    return (upper, lower), known


TOGETHER: dict[Any, Callable[[Networks], tuple[tuple[Float, ...], Flags]]] = {
    QUANTITIES["norm"].compute: _norm,
    QUANTITIES["log_norm"].compute: _log_norm,
    QUANTITIES["bounds"].compute: _bounds,
}
"""`Quantity.compute` → the same for many networks: its arrays, and which networks they are those of."""
