"""The settings of all cells: what each may be, in one table, and the decorator that checks them.

A constructor of a cell says only what it does with its settings. `published_start` looks every argument up
in the table of this module before the constructor runs, so that a wrong one ends in one sentence.
"""

from __future__ import annotations

import functools
import inspect
import math
import numbers
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec

import numpy as np
from numpy.typing import NDArray

from integrators.cells.cell import Cell
from integrators.fields.activations import ACTIVATIONS
from integrators.naming import shown
from integrators.validation import as_array, as_count, as_generator

__all__ = [
    "FLAGS",
    "OWN_SETTINGS",
    "SETTINGS",
    "WORDS",
    "as_grid",
    "check_setting",
    "checked_start",
    "cites",
    "one_of",
    "positive",
    "published_start",
]

P = ParamSpec("P")
Check = Callable[[Any, str, int], Any]


def _number(value: Any, name: str) -> float:
    """A finite real number; NumPy's scalars and arrays of rank 0 are welcome."""
    plain = value.item() if isinstance(value, (np.ndarray, np.generic)) and value.ndim == 0 else value
    if isinstance(plain, bool) or not isinstance(plain, numbers.Real):
        raise TypeError(f"{name} must be one real number, got {shown(value)}.")
    try:
        number = float(plain)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"{name} must be finite, got {shown(value)}.")
    return number


def _finite(value: Any, name: str, d: int) -> float:
    return _number(value, name)


def positive(value: Any, name: str, d: int) -> float:
    """A setting that is a positive number."""
    number = _number(value, name)
    if number <= 0.0:
        raise ValueError(f"{name} must be positive, got {shown(value)}.")
    return number


def _time_constant(value: Any, name: str, d: int) -> float:
    number = positive(value, name, d)
    if math.isinf(1.0 / number):
        raise ValueError(f"{name} must not be so small that 1/{name} overflows, got {shown(value)}.")
    return number


def _share(value: Any, name: str, d: int) -> float:
    number = _number(value, name)
    if not 0.0 <= number <= 1.0:
        raise ValueError(f"{name} must lie between 0 and 1, got {shown(value)}.")
    return number


def _count(least: int) -> Check:
    return lambda value, name, d: as_count(value, name, least)


def _neurons(value: Any, name: str, d: int) -> int | None:
    """How many of the d neurons; None leaves it to the published start."""
    if value is None:
        return None
    count = as_count(value, name)
    if count > d:
        raise ValueError(f"{name} must lie between 0 and d = {d}, got {count}.")
    return count


def _flag(value: Any, name: str, d: int) -> bool:
    if isinstance(value, (bool, np.bool_)) or (isinstance(value, (int, float)) and value in (0, 1)):
        return bool(value)
    raise TypeError(f"{name} must be True or False, got {shown(value)}.")


def _activation(value: Any, name: str, d: int) -> str:
    return ACTIVATIONS[value].name


def as_grid(grid: Any, name: str = "grid") -> float:
    """A grid that multiples can be rounded to: 0 for none, or a power of two.

    Raises
    ------
    ValueError, TypeError
        For another number, or what is none.
    """
    number = _number(grid, name)
    if number and (number < 0.0 or math.frexp(number)[0] != 0.5):
        raise ValueError(f"{name} must be 0 or a power of two such as 2**-40, got {shown(grid)}.")
    return number


def _rng(value: Any, name: str, d: int) -> Any:
    return as_generator(value, name)


def _vector(least: float, strict: bool) -> Check:
    """One number, or d of them, at least so large; None leaves them to the published start."""

    def check(value: Any, name: str, d: int) -> NDArray[np.float64] | None:
        if value is None:
            return None
        given = as_array(value, name, (0, 1))
        if given.ndim and given.shape != (d,):
            raise ValueError(f"{name} must be one number or d = {d} of them, got the shape {given.shape}.")
        if not ((given > least) if strict else (given >= least)).all():
            worst = float(given.min())
            raise ValueError(
                f"{name} must be {'more than' if strict else 'at least'} {least:g}, got {worst:g}."
            )
        return np.broadcast_to(given, (d,)).copy()

    return check


def _decay(value: Any, name: str, d: int) -> NDArray[np.float64] | None:
    """The sizes of negative rates, which may be given with their sign or without."""
    if value is None:
        return None
    given = as_array(value, name, (0, 1))
    if not ((given < 0.0).all() or (given > 0.0).all()):
        raise ValueError(
            f"{name} must be negative, or the size of a negative rate; got {shown(value)}, which has a zero "
            "or both signs."
        )
    return _vector(0.0, strict=True)(np.abs(given), name, d)


