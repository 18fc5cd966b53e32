"""`leapgrad sweep`: a study from a TOML file, computed anywhere, resumed by itself."""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sensitivity.cli import network
from sensitivity.cli.command import Command
from sensitivity.cli.output import CHECK_FAILED, number, print_json

if TYPE_CHECKING:
    from sensitivity.studies import Results, Study

__all__ = ["COMMAND"]

SHOWN = 20
GIB = 1 << 30
EXAMPLES = """\
  leapgrad sweep study.toml --out widths
  leapgrad sweep study.toml --out widths --dry-run
  leapgrad sweep --model lstm --model gru --d 16 --n-steps 500 --out gated
  leapgrad sweep --model lstm --d 16 --n-steps 200 --inputs x.npy --ensemble 5 --out sequences
  leapgrad sweep study.toml --out widths --executor dask://10.0.0.5:8786 --netcdf widths.nc

  # study.toml
  quantities = ["log_norm", "bounds"]
  [grid]
  scheme = ["leapfrog", "euler"]
  d = [2, 10]
  seed = { first = 0, count = 20 }
  n_steps = 1000
  step = { low = 1e-3, high = 1.0, count = 50 }"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("study", nargs="?", metavar="STUDY.toml",
                        help="grid and quantities; without it the quantities are norm, log_norm and "
                        "bounds")  # fmt: skip
    parser.add_argument(
        "--out",
        required=True,
        metavar="DIR",
        help="folder of the study's database, study.sqlite; what it holds is checked and kept",
    )
    parser.add_argument(
        "--executor",
        default="threads",
        metavar="NAME",
        help="threads (default), processes, loky, mpi, ray, or dask://HOST:PORT; no result depends on it",
    )
    parser.add_argument(
        "--workers", type=int, metavar="N", help="how many (default: one a processor, or all of a cluster)"
    )
    parser.add_argument(
        "--memory-limit",
        type=float,
        metavar="GIB",
        help="refuse to run if more may be needed (default: half of this machine's memory)",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="only say what it would take; runs a sample of some seconds"
    )
    parser.add_argument(
        "--migrate",
        action="store_true",
        help="first copy the cells that version 0.1 has stored in DIR, one file each, into a database; "
        "without STUDY.toml and --model nothing else is done",
    )
    axes = parser.add_argument_group(
        "grid", "Each option is the one value, --step and --model also several, of an axis of the study."
    )
    network.add_model(axes, repeated=True)
    network.add_drawn(axes, "default 10")
    network.add_run(
        axes, "default 0.01, also of cells that have a step of their own", start=network.START_OF_ALL
    )
    network.add_ensemble(
        axes, "E networks, each with weights and inputs of its own: the seeds S, …, S + E − 1 of --seed S"
    )
    parser.add_argument("--csv", metavar="FILE.csv", help="also write one row for every network and step")
    parser.add_argument("--netcdf", metavar="FILE.nc", help="also write labelled arrays (xarray, h5netcdf)")
    parser.add_argument("--parquet", metavar="FILE.parquet", help="also write the rows of --csv as Parquet")
    parser.add_argument("--zarr", metavar="DIR.zarr", help="also write labelled arrays as a Zarr store")


def run(args: argparse.Namespace) -> int:
    from sensitivity.files import check_writable
    from sensitivity.studies import WorkersLost

    if args.migrate and (status := _migrate(args)) is not None:
        return status
    study = _study(args)
    if args.dry_run:
        return _plan(study, args)
    if args.memory_limit is not None and not args.memory_limit > 0.0:
        raise ValueError(f"--memory-limit must be positive, got {args.memory_limit:g}.")
    own = [("the study", args.study or args.out), ("the study's database", Path(args.out) / "study.sqlite")]
    for option, path in _exports(args).items():
        if option == "zarr" and Path(path).exists():
            raise ValueError(f"--zarr {path} exists already; name another folder.")
        checked = Path(path) if option == "zarr" else check_writable(path)
        _check_apart(f"--{option}", checked, own)
        own.append((f"--{option}", path))
        _need_packages(option)
    limit = None if args.memory_limit is None else args.memory_limit * GIB
    try:
        results = study.run(args.out, args.executor, workers=args.workers, memory_limit=limit)
    except WorkersLost as error:
        print(f"leapgrad: {error}", file=sys.stderr)
        return CHECK_FAILED
    assert results.report is not None
    whole = not results.report.failed
    for option, path in _exports(args).items():
        if whole:
            getattr(results, f"to_{option}")(path)
    _show(results, args)
    return 0 if whole else CHECK_FAILED


def _migrate(args: argparse.Namespace) -> int | None:
    """Copy the cells of version 0.1; the exit status, or None if a study is to be run afterwards."""
    from sensitivity.studies import migrate

    found = migrate(args.out)
    more = args.study is not None or args.model is not None
    if args.json and not more:
        damaged = [{"file": file, "reason": reason} for file, reason in found.damaged]
        print_json({"out": args.out, "copied": found.copied, "damaged": damaged})
        return CHECK_FAILED if found.damaged else 0
    stream = sys.stderr if args.json else sys.stdout
    print(f"copied: {found.copied} cells; {args.out}/cells and study.json are no longer needed", file=stream)
    for file, reason in found.damaged[:SHOWN]:
        print(f"damaged, to be computed again: {file}: {reason}", file=stream)
    if (count := len(found.damaged) - SHOWN) > 0:
        print(f"damaged: {count} more", file=stream)
    if more:
        return None
    return CHECK_FAILED if found.damaged else 0


def _study(args: argparse.Namespace) -> Study:
    """The study of the file, with the axes that are options in place of those in it."""
    import numpy as np

    from sensitivity.studies import Study

    args.model = network.words_of(args) or None
    if args.study is None and args.model is None:
        raise ValueError("give a file STUDY.toml, or a model by --model.")
    if args.study is None and args.inputs is not None:
        network.inputs_of(args)  # where --n-steps is not given, the run is as long as the file
    given = {"model": args.model, "d": args.d, "seed": _seeds(args), "n_steps": args.n_steps}
    given |= {"scheme": args.scheme, "y0": args.y0, "p0": args.p0, "inputs": _inputs(args)}
    for axis in ("y0", "p0"):
        given[axis] = network.number(given[axis], f"--{axis}")
    given["step"] = None if args.step is None else np.atleast_1d(network.parse_steps(args.step))
    given = {axis: value for axis, value in given.items() if value is not None}
    given |= network.given_settings(args)
    if args.study is None:
        study = Study(given)
        _check_steps(study, args)
        return study
    study = Study.from_toml(args.study)
    details = {"name": study.name, "steps_per_cell": study.steps_per_cell}
    return Study({**study.grid, **given}, study.quantities, **details)


def _check_steps(study: Study, args: argparse.Namespace) -> None:
    """Raise for a setting that does nothing but choose the step size, such as tau of leaky."""
    import numpy as np

    from sensitivity.recurrences.registry import MODELS, hyperparameters, make

    d = study.values("d")[0]
    for model in (model for model in study.values("model") if model in MODELS):
        for key in set(study.grid) & set(hyperparameters(model)) - {"step"}:
            value = study.values(key)[0]
            usual, other = make(model, d), make(model, d, **{key: value})
            if other.step_size != usual.step_size and np.array_equal(other.theta, usual.theta):
                raise ValueError(
                    f"--set {key}={value} chooses the step size of {model}, which in a study is the axis "
                    f"step; give --step {other.step_size:g} in its place."
                )


def _seeds(args: argparse.Namespace) -> Any:
    """The seed, or those of an ensemble."""
    from integrators.validation import as_count

    if args.ensemble is None:
        return args.seed
    return {"first": args.seed or 0, "count": as_count(args.ensemble, "--ensemble", least=1)}


def _inputs(args: argparse.Namespace) -> Any:
    """The number of inputs, or the file that holds them: each of its sequences is a value of the axis."""
    from sensitivity.studies.input_files import sequences_of

    if args.inputs is None:
        return args.n_inputs
    if args.n_inputs is not None:
        raise ValueError("--inputs brings the inputs, and --n-inputs draws them; leave one out.")
    return sequences_of(args.inputs)


def _check_apart(option: str, path: Path, others: list[tuple[str, Any]]) -> None:
    """Refuse to write over what is needed."""
    for what, other in others:
        if os.path.realpath(path) == os.path.realpath(other):
            raise ValueError(f"{option} {path} would write over {what} ({other}); name another file.")


def _exports(args: argparse.Namespace) -> dict[str, str]:
    """The files that are asked for: kind → path."""
    wanted = {kind: getattr(args, kind) for kind in ("csv", "netcdf", "parquet", "zarr")}
    return {kind: path for kind, path in wanted.items() if path is not None}


def _need_packages(kind: str) -> None:
    """Refuse to begin without the packages that an export needs."""
    from sensitivity.studies.results import require_package, require_xarray

    if kind in ("netcdf", "zarr"):
        require_xarray()
    if kind in ("parquet", "zarr"):
        require_package(kind)


def _plan(study: Study, args: argparse.Namespace) -> int:
    from integrators.codegen.threads import default_threads
    from integrators.validation import as_count
    from sensitivity.studies.execution.cost import plan_of
    from sensitivity.studies.execution.memory import gibibytes
    from sensitivity.studies.sample import measured_seconds

    if args.workers is not None:
        as_count(args.workers, "workers", least=1)
    plan, workers = plan_of(study), args.workers or default_threads()
    plan = replace(plan, seconds=measured_seconds(study))
    if args.json:
        facts: dict[str, Any] = {"points": study.n_points, "workers": workers, **vars(plan)}
        print_json(facts)
        return 0
    print(f"{study.name}: {study.n_points} points in {plan.cells} cells")
    print(f"time    about {_duration(plan.seconds / workers)} on {workers} cores, by a sample run here")
    print(f"memory  at most {gibibytes(plan.memory)} a worker beside its process")
    print(f"disk    {gibibytes(plan.stored)} in one database")
    return 0


def _duration(seconds: float) -> str:
    for unit, name in ((86400.0, "days"), (3600.0, "hours"), (60.0, "minutes")):
        if seconds >= unit:
            return f"{number(seconds / unit, 3)} {name}"
    return f"{number(seconds, 2)} seconds"


def _show(results: Results, args: argparse.Namespace) -> None:
    report = results.report
    assert report is not None
    if args.json:
        aside = [{"file": place, "reason": reason} for place, reason in report.set_aside]
        failed = [{"cell": cell, "reason": reason} for cell, reason in report.failed]
        print_json({"out": args.out, **vars(report), "set_aside": aside, "failed": failed})
        return
    print(f"{results.study.name}: {report}")
    for place, reason in report.set_aside:
        print(f"set aside: {place}: {reason}")
    for cell, reason in report.failed[:SHOWN]:
        print(f"failed: {cell}: {reason}")
    if (more := len(report.failed) - SHOWN) > 0:
        print(f"failed: {more} more")
    for path in _exports(args).values():
        print(f"not written, since cells are missing: {path}" if report.failed else f"written: {path}")


COMMAND = Command("sweep", "run a study over a grid of networks", add_arguments, run, examples=EXAMPLES)
