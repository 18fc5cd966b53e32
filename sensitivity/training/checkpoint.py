"""Checkpoints: arrays and JSON in one .npz, nothing pickled, in place all at once."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..files import replacing
from .adam import AdamState

__all__ = ["load_checkpoint", "save_checkpoint"]

Float = NDArray[np.float64]


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
    path: Path, identity: Mapping[str, Any], trace: Callable[..., Any]
) -> tuple[Float, AdamState, int, Any, float]:
    """What `save_checkpoint` wrote.

    Raises
    ------
    ValueError
        If the file is damaged, or belongs to a run with another network or recipe.
    """
    try:
        with np.load(path, allow_pickle=False) as kept:
            facts = json.loads(kept["facts"].tobytes())
            theta, first, second = (np.array(kept[name]) for name in ("theta", "first", "second"))
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"checkpoint {path} cannot be read ({error}); remove it to start anew.") from None
    wanted = json.loads(json.dumps(identity))
    if facts["identity"] != wanted:
        found = _difference(facts["identity"], wanted)
        raise ValueError(f"checkpoint {path} is of another run: {found}; name another file.")
    adam = AdamState(first, second, facts["steps"])
    return theta, adam, facts["epoch"], trace(**facts["trace"]), facts["seconds"]


def _difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """The first entry that differs, as "step 0.1, not 0.2"."""
    for key in new:
        if old.get(key) != new[key]:
            if isinstance(new[key], Mapping) and isinstance(old.get(key), Mapping):
                return _difference(old[key], new[key])
            return f"{key} {old.get(key)!r}, not {new[key]!r}"
    return "it has other entries"
