"""A finished run as files: what was seen along it, and how to have it again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sensitivity.files import replacing_folder
from sensitivity.manifest import write_manifest
from sensitivity.text import write_json

__all__ = ["write_run"]


def write_run(out: str | Path, found: Mapping[str, Any], parameters: Mapping[str, Any], command: str) -> None:
    """run.json and manifest.json, in place together or not at all."""
    with replacing_folder(out) as folder:
        write_json(folder / "run.json", found)
        write_manifest(folder, command, {"network": found["network"], **parameters}, found["seconds"])
