"""The options that say which model is run, and how: one grammar for every command that runs one."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sensitivity.cli import files
from sensitivity.cli.output import number as number_text

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from integrators.run.recurrence import Recurrence
    from sensitivity.recurrences.case import ModelCase

    Float = NDArray[np.float64]

__all__ = [
    "QUANTILE_NAMES",
    "START_OF_ALL",
    "AskedCase",
    "add_arguments",
    "add_drawn",
    "add_ensemble",
    "add_model",
    "add_run",
    "as_ensemble",
    "asked_case",
    "build",
    "check_field",
    "given_settings",
    "inputs_of",
    "named",
    "number",
    "parse_steps",
    "quantiles",
    "settings_of",
    "words_of",
]

DEFAULT_D, DEFAULT_MODEL, DEFAULT_N_STEPS, MOST_STEP_SIZES = 10, "hamiltonian", 1000, 1_000_000
QUANTILE_NAMES = ("5 %", "median", "95 %")
"""What tables and JSON call the three numbers of `quantiles`."""
SHORT_SETTINGS = ("activation", "gamma")
"""Settings that have an option of their own beside --set."""
STARTS = (
    "initial value of a field, or initial state of a cell: one number for all components, numbers separated "
    "by commas (--y0=-1,2), or FILE.npy (default 0)"
)
START_OF_ALL = "initial value of a field, one number for all components (default 0)"


# -------------------------------------------------------------------------------------------------- options


def add_arguments(
    parser: argparse.ArgumentParser, steps: str | None, unlike: str = "", n_inputs: int = 0
) -> None:
    """Add all of them; `steps` is the default of ``--step`` for a field, the others are as for `add_run`.

    None for `steps` is for a command that finds the step size by itself.
    """
    model = parser.add_argument_group("model")
    add_model(model)
    add_drawn(model, f"default {DEFAULT_D}")
    run = parser.add_argument_group("run")
    of_cells = "or the step of the cell itself"
    add_run(run, None if steps is None else f"default {steps}, {of_cells}", n_inputs, unlike)
    add_ensemble(run)
    parser.set_defaults(default_steps=steps or "1")


def add_ensemble(
    group: Any,
    what: str = "E random input sequences, or initial states of a model without inputs, drawn from N(0, 1), "
    "for one step size; tables then show quantiles",
) -> None:
    """The option that draws many batch members."""
    group.add_argument("--ensemble", type=int, metavar="E", help=what)


def add_model(group: Any, repeated: bool = False, prefixed: bool = False) -> None:
    """The name of a model, its weights and its settings.

    Parameters
    ----------
    group
        Where the options go.
    repeated : bool
        Whether several models may be named.
    prefixed : bool
        Whether a setting may be that of one of them, MODEL.KEY=VALUE.
    """
    group.add_argument(
        "--model",
        action="append" if repeated else "store",
        metavar="NAME[=FILE]",
        help=f"the model; leapgrad compare --list shows all names (default {DEFAULT_MODEL}). MODULE:FUNCTION "
        "is a function of your own that returns a cell or a field. FILE (.npz, .safetensors) has the weights"
        + ("; may be given several times" if repeated else ""),
    )
    group.add_argument(
        "--weights",
        metavar="FILE.npz",
        help="a file of weights, as in NAME=FILE; without --model it holds W (d, d), b (d,) and, for a "
        "network with inputs, V (d, inputs) of the Hamiltonian network, or was written by "
        "leapgrad.save_weights",
    )
    group.add_argument(
        "--set",
        action="append",
        metavar="[MODEL.]KEY=VALUE" if prefixed else "KEY=VALUE",
        help="a setting of one model, or of all cells that have it; of files also activation, prefix; "
        "repeatable"
        if prefixed
        else "a setting of the model, such as gamma=2; may be given several times",
    )
    group.add_argument(
        "--activation", metavar="NAME", help="activation σ, where it can be chosen (default tanh)"
    )
    group.add_argument(
        "--gamma",
        type=float,
        metavar="G",
        help="damping γ of models that have it; the Hamiltonian network then uses W − Wᵀ − G·I in place of W",
    )


def add_drawn(group: Any, d: str) -> None:
    """The size of a model whose weights are drawn, and the seed."""
    group.add_argument("--d", type=int, metavar="D", help=f"hidden dimension ({d})")
    group.add_argument("--seed", type=int, metavar="S", help="seed of random weights and inputs (default 0)")


def add_run(group: Any, step: str | None, n_inputs: int = 0, unlike: str = "", start: str = STARTS) -> None:
    """The options of a run: scheme, step sizes, length, start and inputs.

    Parameters
    ----------
    group
        Where the options go.
    step : str or None
        What the help of ``--step`` says of its default; None leaves the option out of the help.
    n_inputs : int
        The number of inputs where neither ``--n-inputs`` nor ``--inputs`` is given; the command sees to it.
    unlike : str
        How the default of the length differs from that of the function in Python.
    start : str
        What the help of ``--y0`` says.
    """
    group.add_argument(
        "--scheme", metavar="NAME", help="scheme of a field; leapgrad schemes shows all (default leapfrog)"
    )
    group.add_argument(
        "--step",
        metavar="E",
        help=argparse.SUPPRESS
        if step is None
        else "step sizes ε: a number, numbers separated by commas, or low:high:count on a logarithmic scale "
        f"({step})",
    )
    group.add_argument(
        "--n-steps", type=int, metavar="N",
        help=f"number of steps N (default: as many as --inputs has, or {DEFAULT_N_STEPS}{unlike})",
    )  # fmt: skip
    group.add_argument("--y0", metavar="Y", help=start)
    group.add_argument("--p0", metavar="P", help="initial velocity ẏ(0) of a field, as for --y0")
    _add_inputs(group, n_inputs)


def _add_inputs(group: Any, n_inputs: int) -> None:
    """The inputs of a run: those of a file, or random ones."""
    group.add_argument(
        "--inputs",
        metavar="FILE.npy",
        help="file of inputs x, shape (N, inputs), or (sequences, N, inputs) for an ensemble",
    )
    group.add_argument(
        "--n-inputs",
        type=int,
        metavar="M",
        help="length of each input, where --inputs is not given: they are drawn from the normal distribution "
        f"N(0, 1) (default {n_inputs})",
    )


# --------------------------------------------------------------------------------------------------- models


@dataclass(frozen=True)
class AskedCase:
    """The case that the options describe.

    Attributes
    ----------
    case : ModelCase
    parameters : dict
        What was asked for, in words for JSON.
    draws_inputs : bool
        Whether its inputs are random.
    """

    case: ModelCase
    parameters: dict[str, Any]
    draws_inputs: bool = False

    @property
    def run(self) -> Recurrence:
        """The case as a recurrence with an axis of batch members."""
        return self.case.batch.recurrence

    @property
    def ensemble(self) -> bool:
        """Whether the batch members are drawn, or those of a file, and not step sizes."""
        return self.case.ensemble is not None

    @property
    def steps(self) -> Float:
        """Step sizes, shape (members,)."""
        return self.case.steps

    @property
    def step_column(self) -> tuple[str, list[str]]:
        """Header and cells of the step sizes in a table; empty, and so not shown, for cells without one."""
        if not self.case.has_step:
            return "", [""] * self.steps.size
        return "step ε", [number_text(step) for step in self.steps.tolist()]

    def describe(self) -> str:
        """One line that heads a table."""
        p, case = self.parameters, self.case
        settings = "".join(f", {name} = {value}" for name, value in p["settings"].items())
        if not case.is_field:
            drawn = " drawn from N(0, 1)" if self.draws_inputs else ""
            head = f"{p['model']} ({p['weights']}), d = {p['d']}, {p['inputs']} inputs{drawn}"
            return f"{head}{settings}, N = {p['n_steps']}"
        if p["model"] == DEFAULT_MODEL:
            gamma = p["gamma"]
            kind = "" if gamma is None else f"antisymmetric with γ = {gamma:g}, "
            head = f"{kind}{p['activation']}"
        else:
            head = f"{p['model']}{settings}"
        slope = "" if p["lipschitz"] is None else f", ‖DF‖ ≤ {p['lipschitz']:.6g}"
        return f"{head}, d = {p['d']}{slope}; {p['scheme']}, N = {p['n_steps']}"


def build(args: argparse.Namespace) -> AskedCase:
    """What each command about one model begins with: its files can be written, and its case is built.

    Raises
    ------
    ValueError, TypeError, OSError
        With a message that names the option or the file, before anything is computed.
    """
    if hasattr(args, "plot"):
        files.check(args)
    name, file, option = named(args.model, args.weights)
    if args.set and args.model is None and file is None:
        raise ValueError("--set needs --model, which names the model that has the setting.")
    if file is not None:
        for drawn in ("d", "seed"):
            if getattr(args, drawn) is not None:
                raise ValueError(f"--{drawn} cannot go with {option}, which brings W and b; leave one out.")
    inputs = inputs_of(args)
    several = inputs if inputs is not None and inputs.ndim == 3 else None
    first = inputs if several is None else several[0]
    asked = asked_case(args, name, file, given_settings(args), DEFAULT_D, first, option)
    if several is None and args.ensemble is None:
        return asked
    return as_ensemble(args, asked, several)


def as_ensemble(args: argparse.Namespace, asked: AskedCase, inputs: Float | None) -> AskedCase:
    """The case with random sequences, or random initial states, or the sequences of a file.

    Raises
    ------
    ValueError
        Where both are given, or several step sizes, or a start where states are drawn.
    """
    import numpy as np

    from integrators.validation import as_count

    case, count = asked.case, args.ensemble
    if inputs is None and not case.model.n_inputs and (args.y0 is not None or args.p0 is not None):
        option = "--y0" if args.y0 is not None else "--p0"
        raise ValueError(
            f"--ensemble draws the initial states of {case.name}, which has no inputs; leave {option} out."
        )
    if inputs is not None and count is not None:
        raise ValueError("--ensemble draws sequences, and --inputs has several already; leave one out.")
    if asked.steps.size != 1:
        raise ValueError(f"an ensemble takes one --step, got {asked.steps.size}.")
    start, rng = None, np.random.default_rng([args.seed or 0, 2])
    if inputs is None:
        count = as_count(count, "--ensemble", least=1)
        if case.model.n_inputs:
            inputs = rng.standard_normal((count, case.n_steps, case.model.n_inputs))
        else:
            start = rng.standard_normal((count, case.recurrence.state_size))
    run = case.as_ensemble(inputs, start)
    parameters = {**asked.parameters, "ensemble": run.ensemble.members if run.ensemble is not None else 1}
    return AskedCase(run, parameters, args.inputs is None and case.model.n_inputs > 0)


def quantiles(values: Any) -> tuple[float, float, float]:
    """5 %, 50 % and 95 % of numbers that may be infinite; NaN are left out."""
    import numpy as np

    from sensitivity.analysis.memory.quantiles import quantiles as along

    low, middle, high = along(np.ravel(values)).tolist()
    return low, middle, high


def check_field(asked: AskedCase, command: str, kind: type | None = None) -> None:
    """Raise unless the model is one for a command that knows fields only, or one class of fields.

    Raises
    ------
    ValueError
        The message names the models that the command takes.
    """
    from integrators.fields.field import Field
    from sensitivity.recurrences.registry import FIELDS, draws_weights, make

    wanted = Field if kind is None else kind
    if not isinstance(asked.case.model, wanted):
        made = {name: make(name, 1 if draws_weights(name) else None) for name in FIELDS}
        able = ", ".join(
            name for name, one in made.items() if isinstance(one, wanted) and one.lipschitz is not None
        )
        what = "recurrent cell and no field" if not asked.case.is_field else "field of another kind"
        name = asked.parameters["model"]
        raise ValueError(f"{name} is a {what}; leapgrad {command} takes {able}.")


def words_of(args: argparse.Namespace, others: Sequence[str] = ()) -> list[str]:
    """The models of a command that takes several, as NAME or NAME=FILE: `others`, ``--model``, ``--weights``.

    Raises
    ------
    ValueError
        Where ``--weights`` could belong to several.
    """
    words = [*others, *(args.model or ())]
    if args.weights is None:
        return words
    if len(words) > 1:
        raise ValueError("--weights goes with one model; write NAME=FILE for each of several.")
    name, file, _ = named(words[0] if words else None, args.weights)
    return [f"{name}={file}"]


def named(model: str | None, weights: str | None = None) -> tuple[str, str | None, str]:
    """The name and the file of NAME=FILE, or of ``NAME --weights FILE``, and the option with the file."""
    from sensitivity.recurrences.sources import name_and_file

    name, file = ("", None) if model is None else name_and_file(model, "--model")
    if file and weights is not None:
        raise ValueError(f"--weights {weights} and --model {model} name two files; leave one out.")
    if weights is not None and not name:
        from sensitivity.weights.weight_files import saved_model

        name = saved_model(weights) or ""  # a file of a cell says what it is
    return name or DEFAULT_MODEL, file or weights, "--model" if file else "--weights"


def asked_case(
    args: argparse.Namespace,
    name: str,
    file: str | None,
    settings: dict[str, Any],
    default_d: int,
    inputs: Float | None,
    option: str = "--model",
    *,
    options: Mapping[str, Any] | None = None,
) -> AskedCase:
    """The case of one named model, with what the other options say of it.

    Parameters
    ----------
    args : Namespace
        With the options of `add_drawn` and `add_run`.
    name, file, option
        As `named` gives them.
    settings : dict
    default_d : int
    inputs : ndarray or None
        What ``--inputs`` names.
    options : mapping, optional
        Of runs side by side. Then options that a model has no use for are passed over, since they are for
        another one.
    """
    from integrators.cells.cell import Cell
    from sensitivity.recurrences.case import case_of, model_of
    from sensitivity.recurrences.registry import canonical, draws_weights

    name, seed, shared = canonical(name), args.seed or 0, options is not None
    free = draws_weights(name)
    d = args.d if not free and not shared else (default_d if args.d is None else args.d) if free else None
    n_inputs = (args.n_inputs or 0) if inputs is None else inputs.shape[-1]
    n_inputs = n_inputs if free or (not shared and inputs is None) else 0
    model = model_of(
        name, d, n_inputs, seed, settings, file, option=option, step_is_given=args.step is not None
    )
    if not shared and args.n_inputs not in (None, model.n_inputs):
        own = name if file is None else Path(file).name
        raise ValueError(
            f"--n-inputs {args.n_inputs} contradicts {own}, which has {model.n_inputs} inputs; leave it out."
        )
    is_cell, steps = isinstance(model, Cell), args.step or args.default_steps
    if is_cell and not shared:
        for belongs in ("scheme", "p0"):
            if getattr(args, belongs) is not None:
                raise ValueError(f"--{belongs} belongs to fields and schemes; leave it out with {name}.")
    if inputs is not None and not model.n_inputs and not shared:
        lacks = f"needs V, the input weights, but {file} holds none"
        raise ValueError(f"--inputs {lacks if file else f'is given, but {name} takes none'}.")
    if isinstance(model, Cell) and (args.step is None or (shared and model.kind.step is None)):
        steps = None
    case = case_of(
        name,
        model,
        args.n_steps,
        seed=seed,
        scheme=None if is_cell else args.scheme,
        step=None if steps is None else parse_steps(steps),
        start=_vector(args.y0, "--y0", model.dim),
        velocity=None if is_cell else _vector(args.p0, "--p0", model.dim),
        inputs=inputs if model.n_inputs else None,
        options=options or {},
    )
    _check_start(case)
    source = f"random, seed {seed}" if file is None else Path(file).name
    draws = inputs is None and model.n_inputs > 0
    return AskedCase(case, _parameters(case, source, settings, file is not None), draws)


def _check_start(case: ModelCase) -> None:
    """Raise for a field that has no value where the run starts, as Kepler's at the origin."""
    import numpy as np

    if case.is_field and case.start is None:
        with np.errstate(all="ignore"):
            force = case.model.force(np.zeros(case.model.dim))  # pyright: ignore[reportAttributeAccessIssue]
        if not np.isfinite(force).all():
            raise ValueError(
                f"{case.name} is singular at y = 0; give --y0 and --p0, as in --y0 1,0 --p0 0,1."
            )


