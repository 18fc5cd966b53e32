"""`leapgrad demo`: one table and one picture, in seconds."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from sensitivity.cli import files
from sensitivity.cli.command import Command
from sensitivity.cli.output import CHECK_FAILED, notice, number, print_json, print_table, write_csv
from sensitivity.files import check_writable

if TYPE_CHECKING:
    from sensitivity.papers.hamiltonian.curves import Curve

__all__ = ["COMMAND"]

D, SEED, N_STEPS, POINTS, ROWS = 10, 0, 1000, 61, 10
PICTURE = "leapgrad-demo.png"
VERBS = {
    "saturates": "levels off at",
    "decays": "falls to",
    "power": "grows like a power of ε to",
    "exponential": "grows exponentially to",
}
HEADING = f"d = {D}, tanh, N = {N_STEPS}, W_ij and b_i uniform on (0, 1/d), seed {SEED}, y_0 = ẏ_0 = 0"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", metavar="FILE.csv", help="also write the table, in full precision")
    parser.add_argument(
        "--plot", metavar="FILE.png",
        help=f"the picture (.png, .pdf or .svg; default {PICTURE}); --out FILE.png names it, too",
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    from sensitivity.figures import plots as figures

    path, table = _places(args)
    replaced = ", in place of the file that is there" if path.exists() else ""
    said = f"The picture goes to {path.resolve()}{replaced}; --plot FILE names another place."
    notice(said) if args.json else print(f"{said}\n", flush=True)
    leapfrog, euler = _curve("leapfrog", "B"), _curve("euler", "D")
    text = sentences(leapfrog, euler)
    figure = figures.norms(
        leapfrog.step,
        [
            ("Hamiltonian RNN (leapfrog)", leapfrog.norms[0], "its bound, theorem B", leapfrog.bounds[0]),
            ("Euler RNN", euler.norms[0], "its bound, theorem D", euler.bounds[0]),
        ],
        title="How strongly the last hidden state depends on the first",
        setting=HEADING,
    )
    columns = {
        "step": leapfrog.step[::ROWS],
        "leapfrog": leapfrog.norms[0, ::ROWS],
        "bound_b": leapfrog.bounds[0, ::ROWS],
        "euler": euler.norms[0, ::ROWS],
        "bound_d": euler.bounds[0, ::ROWS],
    }
    violations = leapfrog.violations + euler.violations
    if table is not None:
        write_csv(table, {name: values.tolist() for name, values in columns.items()})
    if args.json:
        figures.save(figure, path)
        print_json({"results": columns, "summary": text, "violations": violations, "picture": str(path)})
    else:
        print(f"Norm of the hidden-state gradient ∂y_N/∂y_0: {HEADING}\n")
        headers = ("step ε", "leapfrog ‖∂y_N/∂y_0‖", "bound B", "Euler ‖∂y_N/∂y_0‖", "bound D")
        rows = zip(*columns.values(), strict=True)
        print_table(headers, [[number(value, 4) for value in row] for row in rows])
        print(f"\n{text}\n", flush=True)
        figures.save(figure, path)  # last, so that a folder that cannot be written to costs no numbers
        print(f"Picture: {path}" + (f"\nTable: {table}" if table is not None else ""))
    return CHECK_FAILED if violations else 0


def _places(args: argparse.Namespace) -> tuple[Path, Path | None]:
    """Where the picture goes, and the table if it is asked for.

    Raises
    ------
    ValueError, OSError
        For another kind of file, two names of the picture, or a folder that is not there.
    """
    if args.out is None or args.out.lower().endswith(".csv"):
        table = None if args.out is None else check_writable(args.out)
        return files.picture_path("--plot", args.plot or PICTURE), table
    if args.plot is not None:
        raise ValueError(f"--out {args.out!r} must end in .csv, since --plot names the picture.")
    return files.picture_path("--out", args.out), None


def _curve(scheme: str, theorem: str) -> Curve:
    import numpy as np

    from integrators import NeuralField
    from sensitivity.analysis.jacobians import norm_and_log
    from sensitivity.bounds import log_majorant, majorant
    from sensitivity.papers.hamiltonian.curves import Curve

    field, step = NeuralField.random(D, SEED), np.geomspace(1e-3, 1.0, POINTS)
    norm, log_norm = norm_and_log(field, scheme, step, N_STEPS)
    bound, log_bound = majorant(field, scheme, step, N_STEPS), log_majorant(field, scheme, step, N_STEPS)
    rows = (row[None, :] for row in (norm, log_norm, bound, log_bound))
    return Curve(D, step, *rows, seeds=(SEED,), theorem=theorem)  # type: ignore[misc]


def sentences(leapfrog: Curve, euler: Curve) -> str:
    """Sentences on what the table shows, made from its numbers."""
    from sensitivity.papers.hamiltonian.curves import end_behaviour, linear_from

    norms = (leapfrog.norms[0], euler.norms[0])
    near = [curve.bounds[0, 0] / norm[0] for curve, norm in zip((leapfrog, euler), norms, strict=True)]
    last = [number(norm[-1], 3) for norm in norms]
    first = (
        f"At ε = {leapfrog.step[0]:g} the gradients are {norms[0][0]:.2f} (leapfrog) and {norms[1][0]:.2f} "
        f"(Euler), and the proved bounds exceed them by factors of {near[0]:.3f} and {near[1]:.3f}."
    )
    since = linear_from(leapfrog)
    grows = "does not end in linear growth" if since is None else f"grows linearly from ε = {since:.2g} on"
    second = (
        f"Up to ε = {leapfrog.step[-1]:g} the leapfrog gradient {grows}, to {last[0]}; the Euler gradient "
        f"{VERBS[end_behaviour(euler)]} {last[1]}."
    )
    above = leapfrog.violations + euler.violations
    third = f"{above} norms exceed their bounds: a check failed." if above else "No norm exceeds its bound."
    return f"{first} {second} {third}"


COMMAND = Command(
    "demo", "gradients of two networks with their bounds, as table and picture", add_arguments, run
)
