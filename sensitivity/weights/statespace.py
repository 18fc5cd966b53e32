"""Weights of state-space cells and gated linear cells by the names of their authors' code.

A row of the table says which names tell a layout, and how its arrays become parameters of a cell. What is
read out (C, D) and what surrounds the recurrence (convolutions, projections, norms) is no part of a cell, and
is left out.

Names: LRU, N. Zucchet's minimal-LRU (Flax); S5, S. Linderman's laboratory (Flax); LinOSS and D-LinOSS, T. K.
Rusch (Equinox); Mamba, A. Gu and T. Dao (PyTorch); minGRU and minLSTM, P. Wang (PyTorch).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from integrators.cells.cell import Cell
from integrators.naming import shown
from sensitivity.recurrences.registry import canonical, make

from .entries import Entry

__all__ = ["authors_cell"]

Float = NDArray[np.float64]
Arrays = Mapping[str, Float]
ROUND_OFF = 1e-5
"""How far a γ of float32 may be from √(1 − |λ|²) and still be it."""


@dataclass(frozen=True)
class AuthorsNames:
    """The names of a cell in its authors' code.

    Attributes
    ----------
    models : tuple of str
        The cells that have these names; several where the names do not tell which one it is.
    shapes : mapping
        Name → number of dimensions, of what must be there.
    build : callable
        ``build(model, arrays, details)`` → the cell.
    absent : tuple of str
        Names of another layout that has all of these and more.
    """

    models: tuple[str, ...]
    shapes: Mapping[str, int]
    build: Callable[[str, Arrays, dict[str, Any]], Cell]
    absent: tuple[str, ...] = ()


def _lru(model: str, p: Arrays, details: dict[str, Any]) -> Cell:
    """γ is a parameter of its own there; it is one here where training has moved it from √(1 − |λ|²)."""
    d, n_inputs = p["B_re"].shape
    cell = make(model, d, n_inputs, **details).with_parameters(
        nu=p["nu_log"], theta=p["theta_log"], V=np.concatenate([p["B_re"], p["B_im"]])
    )
    gain = np.exp(p["gamma_log"])
    if np.abs(gain - cell.parameters["g_re"]).max(initial=0.0) <= ROUND_OFF:
        return cell
    return cell.unstructured().with_parameters(g_re=gain)


def _s5(model: str, p: Arrays, details: dict[str, Any]) -> Cell:
    if not (p["Lambda_re"] < 0.0).all():
        raise ValueError(f"Lambda_re holds {p['Lambda_re'].max():g}; the rates of {model} are negative.")
    B, dt = p["B"], p["log_step"].reshape(-1)
    return make(model, len(B), B.shape[1], **details).with_parameters(
        log_decay=np.log(-p["Lambda_re"]), frequency=p["Lambda_im"], log_dt=dt,
        V=np.concatenate([B[..., 0], B[..., 1]]),
    )  # fmt: skip


def _linoss(model: str, p: Arrays, details: dict[str, Any]) -> Cell:
    """A complex B makes two copies of each oscillator: the first d neurons for Re B, the others for Im B."""
    B = p["B"]
    given = {"A_free": np.tile(p["A_diag"], 2), "dt_logit": np.tile(p["steps"], 2)}
    if "G_diag" in p:
        given["G_free"] = np.tile(p["G_diag"], 2)
    V = np.concatenate([B[..., 0], B[..., 1]])
    return make(model, 2 * len(B), B.shape[1], **details).with_parameters(V=V, **given)


def _mamba(model: str, p: Arrays, details: dict[str, Any]) -> Cell:
    """x̃ = x, Δ = softplus(W_dt (W_x x)_dt + b), and one B for all neurons."""
    rates, rank = p["A_log"], p["dt_proj.weight"].shape[1]
    d, states = rates.shape
    cell = make(model, d, d, **details)
    known = len(cell.kind.state)
    if states != known:
        raise ValueError(f"A_log has the shape {rates.shape}; {model} has {known} states, d_state = {known}.")
    B = p["x_proj.weight"][rank : rank + states]
    V = np.concatenate([np.eye(d), p["dt_proj.weight"] @ p["x_proj.weight"][:rank], np.repeat(B, d, axis=0)])
    return cell.with_parameters(A_log=rates.T, V=V, b=p["dt_proj.bias"])


def _min(name: str, order: tuple[int, ...]) -> Callable[[str, Arrays, dict[str, Any]], Cell]:
    """Rows in the authors' order: the candidate first; it is positive there."""

    def build(model: str, p: Arrays, details: dict[str, Any]) -> Cell:
        weight = p[name]
        d, left = divmod(len(weight), len(order))
        if left:
            raise ValueError(f"{name} has shape {weight.shape}; {model} has {len(order)} rows a neuron.")
        rows = weight.reshape(len(order), d, -1)
        V = np.concatenate([rows[i] for i in order])
        cell = make(model, d, weight.shape[1], **({"positive": True} | details))
        return cell.with_parameters(V=V, b=np.zeros(len(V)))

    return build


