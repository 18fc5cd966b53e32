"""What the entries of the table of a kind of cell may be, looked at when the kind is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from integrators.codegen.compiled import Kernel
from integrators.naming import shown
from integrators.validation import as_count, as_name, as_number

from .structure import Structure

if TYPE_CHECKING:
    from .kind import Kind

__all__ = ["check_fields"]


def _names(value: Any, what: str) -> None:
    if not isinstance(value, (tuple, list)) or not all(_is_local(name) for name in value):
        raise TypeError(f"{what} must be a tuple of names without blanks, got {shown(value)}.")


def _some_names(value: Any, what: str) -> None:
    _names(value, what)
    if not value:
        raise ValueError(f"{what} must be a tuple of at least one name, got {shown(value)}.")


def _is_local(name: Any) -> bool:
    return isinstance(name, str) and len(name.split()) == 1 and name == name.strip()


def _dependences(value: Any, what: str) -> None:
    good = isinstance(value, Mapping) and all(isinstance(text, str) for text in value.values())
    if not good:
        raise TypeError(f"{what} must be a mapping of blocks to names between blanks, got {shown(value)}.")


def _constants(value: Any, what: str) -> None:
    if not isinstance(value, Mapping) or not all(map(_is_local, value)):
        raise TypeError(f"{what} must be a mapping of names to numbers, got {shown(value)}.")
    for name, number in value.items():
        as_number(float(number) if isinstance(number, bool) else number, f"{what}[{name!r}]",
                  -float("inf"), float("inf"))  # fmt: skip


def _kernel(value: Any, what: str) -> None:
    if not isinstance(value, Kernel):
        raise TypeError(f"{what} must be a Kernel of the signature POINT, got {shown(value)}.")


def _range(value: Any, what: str) -> None:
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise TypeError(f"{what} must be the rows (from, to) or None, got {shown(value)}.")
    first = as_count(value[0], f"{what}[0]")
    as_count(value[1], f"{what}[1]", least=first)


def _function(value: Any, what: str) -> None:
    if not callable(value):
        raise TypeError(f"{what} must be a function or None, got {shown(value)}.")


def _structure(value: Any, what: str) -> None:
    if not isinstance(value, Structure):
        raise TypeError(f"{what} must be a Structure or None, got {shown(value)}.")


def _flag(value: Any, what: str) -> None:
    if not isinstance(value, bool):
        raise TypeError(f"{what} must be True or False, got {shown(value)}.")


def _flag_or_function(value: Any, what: str) -> None:
    if not callable(value):
        _flag(value, what)


def _text(value: Any, what: str) -> None:
    if not isinstance(value, str):
        raise TypeError(f"{what} must be text, got {shown(value)}.")


_CHECKS: dict[str, Callable[[Any, str], object]] = {
    "state": _some_names,
    **dict.fromkeys(("rows", "second", "vectors", "fixed"), _names),
    "point": _kernel,
    "middle": _kernel,
    "depends": _dependences,
    "recurrent": as_count,
    "source": as_count,
    "clock_rows": as_count,
    "substeps": lambda value, what: as_count(value, what, least=1),
    "tied": _flag,
    "linear": _flag_or_function,
    "block": as_name,
    "reference": _text,
}


def _groups(value: Any, what: str) -> None:
    if not isinstance(value, Mapping):
        raise TypeError(f"{what} must be a mapping of names to tuples of state blocks, got {shown(value)}.")
    for name, members in value.items():
        _some_names(members, f"{what}[{name!r}]")


_OR_NONE: dict[str, Callable[[Any, str], object]] = {
    "hidden": _dependences,
    "inputs": _range,
    "biases": _range,
    "constants": _constants,
    "groups": _groups,
    "step": lambda value, what: as_number(value, what, 0.0, float("inf")),
    **dict.fromkeys(("clock", "bound", "inverse"), _function),
    "structure": _structure,
}


def check_fields(kind: Kind) -> None:
    """Raise for an entry of the table that is of another type, or counts more than there is.

    Raises
    ------
    TypeError, ValueError
        Naming the entry.
    """
    name = as_name(kind.name)
    for field, check in _CHECKS.items():
        check(getattr(kind, field), f"{name}: {field}")
    for field, check in _OR_NONE.items():
        value = getattr(kind, field)
        if value is not None:
            check(value, f"{name}: {field}")
    if len(kind.constants or {}) % kind.substeps:
        raise ValueError(
            f"{name}: constants must list as many numbers for each of the {kind.substeps} substeps, got "
            f"{', '.join(kind.constants or {})}."
        )
    rows = len(kind.rows) + len(kind.second)
    for field, most in (("recurrent", len(kind.rows)), ("source", len(kind.state))):
        if getattr(kind, field) > most:
            raise ValueError(f"{name}: {field} must be at most {most}, got {getattr(kind, field)}.")
    for group, members in (kind.groups or {}).items():
        start = kind.state.index(members[0]) if members[0] in kind.state else len(kind.state)
        if kind.state[start : start + len(members)] != tuple(members) or group in kind.state:
            raise ValueError(
                f"{name}: groups[{group!r}] must have a name of its own for neighbouring blocks of "
                f"{', '.join(kind.state)}, got {members}."
            )
    for field in ("inputs", "biases"):
        pair = getattr(kind, field)
        if pair is not None and pair[1] > rows:
            raise ValueError(f"{name}: {field} must lie within the {rows} rows, got {pair}.")