def _between(value: Any, name: str, d: int) -> NDArray[np.float64] | None:
    given = _vector(0.0, strict=True)(value, name, d)
    if given is not None and given.max() >= 1.0:
        raise ValueError(f"{name} must be less than 1, got {float(given.max()):g}.")
    return given


def _radius(value: Any, name: str, d: int) -> float:
    number = _number(value, name)
    if not 0.0 < number < 1.0:
        raise ValueError(f"{name} must lie between 0 and 1, both excluded, got {shown(value)}.")
    return number


def one_of(*words: str) -> Check:
    """A setting that is one of some words."""

    def check(value: Any, name: str, d: int) -> str:
        if not isinstance(value, str) or value not in words:
            raise ValueError(f"{name} must be one of {', '.join(words)}, got {shown(value)}.")
        return value

    return check


WORDS = {"discretisation": ("zoh", "bilinear"), "variant": ("imex1", "imex2", "im", "ex")}
"""Settings that are words; a cell that holds one as a constant holds its place among them."""

FLAGS = ("exponential", "imex", "normalised", "positive", "tied")
"""Settings that are True or False; a cell holds 1 or 0."""

SETTINGS: Mapping[str, Check] = {
    "d": _count(1),
    "n_inputs": _count(0),
    "rng": _rng,
    "step": positive,
    "tau": _time_constant,
    "activation": _activation,
    "layers": _count(1),
    "restart": _count(0),
    "negative": _neurons,
    "split": _neurons,
    **dict.fromkeys(FLAGS, _flag),
    "grid": lambda value, name, d: as_grid(value, name),
    "beta": _share,
    "A": _vector(0.0, strict=False),
    "G": _vector(0.0, strict=False),
    "dt": _vector(0.0, strict=True),
    "z": _between,
    "c": positive,
    "r_min": _radius,
    "r_max": _radius,
    **{name: one_of(*words) for name, words in WORDS.items()},
    **dict.fromkeys(("alpha", "epsilon", "eta", "gamma", "mu", "s", "scale"), _finite),
}
"""Name of a setting → ``check(value, name, d)``, which gives the value in its own type or raises."""

OWN_SETTINGS: Mapping[tuple[str, str], Check] = {("s6", "A"): _decay}
"""The same for (model, setting) where a model means something else by it."""


def check_setting(name: str, value: Any, d: int, model: str = "") -> Any:
    """The value of a setting as its cell takes it; a model may mean something of its own by it.

    Raises
    ------
    ValueError, TypeError
        In one sentence with the name, the value and what is allowed.
    """
    return OWN_SETTINGS.get((model, name), SETTINGS[name])(value, name, d)


def checked_start(
    settings: Mapping[str, Check],
) -> Callable[[Callable[P, Cell]], Callable[P, Cell]]:
    """Make a constructor ``(d, n_inputs=0, rng=0, **settings)`` a model by name, and check what it is given.

    The constructor then has plain values: counts as int, numbers as float, activations by their name, and
    `rng` as a generator.

    Parameters
    ----------
    settings : mapping
        Name → ``check(value, name, d)``, as `SETTINGS`.
    """

    def decorate(build: Callable[P, Cell]) -> Callable[P, Cell]:
        signature = inspect.signature(build)
        unknown = set(signature.parameters) - set(settings)
        if unknown:
            raise TypeError(f"{build.__name__} has the setting {sorted(unknown)[0]!r}, which SETTINGS lacks.")

        @functools.wraps(build)
        def checked(*args: P.args, **kwargs: P.kwargs) -> Cell:
            try:
                given = signature.bind(*args, **kwargs)
            except TypeError as error:
                known = ", ".join(signature.parameters)
                raise TypeError(f"{build.__name__}: {error}; it takes {known}.") from None
            given.apply_defaults()
            d = settings["d"](given.arguments["d"], "d", 0)
            for name, value in given.arguments.items():
                check = OWN_SETTINGS.get((build.__name__, name), settings[name])
                given.arguments[name] = check(value, name, d)
            return build(*given.args, **given.kwargs)

        checked.__dict__["reference"] = ""
        return checked

    return decorate


def published_start(build: Callable[P, Cell]) -> Callable[P, Cell]:
    """`checked_start` for the cells of the table `SETTINGS`.

    The registry of models finds every decorated function of the folder ``cells`` under its own name.
    """
    return checked_start(SETTINGS)(build)


def cites(reference: str) -> Callable[[Callable[P, Cell]], Callable[P, Cell]]:
    """Say where a model comes from that shares its kind with a model of another paper."""

    def mark(build: Callable[P, Cell]) -> Callable[P, Cell]:
        build.__dict__["reference"] = reference
        return build

    return mark