def _parameters(case: ModelCase, source: str, settings: dict[str, Any], read: bool) -> dict[str, Any]:
    from integrators.cells.cell import Cell
    from sensitivity.weights.saved import described

    model = case.model
    found = {
        "model": case.name,
        "weights": source,
        "d": case.d,
        "inputs": model.n_inputs,
        "settings": settings,
        "n_steps": case.n_steps,
    }
    if isinstance(model, Cell):
        return found | {"layers": model.layout.layers, "settings": described(model) if read else settings}
    activation = getattr(model, "activation", None)
    return found | {
        "activation": None if activation is None else activation.name,
        "gamma": settings.get("gamma"),
        "lipschitz": model.lipschitz,
        "scheme": case.scheme.name,  # pyright: ignore[reportOptionalMemberAccess],
    }


# --------------------------------------------------------------------------------------------------- values


def given_settings(args: argparse.Namespace) -> dict[str, Any]:
    """The settings of --set, together with those that have an option of their own."""
    settings = settings_of(args.set)
    for short in SHORT_SETTINGS:
        if (value := getattr(args, short)) is not None:
            settings[short] = value
    return settings


def settings_of(given: list[str] | None) -> dict[str, Any]:
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


def parse_steps(text: str) -> float | Float:
    """Step sizes from "0.1", "0.1,0.2" or "1e-3:1:100", the last log-spaced with both ends."""
    import numpy as np

    try:
        if ":" in text:
            low, high, count = text.split(":")
            ends, number = (float(low), float(high)), int(count)
        else:
            values = [float(part) for part in text.split(",")]
            return values[0] if "," not in text else np.array(values)
    except ValueError:
        raise ValueError(
            f"--step {text!r} is not a number, a comma list like 0.1,0.2, or low:high:count like 1e-3:1:100."
        ) from None
    if not all(0.0 < end < float("inf") for end in ends):
        raise ValueError(f"--step {text!r} is log-spaced: low and high must be positive and finite.")
    if not 1 <= number <= MOST_STEP_SIZES:
        raise ValueError(f"--step {text!r} asks for {number} step sizes; take 1 to {MOST_STEP_SIZES}.")
    return np.geomspace(*ends, number)


