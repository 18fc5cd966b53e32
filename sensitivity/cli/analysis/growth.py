"""`leapgrad growth`: Lyapunov exponents of the recurrence, with their convergence, error and bound."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from sensitivity.cli import files, network
from sensitivity.cli.command import Command
from sensitivity.cli.output import checked, number, print_json, print_table

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from sensitivity.analysis.growth import GrowthExponents

__all__ = ["COMMAND"]

EXAMPLES = """\
  leapgrad growth --d 10 --step 0.1 --n-steps 10000
  leapgrad growth --scheme euler --gamma 0.01 --step 0.01,0.1 --k 3 --plot growth.png
  leapgrad growth --model lstm --d 32 --n-steps 10000 --k 5
  leapgrad growth --weights mine.npz --step 0.1 --n-steps 100000 --burn-in 20000 --json"""

TOO_FEW = "too few steps for a standard error; take more, or a smaller --qr-every."
NOT_CONVERGED = """\
not converged: the growth per step still changes along the run, so that no standard error of its mean holds;
take more steps, or a longer --burn-in. Where the gradient grows like a power of N, the exponent is 0."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    network.add_arguments(parser, steps="1e-1")
    result = parser.add_argument_group("result")
    result.add_argument("--k", type=int, metavar="K", help="the K largest exponents (default all)")
    result.add_argument(
        "--burn-in", type=int, metavar="B", help="steps that are not counted (default a tenth of N)"
    )
    result.add_argument(
        "--qr-every",
        type=int,
        metavar="Q",
        help="most steps between two factorisations (default 16; fewer where columns align)",
    )
    files.add(result)


def run(args: argparse.Namespace) -> int:
    import numpy as np

    from sensitivity.analysis.growth import growth_exponents

    asked = network.build(args)
    found = growth_exponents(
        *asked.case.batch.arguments, k=args.k, burn_in=args.burn_in, qr_every=args.qr_every
    )
    bound = _bound(asked, found)
    columns = _columns(asked.steps, found, bound)
    files.write(args, columns, lambda: found.figure(asked.describe()))
    violations = int(np.count_nonzero(found.exponents > bound[:, None]))
    if args.json:
        results = {
            "step": asked.steps,
            "exponents": found.exponents,
            "standard_error": found.standard_error,
            "round_off": found.round_off,
            "resolved": found.resolved,
            "drifts": found.drifts,
            "per_time": found.per_time,
            "bound": bound,
            "sum": found.exponents.sum(axis=-1),
            "series_steps": found.series_steps,
            "series": found.series,
        }
        parameters = {**asked.parameters, "burn_in": found.burn_in, "qr_every": found.qr_every}
        print_json({"parameters": parameters, "results": results, "violations": violations})
    else:
        print(f"{asked.describe()}, burn-in {found.burn_in}")
        header, rows = _rows(asked, columns)
        if asked.ensemble:
            header, rows = ["i", *network.QUANTILE_NAMES], _quantiles(found)
        elif np.isnan(bound).all():  # nothing is proved of this model
            rows = [row[:-1] for row in rows]
        else:
            header.append("bound E" if asked.case.is_field else "proved bound")
        if found.drifts.any():
            header.append("converged")
            for row, drifts in zip(rows, found.drifts.ravel(), strict=True):
                row.append("no" if drifts else "yes")
        print_table(header, rows)
        if found.exponents.shape[-1] > 1 and not asked.ensemble:
            totals = ", ".join(number(float(v), 3) for v in found.exponents.sum(axis=-1))
            print(f"sum of the exponents shown{', for every ε' if asked.case.has_step else ''}: {totals}")
        if below := int(np.count_nonzero(found.exponents == -np.inf)):
            many = "exponents are" if below > 1 else "exponent is"
            whose = "their directions" if below > 1 else "its direction"
            rest = "their" if below > 1 else "its"
            print(f"{below} {many} −inf: {whose} vanished in some step, or fell below {rest} round-off.")
        if found.drifts.any():
            print(NOT_CONVERGED)
        if not asked.ensemble and np.isnan(found.standard_error[np.isfinite(found.exponents)]).any():
            print(TOO_FEW)
        files.tell(args)
    return checked(violations, "exponents lie above a proved bound")


def _bound(asked: network.AskedCase, found: GrowthExponents) -> NDArray[np.float64]:
    """The bound of the steps that were counted: every λ_i is at most ln ‖J‖ of these, over their number."""
    counted = asked.case.n_steps - found.burn_in
    return asked.case.log_bound(counted, "state") / counted


def _rows(asked: network.AskedCase, columns: dict[str, list[float]]) -> tuple[list[str], list[list[str]]]:
    """A row for every step size and exponent."""
    has_step = asked.case.has_step
    header = [
        "step ε" if has_step else "",
        "i",
        "λ_i per step",
        "± standard error",
        "λ_i/ε" if has_step else "",
    ]
    rows = [
        [
            number(h) if has_step else "",
            str(int(i)),
            number(value, 8),
            number(error, 2),
            number(rate) if has_step else "",
            number(limit),
        ]
        for h, i, value, error, rate, limit in zip(*columns.values(), strict=True)
    ]
    return header, rows


def _quantiles(found: GrowthExponents) -> list[list[str]]:
    """A row for every exponent: 5 %, 50 % and 95 % of it over an ensemble."""
    values = [network.quantiles(column) for column in found.exponents.T]
    return [[str(i), *(number(value, 8) for value in row)] for i, row in enumerate(values, start=1)]


def _columns(
    steps: NDArray[np.float64], found: GrowthExponents, bound: NDArray[np.float64]
) -> dict[str, list[float]]:
    """One row for every step size and exponent."""
    import numpy as np

    members, k = found.exponents.shape
    return {
        "step": np.repeat(steps, k).tolist(),
        "number": np.tile(np.arange(1, k + 1), members).tolist(),
        "exponent": found.exponents.ravel().tolist(),
        "standard_error": found.standard_error.ravel().tolist(),
        "per_time": found.per_time.ravel().tolist(),
        "bound": np.repeat(bound, k).tolist(),
    }


COMMAND = Command(
    "growth", "Lyapunov exponents of the recurrence, with their error", add_arguments, run, examples=EXAMPLES
)
