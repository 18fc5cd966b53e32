"""Which entries belong to one recurrent layer or stack of layers: told by their names alone.

Every library has its own names, and a table row each here. Entries are put together by their prefix, one
group is chosen, and what stands in the group without a part in it is refused by name: it may be a misspelt
weight, or a kind of layer that the names do not fit.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from integrators.naming import shown

from .entries import Entry, parts_of

__all__ = ["TORCH_NAMES", "Group", "chosen", "gates_of", "groups_of", "refuse_leftovers"]

Path = tuple[str, ...]

TORCH_NAMES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
_TORCH = re.compile(
    r"(weight_ih|weight_hh|bias_ih|bias_hh|weight_hr)(?:_l(\d+))?(_reverse)?(?:_(g|v|u|orig|mask|raw))?"
)
_EQUINOX = ("bias", "bias_n")
_KERAS = ("kernel", "recurrent_kernel", "bias")
_FLAX_GATES = {
    "lstm": ("ii", "if", "ig", "io", "hi", "hf", "hg", "ho"),
    "gru": ("ir", "iz", "in", "hr", "hz", "hn"),
    "minimal gated unit": ("if", "in", "hf", "hn"),
    "simple": ("i", "h"),
    "dense": ("dense_i", "dense_h"),
}
_FLAX = {gate for gates in _FLAX_GATES.values() for gate in gates}
_LOOKS_RECURRENT = re.compile(r"(weight|bias|kernel|recurrent|peephole)|_l\d+$|^(w|u|v|b|h0|c0)_?[io]h", re.I)
_NORM = re.compile(r"norm|^ln_?", re.I)


@dataclass
class Group:
    """The entries of one recurrent layer or stack.

    Attributes
    ----------
    layout : str
        "torch", "keras" or "flax".
    prefix : tuple of str
        The path that they share.
    parts : dict
        What each is → entry. The keys are (name, layer, form) for PyTorch, the names of a layer for Keras,
        (gate, name) for Flax.
    """

    layout: str
    prefix: Path
    parts: dict[Any, Entry] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The prefix in the spelling of its entries."""
        given = next(iter(self.parts.values())).name if self.parts else ""
        return ("/" if "/" in given else ".").join(self.prefix)

    @property
    def where(self) -> str:
        """What messages put before the name of a weight."""
        return f"{self.name}: " if self.prefix else ""


def groups_of(entries: Iterable[Entry]) -> list[Group]:
    """Every group of recurrent weights, in the order of its first entry."""
    entries = list(entries)
    found: dict[tuple[str, Path], Group] = {}
    for find in (_torch, _keras, _keras_numbered, _flax):
        for prefix, key, entry, layout in find(entries):
            group = found.setdefault((layout, prefix), Group(layout, prefix))
            group.parts.setdefault(key, entry)
    position = {id(entry): i for i, entry in enumerate(entries)}
    return sorted(found.values(), key=lambda g: min(position[id(e)] for e in g.parts.values()))


def _torch(entries: Sequence[Entry]) -> Iterable[tuple[Path, Any, Entry, str]]:
    holders: set[Path] = set()
    for entry in entries:
        *above, last = entry.path or ("",)
        match = _TORCH.fullmatch(last)
        if match:
            name, layer, reverse, form = match.groups()
            yield tuple(above), (name + (reverse or ""), layer and int(layer), form), entry, "torch"
            holders.add(tuple(above))
        elif "parametrizations" in above:
            i = above.index("parametrizations")
            match = _TORCH.fullmatch(above[i + 1]) if i + 1 < len(above) else None
            if match:
                name, layer, reverse, _ = match.groups()
                form = ".".join((*above[i + 2 :], last))
                yield tuple(above[:i]), (name + (reverse or ""), layer and int(layer), form), entry, "torch"
    for entry in entries:
        if entry.path and entry.path[-1] in _EQUINOX and entry.path[:-1] in holders:
            yield entry.path[:-1], (entry.path[-1], None, None), entry, "torch"


