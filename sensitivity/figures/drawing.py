"""Matplotlib, whatever the environment says of it: all that the modules which draw take from it.

``MPLBACKEND`` may name a backend that this process does not have, such as that of the notebook which started
it, and Matplotlib then refuses to be imported. Pictures are drawn on figures without a backend and written by
those for files, so that the caller's choice is neither needed nor changed.
"""

# ruff: noqa: E402 - Matplotlib is imported only when the environment cannot end that

from __future__ import annotations

import os
import sys
from contextlib import suppress


def _import_matplotlib() -> None:
    """Import Matplotlib with the backend of the environment if there is such a one, and without otherwise."""
    if "matplotlib" in sys.modules:
        return
    wish = os.environ.pop("MPLBACKEND", None)
    try:
        import matplotlib
    finally:
        if wish is not None:
            os.environ["MPLBACKEND"] = wish
    if wish:
        with suppress(ValueError):  # what Matplotlib itself does with it, but for the refusal
            matplotlib.rcParams["backend"] = wish


_import_matplotlib()

# isort: split
import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import Collection
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

__all__ = [
    "WRITERS",
    "Axes",
    "Collection",
    "Figure",
    "FigureCanvasAgg",
    "Line2D",
    "LogFormatter",
    "LogLocator",
    "MaxNLocator",
    "NullFormatter",
    "NullLocator",
    "matplotlib",
    "to_rgba",
]

WRITERS = {".pdf": "pdf", ".svg": "svg", ".ps": "ps", ".eps": "ps"}
"""Suffix → backend that writes it; Agg writes the others."""
