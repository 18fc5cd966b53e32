"""Checkpoints: arrays and JSON in one .npz, nothing pickled, in place all at once, for their own run only."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensitivity.files import MOST_BYTES, replacing
from sensitivity.weights.array_files import read_arrays

from .adam import AdamState
from .data.sequences import Sequences

__all__ = ["DIGESTS", "Trace", "TrainingState", "digests", "load_checkpoint", "save_checkpoint"]

Float = NDArray[np.float64]

FORMAT = 2
"""1 had no digests of data and start: such a file cannot be told from one of another run."""
LARGEST_TEXT = 2**28
"""Bytes of JSON that are still taken for the trace of a run, beside the numbers of a large network."""
MEMBERS = ("theta", "first", "second", "facts")
DIGESTS = "digests"
"""The key under which an identity holds what no reader can compare by eye."""


@dataclass
class Trace:
    """Values recorded along a run, one entry for each evaluation.

    Attributes
    ----------
    iteration : list of int
    loss : list of float
        Mean over the batches of this epoch since the last look.
    accuracy : list of float
        On the validation sequences, or those for test where a split has none. Where a split is blind too: of
        the training sequences of this epoch since the last look, before the steps that they caused.
    gradient_norm : list of float
        Of the last batch.
    more : list of dict
        What a watcher returned.
    """

    iteration: list[int] = field(default_factory=list)
    loss: list[float] = field(default_factory=list)
    accuracy: list[float] = field(default_factory=list)
    gradient_norm: list[float] = field(default_factory=list)
    more: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class TrainingState:
    """Everything that a run needs to go on."""

    theta: Float
    adam: AdamState
    epoch: int = 0
    trace: Trace = field(default_factory=Trace)
    seconds: float = 0.0


def digests(theta: Float, parts: Mapping[str, Sequences | None]) -> dict[str, Any]:
    """SHA-256 of the first parameters, and of inputs and labels of each part of the data, by name."""
    found: dict[str, Any] = {"first parameters": _digest(theta)}
    for name, part in parts.items():
        if part is not None:
            found[f"{name} inputs"] = _digest(part.values, part.scale)
            found[f"{name} labels"] = _digest(part.labels)
            if part.weights is not None:
                found[f"{name} weights"] = _digest(part.weights)
    return found


def _digest(array: NDArray[Any], scale: float = 1.0) -> str:
    """SHA-256 of shape, type, factor, and the bytes in the order of the indices."""
    array = np.ascontiguousarray(array)
    head = f"{array.dtype.str} {array.shape} {scale!r}".encode()
    found = hashlib.sha256(head)
    found.update(array.data)
    return found.hexdigest()


def save_checkpoint(path: Path, identity: Mapping[str, Any], state: TrainingState) -> None:
    """Write the state of a run; the old file stays until the new one is complete."""
    adam = state.adam
    facts = {"format": FORMAT, "identity": identity, "epoch": state.epoch, "steps": adam.steps,
             "seconds": state.seconds, "trace": asdict(state.trace)}  # fmt: skip
    text = np.frombuffer(json.dumps(facts).encode(), np.uint8)
    with replacing(path) as temporary, temporary.open("wb") as stream:
        np.savez(stream, theta=state.theta, first=adam.first, second=adam.second, facts=text)


def load_checkpoint(path: Path, identity: Mapping[str, Any], size: int, epochs: int) -> TrainingState:
    """Read the checkpoint of the run of this identity with `size` parameters and `epochs` epochs.

    Raises
    ------
    ValueError
        If the file is no checkpoint, is damaged or holds numbers that are not finite, was written without
        the digests of its data and start, belongs to a run that differs, or has run more epochs than asked.
    """
    arrays, facts = _read(path, size)
    if facts["format"] != FORMAT:
        raise ValueError(
            f"checkpoint {path} was written by another version of leapgrad (its format is "
            f"{facts['format']!r}, not {FORMAT}) and does not say which data and start it belongs to; "
            "remove it or name another file to start anew."
        )
    if found := list(_differences(facts["identity"], json.loads(json.dumps(identity)))):
        # Another seed changes every digest too: those are named only where nothing else tells the runs apart.
        told = [text for text, digest in found if not digest] or [text for text, _ in found]
        raise ValueError(f"checkpoint {path} is of another run: {'; '.join(told[:5])}; name another file.")
    if reason := _flaw(arrays, facts, size):
        raise _damaged(path, reason)
    epoch, adam = facts["epoch"], AdamState(arrays["first"], arrays["second"], facts["steps"])
    if epoch > epochs:
        raise ValueError(
            f"checkpoint {path} has run {epoch} epochs, more than the {epochs} asked for; ask for at least "
            f"{epoch} epochs, or name another file."
        )
    return TrainingState(arrays["theta"], adam, epoch, Trace(**facts["trace"]), float(facts["seconds"]))


def _read(path: Path, size: int) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """The arrays and the facts, once the file is known to be a checkpoint."""
    if not path.is_file():
        raise ValueError(f"checkpoint {path} is not a regular file; name another file.")
    try:
        arrays = read_arrays(path, max(MOST_BYTES, 24 * size + LARGEST_TEXT))
    except (OSError, ValueError, MemoryError) as error:
        raise _damaged(path, str(error).removeprefix(f"{path} ").rstrip(".")) from None
    if missing := [name for name in MEMBERS if name not in arrays]:
        raise ValueError(f"checkpoint {path} is no checkpoint of `train`: it has no entry {missing[0]!r}; "
                         "name another file.")  # fmt: skip
    try:
        facts = json.loads(arrays["facts"].tobytes())
    except RecursionError:
        raise _damaged(path, "its text is nested too deeply") from None
    except ValueError as error:
        raise _damaged(path, str(error)) from None
    if not isinstance(facts, dict) or not isinstance(facts.get("identity"), dict):
        raise _damaged(path, "it does not say which run it belongs to")
    return arrays, {"format": 1, **facts}


def _flaw(arrays: Mapping[str, NDArray[Any]], facts: Mapping[str, Any], size: int) -> str | None:
    """What no run with `size` parameters can have reached; None where there is no such thing."""
    for name in MEMBERS[:3]:
        array = arrays[name]
        if array.dtype != np.float64 or array.shape != (size,):
            return f"{name} has type {array.dtype} and shape {array.shape}"
        if not np.isfinite(array).all():
            return f"{name} holds {array[~np.isfinite(array)][0]}"
    if (arrays["second"] < 0.0).any():
        return "second holds negative numbers, where squares are kept"
    for name, kind in {"epoch": int, "steps": int, "seconds": (int, float)}.items():
        value: Any = facts.get(name)
        if not isinstance(value, kind) or isinstance(value, bool) or not 0 <= value < math.inf:
            return f"{name} is {value!r}"
    if not isinstance(facts.get("trace"), dict):
        return "it has no trace"
    try:
        lengths = {len(column) for column in vars(Trace(**facts["trace"])).values()}
    except TypeError:
        return "its trace is not that of a run"
    return "the columns of its trace have different lengths" if len(lengths) != 1 or 0 in lengths else None


def _damaged(path: Path, why: str) -> ValueError:
    return ValueError(f"checkpoint {path} cannot be read ({why}); remove it to start anew.")


def _differences(old: Any, new: Any, name: str = "", digest: bool = False) -> Iterator[tuple[str, bool]]:
    """("step 0.1, not 0.2", whether it is a digest) for every entry that differs."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in dict.fromkeys((*new, *old)):
            below = digest or key == DIGESTS
            yield from _differences(old.get(key), new.get(key), key, below)
    elif old != new:
        yield (f"other {name}" if digest else f"{name} {old!r}, not {new!r}"), digest
