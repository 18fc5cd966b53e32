"""A cell as named arrays and a header that says the rest: model, step size, settings, structure.

The header is JSON text beside the arrays, never one of them, so that what has PyTorch's names stays a state
dict. What is asked for when a cell is read again must not contradict it.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from integrators.cells.cell import Cell, Kind
from integrators.cells.structure import Joint
from integrators.fields.activations import ACTIVATIONS
from integrators.validation import as_array
from sensitivity.recurrences.registry import MODELS, canonical, hyperparameters, make
from sensitivity.recurrences.settings import FLAGS, SETTINGS, WORDS, check_setting

from .entries import as_numpy
from .weights import from_named, same_kind, to_torch

__all__ = ["check_asked", "described", "from_header", "from_own_names", "lasting", "packed"]

FORMAT = 1
# Settings that a cell keeps as its step size.
OF_STEP = ("step", "tau")


# --------------------------------------------------------------------------------------------------- writing


def packed(cell: Cell) -> tuple[dict[str, NDArray[np.float64]], str]:
    """The arrays of a cell and its header.

    Raises
    ------
    ValueError
        For cells of your own, whose map is a function that no file of numbers holds.
    """
    tied = lasting(cell, "tied")
    known = _kinds().get((cell.kind.name, bool(tied)))
    structure = cell.kind.structure
    if known is None or not same_kind(cell.kind, known):
        raise ValueError(
            f"{cell!r} is no model of the registry: its map is a function, which a file of weights cannot "
            "hold; "
            "save cell.theta, and make the cell anew from its functions."
        )
    if structure is not None and type(structure) is not type(known.structure):
        raise ValueError(
            f"{cell!r} has a structure of its own, {type(structure).__name__}, which a file of weights "
            "cannot "
            "hold; save cell.unstructured(), or cell.free."
        )
    layers = cell.layout.layers
    header: dict[str, Any] = {
        "format": FORMAT,
        "model": cell.kind.name,
        "d": cell.d,
        "n_inputs": cell.n_inputs,
        "layers": layers,
        "step": None if cell.kind.step is None else cell.step_size,
        "settings": described(cell),
    }
    try:
        arrays = to_torch(cell)
        header["layout"] = "torch"
    except ValueError:
        header["layout"] = "own"
        arrays = _own_arrays(cell)
    if structure is not None and not tied:
        fields = dataclasses.fields(structure) if dataclasses.is_dataclass(structure) else ()
        header["structure"] = {field.name: getattr(structure, field.name) for field in fields}
    implied = known(cell.d, cell.n_inputs).blocks if layers == 1 else cell.blocks
    header["blocks"] = {
        name: [part.start, part.stop] for name, part in cell.blocks.items() if name not in implied
    }
    return arrays, json.dumps(header)


def _own_arrays(cell: Cell) -> dict[str, NDArray[np.float64]]:
    """Parameters by our own names, the free ones of a structure beside the matrix that they make."""
    found: dict[str, NDArray[np.float64]] = {}
    parts = zip(cell.unpack(cell.theta), cell.unpack_free(cell.free), strict=True)
    for number, (own, free) in enumerate(parts):
        end = _end(number, cell.layout.layers)
        found |= {name + end: np.array(value) for name, value in {**own, **free}.items()}
    return found


def _end(layer: int, layers: int) -> str:
    return f"_l{layer}" if layers > 1 else ""


@functools.cache
def _kinds() -> dict[tuple[str, bool], Kind]:
    """Every kind of the registry by its name, and whether rows of its weights are tied."""
    found = {(kind.name, False): kind for kind in reversed([make(name, 2).kind for name in MODELS])}
    tied = [make(name, 2, tied=True).kind for name in MODELS if "tied" in hyperparameters(name)]
    return found | {(kind.name, True): kind for kind in tied}


# --------------------------------------------------------------------------------------------------- reading


def from_header(arrays: Mapping[str, Any], text: str, source: str) -> Cell:
    """The cell that `packed` wrote.

    Raises
    ------
    ValueError
        If the header and the arrays are not those of one cell.
    """
    header = _read_header(text, source)
    kind = _kinds()[header["model"], header["settings"].get("tied") is True]
    if header["layout"] == "torch":
        activation = header["settings"].get("activation")
        cell = from_named(arrays, kind.name, activation, layouts=("torch",))
    else:
        cell = _from_own_arrays(kind, arrays, header, source)
    told = {"d": cell.d, "n_inputs": cell.n_inputs, "layers": cell.layout.layers}
    for name, value in told.items():
        if header[name] != value:
            raise ValueError(
                f"{source} is damaged: its header says {name} = {header[name]}, its arrays {value}."
            )
    held = described(cell)
    for name, value in header["settings"].items():
        if held.get(name) != value:
            raise ValueError(
                f"{source} is damaged: its header says {name} = {value}, its arrays {held.get(name)}."
            )
    return cell


def _read_header(text: str, source: str) -> dict[str, Any]:
    try:
        header = json.loads(text)
        form = header["format"]
        if form == FORMAT:
            model, layout = header["model"], header["layout"]
            sizes = [header[name] for name in ("d", "n_inputs", "layers")]
            step = header["step"]
            fine = (
                isinstance(header["settings"], dict)
                and (model, header["settings"].get("tied") is True) in _kinds()
                and layout in ("torch", "own")
                and all(type(size) is int for size in sizes)
                and (step is None or isinstance(step, float))
                and isinstance(header["blocks"], dict)
            )
            if fine:
                return header
    except (ValueError, KeyError, TypeError, RecursionError):
        form = FORMAT
    if isinstance(form, int) and form > FORMAT:
        raise ValueError(f"{source} has the format {form} of a later version; this one reads {FORMAT}.")
    raise ValueError(f"{source} is damaged: its header is not that of a cell.")


def _from_own_arrays(kind: Kind, arrays: Mapping[str, Any], header: Mapping[str, Any], source: str) -> Cell:
    d, n_inputs, layers = header["d"], header["n_inputs"], header["layers"]
    fields = header.get("structure")
    try:
        if header["settings"].get("tied") is not True:
            structure = None if fields is None else type(kind.structure)(**fields)
            kind = dataclasses.replace(kind, structure=structure)
        blocks = {name: slice(*map(int, ends)) for name, ends in header["blocks"].items()}
    except (TypeError, ValueError):
        raise ValueError(f"{source} is damaged: its header is not that of a cell.") from None
    parts, made = [], []
    rest = dict(arrays)
    for number in range(layers):
        width, end = d if number else n_inputs, _end(number, layers)
        free, own = kind.free_shapes(d, width), kind.shapes(d, width)
        for name in {**own, **free}:
            if name + end not in rest:
                raise ValueError(f"{source} is damaged: {name + end} is missing.")
        given = {name: as_numpy(rest.pop(name + end), name + end) for name in dict.fromkeys([*own, *free])}
        parts.append({name: given[name] for name in free})
        made.append({name: given[name] for name in own})
    if rest:
        raise ValueError(f"{source} is damaged: {next(iter(rest))} is none of the parameters of {kind.name}.")
    cell = kind.layers(d, n_inputs, parts, step=header["step"])
    for own, kept in zip(cell.unpack(cell.theta), made, strict=True):
        for name, value in own.items():
            scale = 1e-9 * max(1.0, float(np.abs(value).max(initial=0.0)))
            if not np.abs(kept[name] - value).max(initial=0.0) <= scale:
                raise ValueError(f"{source} is damaged: {name} is not what its free parameters make.")
    cell.blocks |= blocks
    return cell


def from_own_names(model: str, arrays: Mapping[str, Any], details: Mapping[str, Any]) -> Cell:
    """A model of the registry with parameters by our own names, all of one layer.

    Constants of the model and settings that are not among the arrays are as `details` says, or the defaults.

    Raises
    ------
    ValueError, TypeError
        Naming what is missing, unknown, or contradicts `details`.
    """
    model, given = canonical(model, MODELS), {name: as_numpy(value, name) for name, value in arrays.items()}
    d = _neurons(model, given)
    V = given.get("V", np.zeros((0, 0)))
    cell = make(model, d, V.shape[-1] if V.ndim == 2 else 0, **details)
    _refuse_missing(cell, given)
    _check_constants(cell, given)
    cell = cell.with_parameters(**given)
    check_asked(model, details, cell, "the weights")
    return cell


def _check_constants(cell: Cell, given: Mapping[str, Any]) -> None:
    """Constants among the arrays are settings, and may be what these may be."""
    for name in set(cell.kind.constants or {}) & set(SETTINGS) & set(given):
        value = as_array(given[name], name, 0).item()
        if name == "activation":
            codes = {float(record.code): record.name for record in ACTIVATIONS.values()}
            if value not in codes:
                raise ValueError(f"activation = {value:g} stands for none of {', '.join(codes.values())}.")
            continue
        whole = name == "restart" and value == int(value)
        check_setting(name, int(value) if whole else _readable(name, value), cell.d)


def _refuse_missing(cell: Cell, given: Mapping[str, Any]) -> None:
    """What is not given would be as it was drawn."""
    structure, constants = cell.kind.structure, cell.kind.constants or {}
    makes = structure.makes if structure is not None else ()
    needed = [name for name in cell.kind.shapes(cell.d, cell.n_inputs) if name not in constants]
    if structure is not None and not any(name in given for name in makes):
        needed = [name for name in needed if name not in makes]
        needed += [name for name in structure.shapes(cell.d) if name not in structure.fixed]
    missing = next((name for name in needed if name not in given), None)
    if missing is not None:
        raise ValueError(
            f"{missing} is missing among {', '.join(map(str, given)) or 'nothing'}; {cell.name} has "
            f"{', '.join(needed)}: "
            "give zeros for what is not there."
        )


def _neurons(model: str, arrays: Mapping[str, NDArray[Any]]) -> int:
    """d, from the length of one parameter and the number of its rows for one neuron."""
    kind = make(model, 2).kind
    unit = kind.free_shapes(1, 0) | kind.shapes(1, 0)
    # Of a matrix the first axis may count several rows a neuron, of a vector there is one.
    names = [
        name for name in ("w", "c", "b", "W", "R", *kind.vectors, *unit) if name in arrays and unit.get(name)
    ]
    if not names:
        held = ", ".join(map(str, arrays)) or "nothing"
        raise ValueError(f"none of {', '.join(n for n in unit if unit[n])} of {model} is among {held}.")
    shape = arrays[names[0]].shape
    d, rest = divmod(shape[0] if shape else 0, unit[names[0]][0])
    if rest or d == 0:
        raise ValueError(f"{names[0]} has shape {shape}, which {model} cannot have.")
    return d


# -------------------------------------------------------------------------------------------------- settings


def lasting(cell: Cell, name: str) -> Any:
    """What a cell holds of a setting, in the setting's own terms; None of one that made its start only."""
    if name in (cell.kind.constants or {}):
        values = [float(layer[name]) for layer in cell.unpack(cell.theta)]
        if any(value != values[0] for value in values):
            return None
        return _readable(name, values[0])
    if name == "tied":
        return isinstance(cell.kind.structure, Joint)
    if name == "step":
        return None if cell.kind.step is None else cell.step_size
    if name == "tau":
        return 1.0 / cell.step_size
    if name == "layers":
        return cell.layout.layers
    if name == "split":
        return cell.blocks["h1"].stop if "h1" in cell.blocks else None
    structure = cell.kind.structure
    if isinstance(getattr(structure, name, None), str):
        return getattr(structure, name)
    if structure is not None and name in structure.fixed and np.ndim(cell.free_parameters[name]) == 0:
        return float(cell.free_parameters[name])
    return None


