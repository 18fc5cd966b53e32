"""The axes of a study: what each may hold, and how a value, a list or a range of a file becomes numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

import numpy as np

from integrators.fields.activations import ACTIVATIONS
from integrators.schemes.table import get_scheme, is_built_in
from integrators.validation import as_array, as_count

from .input_files import split_name

__all__ = ["AXES", "MOST_VALUES", "NONE", "STEP", "Axis", "axis_of", "expanded"]

STEP = "step"
NONE = "none"
"""The word for γ = None in a file: the network is not made antisymmetric."""
MOST_VALUES = 1_000_000
# Of widths, lengths and seeds: far beyond what can be run, so that no estimate overflows.
MOST_SIZE, MOST_STEPS, MOST_SEED = 10**7, 10**12, 2**128 - 1
# Of a wrong value in a message.
MOST_CHARACTERS = 60


@dataclass(frozen=True)
class Axis:
    """One parameter of a network that a study may vary.

    Attributes
    ----------
    name : str
    check : callable
        Value → the value as it is kept: int, float, str or None. Raises ValueError or TypeError.
    default : object
        Where a study does not name the axis.
    meaning : str
        With its symbol; the label in tables and files.
    whole : bool
        Whether ranges count (`first`, `count`, `every`) or are spaced (`low`, `high`, `count`).
    costs : bool
        Whether time and memory of a cell depend on it.
    """

    name: str
    check: Callable[[Any], Any]
    default: Any
    meaning: str
    whole: bool = False
    costs: bool = False


def _count(name: str, least: int, most: int, value: Any) -> int:
    if not (isinstance(value, int) and value > 0):
        repr(value)  # raises for what has too many digits or levels to be shown, which `_checked` tells
    count = as_count(value, name, least, most=None)
    if count > most:
        raise ValueError(f"{name} must be at most {float(most):g}, got {_short(count)}.")
    return count


def _short(value: Any) -> str:
    """A value for a sentence, also one that Python would not print: too many digits, too many levels."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):
        return f"a {type(value).__name__} too large to be shown"
    return text if len(text) <= MOST_CHARACTERS else f"{text[: MOST_CHARACTERS - 1]}…"


def _inputs(value: Any) -> int | str:
    """A number of components, or the name of a .npy file, perhaps with the number of a sequence in it."""
    if isinstance(value, str):
        if not split_name(value)[0].endswith(".npy"):
            raise ValueError(f"inputs must be a whole number or a .npy file, got {_short(value)}.")
        return value
    return _count("inputs", 0, MOST_SIZE, value)


def _number(name: str, value: Any) -> float:
    return float(as_array(value, name, 0)) + 0.0  # −0 and 0 are one value, and shall have one address


def _number_or_none(name: str, value: Any) -> float | None:
    return None if value is None or value == NONE else _number(name, value)


def _step(value: Any) -> float:
    step = _number(STEP, value)
    if step <= 0.0:
        raise ValueError(f"step must be positive, got {step:g}.")
    return step


def _scheme(value: Any) -> str:
    _check_word("scheme", value)
    scheme = get_scheme(value)
    if not is_built_in(scheme.name):
        raise ValueError(
            f"scheme {scheme.name!r} was registered in this process, and the workers of a study do not know "
            "it; take a built-in one (leapgrad schemes)."
        )
    return scheme.name


def _activation(value: Any) -> str:
    _check_word("activation", value)
    return ACTIVATIONS[value].name


def _check_word(name: str, value: Any) -> None:
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a name in quotes, got {_short(value)}.")


def _whole(
    name: str, default: int, meaning: str, least: int, most: int = MOST_SIZE, costs: bool = False
) -> Axis:
    return Axis(name, partial(_count, name, least, most), default, meaning, True, costs)


def _real(name: str, default: float, meaning: str) -> Axis:
    return Axis(name, partial(_number, name), default, meaning)


AXES = {
    axis.name: axis
    for axis in (
        Axis("scheme", _scheme, "leapfrog", "time-stepping scheme", costs=True),
        Axis("activation", _activation, "tanh", "σ"),
        _whole("d", 10, "hidden dimension d", least=1, costs=True),
        _whole("n_steps", 1000, "length N", least=0, most=MOST_STEPS, costs=True),
        _whole("seed", 0, "seed of the weights", least=0, most=MOST_SEED),
        Axis("gamma", partial(_number_or_none, "gamma"), None, "γ of W − Wᵀ − γI; none: W itself"),
        _real("weight_scale", 1.0, "factor on W"),
        _real("y0", 0.0, "initial value of every component"),
        _real("p0", 0.0, "initial velocity of every component"),
        Axis("inputs", _inputs, 0, "number of input components, drawn as N(0, 1), or a file", True, True),
        Axis(STEP, _step, 0.01, "step ε"),
    )
}


