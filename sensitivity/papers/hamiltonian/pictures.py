"""The pictures of the notebooks and of the gallery, by name: what each is of, and how it is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from integrators import NeuralField, henon_heiles, pendulum
from sensitivity.analysis.convergence import convergence
from sensitivity.figures.analysis import plot_convergence, plot_funnel
from sensitivity.figures.film import Film
from sensitivity.figures.phase_plane import ellipse_film, plot_areas, plot_ellipses
from sensitivity.figures.plots import save

from .funnel import funnel_in_length, funnel_in_step
from .portraits import phase_area, sensitivity_ellipses

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["PICTURES", "Picture", "draw_picture"]

Draw = Callable[[], "Figure | Film"]

FRAMES = 40


@dataclass(frozen=True)
class Picture:
    """A picture or film.

    Attributes
    ----------
    about : str
        One sentence: what is seen.
    draw : callable
        Computes and draws it.
    suffixes : tuple of str
        Of the files it is saved as.
    """

    about: str
    draw: Draw
    suffixes: tuple[str, ...] = (".png",)


def _areas() -> Figure:
    schemes = ("explicit_euler", "symplectic_euler", "leapfrog")
    return plot_areas([phase_area(pendulum(), s, 0.12, 100, (1.0, 0.0), 0.5) for s in schemes])


def _ellipses(scheme: str, frames: int) -> Any:
    return sensitivity_ellipses(pendulum(), scheme, 0.1, 120, [1.6], [0.0], frames=frames)


def _turning() -> Figure:
    return plot_ellipses([_ellipses(scheme, 121) for scheme in ("explicit_euler", "leapfrog")])


def _film() -> Film:
    return ellipse_film(_ellipses("leapfrog", FRAMES))


def _closing() -> Figure:
    return plot_funnel(funnel_in_step(NeuralField.random(10), "leapfrog", np.geomspace(1e-4, 4e-3, 60), 1000))


def _uniform() -> Figure:
    lengths = np.unique(np.geomspace(1, 5000, 24).round().astype(int)).tolist()
    return plot_funnel(funnel_in_length(NeuralField.random(10), "leapfrog", 1.0, lengths))


def _orders() -> Figure:
    schemes = ("symplectic_euler", "leapfrog", "yoshida4", "blanes_moan4", "kahan_li6", "kahan_li8")
    found = convergence(henon_heiles(), schemes, [0.1, 0.2], [0.3, 0.1], 10.0, (25, 50, 100, 200, 400))
    return plot_convergence(found)


PICTURES: Mapping[str, Picture] = {
    "area": Picture(
        "A disc of pendulums, carried along: explicit Euler inflates its area, the symplectic schemes "
        "keep it.",
        _areas,
    ),
    "ellipse": Picture(
        "The sensitivity ellipse ∂(y_i, p_i)/∂(y_0, p_0) turns along the trajectory of a pendulum; leapfrog "
        "stretches it at constant area.",
        _turning,
    ),
    "ellipse_film": Picture(
        "The same ellipse under leapfrog, as a film.",
        _film,
        (".gif", ".html"),
    ),
    "closing": Picture(
        "All singular values of ∂y_N/∂y_0 lie in the funnel of theorems C and B, which closes on the norm "
        "as ε → 0; theorem F follows it further.",
        _closing,
    ),
    "uniform": Picture(
        "With ε = 1/N the same funnel is as wide for N = 5000 as for N = 5: the heuristic (14), proved.",
        _uniform,
    ),
    "orders": Picture(
        "Measured orders of the schemes on the Hénon–Heiles system, and what an error costs in forces.",
        _orders,
    ),
}
"""Name → picture, for `leapgrad reproduce pictures`."""


def draw_picture(name: str, folder: Path) -> list[str]:
    """Draw one of `PICTURES` into a folder; returns the names of its files."""
    picture = PICTURES[name]
    drawn, files = picture.draw(), []
    for suffix in picture.suffixes:
        files.append(f"{name}{suffix}")
        write = drawn.save if isinstance(drawn, Film) else partial(save, drawn)
        write(folder / files[-1])
    return files