def _readable(name: str, value: float) -> Any:
    if name == "activation":
        return next((record.name for record in ACTIVATIONS.values() if record.code == value), value)
    if name in WORDS and value in range(len(WORDS[name])):
        return WORDS[name][int(value)]
    return bool(value) if name in FLAGS and value in (0.0, 1.0) else value


def described(cell: Cell) -> dict[str, Any]:
    """The settings that a cell holds by their names, but the step size and the number of layers."""
    structure = cell.kind.structure
    names = [*(cell.kind.constants or {}), *(structure.fixed if structure is not None else ()), "split"]
    names += ["tied"] if lasting(cell, "tied") else []
    found = {name: lasting(cell, name) for name in names}
    return {name: value for name, value in found.items() if value is not None}


def _of_kind(cell: Cell, details: Mapping[str, Any]) -> str:
    """A model that makes cells of this kind, one that has the settings in question if there is one."""
    models = [name for name in MODELS if same_kind(make(name, 2).kind, cell.kind)] if details else []
    return next((name for name in models if set(details) <= set(hyperparameters(name))), cell.kind.name)


def check_asked(model: str | None, details: Mapping[str, Any], cell: Cell, source: str) -> None:
    """Raise if a model and settings that were asked for are not those of a cell that was read.

    Raises
    ------
    ValueError, TypeError
        Naming the first contradiction, or a setting that acts on the start of a cell only.
    """
    any_of_its_kind, model = (
        model is None,
        _of_kind(cell, details) if model is None else canonical(model, MODELS),
    )
    settable, neurons = hyperparameters(model), {"split", "negative"} & set(details)
    made = make(model, cell.d if neurons else 2, cell.n_inputs, **details)
    if not same_kind(made.kind, cell.kind):
        raise ValueError(f"{model} was asked for, but {cell.name} is what {source} holds.")
    for name in details:
        held, asked = lasting(cell, name), lasting(made, name)
        if asked is None:
            raise ValueError(
                f"{name}={details[name]!r} belongs to the start of {model}, of which weights leave nothing; "
                "leave it out."
            )
        if asked != held and not (name == "tau" and made.step_size == cell.step_size):
            raise ValueError(
                f"{name}={details[name]!r} contradicts {source}: there {name} = {held}; leave it out."
            )
    if any_of_its_kind:
        return
    fixed = [name for name in cell.kind.constants or {} if name not in settable]
    fixed += ["step"] if not set(OF_STEP) & set(settable) and cell.kind.step is not None else []
    for name in fixed:
        held, own = lasting(cell, name), lasting(made, name)
        if held != own:
            raise ValueError(f"{name} = {held} in {source}, but {model} always has {name} = {own}.")
