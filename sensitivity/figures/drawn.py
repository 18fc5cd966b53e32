"""Results that draw themselves: into the axes of a caller, into a window or notebook, or as a file.

Matplotlib is imported when something is drawn, not before.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from integrators.display import Displayed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Drawn"]


class Drawn(Displayed):
    """Mixin: `plot`, `figure` and pictures in notebooks, drawn as `sensitivity.figures.analysis` says."""

    def plot(self, ax: Any = None, *, title: str = "") -> Any:
        """Draw the result.

        Parameters
        ----------
        ax : matplotlib Axes, or a sequence of as many as there are panels, optional
            Where to draw. By default a new figure is made, which ``matplotlib.pyplot`` knows if it is in use:
            ``plt.show()`` then opens it, and notebooks show it.
        title : str
            In place of the title that names the run.

        Returns
        -------
        matplotlib Axes, or an array of them where there are several panels
            `ax` itself if it is given.

        Raises
        ------
        TypeError, ValueError
            If `ax` is not axes, or not as many as there are panels.
        """
        from .analysis import draw

        return draw(self, ax, title)

    def figure(self, title: str = "") -> Figure:
        """The picture as a Matplotlib figure that ``pyplot`` does not know, to be saved without a display."""
        from .analysis import figure_of

        return figure_of(self, title)

    def _repr_png_(self) -> bytes | None:
        from .plots import write_png

        file = io.BytesIO()
        write_png(self.figure(), file)
        return file.getvalue()
