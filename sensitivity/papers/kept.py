"""Results that were computed once and are kept with the package: docs/results in the repository."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

__all__ = ["committed"]

_PACKAGE = Path(__file__).resolve().parents[1]
PLACES = (_PACKAGE / "results_kept", _PACKAGE.parent / "docs" / "results")
"""Inside an installed package, and in the repository."""


def committed(folder: str, name: str) -> dict[str, Any] | None:
    """The JSON file `name` of a kept result, with its manifest under "manifest"; None if there is none.

    Raises
    ------
    ValueError
        If a file is not the one that the manifest was written for.
    """
    for place in PLACES:
        path = place / folder / name
        if path.exists():
            record = json.loads((path.parent / "manifest.json").read_text(encoding="utf-8"))
            text = path.read_bytes()
            if hashlib.sha256(text).hexdigest() != record["sha256"].get(name):
                raise ValueError(f"{folder}/{name} is not what its manifest was written for.")
            return {**json.loads(text), "manifest": record}
    return None
