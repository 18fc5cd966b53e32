"""Activation functions σ with their derivatives, bounds and symbolic forms: one record each.

The compiled side is `activate`, which fills σ(z) and σ'(z) for a flat array; it is chosen by the record's
integer `code`, so that one compiled field serves every activation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from integrators.codegen.compiled import helper
from integrators.codegen.primitives import (
    LOWEST,
    STACK_NUMBERS,
    borrowed,
    exp_composed,
    exp_negative,
    exp_reduced,
    exp_series,
    fma,
    get,
    on_stack,
    put,
)
from integrators.naming import nearest
from integrators.values import ByValue, portable

__all__ = ["ACTIVATIONS", "TANH", "Activation", "activate", "tanh"]

TANH, LOGISTIC, RELU, IDENTITY, SIN, ARCTAN, SOFTSIGN, ERF = range(8)
"""Codes by which compiled functions name an activation: ``TANH == ACTIVATIONS["tanh"].code``.

Examples
--------
>>> from integrators import ACTIVATIONS, TANH
>>> ACTIVATIONS["tanh"].code == TANH
True
"""

TWO_OVER_SQRT_PI = 1.1283791670955126


# Values at a time in `begin_exponentials`, which keeps four numbers for each; fewer than the second go one by
# one: 10 of them in 24 ns instead of 37, with AVX-512.
CHUNK, FEW = STACK_NUMBERS // 4, 40


@helper
def tanh_of(x, t, e):
    """(tanh x, sech² x) from t = 1 − e and e = exp(−2|x|): t/(1+e) and 4e/(1+e)².

    The quotient is corrected by its residual, which makes tanh correct to 2 units in the last place for
    every double; sech² keeps its relative accuracy where 1 − tanh² would cancel.
    """
    one_plus_e = 1.0 + e
    rest = e - (one_plus_e - 1.0)
    w = 1.0 / one_plus_e
    s = t * w
    s = fma(w, fma(-s, rest, fma(-s, one_plus_e, t)), s)
    return math.copysign(s, x), 0.0 if -2.0 * abs(x) < LOWEST else 4.0 * e * (w * w)


@helper
def logistic_of(x, e):
    """(1/(1 + e^−x), e/(1 + e)²) from e = exp(−|x|), both with full relative accuracy in either tail."""
    e = 0.0 if -abs(x) < LOWEST else e
    w = 1.0 / (1.0 + e)
    return w if x >= 0.0 else e * w, e * (w * w)


@helper
def tanh(x):
    """(tanh x, sech² x)."""
    u = -2.0 * abs(x)
    t, e = exp_negative(LOWEST if u < LOWEST else u)
    return tanh_of(x, t, e)


@helper
def logistic(x):
    """(1/(1 + e^−x), its derivative)."""
    u = -abs(x)
    _, e = exp_negative(LOWEST if u < LOWEST else u)
    return logistic_of(x, e)


@helper
def begin_exponentials(factor, z, room):
    """Prepare exp(u), u = factor·|z|, of at most CHUNK values; `exponential_of` gives them.

    A value alone takes some hundred operations that wait for each other, and a processor that works on four
    at a time has nothing to do in half of its cycles. One loop for all values of a part of the operations is
    short enough for it to see ten: tanh takes 0.61 ns instead of 0.90 with AVX-512, and 1.24 instead of
    1.86 with AVX2, in the first-level cache of one core.
    """
    for i in range(z.size):
        u = factor * abs(z[i])
        r, low, power = exp_reduced(LOWEST if u < LOWEST else u)
        put(room, i, r)
        put(room, CHUNK + i, low)
        put(room, 2 * CHUNK + i, power)
    for i in range(z.size):
        put(room, 3 * CHUNK + i, exp_series(get(room, i)))


@helper
def exponential_of(room, i):
    """(1 − e^u, e^u) of value i of the chunk."""
    low, power, q = get(room, CHUNK + i), get(room, 2 * CHUNK + i), get(room, 3 * CHUNK + i)
    return exp_composed(get(room, i), low, power, q)


@helper
def fill_tanh(z, s, ds):
    """s = tanh z and ds = sech² z; the bits of `tanh`."""
    room, z, s, ds = on_stack(), borrowed(z), borrowed(s), borrowed(ds)
    for first in range(0, z.size, CHUNK):
        part, value, slope = z[first : first + CHUNK], s[first : first + CHUNK], ds[first : first + CHUNK]
        begin_exponentials(-2.0, part, room)
        for i in range(part.size):
            t, e = exponential_of(room, i)
            value[i], slope[i] = tanh_of(part[i], t, e)


@helper
def fill_logistic(z, s, ds):
    """s = 1/(1 + e^−z) and its derivative."""
    room, z, s, ds = on_stack(), borrowed(z), borrowed(s), borrowed(ds)
    for first in range(0, z.size, CHUNK):
        part, value, slope = z[first : first + CHUNK], s[first : first + CHUNK], ds[first : first + CHUNK]
        begin_exponentials(-1.0, part, room)
        for i in range(part.size):
            _, e = exponential_of(room, i)
            value[i], slope[i] = logistic_of(part[i], e)


@helper
def activate(code, z, s, ds):
    """Fill s = σ(z) and ds = σ'(z) for three flat arrays of one length.

    Parameters
    ----------
    code : int
        `Activation.code`.
    z, s, ds : float64[::1]
        Pre-activations, values, derivatives.

    Examples
    --------
    >>> import numpy as np
    >>> from integrators import TANH, activate
    >>> z = np.array([-1.0, 0.0, 1.0])
    >>> value, slope = np.empty(3), np.empty(3)
    >>> activate(TANH, z, value, slope)
    >>> value.round(4), slope.round(4)
    (array([-0.7616,  0.    ,  0.7616]), array([0.42, 1.  , 0.42]))
    """
    n = z.size
    if code == TANH and n >= FEW:
        fill_tanh(z, s, ds)
    elif code == TANH:
        for i in range(n):
            s[i], ds[i] = tanh(z[i])
    elif code == LOGISTIC and n >= FEW:
        fill_logistic(z, s, ds)
    elif code == LOGISTIC:
        for i in range(n):
            s[i], ds[i] = logistic(z[i])
    elif code == RELU:
        for i in range(n):
            x = z[i]
            s[i] = 0.0 if x < 0.0 else x
            ds[i] = 1.0 if x > 0.0 else 0.0
    elif code == IDENTITY:
        for i in range(n):
            s[i] = z[i]
            ds[i] = 1.0
    elif code == SIN:
        for i in range(n):
            x = z[i]
            s[i] = math.sin(x)
            ds[i] = math.cos(x)
    elif code == ARCTAN:
        for i in range(n):
            x = z[i]
            s[i] = math.atan(x)
            ds[i] = 1.0 / fma(x, x, 1.0)
    elif code == SOFTSIGN:
        for i in range(n):
            x = z[i]
            w = 1.0 / (1.0 + abs(x))
            # x·w would be inf·0 for x = ±inf; the quotient would be NaN too.
            s[i] = math.copysign(1.0, x) if w == 0.0 else x * w
            ds[i] = w * w
    elif code == ERF:
        for i in range(n):
            x = z[i]
            s[i] = math.erf(x)
            ds[i] = TWO_OVER_SQRT_PI * math.exp(-x * x)


@dataclass(frozen=True, eq=False, repr=False)
class Activation(ByValue):
    """An activation σ, with its derivative and the constants that the bounds use.

    Attributes
    ----------
    name : str
    code : int
        Selects the compiled form in `activate`.
    lipschitz : float
        L = sup |σ'|; the next float64 above where it is none (erf), so that bounds made of it are bounds.
    bound : float
        sup |σ|, possibly inf; rounded up likewise (arctan).
    symbolic : callable
        SymPy expression of σ for a SymPy argument.
    smooth : bool
        Whether σ' is continuous (false for relu, whose derivative at 0 is taken as 0, as in PyTorch).

    Examples
    --------
    >>> import leapgrad as lg
    >>> sigma = lg.ACTIVATIONS["tanh"]
    >>> sigma
    Activation(tanh, sup|σ'|=1, sup|σ|=1)
    >>> sigma(0.5).round(6), sigma.derivative(0.5).round(6)
    (np.float64(0.462117), np.float64(0.786448))
    >>> sigma.lipschitz, sigma.bound
    (1.0, 1.0)
    """

    name: str
    code: int
    lipschitz: float
    bound: float
    symbolic: Callable[[Any], Any]
    smooth: bool = True

    def __call__(self, z: ArrayLike) -> NDArray[np.float64]:
        """σ(z), elementwise, in float64."""
        return self.value_and_derivative(z)[0]

    def derivative(self, z: ArrayLike) -> NDArray[np.float64]:
        """σ'(z), elementwise, in float64."""
        return self.value_and_derivative(z)[1]

    def value_and_derivative(self, z: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(σ(z), σ'(z)), elementwise, by the code that the recurrences run."""
        array = np.asarray(z, dtype=np.float64)
        flat = np.ascontiguousarray(array).ravel()
        s, ds = np.empty_like(flat), np.empty_like(flat)
        activate(self.code, flat, s, ds)
        return s.reshape(array.shape), ds.reshape(array.shape)

    def __reduce__(self) -> tuple[Any, ...]:
        if ACTIVATIONS.get(self.name) is self:
            return _named, (self.name,)
        return Activation, tuple(portable(getattr(self, field.name)) for field in fields(self))

    def __copy__(self) -> Activation:
        return self

    def __deepcopy__(self, memo: object) -> Activation:
        return self

    def __repr__(self) -> str:
        return f"Activation({self.name}, sup|σ'|={self.lipschitz:g}, sup|σ|={self.bound:g})"


def _named(name: str) -> Activation:
    return ACTIVATIONS[name]


def _sympy(name: str) -> Callable[[Any], Any]:
    """A function of SymPy, imported when called: SymPy is slow to import and kernels do not need it."""

    def symbolic(z: Any) -> Any:
        import sympy

        return getattr(sympy, name)(z)

    return symbolic


def _symbolic_relu(z: Any) -> Any:
    import sympy

    return sympy.Max(0, z)


def _symbolic_logistic(z: Any) -> Any:
    import sympy

    return 1 / (1 + sympy.exp(-z))


_RECORDS = (
    Activation("tanh", TANH, 1.0, 1.0, _sympy("tanh")),
    Activation("logistic", LOGISTIC, 0.25, 1.0, _symbolic_logistic),
    Activation("relu", RELU, 1.0, math.inf, _symbolic_relu, smooth=False),
    Activation("identity", IDENTITY, 1.0, math.inf, lambda z: z),
    Activation("sin", SIN, 1.0, 1.0, _sympy("sin")),
    Activation("arctan", ARCTAN, 1.0, math.nextafter(math.pi / 2, math.inf), _sympy("atan")),
    Activation("softsign", SOFTSIGN, 1.0, 1.0, lambda z: z / (1 + abs(z))),
    Activation("erf", ERF, math.nextafter(TWO_OVER_SQRT_PI, math.inf), 1.0, _sympy("erf")),
)

# What the libraries of networks call them; upper and lower case are one.
_ALSO_CALLED = {"sigmoid": "logistic", "linear": "identity", "atan": "arctan", "sine": "sin"}


class _Activations(Mapping[str, Activation]):
    def __init__(self, records: tuple[Activation, ...]) -> None:
        self._records = {r.name: r for r in records}

    def __getitem__(self, name: str) -> Activation:
        record = self._records.get(name) if isinstance(name, str) else None
        if record is None and isinstance(name, str):
            other = name.strip().lower()
            record = self._records.get(_ALSO_CALLED.get(other, other))
        if record is None:
            raise nearest("activation", name, self._records)
        return record

    def __iter__(self) -> Iterator[str]:
        return iter(self._records)

    def __reduce__(self) -> str:
        return "ACTIVATIONS"

    def __len__(self) -> int:
        return len(self._records)


ACTIVATIONS: Mapping[str, Activation] = _Activations(_RECORDS)
"""Every activation by name, as an `Activation`.

The names of other libraries are understood too, such as "sigmoid" for "logistic".

Examples
--------
>>> from integrators import ACTIVATIONS
>>> list(ACTIVATIONS)
['tanh', 'logistic', 'relu', 'identity', 'sin', 'arctan', 'softsign', 'erf']
>>> ACTIVATIONS["tanh"].derivative([0.0, 1.0]).round(4)
array([1.  , 0.42])
"""
