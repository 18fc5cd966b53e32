"""Checkpoints: arrays and JSON in one .npz, nothing pickled, in place all at once, for their own run only."""

from __future__ import annotations

import hashlib
import json
import math
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensitivity.files import replacing

from .adam import AdamState
from .data.sequences import Sequences

__all__ = ["digests", "load_checkpoint", "save_checkpoint"]

Float = NDArray[np.float64]

FORMAT = 2
"""1 had no digests of data and start: such a file cannot be told from one of another run."""
LARGEST_TEXT = 256 * 2**20
"""Bytes of JSON that are still taken for the trace of a run."""
MEMBERS = ("theta", "first", "second", "facts")
DIGESTS = "digests"
"""The key under which an identity holds what no reader can compare by eye."""


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


def save_checkpoint(
    path: Path,
    identity: Mapping[str, Any],
    theta: Float,
    adam: AdamState,
    epoch: int,
    trace: Any,
    seconds: float,
) -> None:
    """Write everything that a run needs to go on; the old file stays until the new one is complete."""
    facts = {
        "format": FORMAT,
        "identity": identity,
        "epoch": epoch,
        "steps": adam.steps,
        "seconds": seconds,
        "trace": asdict(trace),
    }
    text = np.frombuffer(json.dumps(facts).encode(), np.uint8)
    with replacing(path) as temporary, temporary.open("wb") as stream:
        np.savez(stream, theta=theta, first=adam.first, second=adam.second, facts=text)


def load_checkpoint(
    path: Path, identity: Mapping[str, Any], size: int, epochs: int, trace: Callable[..., Any]
) -> tuple[Float, AdamState, int, Any, float]:
    """Read the checkpoint of the run of this identity with `size` parameters and `epochs` epochs.

    Raises
    ------
    ValueError
        If the file is no checkpoint, is damaged or holds numbers that are not finite, was written without
        the digests of its data and start, belongs to a run that differs, or has run more epochs than asked.
    """
    theta, first, second, facts = _read(path, size)
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
    state = _checked(path, size, theta, first, second, facts)
    if state[2] > epochs:
        raise ValueError(
            f"checkpoint {path} has run {state[2]} epochs, more than the {epochs} asked for; ask for at "
            f"least {state[2]} epochs, or name another file."
        )
    try:
        found_trace = trace(**facts["trace"])
        lengths = {len(column) for column in vars(found_trace).values()}
    except TypeError:
        raise _damaged(path, "its trace is not that of a run") from None
    if lengths == {0} or len(lengths) != 1:
        raise _damaged(path, "the columns of its trace have different lengths")
    return *state[:3], found_trace, state[3]


def _read(path: Path, size: int) -> tuple[Float, Float, Float, dict[str, Any]]:
    """The arrays and the facts, once the file is known to be a checkpoint of a bearable size."""
    if not path.is_file():
        raise ValueError(f"checkpoint {path} is not a regular file; name another file.")
    try:
        with zipfile.ZipFile(path) as archive:
            sizes = {item.filename.removesuffix(".npy"): item.file_size for item in archive.infolist()}
        missing = [name for name in MEMBERS if name not in sizes]
        if missing:
            raise ValueError(f"checkpoint {path} is no checkpoint of `train`: it has no entry "
                             f"{missing[0]!r}; name another file.")  # fmt: skip
        for name, most in {**dict.fromkeys(MEMBERS[:3], 8 * size + 2**16), "facts": LARGEST_TEXT}.items():
            if sizes[name] > most and name == "facts":
                raise _damaged(path, f"{name} has {sizes[name]} bytes, more than a run writes")
            if sizes[name] > most:
                raise ValueError(f"checkpoint {path} is of another run: it has more parameters than the "
                                 f"{size} of this network; name another file.")  # fmt: skip
        with np.load(path, allow_pickle=False) as kept:
            arrays = [np.array(kept[name]) for name in MEMBERS]
        facts = json.loads(arrays[3].tobytes())
    except RecursionError:
        raise _damaged(path, "its text is nested too deeply") from None
    except (OSError, KeyError, EOFError, UnicodeDecodeError, json.JSONDecodeError, zipfile.BadZipFile,
            zipfile.LargeZipFile, NotImplementedError, MemoryError) as error:  # fmt: skip
        raise _damaged(path, str(error) or type(error).__name__) from None
    except ValueError as error:
        if str(error).startswith("checkpoint "):
            raise
        raise _damaged(path, str(error)) from None
    except Exception as error:  # zlib.error and what else a damaged stream raises
        raise _damaged(path, str(error)) from None
    if not isinstance(facts, dict) or not isinstance(facts.get("identity"), dict):
        raise _damaged(path, "it does not say which run it belongs to")
    facts.setdefault("format", 1)
    return arrays[0], arrays[1], arrays[2], facts


def _checked(
    path: Path, size: int, theta: Float, first: Float, second: Float, facts: Mapping[str, Any]
) -> tuple[Float, AdamState, int, float]:
    """(θ, moments, epoch, seconds), once they are known to be what a run can have reached."""
    for name, array in (("theta", theta), ("first", first), ("second", second)):
        if array.dtype != np.float64 or array.shape != (size,):
            raise _damaged(path, f"{name} has type {array.dtype} and shape {array.shape}")
        if not np.isfinite(array).all():
            raise _damaged(path, f"{name} holds {array[~np.isfinite(array)][0]}")
    if (second < 0.0).any():
        raise _damaged(path, "second holds negative numbers, where squares are kept")
    for name in ("epoch", "steps"):
        value = facts.get(name)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise _damaged(path, f"{name} is {value!r}")
    seconds = facts.get("seconds")
    if not isinstance(seconds, (int, float)) or not 0.0 <= seconds < math.inf:
        raise _damaged(path, f"seconds is {seconds!r}")
    if not isinstance(facts.get("trace"), dict):
        raise _damaged(path, "it has no trace")
    return theta, AdamState(first, second, facts["steps"]), facts["epoch"], float(seconds)


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
