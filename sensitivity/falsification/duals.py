"""The step of a cell in extended precision, differentiated by dual numbers and not by its own slopes.

A dual number is a value with its derivatives along k columns. The rule that runs is the source of the
compiled one; what it says of its own slopes is not used.
"""

from __future__ import annotations

import math
import warnings
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from integrators.cells.cell import Cell
from integrators.codegen.compiled import Kernel
from integrators.codegen.primitives import exp_negative
from integrators.fields.activations import ACTIVATIONS as RECORDS
from integrators.fields.activations import tanh
from integrators.run.backpropagation import trajectory
from integrators.run.recurrence import Recurrence
from sensitivity.recurrences.other_numbers import Numbers, rule_on

from .extended import ACTIVATIONS

__all__ = ["extended_cell_jacobians"]

Float = NDArray[np.float64]
Long = Any  # numbers and arrays of longdouble
_BY_CODE = {record.code: ACTIVATIONS[name] for name, record in RECORDS.items()}


class Dual:
    """A number of extended precision with its derivatives along k columns."""

    __slots__ = ("along", "value")

    def __init__(self, value: Long, along: Long) -> None:
        self.value, self.along = value, along

    def __add__(self, other: Any) -> Dual:
        if isinstance(other, Dual):
            return Dual(self.value + other.value, self.along + other.along)
        return Dual(self.value + other, self.along)

    def __neg__(self) -> Dual:
        return Dual(-self.value, -self.along)

    def __sub__(self, other: Any) -> Dual:
        return self + (-other)

    def __rsub__(self, other: Any) -> Dual:
        return -self + other

    def __mul__(self, other: Any) -> Dual:
        if isinstance(other, Dual):
            along = self.along * other.value + other.along * self.value
            return Dual(self.value * other.value, along)
        return Dual(self.value * other, self.along * other)

    def __truediv__(self, other: Any) -> Dual:
        if isinstance(other, Dual):
            ratio = self.value / other.value
            return Dual(ratio, (self.along - ratio * other.along) / other.value)
        return Dual(self.value / other, self.along / other)

    def __rtruediv__(self, other: Any) -> Dual:
        ratio = other / self.value
        return Dual(ratio, -ratio / self.value * self.along)

    __radd__, __rmul__ = __add__, __mul__

    def __pow__(self, power: int) -> Dual:
        return Dual(self.value**power, power * self.value ** (power - 1) * self.along)

    def __abs__(self) -> Dual:
        return -self if self.value < 0 else self

    def __lt__(self, other: Any) -> bool:
        return bool(self.value < _value(other))

    def __le__(self, other: Any) -> bool:
        return bool(self.value <= _value(other))

    def __gt__(self, other: Any) -> bool:
        return bool(self.value > _value(other))

    def __ge__(self, other: Any) -> bool:
        return bool(self.value >= _value(other))

    def __eq__(self, other: object) -> bool:
        return bool(self.value == _value(other))

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None  # type: ignore[assignment]


def _value(x: Any) -> Long:
    return x.value if isinstance(x, Dual) else x


def _chain(x: Any, value: Long, slope: Long) -> Any:
    """f(x) with f's value and slope there."""
    return Dual(value, slope * x.along) if isinstance(x, Dual) else value


def _function(value: Any, slope: Any) -> Any:
    return lambda x: _chain(x, value(np.longdouble(_value(x))), slope(np.longdouble(_value(x))))


def _hypot(x: Any, y: Any) -> Any:
    length = np.hypot(_value(x), _value(y))
    if length == 0:
        return length
    parts = [_chain(part, np.longdouble(0), _value(part) / length) for part in (x, y)]
    return parts[0] + parts[1] + length


def _activate(code: int, z: Any, s: Any, ds: Any) -> None:
    """`activate`; the slope that it gives has no derivative, which NaN says."""
    for i in range(z.size):
        value, slope = _BY_CODE[int(code)](np.longdouble(_value(z[i])))
        s[i] = _chain(z[i], value, slope)
        ds[i] = Dual(slope, np.full(_width(z[i]), np.longdouble(np.nan)))


def _width(x: Any) -> int:
    return x.along.size if isinstance(x, Dual) else 1


def _tanh_pair(x: Any) -> tuple[Any, Any]:
    """tanh x and its slope."""
    value, slope = _TANH(x), 1 / np.cosh(np.longdouble(_value(x))) ** 2
    return value, _chain(x, slope, -2 * _value(value) * slope)


def _exp_pair(x: Any) -> tuple[Any, Any]:
    """1 − e^x and e^x."""
    u = np.longdouble(_value(x))
    return _chain(x, -np.expm1(u), -np.exp(u)), _chain(x, np.exp(u), np.exp(u))


_SQRT, _EXP = _function(np.sqrt, lambda x: 0.5 / np.sqrt(x)), _function(np.exp, np.exp)
_LOG, _TANH = _function(np.log, lambda x: 1 / x), _function(np.tanh, lambda x: 1 / np.cosh(x) ** 2)
_MATH = SimpleNamespace(
    sqrt=_SQRT,
    exp=_EXP,
    log=_LOG,
    log1p=_function(np.log1p, lambda x: 1 / (1 + x)),
    expm1=_function(np.expm1, np.exp),
    tanh=_TANH,
    sin=_function(np.sin, np.cos),
    cos=_function(np.cos, lambda x: -np.sin(x)),
    hypot=_hypot,
    copysign=lambda size, sign: abs(size) if _value(sign) >= 0 else -abs(size),
    nan=math.nan,
    inf=math.inf,
    pi=np.arccos(np.longdouble(-1)),
)
_NUMPY = SimpleNamespace(
    empty=lambda shape, *_: np.full(shape, np.longdouble(np.nan), object),
    zeros=lambda shape, *_: np.full(shape, np.longdouble(0), object),
    sqrt=_SQRT,
    exp=_EXP,
    log=_LOG,
    tanh=_TANH,
    inf=math.inf,
    nan=math.nan,
)
_DUALS = Numbers(
    _activate,
    _MATH,
    _NUMPY,
    {tanh: _tanh_pair, exp_negative: _exp_pair},
)


