"""`certify`: a rigorous enclosure of the hidden-state gradient, and what it proves about the bounds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from integrators.display import Displayed, Table
from integrators.fields.field import Field
from integrators.fields.neural import NeuralField
from integrators.naming import shown
from integrators.run.inputs import Inputs
from integrators.run.overflow import TrajectoryOverflow
from integrators.run.recurrence import OdeRecurrence, Recurrence, as_recurrence
from integrators.schemes.table import Scheme
from integrators.validation import as_count, as_number, as_steps
from integrators.values import ByValue, equal
from sensitivity import bounds
from sensitivity.analysis.singular import block_of, scaled_jacobian
from sensitivity.bounds.cells import cell_bound
from sensitivity.bounds.listing import ListedTheorem, listed
from sensitivity.text import from_log

from .checked import CheckedBound, Side, checked
from .dump import dumped, loaded
from .extra import DEFAULT_PRECISION, FIRST_PRECISION, require_flint
from .outward import log_interval, lower, up, upper

if TYPE_CHECKING:
    from flint import arb, arb_mat

__all__ = ["Certificate", "certify"]

Float = NDArray[np.float64]
DEFAULT_WIDTH = 1e-14


@dataclass(frozen=True, repr=False, eq=False)
class Certificate(ByValue, Displayed):
    """What ball arithmetic proves about one Jacobian J, of the map with exactly these float64 data.

    Attributes
    ----------
    mid, radius : ndarray
        |J_ij − mid_ij 2^exponent| ≤ radius_ij 2^exponent.
    exponent : int
    balls : flint.arb_mat
        Enclosure of J at the final precision.
    norm_ball, smallest_ball : flint.arb
        Enclosures of ‖J‖₂ and of the smallest singular value.
    lower, upper : float
        lower ≤ ‖J‖₂ ≤ upper; the largest float64 and inf where the norm is beyond float64.
    log_norm, log_smallest : tuple of float
        The same for the logarithms of ‖J‖₂ and of the smallest singular value.
    width : float
        Relative width of the enclosure of the norm.
    bounds : tuple of CheckedBound
        Every bound of the recursion that applies.
    theorems : tuple of ListedTheorem
        Every theorem about this norm: whether it holds, whether it is among `bounds`, and if not, why.
    precision : int
        Bits that were needed.
    float64 : ndarray
        The result of `jacobian`; NaN if the trajectory leaves float64, where ball arithmetic goes on.
    log_error : tuple of float
        Encloses log ‖float64 − J‖_F: the error that was made; inf if there is no float64 result.
    log_stated_error : float
        What a running error analysis of the float64 recurrence states for it; NaN for a cell, of which none
        is made.

    Examples
    --------
    >>> import leapgrad as lg
    >>> found = lg.certify(lg.NeuralField.random(2, rng=0), "leapfrog", step=0.1, n_steps=10)
    >>> [bound.name for bound in found.bounds], found.float64_within_stated_error
    (['chebyshev', 'cosh', 'majorant', 'no_vanishing'], True)
    """

    mid: Float
    radius: Float
    exponent: int
    balls: arb_mat
    norm_ball: arb
    smallest_ball: arb
    lower: float
    upper: float
    log_norm: tuple[float, float]
    log_smallest: tuple[float, float]
    width: float
    bounds: tuple[CheckedBound, ...]
    precision: int
    float64: Float
    log_error: tuple[float, float]
    log_stated_error: float
    theorems: tuple[ListedTheorem, ...] = ()

    def _dumped(self) -> dict[str, Any]:
        return {name: dumped(value) for name, value in vars(self).items()}

    def __eq__(self, other: object) -> bool:
        """Whether all entries are the same, balls by midpoint and radius."""
        if not isinstance(other, Certificate):
            return NotImplemented
        return self is other or equal(self._dumped(), other._dumped())

    def __hash__(self) -> int:
        return hash((self.precision, self.exponent, self.lower, self.upper, self.mid.shape))

    def __getstate__(self) -> dict[str, Any]:
        return self._dumped()

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        balls = {"balls": "arb_mat", "norm_ball": "arb", "smallest_ball": "arb"}
        super().__setstate__({k: loaded(v, balls[k]) if k in balls else v for k, v in state.items()})

    @property
    def float64_within_stated_error(self) -> bool:
        """Whether the error of the float64 Jacobian is proved to be within what is stated for it, if any."""
        return math.isnan(self.log_stated_error) or self.log_error[1] <= self.log_stated_error

    def check(self, log_bound: float, name: str = "bound", side: Side = "upper") -> CheckedBound:
        """Compare a bound, given by its logarithm, with the enclosure.

        Parameters
        ----------
        log_bound : float
            Its natural logarithm: then the size of float64 does not matter.
        name : str
        side : {"upper", "lower"}
            Of the norm, or of the smallest singular value.

        Raises
        ------
        TypeError, ValueError
            If the logarithm is no number, or the side none of the two.
        """
        if side not in ("upper", "lower"):
            raise ValueError(f"side must be 'upper' or 'lower', got {shown(side)}.")
        if math.isnan(as_number(log_bound, "log_bound")):
            raise ValueError(
                "log_bound must be the logarithm of a bound, or −inf for one that is 0; got nan."
            )
        return self._decided(log_bound, name, side)

    def _decided(self, log_bound: float, name: str, side: Side) -> CheckedBound:
        return checked(log_bound, name, side, self.log_norm if side == "upper" else self.log_smallest)

    def _table(self) -> Table:
        header = ("bound", "verdict", "value", "margin of the logarithm")
        return header, [
            (one.name, one.verdict, from_log(one.log_value), " … ".join(f"{m:.6g}" for m in one.log_margin))
            for one in self.bounds
        ]

    def __repr__(self) -> str:
        within = "within" if self.float64_within_stated_error else "OUTSIDE"
        float64 = f"off by at most {from_log(self.log_error[1])}"
        if not math.isnan(self.log_stated_error):
            float64 += f", {within} its stated error of {from_log(self.log_stated_error)}"
        if self.log_error[1] == math.inf:
            float64 = "none, since the trajectory leaves the range of float64"
        lines = [
            f"‖J‖₂ = {self.norm_ball.str(20)} ({self.precision} bits; relative width ≤ {self.width:.1e})",
            f"float64 Jacobian: {float64}",
            *(repr(bound) for bound in self.bounds),
            "for exactly these weights, inputs and initial values",
        ]
        return "<Certificate " + "\n  ".join(lines) + ">"


def certify(
    field: Field | Recurrence,
    scheme: str | Scheme | None = None,
    step: float | None = None,
    n_steps: int | None = None,
    y0: ArrayLike | None = None,
    p0: ArrayLike | None = None,
    inputs: Inputs = None,
    block: str | None = None,
    *,
    width: float = DEFAULT_WIDTH,
    max_precision: int = DEFAULT_PRECISION,
) -> Certificate:
    """Enclose the Jacobian and its norm in ball arithmetic, and decide every bound that applies.

    The map is enclosed with exactly the given float64 numbers: weights of the scheme, parameters, step size,
    initial values and inputs. Activations are exact functions, and every rounding is accounted for.

    Parameters
    ----------
    field : NeuralField or Recurrence
        A neural field with any activation; or a recurrence of a cell with one batch member, such as
        ``unroll(cell("lstm", 8), 100)``: the arguments from `scheme` to `inputs` are then left out. What is
        enclosed of a cell is the rule that compiled code runs, in exact arithmetic.
    scheme, step, n_steps, y0, p0, inputs, block
        As for `jacobian`; one step size.
    width : float
        Relative width of the enclosure of ‖J‖₂ that is asked for. The precision is doubled until it is
        reached.
    max_precision : int
        Number of bits at which to give up.

    Returns
    -------
    Certificate

    Raises
    ------
    ImportError
        Without python-flint (extra ``certify``).
    TypeError, ValueError
        If the field is neither a NeuralField nor a recurrence of a cell, if there are several step sizes or
        batch members, or if an argument makes no sense.
    ArithmeticError
        If `max_precision` bits are not enough, or if a branch of the rule, such as the sign of a
        pre-activation of relu, cannot be decided.

    Notes
    -----
    Ball arithmetic: F. Johansson, IEEE Trans. Comput. 66 (2017) 1281–1292. The norm is bounded from below by
    ‖J v‖/‖v‖, and from above by an elimination that proves μI − JᵀJ positive definite.

    Examples
    --------
    >>> import leapgrad as lg
    >>> found = lg.certify(lg.NeuralField.random(3, rng=0), "leapfrog", step=0.01, n_steps=50)
    >>> found.lower <= found.upper, found.width < 1e-14
    (True, True)
    >>> found = lg.certify(lg.unroll(lg.cell("lstm", 3), n_steps=50))
    >>> found.lower <= found.upper, found.width < 1e-14
    (True, True)
    """
    require_flint()
    if isinstance(field, Field):
        needed = {"scheme": scheme, "step": step, "n_steps": n_steps}
        missing = next((name for name, value in needed.items() if value is None), None)
        if missing is not None:
            raise TypeError(
                f"{missing} is missing: certify takes a field with a scheme, a step and a length."
            )
        part = "position" if block is None else block
        recurrence = _recurrence(field, scheme, step, n_steps, y0, p0, inputs, part)
    else:
        recurrence = as_cell_run(as_recurrence(field, scheme, step, n_steps, y0, p0, inputs))
    block_of(recurrence, block)
    as_number(width, "width", 0.0, 1.0)
    if as_count(max_precision, "max_precision") < FIRST_PRECISION:
        raise ValueError(f"max_precision must be at least {FIRST_PRECISION} bits, got {max_precision}.")
    return _at_enough_precision(recurrence, block, width, max_precision)


def as_cell_run(recurrence: Recurrence) -> Recurrence:
    """The recurrence, if it is of a cell with one batch member.

    Raises
    ------
    TypeError, ValueError
        Otherwise.
    """
    if getattr(recurrence, "cell", None) is None:
        raise TypeError(
            "field must be a Field such as NeuralField with its scheme and step, or a recurrence of a cell; "
            f"got {shown(recurrence)}."
        )
    if recurrence.members != 1:
        raise ValueError(f"a certificate is of one batch member; this batch has shape {recurrence.shape}.")
    alone = copy(recurrence)
    alone.shape = ()
    return alone


def _ball_jacobian(recurrence: Recurrence, block: str | None) -> arb_mat:
    from .balls import ball_jacobian

    if recurrence.cell is None:
        return ball_jacobian(recurrence, block or "position")
    from .cell_balls import cell_ball_jacobian

    return cell_ball_jacobian(recurrence, block_of(recurrence, block)[0])


def _at_enough_precision(
    recurrence: Recurrence, block: str | None, width: float, max_precision: int
) -> Certificate:
    """The certificate at the first precision, doubled again and again, that is enough."""
    from .balls import Undecided, precision
    from .spectrum import singular_values

    bits, obstacle = FIRST_PRECISION, ""
    while bits <= max_precision:
        with precision(bits):
            try:
                balls = _ball_jacobian(recurrence, block)
                largest, smallest = singular_values(balls, width)
                if _narrow(largest, width):
                    return _certificate(recurrence, block, balls, largest, smallest, bits)
                obstacle = f"the norm was enclosed in {largest.str(5)} only"
            except Undecided as error:
                obstacle = str(error)
        bits *= 2
    raise ArithmeticError(f"{max_precision} bits are not enough: {obstacle}; raise max_precision.")


def _recurrence(
    field: Field,
    scheme: Any,
    step: Any,
    n_steps: Any,
    y0: ArrayLike | None,
    p0: ArrayLike | None,
    inputs: Inputs,
    block: str,
) -> Recurrence:
    if not isinstance(field, NeuralField):
        raise TypeError(
            f"certify needs a NeuralField as field, whose activation is known exactly; got "
            f"{type(field).__name__} {getattr(field, 'name', '')!r}."
        )
    steps = as_steps(step)
    if steps.ndim != 0:
        raise ValueError(f"certify takes one step size, got an array of shape {steps.shape}.")
    recurrence = OdeRecurrence(field, scheme, step, n_steps, y0, p0, inputs, progress=False)
    allowed = ("position",) if recurrence.first_order else ("position", "phase")
    if block not in allowed:
        raise ValueError(f"block {block!r} is not known here; it is {' or '.join(map(repr, allowed))}.")
    return recurrence


def _narrow(ball: arb, width: float) -> bool:
    return bool(ball.is_finite() and (ball.upper() - ball.lower() <= ball.lower() * width))


def _certificate(
    recurrence: Recurrence, block: str | None, balls: arb_mat, largest: arb, smallest: arb, bits: int
) -> Certificate:
    from flint import arb

    from .spectrum import scaled_midpoints

    mid, exponent = scaled_midpoints(balls)
    unit = arb(2) ** (-exponent)
    offsets = [entry * unit - arb(float(v)) for entry, v in zip(balls.entries(), mid.ravel(), strict=True)]
    radius = np.array([up(float(o.abs_upper())) for o in offsets]).reshape(mid.shape)

    float64, log_error = _float64(recurrence, block, balls)
    low = largest.lower()
    certificate = Certificate(
        mid, radius, exponent, balls, largest, smallest,
        lower=max(0.0, lower(largest)), upper=upper(largest),
        log_norm=log_interval(largest), log_smallest=log_interval(smallest),
        width=upper((largest.upper() - low) / low) if low > 0 else 0.0,
        bounds=(), precision=bits, float64=float64, log_error=log_error,
        log_stated_error=_stated(recurrence, block) if log_error[1] < math.inf else math.inf,
        theorems=listed(recurrence, block),
    )  # fmt: skip
    return replace(
        certificate, bounds=tuple(certificate._decided(*row) for row in _applicable(recurrence, block))
    )


def _float64(recurrence: Recurrence, block: str | None, balls: arb_mat) -> tuple[Float, tuple[float, float]]:
    """The float64 Jacobian, and an enclosure of the logarithm of its error."""
    from flint import arb

    try:
        computed = scaled_jacobian(recurrence, block)
    except TrajectoryOverflow:
        return np.full((balls.nrows(), balls.ncols()), np.nan), (-math.inf, math.inf)
    unit = arb(2) ** int(computed.exponent)
    pairs = zip(balls.entries(), computed.values.ravel(), strict=True)
    error = sum(((exact - arb(float(value)) * unit) ** 2 for exact, value in pairs), arb(0)).sqrt()
    return computed.unscaled(), log_interval(error)


def _stated(recurrence: Recurrence, block: str | None) -> float:
    from .roundoff import stated_log_error

    return math.nan if recurrence.cell is not None else stated_log_error(recurrence, block or "position")


def _applicable(recurrence: Recurrence, block: str | None) -> list[tuple[float, str, Side]]:
    """(logarithm, name, side) of every bound on the recursion that holds for this case."""
    if recurrence.cell is not None:
        own = cell_bound(recurrence, block)
        return [] if own is None else [(float(own.log_value.reshape(())), own.name, own.side)]
    step, n = float(recurrence.steps[0]), recurrence.n_steps
    found = bounds.applicable(
        recurrence.system, recurrence.scheme, step, n, *recurrence.initial_value, of=("recursion",),
        block="phase" if block == "phase" else "position",
    )  # fmt: skip
    # Of the phase space the norm is compared; theorem I follows from it, being the same bound on the inverse.
    rows = [b for b in found if block != "phase" or b.side == "upper"]
    return [(_log_of(float(b.value), b.side, float(b.log_value)), b.name, b.side) for b in rows]


def _log_of(value: float, side: Side, log_value: float) -> float:
    """Logarithm of a printed bound, rounded to the side harder to keep; beyond float64 the one given."""
    from flint import arb

    if value <= 0.0:
        return -math.inf
    return log_interval(arb(value))[side == "lower"] if math.isfinite(value) else log_value
