"""A model built for a run: what studies, the command line and comparisons ask their numbers of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from integrators.cells.cell import Cell
from integrators.fields.field import Field
from integrators.fields.neural import NeuralField
from integrators.run.recurrence import Recurrence, as_recurrence
from integrators.schemes.scheme import Scheme
from integrators.schemes.table import get_scheme
from integrators.validation import as_count
from sensitivity.analysis.graded import log_singular_values
from sensitivity.analysis.growth import GrowthExponents, growth_exponents
from sensitivity.analysis.jacobians import norm_and_exponent
from sensitivity.analysis.memory.gradient_time import gradient_in_time
from sensitivity.analysis.memory.input_kernels import memory_kernels, readout_ceiling
from sensitivity.analysis.memory.parameters import parameter_sensitivity
from sensitivity.analysis.memory.windows import log_window_norms
from sensitivity.analysis.profile import gradient_profile
from sensitivity.analysis.singular import block_of
from sensitivity.bounds import log_upper_bound, lower_bound
from sensitivity.weights.field_file import read_field_weights
from sensitivity.weights.weight_files import read_weights

from .cell import unroll
from .registry import FIELDS, builder, canonical, drawn_inputs, hyperparameters, make

__all__ = ["ModelCase", "case_of", "model_of"]

Float = NDArray[np.float64]
DEFAULT_SCHEME = "leapfrog"


def model_of(
    name: str,
    d: int | None = None,
    n_inputs: int = 0,
    seed: Any = 0,
    settings: Mapping[str, Any] | None = None,
    file: str | Path | None = None,
    *,
    option: str = "file",
    step_is_given: bool = False,
) -> Cell | Field:
    """The cell or the field of a name, at its published start or with the weights of a file.

    Parameters
    ----------
    name : str
        Of the registry, or ``module:function``.
    d, n_inputs, seed
        Of weights that are drawn; a file brings its own.
    settings : mapping, optional
        Settings of the model.
    file : path, optional
        ``.npz`` or ``.safetensors`` with the weights of a cell, ``.npz`` with W, b and V of a field.
    option : str
        What named the file, for messages.
    step_is_given : bool
        Whether the run has a step size of its own, so that the file need not say that of a cell.

    Raises
    ------
    ValueError, TypeError, OSError
        Naming the model, the setting or the file.
    """
    name, given = canonical(name), dict(settings or {})
    if file is None:
        return make(name, d, n_inputs, seed, **given)
    if name not in FIELDS:
        return read_weights(file, name, step_is_given=step_is_given, **given)
    from_weights = builder(name).__dict__["from_weights"]
    if from_weights is None:
        able = ", ".join(one for one in FIELDS if builder(one).__dict__["from_weights"])
        raise ValueError(f"{name} has no weights that a file could hold; the fields that have are {able}.")
    unknown = next((key for key in given if key not in hyperparameters(name)), None)
    if unknown is not None:
        listed = ", ".join(hyperparameters(name))
        raise ValueError(f"{name} has no hyperparameter {unknown!r}; it has {listed}.")
    return from_weights(*read_field_weights(file, option), **given)


@dataclass(frozen=True, eq=False)
class ModelCase:
    """A model with its step sizes, its start and its inputs.

    Attributes
    ----------
    name : str
        Of the registry.
    model : Cell or Field
    scheme : Scheme or None
        Of a field.
    step : float, ndarray or None
        The step sizes, one for each batch member; None for the step size that a cell has by itself.
    n_steps : int
    start, velocity : ndarray or None
        The initial state of a cell, or the initial value and velocity of a field; zero by default.
    inputs : ndarray or None, shape (n_steps, n_inputs)
    copies : int, optional
        How many equal batch members results have, for a cell without a step size.
    options : mapping
        ``threads`` and ``progress`` of the runs, and ``dtype`` for fields.
    ensemble : Recurrence, optional
        The run itself where its batch members are sequences or initial states, see `as_ensemble`.
    """

    name: str
    model: Cell | Field
    scheme: Scheme | None
    step: float | Float | None
    n_steps: int
    start: ArrayLike | None = None
    velocity: ArrayLike | None = None
    inputs: Float | None = None
    copies: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    ensemble: Recurrence | None = None

    def as_ensemble(self, inputs: Float | None, start: Float | None) -> ModelCase:
        """The same case for many input sequences (E, N, n_inputs) or initial states (E, D)."""
        given = start
        if given is None and not (self.start is None and self.velocity is None):
            given = self.recurrence.start[0]
        step = None if self.step is None else float(np.ravel(self.step)[0])
        options = {name: value for name, value in self.options.items() if name != "dtype"}
        run = unroll(self.model, self.n_steps, given, inputs, step, scheme=self.scheme, **options)
        return replace(self, ensemble=run)

    def alone(self) -> Iterator[ModelCase]:
        """A case for each batch member: each step size, or each sequence or initial state of an ensemble."""
        run, field = self.recurrence, isinstance(self.model, Field)
        if self.ensemble is None:
            for h in run.steps.tolist():
                yield self if self.step is None else replace(self, step=h)
            return
        drive, d = run.drive(), self.model.dim
        for member in range(run.members):
            state = run.start[member % len(run.start)]
            velocity = state[d:] if field and state.size > d else None
            inputs = drive[member % len(drive)] if self.model.n_inputs else None
            step = None if self.step is None else float(run.steps[member])
            start = state[:d] if field else state
            yield replace(self, ensemble=None, step=step, start=start, velocity=velocity, inputs=inputs)

    @property
    def is_field(self) -> bool:
        return self.scheme is not None

    @property
    def has_step(self) -> bool:
        """Whether the model has a step size: fields do, and some cells."""
        return not isinstance(self.model, Cell) or self.model.kind.step is not None

    @property
    def _scheme(self) -> Scheme:
        assert self.scheme is not None
        return self.scheme

    @property
    def d(self) -> int:
        """Hidden dimension."""
        return self.model.dim if isinstance(self.model, Field) else self.model.d

    @property
    def arguments(self) -> tuple[Any, ...]:
        """The case as positional arguments of `jacobian` and its like."""
        if self.ensemble is not None or not self.is_field:
            return (self.recurrence,)
        return self.model, self.scheme, self.step, self.n_steps, self.start, self.velocity, self.inputs

    @cached_property
    def recurrence(self) -> Recurrence:
        """The model unrolled over its steps."""
        if self.ensemble is not None:
            return self.ensemble
        if isinstance(self.model, Cell):
            return unroll(self.model, self.n_steps, self.start, self.inputs, self.step, **self.options)
        return as_recurrence(*self.arguments, **self.options)

    @property
    def batch(self) -> ModelCase:
        """The same case with an axis of batch members, also where there is one step size."""
        if self.ensemble is not None:
            return self
        if isinstance(self.model, Field):
            return replace(self, step=np.atleast_1d(np.asarray(self.step, dtype=np.float64)))
        start = np.zeros(self.model.dim) if self.start is None else self.start
        return replace(self, start=np.atleast_2d(start))

    @property
    def steps(self) -> Float:
        """Step sizes, shape (members,)."""
        return self.recurrence.step.reshape(-1)

    def _members(self, values: Any) -> Any:
        """The one batch member of a cell without a step size, as often as it stands for others."""
        if self.copies is None:
            return values
        return np.broadcast_to(values, (self.copies, *np.shape(values)[1:]))

    # --------------------------------------------------------------------------------------- quantities

    @cached_property
    def _norm(self) -> tuple[Float, NDArray[np.int64]]:
        norm, exponent = norm_and_exponent(self.recurrence, None)
        return self._members(norm), self._members(exponent)

    def norm(self) -> tuple[Float, NDArray[np.int64]]:
        """‖∂h_N/∂h_0‖₂ as mantissa · 2^exponent, shape (members,) each; h is the default block."""
        return self._norm

    def log_singular_values(self) -> Float:
        """Logarithms of the singular values of ∂h_N/∂h_0, descending, shape (members, size of the block)."""
        return self._members(log_singular_values(self.recurrence))

    def exponents(self) -> GrowthExponents:
        """Growth per step of the full state."""
        found = growth_exponents(self.recurrence)
        if self.copies is None:
            return found
        members = {name: self._members(getattr(found, name)) for name in ("exponents", "standard_error")}
        return GrowthExponents(**(vars(found) | members))

    def log_profile(self) -> Float:
        """Logarithms of ‖∂h_N/∂h_i‖₂, shape (members, N + 1)."""
        return self._members(gradient_profile(self.recurrence).log_norms)

    def log_window_norms(self, width: int) -> Float:
        """Logarithms of ‖∂h_{i+w}/∂h_i‖₂ for every window of w steps, shape (members, N − w + 1)."""
        return self._members(log_window_norms(self.recurrence, width))

    def log_sensitivities(self) -> dict[str, Float]:
        """Logarithms of ‖∂h_N/∂θ‖_F by the name of the parameter, shape (members,) each."""
        found = parameter_sensitivity(self.recurrence)
        return {name: self._members(norms.log_frobenius) for name, norms in found.items()}

    def truncation_windows(self, share: float) -> Float:
        """Steps beyond which truncation loses at most this share of ∂h_N/∂θ, shape (members,)."""
        return self._members(gradient_in_time(self.recurrence).window(share).astype(np.float64))

    def memory(self) -> tuple[Float, Float, Float]:
        """Memory capacity, and correlation and accuracy of the best read-out of the inputs' mean.

        NaN for models whose derivative by the inputs is not known: without inputs, and for other fields than
        neural ones.
        """
        run = self.recurrence
        if self.model.n_inputs == 0 or not isinstance(self.model, Cell | NeuralField):
            nothing = np.full(self.copies or self.steps.size, np.nan)
            return nothing, nothing, nothing
        ceiling = readout_ceiling(run, np.ones(self.n_steps))
        capacity = memory_kernels(run).capacity.sum(axis=-1)
        parts = capacity, ceiling.correlation, ceiling.accuracy
        return self._members(parts[0]), self._members(parts[1]), self._members(parts[2])

    def log_bound(self, n_steps: int | None = None, block: str | None = None) -> Float:
        """The logarithm of the proved bound on the norm of N steps, NaN where none is proved.

        Parameters
        ----------
        n_steps : int, optional
            The number of steps, if it is not that of the run.
        block : str, optional
            Of the state; the default block unless told otherwise.
        """
        n = self.n_steps if n_steps is None else n_steps
        model, run, none = self.model, self.recurrence, np.full(self.steps.shape, np.nan)
        default = block_of(run, block)[0] == block_of(run, None)[0]
        if isinstance(model, Field):
            part = "position" if default else "phase"
            return np.atleast_1d(log_upper_bound(model, self._scheme, self.steps, n, block=part))
        # A bound that depends on the initial state says nothing about a part of the run from another one.
        proved = default and not (n != self.n_steps and model.kind.bound_needs_start)
        return self._members(np.atleast_1d(model.log_bound(self.steps, n, run.start)) if proved else none)

    def least_singular_value(self) -> Float:
        """The proved lower bound on every singular value of ∂y_N/∂y_0, NaN where none is proved."""
        if not isinstance(self.model, Field):
            return np.full(self.copies or self.steps.size, np.nan)
        return lower_bound(self.model, self._scheme, self.steps, self.n_steps)


def case_of(
    name: str,
    model: Cell | Field,
    n_steps: int,
    *,
    seed: int = 0,
    scheme: str | Scheme | None = None,
    step: float | Float | None = None,
    start: ArrayLike | None = None,
    velocity: ArrayLike | None = None,
    inputs: Float | None = None,
    **details: Any,
) -> ModelCase:
    """A model with all that a run needs, and defaults where nothing is given.

    Parameters
    ----------
    name : str
    model : Cell or Field
        As `model_of` makes it.
    n_steps : int
    seed : int
        Of the inputs, which are drawn where a model takes some and none are given.
    scheme : str or Scheme, optional
        Of a field; leapfrog by default.
    step : float or ndarray, optional
        The step of a field is 1/N by default, as in equation (14) of the paper; a cell has its own.
    start, velocity : array_like, optional
        The initial state of a cell, or the initial value and velocity of a field.
    inputs : ndarray, shape (n_steps, n_inputs), optional
    **details
        ``copies`` and ``options`` of `ModelCase`.

    Raises
    ------
    ValueError
        For a scheme or a velocity that is given to a cell.
    """
    n_steps = as_count(n_steps, "n_steps")
    if inputs is None and model.n_inputs:
        inputs = drawn_inputs(n_steps, model.n_inputs, seed)
    if isinstance(model, Field):
        found = get_scheme(DEFAULT_SCHEME if scheme is None else scheme)
        step = 1.0 / max(n_steps, 1) if step is None else step
        return ModelCase(name, model, found, step, n_steps, start, velocity, inputs, **details)
    for argument, given in (("scheme", scheme), ("p0", velocity)):
        if given is not None:
            raise ValueError(f"{argument} belongs to fields; {name} is a cell: leave {argument} out.")
    return ModelCase(name, model, None, step, n_steps, start, None, inputs, **details)
