"""Recurrent models by name on the command line: at their published start, or with weights from a file."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import problem

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from integrators.run.recurrence import Recurrence

__all__ = ["Asked", "hyperparameters", "inputs_for", "named_cell", "table"]

# Options of `problem` that say something about fields and schemes, and nothing about cells.
OF_FIELDS = ("scheme", "activation", "gamma", "p0")


class Asked:
    """A cell unrolled over N steps, for every step size that was asked for.

    Attributes
    ----------
    recurrence : Recurrence
    steps : ndarray, shape (n,)
    parameters : dict
        What was asked for, in words for JSON.
    """

    def __init__(self, recurrence: Recurrence, steps: NDArray[np.float64], parameters: dict[str, Any]):
        self.recurrence, self.steps, self.parameters = recurrence, steps, parameters

    def describe(self) -> str:
        """One line that heads a table."""
        p = self.parameters
        settings = "".join(f", {name} = {value}" for name, value in p["settings"].items())
        return (
            f"{p['model']} ({p['weights']}), d = {p['d']}, {p['inputs']} inputs{settings}, N = {p['n_steps']}"
        )


def named_cell(args: argparse.Namespace) -> Asked:
    """The cell that --model names, with what the other options say of it.

    Raises
    ------
    ValueError, TypeError, OSError
        With a message that names the argument or the file.
    """
    import numpy as np

    from sensitivity.recurrences.cell import unroll
    from sensitivity.recurrences.registry import make
    from sensitivity.weights.saved import described
    from sensitivity.weights.weight_files import read_weights

    for option in OF_FIELDS:
        if getattr(args, option) is not None:
            raise ValueError(
                f"--{option} belongs to fields and schemes; leave it out with --model {args.model}."
            )
    settings, seed = hyperparameters(args.set), args.seed or 0
    inputs = problem.load_inputs(args)
    if args.weights is None:
        n_inputs = args.n_inputs if inputs is None else inputs.shape[-1]
        d = problem.DEFAULT_D if args.d is None else args.d
        cell, source = make(args.model, d, n_inputs, seed, **settings), f"random, seed {seed}"
    else:
        problem.refuse_with_weights(args)
        cell = read_weights(args.weights, args.model, step_is_given=args.step is not None, **settings)
        source = Path(args.weights).name
    if inputs is None:
        inputs = inputs_for(cell, args.n_steps, seed)
    step = None if args.step is None else problem.parse_steps(args.step)
    s0 = problem.vector(args.y0, "--y0", cell.dim)
    run = unroll(cell, args.n_steps, s0, inputs if cell.n_inputs else None, step)
    return Asked(
        run,
        np.atleast_1d(run.step),
        {
            "model": args.model,
            "weights": source,
            "d": cell.d,
            "layers": cell.plan.layers,
            "inputs": cell.n_inputs,
            "settings": settings if args.weights is None else described(cell),
            "n_steps": args.n_steps,
        },
    )


def inputs_for(cell: Any, n_steps: int, seed: int) -> NDArray[np.float64] | None:
    """Inputs N(0, 1) for a cell that takes some."""
    from sensitivity.recurrences.registry import drawn_inputs

    return drawn_inputs(n_steps, cell.n_inputs, seed) if cell.n_inputs else None


def hyperparameters(given: list[str] | None) -> dict[str, Any]:
    """``KEY=VALUE`` words as a mapping: numbers, true, false, or names.

    Raises
    ------
    ValueError
        For a word of another form.
    """
    found: dict[str, Any] = {}
    for word in given or []:
        name, equals, text = word.partition("=")
        if not name or not equals or not text:
            raise ValueError(f"--set {word!r} must have the form KEY=VALUE, for example gamma=2.")
        found[name] = _value(text)
    return found


def _value(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return {"true": True, "false": False}.get(text.lower(), text)


def table() -> list[tuple[str, str, str, str]]:
    """Every model: name, state, settings with their defaults, reference."""
    from sensitivity.recurrences.registry import HAMILTONIAN, MODELS, make, reference
    from sensitivity.recurrences.registry import hyperparameters as settings_of

    rows = [(name, "y, p", "any scheme", "Rusch, Pearson, Zygalakis (2019)") for name in HAMILTONIAN]
    for name in MODELS:
        kind = make(name, 2).kind
        settings = ", ".join(f"{key}={value}" for key, value in settings_of(name).items())
        state = ", ".join(kind.state) if len(kind.state) <= 3 else f"{kind.state[0]}, {kind.state[1]}, …"
        rows.append((name, state, settings, reference(name)))
    return rows