def _keras(entries: Sequence[Entry]) -> Iterable[tuple[Path, Any, Entry, str]]:
    holders = {entry.path[:-1] for entry in entries if entry.path and entry.path[-1] == "recurrent_kernel"}
    for entry in entries:
        if entry.path and entry.path[-1] in _KERAS and entry.path[:-1] in holders:
            yield entry.path[:-1], entry.path[-1], entry, "keras"


def _keras_numbered(entries: Sequence[Entry]) -> Iterable[tuple[Path, Any, Entry, str]]:
    """``layers/lstm/cell/vars/0``, as Keras 3 writes them: kernel, recurrent kernel, bias."""
    numbered: dict[Path, dict[int, Entry]] = {}
    for entry in entries:
        if len(entry.path) >= 2 and entry.path[-2] == "vars" and entry.path[-1].isdigit():
            numbered.setdefault(entry.path[:-2], {})[int(entry.path[-1])] = entry
    for prefix, parts in numbered.items():
        shapes: list[tuple[int, ...]] = [parts[i].shape if i in parts else () for i in (0, 1)]
        kernel, recurrent = shapes
        alike = len(kernel) == len(recurrent) == 2 and kernel[1] == recurrent[1]
        if alike and recurrent[0] and recurrent[1] % recurrent[0] == 0:
            for number, entry in parts.items():
                yield prefix, _KERAS[number] if number < 3 else str(number), entry, "keras"


def _flax(entries: Sequence[Entry]) -> Iterable[tuple[Path, Any, Entry, str]]:
    held: dict[Path, dict[tuple[str, str], Entry]] = {}
    for entry in entries:
        path = entry.path[:-1] if entry.path[-1:] == ("value",) else entry.path
        if len(path) >= 2 and path[-1] in ("kernel", "bias") and path[-2].rstrip("_") in _FLAX:
            held.setdefault(path[:-2], {})[path[-2].rstrip("_"), path[-1]] = entry
    for prefix, parts in held.items():
        gates = {gate for gate, name in parts if name == "kernel"}
        if (
            len({gate[0] for gate in gates}) == 2
            or "dense_i" in gates
            or "dense_h" in gates
            or len(gates) > 2
        ):
            for key, entry in parts.items():
                yield prefix, key, entry, "flax"


def chosen(groups: Sequence[Group], prefix: str | Sequence[str] | None, names: Sequence[str]) -> list[Group]:
    """The groups to read, a group a layer where there are several.

    Raises
    ------
    ValueError
        If there is none, or several and no prefix that says which.
    """
    if prefix is not None and not isinstance(prefix, str):
        if not isinstance(prefix, (list, tuple)) or not prefix or not all(isinstance(p, str) for p in prefix):
            raise TypeError(f"prefix must be a name or a list of names, got {shown(prefix)}.")
        return [group for one in prefix for group in chosen(groups, one, names)]
    if not groups:
        raise ValueError(f"no recurrent layer is among {_listed(names)}.{_hint(names)}")
    if prefix is not None:
        groups = _below(groups, prefix)
    stack = _numbered_cells(groups)
    if stack:
        return stack
    if len(groups) > 1:
        both = " (the two directions of a bidirectional layer are two)" if _two_sided(groups) else ""
        raise ValueError(
            f"there are {len(groups)} recurrent networks{both}, with the prefixes "
            f"{', '.join(repr(group.name) for group in groups)}; choose one with "
            f"prefix={groups[0].name!r}, or "
            "give a list of them as the layers of one network."
        )
    return list(groups)


def _two_sided(groups: Sequence[Group]) -> bool:
    return any("forward" in part or "backward" in part for group in groups for part in group.prefix)


def _below(groups: Sequence[Group], prefix: str) -> list[Group]:
    path = parts_of(prefix)
    exact = [group for group in groups if group.prefix == path]
    below = exact or [group for group in groups if group.prefix[: len(path)] == path]
    if not below:
        raise ValueError(
            f"prefix {prefix!r} has no recurrent layer; there are "
            f"{', '.join(repr(group.name) for group in groups)}."
        )
    return below


