"""Stacks as named arrays and a header: parameters of the layers between the cells, and each cell as it is.

The arrays of a cell have the name of its layer before their own. The header holds those of the cells beside
what the blocks are made of, so that a stack of any cells that a file can hold can be read again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from integrators.cells.stacks.stack import CellStack
from sensitivity.recurrences.registry import STACKS, canonical, hyperparameters
from sensitivity.recurrences.stacks.assemble import Design, assembled_stack

from .entries import as_numpy
from .saved import FORMAT, from_header, packed

__all__ = ["check_stack", "is_stack", "packed_stack", "stack_from_header"]

Arrays = Mapping[str, Any]


def packed_stack(stack: CellStack) -> tuple[dict[str, NDArray[np.float64]], str]:
    """The arrays of a stack and its header.

    Raises
    ------
    ValueError
        For stacks of cells of your own, whose map is a function that no file of numbers holds.
    """
    arrays: dict[str, NDArray[np.float64]] = {}
    headers = []
    for number, cell in enumerate(stack.cells):
        own, header = packed(cell)
        arrays |= {f"layer{number}.{name}": value for name, value in own.items()}
        headers.append(header)
    arrays |= {name: np.array(stack.parameters[name]) for name in stack.between}
    header = {
        "format": FORMAT, "model": stack.name, "layout": "stack", "n_inputs": stack.n_inputs,
        "reference": stack.kind.reference, "details": stack.details, "cells": headers,
    }  # fmt: skip
    return arrays, json.dumps(header)


def is_stack(text: str) -> bool:
    """Whether a header is that of a stack."""
    try:
        return json.loads(text)["layout"] == "stack"
    except (ValueError, KeyError, TypeError, RecursionError):
        return False


def stack_from_header(arrays: Arrays, text: str, source: str) -> CellStack:
    """The stack that `packed_stack` wrote.

    Raises
    ------
    ValueError
        If the header and the arrays are not those of one stack.
    """
    header = json.loads(text)
    if isinstance(header.get("format"), int) and header["format"] > FORMAT:
        raise ValueError(
            f"{source} has the format {header['format']} of a later version; this one reads {FORMAT}."
        )
    rest = dict(arrays)
    try:
        cells = []
        for number, own in enumerate(header["cells"]):
            marks = {name: f"layer{number}.{name}" for name in _names_of(number, rest)}
            cells.append(from_header({name: rest.pop(mark) for name, mark in marks.items()}, own, source))
        design = Design(**{part.name: header["details"][part.name] for part in fields(Design)})
        stack = assembled_stack(
            str(header["model"]), cells, header["n_inputs"], np.random.default_rng(0), design,
            lambda width, rows: np.zeros((width, rows)), str(header["reference"]),
        )  # fmt: skip
    except (KeyError, TypeError):
        raise ValueError(f"{source} is damaged: its header is not that of a stack.") from None
    missing = next((name for name in stack.between if name not in rest), None)
    if missing is not None or len(rest) != len(stack.between):
        name = missing or next(name for name in rest if name not in stack.between)
        raise ValueError(f"{source} is damaged: {name} is {'missing' if missing else 'no parameter of it'}.")
    given = {name: as_numpy(value, name) for name, value in rest.items()}
    return stack.with_parameters(**given)  # pyright: ignore[reportReturnType]


def _names_of(number: int, arrays: Arrays) -> list[str]:
    """Names of the arrays of a cell: those of its layer that are none of the layers between the cells."""
    between = ("C", "D", "norm.", "out.", "gate.")
    start = f"layer{number}."
    found = [name.removeprefix(start) for name in arrays if name.startswith(start)]
    return [name for name in found if not (name in between or name.startswith(between[2:]))]


def check_stack(model: str | None, details: Mapping[str, Any], stack: CellStack, source: str) -> None:
    """Raise if a model and settings that were asked for are not those of a stack that was read.

    Raises
    ------
    ValueError
        Naming the first contradiction.
    """
    if model is not None and canonical(model) != stack.name:
        raise ValueError(f"{model} was asked for, but {stack.name} is what {source} holds.")
    held = {**stack.details, "layer": stack.cells[0].kind.name}
    known = hyperparameters(stack.name) if stack.name in STACKS else {}
    for name, value in details.items():
        if name not in known:
            raise ValueError(f"{stack.name} has no hyperparameter {name!r}; it has {', '.join(known)}.")
        if name not in held:
            raise ValueError(
                f"{name}={value!r} belongs to the start of {stack.name}, of which weights leave nothing; "
                "leave it out."
            )
        if held[name] != value:
            raise ValueError(
                f"{name}={value!r} contradicts {source}: there {name} = {held[name]}; leave it out."
            )