LAYOUTS = (
    AuthorsNames(("lru",), {"theta_log": 1, "nu_log": 1, "gamma_log": 1, "B_re": 2, "B_im": 2}, _lru),
    AuthorsNames(("s4d",), {"Lambda_re": 1, "Lambda_im": 1, "B": 3, "log_step": 2}, _s5),
    AuthorsNames(("dlinoss",), {"A_diag": 1, "G_diag": 1, "B": 3, "steps": 1}, _linoss),
    AuthorsNames(
        ("linoss_imex", "linoss_im"), {"A_diag": 1, "B": 3, "steps": 1}, _linoss, absent=("G_diag",)
    ),
    AuthorsNames(("s6",), {"A_log": 2, "x_proj.weight": 2, "dt_proj.weight": 2, "dt_proj.bias": 1}, _mamba),
    AuthorsNames(("mingru",), {"to_hidden_and_gate.weight": 2}, _min("to_hidden_and_gate.weight", (1, 0))),
    AuthorsNames(
        ("minlstm",), {"to_hidden_and_f_i_gate.weight": 2}, _min("to_hidden_and_f_i_gate.weight", (1, 2, 0))
    ),
)


def _found(entries: Sequence[Entry]) -> list[tuple[tuple[str, ...], AuthorsNames, dict[str, Entry]]]:
    """Every place where all names of a layout stand, with its path."""
    by_path = {entry.path: entry for entry in entries}
    found: list[tuple[tuple[str, ...], AuthorsNames, dict[str, Entry]]] = []
    for layout in LAYOUTS:
        first: tuple[str, ...] = tuple(next(iter(layout.shapes)).split("."))
        for path in by_path:
            above = path[: len(path) - len(first)]
            if path[len(above) :] != first or any((*above, name) in by_path for name in layout.absent):
                continue
            parts = {name: by_path.get((*above, *name.split("."))) for name in layout.shapes}
            there = {name: part for name, part in parts.items() if part is not None}
            if len(there) == len(parts):
                found.append((above, layout, there))
    return found


def authors_cell(
    entries: Sequence[Entry],
    model: str | None,
    details: dict[str, Any],
    prefix: str | Sequence[str] | None = None,
) -> Cell | None:
    """The cell in arrays with the names of its authors' code; None where there are no such names.

    Raises
    ------
    ValueError, TypeError
        If there are several cells and `prefix` chooses none of them, if the names leave open which cell it
        is, or if an array has another shape.
    """
    found = _found(entries)
    if not found:
        return None
    names = [".".join(above) for above, _, _ in found]
    if prefix is not None:
        if not isinstance(prefix, str):
            raise ValueError(f"prefix={shown(prefix)} must be one name here: one of {', '.join(names)}.")
        wanted = ".".join(part for part in prefix.replace("/", ".").split(".") if part)
        found = [one for one, name in zip(found, names, strict=True) if name == wanted]
    if len(found) != 1:
        raise ValueError(
            f"the arrays hold {len(names)} recurrences; choose one by prefix: {', '.join(names) or 'none'}."
        )
    [(_, layout, parts)] = found
    asked = None if model is None else canonical(model)
    if asked is not None and asked not in layout.models:
        raise ValueError(f"{asked} was asked for, but the names are those of {' or '.join(layout.models)}.")
    if asked is None and len(layout.models) > 1:
        raise ValueError(
            f"the names are those of {' and '.join(layout.models)}; say which one it is by model."
        )
    arrays = {name: parts[name].array(ndim) for name, ndim in layout.shapes.items()}
    return layout.build(asked or next(iter(layout.models)), arrays, details)
