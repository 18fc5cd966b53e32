"""Weights of cells in files: .npz and .safetensors, neither of which can run code."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from integrators.cells import Cell

from ..files import check_writable, replacing
from .registry import make
from .weights import from_keras, from_torch, to_torch

__all__ = ["from_arrays", "load_arrays", "load_weights", "save_weights"]

SUFFIXES = (".npz", ".safetensors")
_KERAS = ("kernel", "recurrent_kernel", "bias")


def from_arrays(
    arrays: Mapping[str, ArrayLike], model: str | None = None, activation: str | None = None, **details: Any
) -> Cell:
    """The cell with these weights, in PyTorch's layout, in Keras's, or by our own names.

    Parameters
    ----------
    arrays : mapping
        ``weight_ih_l0`` … of PyTorch (`from_torch`); ``kernel``, ``recurrent_kernel``, ``bias`` of one Keras
        layer (`from_keras`); or the parameters of any model of the registry, as `save_weights` writes them.
    model : str, optional
        Of the registry; needed for our own names only.
    activation : str, optional
        Of cells that have one; tanh, or what the arrays say, by default.
    **details
        ``reset_after`` for Keras; hyperparameters of the model for our own names.

    Raises
    ------
    ValueError, TypeError
        Naming what is missing or does not fit.
    """
    if any("weight_hh" in name for name in arrays):
        _refuse(details, (), "PyTorch's")
        return from_torch(arrays, model, activation or "tanh")
    short = {name.rsplit("/", 1)[-1].removesuffix(":0"): value for name, value in arrays.items()}
    if "recurrent_kernel" in short:
        missing = [name for name in _KERAS[:2] if name not in short]
        if missing:
            raise ValueError(f"{missing[0]} is missing; a Keras layer has {', '.join(_KERAS)}.")
        _refuse(details, ("reset_after",), "Keras's")
        given = [short[name] for name in _KERAS if name in short]
        return from_keras(given, model, activation=activation or "tanh", **details)
    if model is None:
        raise ValueError(
            f"{', '.join(arrays) or 'nothing'} is no layout of PyTorch or Keras; name the model that has "
            "these parameters."
        )
    own = dict(arrays)
    if activation is not None:
        own.pop("activation", None)
        details["activation"] = activation
    return _by_own_names(model, own, details)


def _refuse(details: Mapping[str, Any], known: tuple[str, ...], layout: str) -> None:
    for name in details:
        if name not in known:
            raise ValueError(f"{name!r} is no setting of {layout} layout; leave it out.")


def _by_own_names(model: str, arrays: dict[str, Any], details: Mapping[str, Any]) -> Cell:
    """A model of the registry whose parameters are those given; others keep their start."""
    per_neuron = [name for name in ("w", "c", "b", "W") if name in arrays]
    if not per_neuron:
        raise ValueError(f"none of W, b, w, c is among {', '.join(arrays) or 'nothing'}: d is not known.")
    d = _neurons(model, arrays, per_neuron[0])
    V = np.asarray(arrays["V"]) if "V" in arrays else np.zeros((0, 0))
    cell = make(model, d, V.shape[-1] if V.ndim == 2 else 0, **details)
    return cell.with_parameters(**arrays)


def _neurons(model: str, arrays: Mapping[str, Any], name: str) -> int:
    """d, from the length of one parameter and the number of its rows in d = 1."""
    rows = np.shape(arrays[name])[0] if np.ndim(arrays[name]) else 0
    unit = make(model, 2).kind.shapes(1, 0)
    d, rest = divmod(rows, unit[name][0]) if name in unit else (0, 1)
    if rest or d == 0:
        raise ValueError(f"{name} has shape {np.shape(arrays[name])}, which {model} cannot have.")
    return d


def load_arrays(path: str | Path) -> dict[str, NDArray[np.float64]]:
    """The arrays of an .npz or .safetensors file by name; neither runs any code of the file.

    Raises
    ------
    ImportError
        For .safetensors without the package; ``pip install leapgrad[torchweights]`` brings it.
    ValueError, OSError
        For a file that cannot be read, or of another kind.
    """
    path = Path(path)
    load = _load_npz if _suffix(path) == ".npz" else _safetensors(path).load
    content = path.read_bytes()
    try:
        return load(content)
    except Exception as error:  # the two packages raise a dozen kinds, all meaning a damaged file
        raise ValueError(f"{path.name} cannot be read as {path.suffix}: {error}.") from None


def load_weights(
    path: str | Path, model: str | None = None, activation: str | None = None, **details: Any
) -> Cell:
    """`from_arrays` of what a file holds."""
    return from_arrays(load_arrays(path), model, activation, **details)


def save_weights(path: str | Path, cell: Cell) -> None:
    """Write the weights of a cell: in PyTorch's layout where there is one, else by our own names.

    Raises
    ------
    ImportError, ValueError, OSError
        As for `load_arrays`; ValueError for several layers of what PyTorch does not have.
    """
    path = check_writable(path)
    suffix, package = _suffix(path), None
    if suffix == ".safetensors":
        package = _safetensors(path)
    arrays: dict[str, Any]
    try:
        arrays = {**to_torch(cell)}
    except ValueError:
        if cell.plan.layers > 1:
            raise
        # The free parameters of a structured cell, and beside them the matrix that they make, for others.
        known = {**cell.parameters, **cell.free_parameters}
        arrays = {name: np.array(value) for name, value in known.items()}
    with replacing(path) as temporary:
        if package is None:
            with open(temporary, "wb") as file:
                np.savez(file, **arrays)
        else:
            temporary.write_bytes(package.save(arrays))


def _suffix(path: Path) -> str:
    if path.suffix not in SUFFIXES:
        raise ValueError(f"{path.name} must end in {' or '.join(SUFFIXES)}.")
    return path.suffix


def _safetensors(path: Path) -> Any:
    try:
        import safetensors.numpy  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise ImportError(
            f"{path.name} needs the package safetensors: pip install 'leapgrad[torchweights]'."
        ) from error
    return safetensors.numpy


def _load_npz(content: bytes) -> dict[str, Any]:
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        return dict(archive)
