"""Pictures with sliders in a notebook, and the same picture once where there are none."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from numbers import Integral, Real
from typing import Any

__all__ = ["explore"]

INSTALL = 'pip install "leapgrad[notebooks]"'


def explore(draw: Callable[..., object], /, **values: Sequence[Any]) -> None:
    """Draw a picture with one slider for each argument of the function that draws it.

    Parameters
    ----------
    draw : callable
        Draws one picture with ``matplotlib.pyplot`` or with the method ``plot`` of a result. It is called
        with one value for each keyword, and what it returns is not used.
    **values : sequence
        The values that the slider of this argument goes through, in this order; it starts at the middle one.

    Raises
    ------
    TypeError
        If `draw` cannot be called, or the values of an argument are no sequence.
    ValueError
        If there is no argument, or one has no values.

    Notes
    -----
    Sliders need a notebook and the package ipywidgets (``pip install "leapgrad[notebooks]"``). In a script,
    without ipywidgets, or if the environment variable ``LEAPGRAD_STATIC`` is 1, the picture of the middle
    values is drawn once, and a line says for which values it holds.

    Examples
    --------
    >>> import leapgrad as lg
    >>> field = lg.NeuralField.random(4)
    >>> def draw(step):
    ...     lg.gradient_profile(field, "leapfrog", step, 50).plot()
    >>> lg.explore(draw, step=[0.01, 0.1, 1.0])
    Picture for step = 0.1; in a notebook with ipywidgets there is a slider for it.
    """
    if not callable(draw):
        raise TypeError(f"draw must be a function that draws a picture, got {draw!r}.")
    choices = _choices(values)
    widgets = _widgets()
    if widgets is not None:
        from IPython.display import display

        display(_with_sliders(widgets, draw, choices))
        return
    middle = {name: row[len(row) // 2] for name, row in choices.items()}
    shown = ", ".join(f"{name} = {_text(value)}" for name, value in middle.items())
    sliders = "there is a slider for it" if len(middle) == 1 else "there are sliders for them"
    print(f"Picture for {shown}; in a notebook with ipywidgets {sliders}.")
    draw(**middle)


def _choices(values: dict[str, Sequence[Any]]) -> dict[str, list[Any]]:
    """Argument → its values, checked."""
    if not values:
        raise ValueError("explore needs the values of at least one argument, such as step=[0.01, 0.1, 1.0].")
    choices = {}
    for name, row in values.items():
        try:
            choices[name] = list(row)
        except TypeError:
            raise TypeError(f"{name} must be a sequence of values, got {row!r}.") from None
        if not choices[name]:
            raise ValueError(f"{name} must have at least one value, got none.")
    return choices


def _widgets() -> Any:
    """The package ipywidgets where a notebook can show it; None elsewhere."""
    from .plots import in_notebook

    if os.environ.get("LEAPGRAD_STATIC") == "1" or not in_notebook():
        return None
    try:
        import ipywidgets
    except ImportError:
        print(f"Sliders need the package ipywidgets; install it with: {INSTALL}")
        return None
    return ipywidgets


def _with_sliders(widgets: Any, draw: Callable[..., object], choices: dict[str, list[Any]]) -> Any:
    """The picture below its sliders; it is drawn anew when a slider is let go."""

    def redraw(**chosen: Any) -> None:
        draw(**chosen)  # what it returns, such as axes, would be printed below the picture

    sliders = {
        name: widgets.SelectionSlider(
            options=[(_text(value), value) for value in row],
            value=row[len(row) // 2],
            description=name,
            continuous_update=False,
        )
        for name, row in choices.items()
    }
    return widgets.interactive(redraw, **sliders)


def _text(value: Any) -> str:
    """How a slider writes a value."""
    return f"{value:.4g}" if isinstance(value, Real) and not isinstance(value, Integral) else str(value)