def _numbered_cells(groups: Sequence[Group]) -> list[Group]:
    """The cells of a list, ``cells.0``, ``cells.1``, … as the layers of a stack; empty if that is not it."""
    if len(groups) < 2 or any(not group.prefix or not group.prefix[-1].isdigit() for group in groups):
        return []
    if len({group.prefix[:-1] for group in groups}) > 1 or any(not _is_cell(group) for group in groups):
        return []
    ordered = sorted(groups, key=lambda group: int(group.prefix[-1]))
    numbers = [int(group.prefix[-1]) for group in ordered]
    return ordered if numbers == list(range(len(ordered))) else []


def _is_cell(group: Group) -> bool:
    return group.layout == "torch" and all(layer is None for _, layer, _ in group.parts)


def refuse_leftovers(group: Group, entries: Iterable[Entry], ignore: Sequence[str] = ()) -> None:
    """Raise for entries that stand in the group and have no part in it.

    Raises
    ------
    ValueError
        With the name, and the nearest one that is known.
    """
    used = {id(entry) for entry in group.parts.values()}
    left_out = [parts_of(name) for name in ignore]
    for entry in entries:
        if id(entry) in used or any(entry.path[: len(path)] == path for path in left_out if path):
            continue
        if _stands_in(group, entry):
            guess = difflib.get_close_matches(entry.path[-1], _known(group), n=1, cutoff=0.6)
            hint = f"; did you mean {guess[0]!r}?" if guess else "."
            raise ValueError(
                f"{entry.name} stands among the weights of a recurrent layer and is none that is known{hint} "
                "Rename it, or leave it out with ignore=[…] if it is no part of the layer."
            )


def _stands_in(group: Group, entry: Entry) -> bool:
    depth, inside = len(group.prefix), entry.path[: len(group.prefix)] == group.prefix
    if not inside or "seed_generator" in entry.path:
        return False
    rest = entry.path[depth:]
    if group.prefix:
        return len(rest) == 1 or (len(rest) == 2 and rest[0] == "vars") if group.layout == "keras" else True
    # At the top stand the other layers of a network too, each below a name of its own.
    if len(rest) == 1:
        near = difflib.get_close_matches(rest[0], _known(group), n=1, cutoff=0.7)
        return bool(near) or _LOOKS_RECURRENT.search(rest[0]) is not None
    return group.layout == "torch" and _is_cell(group) and any(_NORM.search(part) for part in rest[:-1])


def _known(group: Group) -> list[str]:
    if group.layout == "keras":
        return list(_KERAS)
    if group.layout == "flax":
        return sorted(_FLAX | {"kernel", "bias"})
    held = {(name, layer) for name, layer, _ in group.parts}
    layers = sorted({layer for _, layer in held if layer is not None})
    if not layers:
        return [*TORCH_NAMES, *_EQUINOX]
    every = [(name, layer) for layer in layers for name in TORCH_NAMES]
    missing = [key for key in every if key not in held]
    return [f"{name}_l{layer}" for name, layer in missing or every]


def _listed(names: Sequence[str], most: int = 8) -> str:
    shown = ", ".join(names[:most]) or "nothing"
    return f"{shown}, … ({len(names)} entries)" if len(names) > most else shown


def _hint(names: Sequence[str]) -> str:
    """Where weights of recurrent layers may have been meant."""
    known = [*(f"{name}_l0" for name in TORCH_NAMES), *TORCH_NAMES, "recurrent_kernel"]
    for name in names:
        last = (parts_of(name) or ("",))[-1]
        guess = difflib.get_close_matches(last, known, n=1, cutoff=0.8)
        if guess and last not in ("weight", "bias", "kernel"):
            return f" Is {name!r} meant to be {guess[0]!r}?"
    return (
        " Known are the names of PyTorch (weight_ih_l0, weight_hh_l0, …), Keras (kernel, recurrent_kernel), "
        "Equinox and Flax."
    )


def gates_of(group: Group) -> Mapping[str, tuple[str, ...]]:
    """Flax: kind of cell → its gates, for those kinds that have all gates of the group."""
    held = {gate for gate, _ in group.parts}
    return {kind: gates for kind, gates in _FLAX_GATES.items() if held <= set(gates)}
