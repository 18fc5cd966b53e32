"""``python -m benchmarks.catalogue``: how long every proposition of the catalogue takes to be decided."""

from __future__ import annotations

import sys

from proofs import check
from proofs.catalogue import CATALOGUE

from .table import markdown

__all__ = ["ALLOWED"]

ALLOWED = 60.0
"""Seconds for all of them, on one core of a quiet machine."""


def main() -> int:
    """Decide all; 1 if that took too long."""
    seconds = {name: check(name).seconds for name in CATALOGUE}
    total = sum(seconds.values())
    lines = [[name, f"{spent:.2f}"] for name, spent in sorted(seconds.items(), key=lambda one: -one[1])]
    print(markdown(["proposition", "seconds"], [*lines, [f"all, of {ALLOWED:.0f} allowed", f"{total:.2f}"]]))
    return 1 if total > ALLOWED else 0


if __name__ == "__main__":
    sys.exit(main())