@cache
def _rule(rule: Kernel) -> Any:
    return rule_on(_DUALS, rule)


def extended_cell_jacobians(recurrence: Recurrence) -> Long:
    """∂s_N/∂s_0 of a cell with one layer, at the states that float64 computes.

    Parameters
    ----------
    recurrence : Recurrence
        With one axis of batch members.

    Returns
    -------
    ndarray of longdouble, shape (members, D, D)
        NaN where the state leaves float64.
    """
    cell, n = recurrence.cell, recurrence.n_steps
    assert cell is not None
    steps = [_DualStep(cell, own) for own in _substeps(cell)]
    found = np.repeat(np.eye(cell.dim, dtype=np.longdouble)[None], recurrence.members, 0)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of a state that leaves float64
        states = trajectory(recurrence).transpose(2, 0, 1)
        for member, (path, T) in enumerate(zip(states, found, strict=True)):
            drive = recurrence.inputs[:, :, min(member, recurrence.inputs.shape[2] - 1)]
            for s, x in zip(path[:n], drive, strict=True):
                for step in steps:
                    s, T = step(s, x, np.longdouble(recurrence.steps[member]), T)
            found[member] = T if np.isfinite(path).all() else np.nan
    return found


def _substeps(cell: Cell) -> list[dict[str, Float]]:
    """The parameters of each map that a step applies, under the names of the first."""
    own, count = cell.parameters, cell.layout.substeps
    names, each = list(own), len(own) // count
    parts = [names[start : start + each] for start in range(0, each * count, each)] if count > 1 else [names]
    return [{first: own[name] for first, name in zip(parts[0], part, strict=True)} for part in parts]


class _DualStep:
    """One step of a cell of one layer on dual numbers."""

    def __init__(self, cell: Cell, own: dict[str, Float]) -> None:
        self.cell, self.layout, self.d = cell, cell.layout, cell.d
        bias = cell.layout.bias_to > cell.layout.bias_from
        names = [name for name in ("W", "V", "b", "R") if name in own and (name != "b" or bias)]
        self.own = {name: np.asarray(own[name], dtype=np.longdouble) for name in names}
        if self.layout.tied:
            self.own["R"] = self.own["W"].T
        self.vectors = [own[name] for name in cell.kind.vectors]
        self.constants = [float(own[name]) for name in cell.kind.constants or {} if name in own]
        self.point, self.middle = _rule(cell.kind.point), _rule(cell.kind.middle)

    def __call__(self, s: Long, x: Float, h: Long, T: Long) -> tuple[Long, Long]:
        """Φ(s, x) and ∂Φ/∂s · T at s."""
        layout, d, k = self.layout, self.d, T.shape[1]
        rows, states, none = layout.first + layout.second, layout.states, np.zeros(k, np.longdouble)
        z, dz = np.zeros(rows * d, np.longdouble), np.zeros((rows * d, k), np.longdouble)
        state: Long = s.astype(np.longdouble)
        if "b" in self.own:
            z[layout.bias_from * d : layout.bias_to * d] += self.own["b"]
        if "W" in self.own and layout.recurrent:
            seen = layout.source * d
            z[: layout.recurrent * d] += self.own["W"] @ state[:seen]
            dz[: layout.recurrent * d] += self.own["W"] @ T[:seen]
        if "V" in self.own and self.cell.n_inputs:
            z[layout.input_from * d : layout.input_to * d] += self.own["V"] @ x[: self.cell.n_inputs]
        seen = np.empty((rows + states + layout.vectors + 1 + layout.clock, d), object)
        seen[:rows] = _duals(z, dz, d)
        seen[rows : rows + states] = _duals(state, T, d)
        for index, value in enumerate([*self.vectors, h, *x[self.cell.n_inputs :]]):
            for f in range(d):
                seen[rows + states + index, f] = np.longdouble(value[f] if np.ndim(value) else value)
        unused = np.full((max(layout.hidden, states), rows + states + layout.vectors, d), none[0], object)
        if layout.second:
            u = np.empty((layout.hidden, d), object)
            self.middle(self.constants, seen, u, unused.copy())
            values = np.array([_value(one) for one in u.ravel()])
            along = np.array([one.along if isinstance(one, Dual) else none for one in u.ravel()])
            z[layout.first * d :] += self.own["R"] @ values
            dz[layout.first * d :] += self.own["R"] @ along
            seen[layout.first : rows] = _duals(z[layout.first * d :], dz[layout.first * d :], d)
        out = np.empty((states, d), object)
        self.point(self.constants, seen, out, unused)
        after = np.array([_value(one) for one in out.ravel()])
        return after, np.array([one.along if isinstance(one, Dual) else none for one in out.ravel()])


def _duals(values: Long, along: Long, d: int) -> Any:
    found = np.empty(values.size, object)
    for i, (value, columns) in enumerate(zip(values, along, strict=True)):
        found[i] = Dual(value, columns)
    return found.reshape(-1, d)
