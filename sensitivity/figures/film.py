"""Films: a figure, a function that draws frame after frame into it, and files that any browser plays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from integrators.values import ByValue
from sensitivity.files import replacing

from .drawing import Figure, FigureCanvasAgg
from .plots import house

__all__ = ["Film"]

COLOURS = 48
"""Of a .gif: enough for the house style with its antialiasing, and a third of the size of 256."""


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
        target = Path(path)
        writers = {".gif": self._write_gif, ".html": self._write_html}
        if target.suffix not in writers:
            raise ValueError(f"{target.name!r} must end in {' or '.join(writers)}.")
        with house(), replacing(target) as temporary:
            writers[target.suffix](temporary)

    def _write_gif(self, path: Path) -> None:
        canvas, pictures = FigureCanvasAgg(self.figure), []
        for frame in range(self.frames):
            self.draw(frame)
            canvas.draw()
            whole = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
            pictures.append(whole.quantize(COLOURS, dither=Image.Dither.NONE))
        duration = round(1000 / self.per_second)
        pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=duration, loop=0)

    def _write_html(self, path: Path) -> None:
        from matplotlib.animation import FuncAnimation, HTMLWriter

        FigureCanvasAgg(self.figure)
        film = FuncAnimation(self.figure, self._drawn, frames=self.frames, init_func=tuple)
        writer = HTMLWriter(fps=self.per_second, embed_frames=True, default_mode="loop")
        film.save(str(path), writer=writer, dpi=self.figure.dpi)

    def _drawn(self, frame: int) -> tuple[()]:
        self.draw(frame)
        return ()
