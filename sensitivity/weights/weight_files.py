"""Weights of cells in files: .npz and .safetensors, neither of which can run code."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from integrators.cells.cell import Cell
from integrators.cells.stacks.stack import CellStack
from integrators.naming import shown
from sensitivity.extras import imported
from sensitivity.files import check_writable, read_bytes, replacing, user_path
from sensitivity.recurrences.registry import MODELS, canonical, hyperparameters, make
from sensitivity.recurrences.settings import check_setting

from .array_files import arrays_in
from .conversion import refuse_format
from .entries import Unreadable, entries_of
from .groups import groups_of
from .saved import OF_STEP, check_asked, from_header, from_own_names, packed
from .stacks import check_stack, is_stack, packed_stack, stack_from_header
from .statespace import authors_cell
from .weights import from_named, names_of, refuse_activation

__all__ = ["from_arrays", "load_arrays", "load_weights", "save_weights", "saved_model"]

SUFFIXES = (".npz", ".safetensors")
_HEADER = "leapgrad"
# Of an archive; a longer comment is cut without an error.
MOST_COMMENT = 2**16 - 1
_DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4", "I16": "<i2",
    "I8": "i1", "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1", "BOOL": "?", "C64": "<c8",
}  # fmt: skip


def from_arrays(
    arrays: Mapping[str, ArrayLike] | Any,
    model: str | None = None,
    activation: str | None = None,
    *,
    prefix: str | Sequence[str] | None = None,
    ignore: Sequence[str] = (),
    **details: Any,
) -> Cell:
    """The cell with these weights, in the layout of another library, or by our own names.

    Parameters
    ----------
    arrays : mapping
        By the names of PyTorch, Equinox, Keras or Flax, nested or not, other layers among them; by those of
        the authors' code of LRU, S5 (a cell "s4d"), LinOSS, D-LinOSS, Mamba (a cell "s6"), minGRU and
        minLSTM; or the parameters of any model of the registry by our own.
    model : str, optional
        Of the registry; needed for our own names, and for LinOSS, whose names do not tell its discretisation.
    activation : str, optional
        Of cells that have one; tanh, or what the arrays say, by default.
    prefix, ignore
        Which network to read, and what to leave out; see `from_torch`.
    **details
        ``reset_after`` and ``cudnn`` for Keras, see `from_keras`; settings of the model for our own names.

    Raises
    ------
    ValueError, TypeError
        Naming what is missing, unknown or does not fit, and settings that contradict the arrays.

    Examples
    --------
    >>> import numpy as np
    >>> import leapgrad as lg
    >>> arrays = {"W": np.eye(4), "V": np.ones((4, 2)), "b": np.zeros(4)}
    >>> lg.from_arrays(arrays, model="vanilla", activation="relu")
    Cell(vanilla, d=4, n_inputs=2)
    """
    entries = entries_of(arrays, "arrays")
    cell = authors_cell([e for e in entries if e.name not in names_of(ignore)], model, details, prefix)
    if cell is not None:
        refuse_activation(cell.name, activation)
        return cell
    if model is not None and groups_of(entries) == []:
        if prefix is not None:
            raise ValueError(
                f"prefix={shown(prefix)} chooses among networks of other libraries, of which there is none "
                f"among {', '.join(entry.name for entry in entries) or 'nothing'}; leave it out."
            )
        # Constants may be plain numbers, which are no entries of a state dict.
        own = dict(arrays) if isinstance(arrays, Mapping) else {e.name: e.value for e in entries}
        if activation is not None:
            details["activation"] = activation
        left_out = names_of(ignore)
        return _own({name: value for name, value in own.items() if name not in left_out}, model, details)
    if model is None and groups_of(entries) == [] and any(e.name in ("W", "V", "b", "R") for e in entries):
        raise ValueError(
            f"{', '.join(entry.name for entry in entries)} is no layout of PyTorch, Keras, Equinox or "
            "Flax; name "
            "the model that has these parameters."
        )
    known = {name: details.pop(name, None) for name in ("reset_after", "cudnn")}
    if details:
        raise ValueError(f"{next(iter(details))!r} is no setting of {_layout(entries)} layout; leave it out.")
    return from_named(arrays, model, activation, prefix=prefix, ignore=ignore, **known)


def _layout(entries: Sequence[Any]) -> str:
    found = {group.layout for group in groups_of(entries)}
    return (
        {"torch": "PyTorch's", "keras": "Keras's", "flax": "Flax's"}[found.pop()]
        if len(found) == 1
        else "this"
    )


def _own(arrays: Mapping[str, Any], model: str, details: dict[str, Any]) -> Cell:
    """Parameters by our own names; a step size is a setting of every model that has one."""
    step = None if "step" in hyperparameters(model) else details.pop("step", None)
    cell = from_own_names(model, arrays, details)
    if step is not None and check_setting("step", step, cell.d) != cell.step_size:
        raise ValueError(
            f"{canonical(model, MODELS)} has no setting 'step' of its own; its step size is {cell.step_size}."
        )
    return cell


def load_arrays(path: str | Path) -> dict[str, Any]:
    """The arrays of an .npz or .safetensors file by name; neither runs any code of the file.

    bfloat16 becomes float32. An array in a type that NumPy does not have, or of Python objects, is kept as an
    `Unreadable` that is refused where it is needed; the others can be used.

    Raises
    ------
    ImportError
        For .safetensors without the package; ``pip install leapgrad[torchweights]`` brings it.
    ValueError, OSError
        For a file that cannot be read, or of another kind: then with the line that converts it.
    """
    return _read(path)[0]


def load_weights(
    path: str | Path,
    model: str | None = None,
    activation: str | None = None,
    *,
    prefix: str | Sequence[str] | None = None,
    ignore: Sequence[str] = (),
    **details: Any,
) -> Cell:
    """The cell in a file: one that `save_weights` wrote, or weights in any layout that `from_arrays` knows.

    Parameters
    ----------
    path : str or Path
        .npz or .safetensors.
    model, activation, prefix, ignore, **details
        As for `from_arrays`. A file of `save_weights` says all that itself, and is not contradicted.

    Raises
    ------
    ValueError, TypeError, OSError, ImportError
        As for `from_arrays` and `load_arrays`; also where a setting is not the one in the file, and where a
        file does not say the step size of a model that has one.

    Examples
    --------
    >>> import leapgrad as lg
    >>> lg.save_weights("lstm.npz", lg.cell("lstm", 8, 3))
    >>> lg.load_weights("lstm.npz")
    Cell(lstm, d=8, n_inputs=3)
    """
    return read_weights(path, model, activation, prefix=prefix, ignore=ignore, **details)


def read_weights(
    path: str | Path,
    model: str | None = None,
    activation: str | None = None,
    *,
    step_is_given: bool = False,
    **details: Any,
) -> Cell:
    """`load_weights`; with `step_is_given` it does not matter whether a file says its step size."""
    arrays, header = _read(path)
    name = Path(path).name
    if header is None:
        if not step_is_given and model is not None and not set(OF_STEP) & set(details):
            _need_step(name, arrays, model)
        return from_arrays(arrays, model, activation, **details)
    if details.pop("prefix", None) is not None:
        raise ValueError(f"prefix chooses among several networks; {name} holds one cell.")
    ignore = names_of(details.pop("ignore", ()))
    if is_stack(header):
        stack = stack_from_header(
            {key: value for key, value in arrays.items() if key not in ignore}, header, name
        )
        check_stack(model, details | ({} if activation is None else {"activation": activation}), stack, name)
        return stack
    cell = from_header({key: value for key, value in arrays.items() if key not in ignore}, header, name)
    if cell.name in ("lstm", "gru", "gru_before"):
        refuse_activation(cell.name, activation)
        activation = None
    asked = details | ({} if activation is None else {"activation": activation})
    check_asked(model, asked, cell, name)
    return cell


def _need_step(name: str, arrays: Mapping[str, Any], model: str) -> None:
    """Files without a header, by our own names, do not say the step size."""
    if groups_of(entries_of(arrays)):
        return
    model = canonical(model, MODELS)
    setting = next((setting for setting in OF_STEP if setting in hyperparameters(model)), None)
    if setting is not None and make(model, 2).kind.step is not None:
        raise ValueError(f"{name} does not say the step size of {model}; give {setting}=….")


def saved_model(path: str | Path) -> str | None:
    """The model of a file that `save_weights` wrote; None of any other file, even one that cannot be read."""
    try:
        header = _read(path)[1]
        return None if header is None else str(json.loads(header)["model"])
    except (OSError, ValueError, KeyError, TypeError, ImportError):
        return None


def save_weights(path: str | Path, cell: Cell) -> None:
    """Write a cell to a file: its parameters, its model, its settings and its step size.

    `load_weights` reads the same cell with the same bits. The arrays have PyTorch's names and layout where
    PyTorch has the model, so that PyTorch can load them as a state dict. Everything that is not an array is
    text: the comment of an .npz archive, or the metadata of a .safetensors file.

    Parameters
    ----------
    path : str or Path
        A name that ends in .npz or .safetensors.
    cell : Cell
        A cell made by `cell`, `from_torch` or another function of this package.

    Raises
    ------
    ImportError
        For .safetensors without the package safetensors (extra ``torchweights``).
    ValueError, OSError
        If the name has another ending or the file cannot be written; ValueError also for cells of your own,
        because a file cannot hold the function that defines them.

    Examples
    --------
    >>> import leapgrad as lg
    >>> cell = lg.cell("cornn", 16, 2, gamma=3.0, step=0.1)
    >>> lg.save_weights("cornn.npz", cell)
    >>> lg.load_weights("cornn.npz") == cell
    True
    """
    path = user_path(path)
    if _suffix(path) not in SUFFIXES:
        raise ValueError(f"{path.name} must end in {' or '.join(SUFFIXES)}.")
    check_writable(path)
    if not isinstance(cell, Cell):
        mend = "; from_torch(module) makes one of it" if hasattr(cell, "state_dict") else ""
        raise TypeError(f"cell must be a Cell, got {type(cell).__name__}{mend}.")
    if not cell.compiled and not isinstance(cell, CellStack):
        raise TypeError(f"cell is {cell!r}, a function; a file of weights cannot hold what it does.")
    arrays, header = packed_stack(cell) if isinstance(cell, CellStack) else packed(cell)
    content, comment = None, f"{_HEADER} {header}".encode()
    if _suffix(path) != ".safetensors" and len(comment) > MOST_COMMENT:
        raise ValueError(
            f"{path} cannot hold what {cell.name} is made of: {len(comment)} bytes of description, where an "
            f".npz file has room for {MOST_COMMENT}; end its name in .safetensors."
        )
    if _suffix(path) == ".safetensors":
        content = _safetensors(path).numpy.save(arrays, metadata={_HEADER: header})
    with replacing(path) as temporary:
        if content is not None:
            temporary.write_bytes(content)
            return
        with open(temporary, "wb") as file:
            np.savez(file, **arrays)  # pyright: ignore[reportArgumentType]
        with zipfile.ZipFile(temporary, "a") as archive:
            archive.comment = comment


# ------------------------------------------------------------------------------------------------ the formats


def _suffix(path: Path) -> str:
    return path.suffix.lower()


def _read(path: str | Path) -> tuple[dict[str, Any], str | None]:
    """The arrays of a file, and the header where `save_weights` wrote one."""
    path = user_path(path)
    suffix = _suffix(path)
    if suffix not in SUFFIXES:
        refuse_format(path)
    package = _safetensors(path) if suffix == ".safetensors" else None
    content = read_bytes(path)
    try:
        if package is not None:
            return _from_safetensors(package, content)
        return _from_npz(content, path)
    except Exception as error:  # the two formats have a dozen kinds, all meaning a damaged file
        reason = str(error).rstrip(".")
        raise ValueError(f"{path.name} cannot be read as {path.suffix}: {reason}.") from None


def _safetensors(path: Path) -> Any:
    missing = f"{path.name} needs the package safetensors: pip install 'leapgrad[torchweights]'."
    imported("safetensors.numpy", missing)
    return imported("safetensors", missing)


def _from_npz(content: bytes, path: Path) -> tuple[dict[str, Any], str | None]:
    arrays = arrays_in(content, path.name, unreadable=Unreadable)
    if any(name.endswith("data.pkl") for name in arrays):
        raise ValueError(
            "it is a file of torch.save; end its name in .pt, and the line that converts it is shown"
        )
    if "" in arrays:
        raise ValueError("it holds one array without a name; save arrays by name with numpy.savez")
    with zipfile.ZipFile(_stream(content)) as archive:
        mark, _, header = archive.comment.decode("utf-8", "replace").partition(" ")
    return arrays, header if mark == _HEADER else None


def _stream(content: bytes) -> Any:
    import io

    return io.BytesIO(content)


def _from_safetensors(package: Any, content: bytes) -> tuple[dict[str, Any], str | None]:
    arrays = {name: _tensor(**tensor) for name, tensor in sorted(package.deserialize(content))}
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size]).get("__metadata__") or {}
    return arrays, header.get(_HEADER)


def _tensor(dtype: str, shape: Sequence[int], data: bytes) -> NDArray[Any] | Unreadable:
    if dtype not in _DTYPES:
        return Unreadable(f"has the type {dtype}, which NumPy does not have; save it as float32")
    array = np.frombuffer(data, _DTYPES[dtype]).reshape(shape)
    if dtype == "BF16":  # the upper half of a float32
        array = (array.astype("<u4") << 16).view("<f4")
    return array
