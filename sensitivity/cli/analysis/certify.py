"""`leapgrad certify`: a rigorous enclosure of the norm, and every bound proved or refused by it."""

from __future__ import annotations

import argparse
import math
from typing import TYPE_CHECKING, Any

from sensitivity.cli import network
from sensitivity.cli.command import Command
from sensitivity.cli.output import CHECK_FAILED, from_log, number, print_json, print_table

if TYPE_CHECKING:
    from sensitivity.certification import Certificate

__all__ = ["COMMAND"]

EXAMPLES = """\
  leapgrad certify --d 10 --step 1e-3,1e-1 --n-steps 1000
  leapgrad certify --model lstm --d 8 --n-steps 200
  leapgrad certify --model lstm --d 8 --n-steps 100 --region 0.01 --input-region 0.01
  leapgrad certify --weights net.npz --scheme euler --step 0.01 --width 1e-30"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    network.add_arguments(parser, steps="1e-3,1e-2,1e-1,1")
    group = parser.add_argument_group("certificate")
    group.add_argument(
        "--block", metavar="B", help="position (default) or phase, or a block of the state of a cell"
    )
    group.add_argument(
        "--width", type=float, default=1e-14, metavar="W", help="relative width to reach (default 1e-14)"
    )
    region = parser.add_argument_group(
        "region", "one enclosure for all initial states in a ball and all inputs in a box, of a cell"
    )
    region.add_argument("--region", type=float, metavar="R", help="radius of the ball of initial states")
    region.add_argument(
        "--input-region", type=float, default=0.0, metavar="R",
        help="how much each component of each input may differ (default 0)",
    )  # fmt: skip
    region.add_argument(
        "--ratio", type=float, default=2.0, metavar="Q",
        help="refuse where the upper end is more than Q times the lower (default 2); inf accepts any",
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    from integrators import NeuralField
    from sensitivity.certification import certify

    asked = network.build(args)
    if args.region is not None:
        return _regions(args, asked)
    options: dict[str, Any] = {"block": args.block, "width": args.width}
    try:
        if asked.case.is_field:
            field, scheme, _, *rest = network.of_fields(asked, "certify", NeuralField)
            found = [certify(field, scheme, float(step), *rest, **options) for step in asked.steps]
        else:
            found = [certify(run, **options) for run in asked.case.batch.recurrence.alone()]
    except ArithmeticError as error:  # the bits do not suffice
        raise ValueError(str(error)) from error
    if args.json:
        rows = [{"step": step, **_plain(one)} for step, one in zip(asked.steps, found, strict=True)]
        print_json({"parameters": asked.parameters, "block": args.block, "certificates": rows})
    else:
        print(asked.describe())
        _show([number(step) for step in asked.steps], found)
    kept = all(bound.holds for one in found for bound in one.bounds)
    return 0 if kept and all(one.float64_within_stated_error for one in found) else CHECK_FAILED


def _regions(args: argparse.Namespace, asked: network.AskedCase) -> int:
    from sensitivity.certification import certify_region

    if asked.case.is_field:
        raise ValueError("--region is for cells: choose one by --model, such as --model lstm.")
    runs = asked.case.batch.recurrence.alone()
    try:
        found = [
            certify_region(run, args.region, args.input_region, args.block, ratio=args.ratio) for run in runs
        ]
    except ArithmeticError as error:  # the enclosure has grown
        raise ValueError(str(error)) from error
    ends = [{"lower": one.lower, "upper": one.upper, "log_norm": one.log_norm} for one in found]
    if args.json:
        about = {"region": args.region, "input_region": args.input_region, "ratio": args.ratio}
        rows = [{"step": step, **end} for step, end in zip(asked.steps, ends, strict=True)]
        print_json({"parameters": asked.parameters, "block": args.block, **about, "certificates": rows})
        return 0
    print(asked.describe())
    print_table(
        ("step ε", "‖J‖₂ at least", "at most"),
        [
            (number(step), *(from_log(end) for end in one.log_norm))
            for step, one in zip(asked.steps, found, strict=True)
        ],
    )
    print(f"\nfor all initial states within {args.region:g} and all inputs within {args.input_region:g}")
    return 0


def _show(steps: list[str], found: list[Certificate]) -> None:
    print_table(
        ("step ε", "norm ‖J‖₂ enclosed", "rel. width", "bits", "float64 off by", "stated"),
        [
            (
                step,
                one.norm_ball.str(18),
                f"{one.width:.0e}",
                str(one.precision),
                from_log(one.log_error[1], 2),
                "none" if math.isnan(one.log_stated_error) else from_log(one.log_stated_error, 2),
            )
            for step, one in zip(steps, found, strict=True)
        ],
    )
    print("\nBounds against the enclosure:")
    print_table(
        ("step ε", "bound", "side", "value", "verdict"),
        [
            (step, bound.name, bound.side, _value(bound.log_value), bound.verdict)
            for step, one in zip(steps, found, strict=True)
            for bound in one.bounds
        ],
    )


def _value(log_value: float) -> str:
    return "≤ 0" if log_value == float("-inf") else from_log(log_value)


def _plain(one: Certificate) -> dict[str, Any]:
    return {
        "norm": one.norm_ball.str(30),
        "lower": one.lower,
        "upper": one.upper,
        "log_norm": one.log_norm,
        "log_smallest": one.log_smallest,
        "width": one.width,
        "precision": one.precision,
        "log_error_of_float64": one.log_error[1],
        "log_stated_error": one.log_stated_error,
        "within_stated_error": one.float64_within_stated_error,
        "bounds": [
            {
                "name": bound.name,
                "side": bound.side,
                "log_value": bound.log_value,
                "log_margin": bound.log_margin,
                "verdict": bound.verdict,
            }
            for bound in one.bounds
        ],
    }


COMMAND = Command(
    "certify", "enclose the norm rigorously and prove the bounds", add_arguments, run, examples=EXAMPLES
)
