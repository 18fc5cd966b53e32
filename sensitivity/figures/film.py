"""Films: a figure, a function that draws frame after frame into it, and files that any browser plays."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from integrators.values import ByValue
from sensitivity.files import replacing

from .plots import Figure, FigureCanvasAgg, house

__all__ = ["Film"]

# Matplotlib's page takes the signs of its buttons from a font on a server; class of a button → sign.
SIGNS = {
    "fa-minus": "−",
    "fa-fast-backward": "⏮",
    "fa-step-backward": "◂",
    "fa-play fa-flip-horizontal": "◀",
    "fa-pause": "‖",
    "fa-play": "▶",
    "fa-step-forward": "▸",
    "fa-fast-forward": "⏭",
    "fa-plus": "+",
}


@dataclass(frozen=True, eq=False)
class Film(ByValue):
    """A film that has not been drawn yet.

    Attributes
    ----------
    figure : Figure
    draw : callable
        Changes the figure to the frame of this number.
    frames : int
    per_second : int
    """

    figure: Figure
    draw: Callable[[int], None]
    frames: int
    per_second: int = 12

    def save(self, path: str | Path) -> None:
        """Write a .gif, or one .html file with buttons and every frame inside.

        Raises
        ------
        ValueError
            For another suffix.
        """
        from matplotlib.animation import FuncAnimation, HTMLWriter, PillowWriter

        target = Path(path)
        writers = {
            ".gif": lambda: PillowWriter(fps=self.per_second),
            ".html": lambda: HTMLWriter(fps=self.per_second, embed_frames=True, default_mode="loop"),
        }
        if target.suffix not in writers:
            raise ValueError(f"{target.name!r} must end in {' or '.join(writers)}.")
        with house(), replacing(target) as temporary:
            FigureCanvasAgg(self.figure)
            film = FuncAnimation(self.figure, self._drawn, frames=self.frames, init_func=tuple)
            film.save(str(temporary), writer=writers[target.suffix](), dpi=self.figure.dpi)
            if target.suffix == ".html":
                page = temporary.read_text(encoding="utf-8")
                temporary.write_text(with_own_signs(page), encoding="utf-8")

    def _drawn(self, frame: int) -> tuple[()]:
        self.draw(frame)
        return ()


def with_own_signs(page: str) -> str:
    """The page of a film with signs from Unicode, so that it needs no network."""
    page = re.sub(r"<link[^>]*font-awesome[^>]*>", "", page)
    return re.sub(r'<i class="fa (fa-[^"]*)"></i>', lambda found: SIGNS.get(found[1], "•"), page)
