"""A finished run as files: what was seen along it, and how to have it again."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sensitivity.files import replacing_folder
from sensitivity.manifest import manifest

__all__ = ["write_json", "write_run"]


def write_run(out: str | Path, found: Mapping[str, Any], parameters: Mapping[str, Any], command: str) -> None:
    """run.json and manifest.json, in place together or not at all."""
    with replacing_folder(out) as folder:
        write_json(folder / "run.json", found)
        files = {"run.json": folder / "run.json"}
        parameters = {"network": found["network"], **parameters}
        write_json(folder / "manifest.json", manifest(command, parameters, found["seconds"], files))


def write_json(path: Path, data: Any) -> None:
    """Readable, the same data as the same bytes."""
    text = json.dumps(plain(data), indent=1, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def plain(value: Any) -> Any:
    """Numbers that are not finite as None, since JSON has no name for them; tuples as lists."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