def inputs_of(args: argparse.Namespace) -> Float | None:
    """The array in the file of ``--inputs``, shape (N, inputs); sets N where ``--n-steps`` is not given."""
    from sensitivity.weights.field_file import read_array

    inputs = None if args.inputs is None else read_array(args.inputs, "--inputs")
    if inputs is not None and inputs.ndim == 1:
        inputs = inputs[:, None]
    if inputs is not None and inputs.ndim and args.n_inputs not in (None, inputs.shape[-1]):
        raise ValueError(
            f"--n-inputs {args.n_inputs} contradicts --inputs {args.inputs}, which has {inputs.shape[-1]}; "
            "leave one out."
        )
    if args.n_steps is None:
        args.n_steps = DEFAULT_N_STEPS if inputs is None or inputs.ndim < 2 else inputs.shape[-2]
    return inputs


def number(text: str | None, option: str) -> float | None:
    """One number of the command line."""
    try:
        return None if text is None else float(text)
    except ValueError:
        raise ValueError(f"{option} {text!r} is not one number.") from None


def _vector(text: str | None, option: str, dim: int) -> Float | None:
    """A vector from one number for all components, a comma list, or a .npy file."""
    import numpy as np

    from sensitivity.weights.field_file import read_array

    if text is None:
        return None
    if text.endswith(".npy"):
        return read_array(text, option)
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        raise ValueError(f"{option} {text!r} is not a number, a comma list, or a .npy file.") from None
    return np.full(dim, values[0]) if "," not in text else np.array(values)