def axis_of(name: str) -> Axis:
    """The axis of a name: one of `AXES`, or a setting of a model, such as tau.

    The default of a setting is that of its model, which this module does not know.
    """
    if name in AXES:
        return AXES[name]
    return Axis(name, partial(_setting, name), None, f"setting {name} of the model", costs=True)


def _setting(name: str, value: Any) -> Any:
    """A number, a word, true or false; "none" is None."""
    plain = value.item() if isinstance(value, np.generic) else value
    if plain is None or plain == NONE:
        return None
    if isinstance(plain, float):
        return _number(name, plain)
    if isinstance(plain, (bool, int, str)):
        return plain
    raise TypeError(f"{name} must be a number, a word, true or false, got {_short(value)}.")


def expanded(axis: Axis, given: Any) -> tuple[Any, ...]:
    """The values of an axis: one value, a list or an array of them, or a range.

    A range is a mapping: ``{first = 0, count = 20, every = 1}`` for whole numbers, and for the others
    ``{low = 1e-3, high = 1, count = 100}``, spaced evenly in the logarithm, or with ``spacing = "linear"``
    evenly; `low` and `high` are both in it.

    Raises
    ------
    ValueError, TypeError
        With a message that names the axis.
    """
    if isinstance(given, np.ndarray) and given.ndim == 0:
        given = given.item()
    if isinstance(given, Mapping):
        values: Iterable[Any] = _range(axis, given)
    elif isinstance(given, str) or not isinstance(given, Iterable):
        values = (given,)
    else:
        values = given.tolist() if isinstance(given, np.ndarray) else given
    found: dict[Any, None] = {}
    for value in islice(values, MOST_VALUES + 1):
        checked = _checked(axis, value)
        if checked in found:
            raise ValueError(f"{axis.name} holds {checked!r} twice; give every value once.")
        found[checked] = None
    if not found:
        raise ValueError(f"{axis.name} holds no values; give at least one.")
    if len(found) > MOST_VALUES:
        raise ValueError(f"{axis.name} holds more than {MOST_VALUES} values; take at most so many.")
    return tuple(found)


def _checked(axis: Axis, value: Any) -> Any:
    """`axis.check`, whose message may not be printable."""
    try:
        return axis.check(value)
    except (RecursionError, OverflowError):
        raise ValueError(f"{axis.name} cannot be {_short(value)}.") from None
    except ValueError as error:
        if "integer string conversion" in str(error):  # thousands of digits
            raise ValueError(f"{axis.name} cannot be {_short(value)}.") from None
        raise


def _range(axis: Axis, given: Mapping[str, Any]) -> Iterable[Any]:
    known = {"first", "count", "every"} if axis.whole else {"low", "high", "count", "spacing"}
    needed = known - {"every", "spacing"}
    if not needed <= set(given) <= known:
        raise ValueError(
            f"{axis.name} = {_short(dict(given))} is not a range; it takes {', '.join(sorted(needed))} "
            f"and perhaps {', '.join(sorted(known - needed))}."
        )
    count = as_count(given["count"], f"count of {axis.name}", least=1, most=None)
    if count > MOST_VALUES:
        raise ValueError(f"{axis.name} asks for {count} values; take at most {MOST_VALUES}.")
    if axis.whole:
        first = as_count(given["first"], f"first of {axis.name}", most=None)
        every = as_count(given.get("every", 1), f"every of {axis.name}", least=1, most=None)
        return range(first, first + every * count, every)
    low, high = (_number(f"{end} of {axis.name}", given[end]) for end in ("low", "high"))
    spacing = given.get("spacing", "log")
    if spacing == "linear":
        return np.linspace(low, high, count).tolist()
    if spacing != "log":
        raise ValueError(f"spacing of {axis.name} is {spacing!r}; it is 'log' or 'linear'.")
    if not 0.0 < low <= high:
        raise ValueError(
            f"{axis.name} from {low:g} to {high:g} cannot be spaced in the logarithm; "
            'take 0 < low ≤ high, or spacing = "linear".'
        )
    return np.geomspace(low, high, count).tolist()
