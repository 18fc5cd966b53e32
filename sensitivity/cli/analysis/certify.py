"""`leapgrad certify`: a rigorous enclosure of the norm, and every bound proved or refused by it."""

from __future__ import annotations

import argparse
import math
from typing import TYPE_CHECKING, Any

from sensitivity.cli import network
from sensitivity.cli.command import Command
from sensitivity.cli.output import CHECK_FAILED, from_log, print_json, print_table

if TYPE_CHECKING:
    from sensitivity.certification import Certificate

__all__ = ["COMMAND"]

EXAMPLES = """\
  leapgrad certify --d 10 --step 1e-3,1e-1 --n-steps 1000
  leapgrad certify --model lstm --d 8 --n-steps 200
  leapgrad certify --model gru --d 4 --n-inputs 2 --n-steps 50 --ensemble 5
  leapgrad certify --model lstm --d 8 --n-inputs 1 --n-steps 100 --region 0.01 --input-region 0.01
  leapgrad certify --weights net.npz --scheme euler --step 0.01 --width 1e-30"""


DEFAULT_WIDTH = 1e-14
EXACTLY = (
    "Everything above holds for exactly these weights, inputs, initial values and step sizes, as float64 "
    "numbers;\n--region encloses the norm for all initial values and inputs near those of a cell."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    network.add_arguments(parser, steps="1e-3,1e-2,1e-1,1")
    group = parser.add_argument_group("certificate")
    group.add_argument(
        "--block", metavar="B", help="position (default) or phase, or a block of the state of a cell"
    )
    group.add_argument(
        "--width", type=float, metavar="W", help="relative width to reach (default 1e-14); not for a region"
    )
    region = parser.add_argument_group(
        "region", "one enclosure for all initial states in a ball and all inputs in a box, of a cell"
    )
    region.add_argument("--region", type=float, metavar="R", help="radius of the ball of initial states")
    region.add_argument(
        "--input-region", type=float, metavar="R",
        help="with --region: how much each component of each input may differ (default 0)",
    )  # fmt: skip
    region.add_argument(
        "--ratio", type=float, metavar="Q",
        help="with --region: refuse where the upper end is more than Q times the lower (default 2); inf "
        "accepts any",
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    from integrators import NeuralField
    from sensitivity.certification import certify

    asked, width = network.build(args), DEFAULT_WIDTH if args.width is None else args.width
    _check_options(args)
    if args.region is not None:
        return _regions(args, asked)
    if asked.case.is_field:
        network.check_field(asked, "certify", NeuralField)
    try:
        found = [certify(*one.arguments, block=args.block, width=width) for one in asked.case.alone()]
    except ArithmeticError as error:  # the bits do not suffice
        raise ValueError(str(error)) from error
    if args.json:
        rows = [{"step": step, **_plain(one)} for step, one in zip(asked.steps, found, strict=True)]
        print_json({"parameters": asked.parameters, "block": args.block, "certificates": rows})
    else:
        print(asked.describe())
        _show(*_labels(asked), found)
        _show_theorems(found[0], member=bool(asked.ensemble))
        print(f"\n{EXACTLY}")
    kept = all(bound.holds for one in found for bound in one.bounds)
    return 0 if kept and all(one.float64_within_stated_error for one in found) else CHECK_FAILED


def _check_options(args: argparse.Namespace) -> None:
    """Raise for options that would have no effect: those of a region without one, and the other way round."""
    if args.region is not None:
        if args.width is not None:
            raise ValueError("--width is for certificates of one run; with --region give --ratio.")
        return
    if args.input_region is not None:
        raise ValueError("--input-region needs --region; --region 0 leaves the initial state as it is.")
    if args.ratio is not None:
        raise ValueError(
            "--ratio is for --region; without a region --width says how narrow the enclosure is."
        )


def _regions(args: argparse.Namespace, asked: network.AskedCase) -> int:
    from sensitivity.certification import certify_region

    if asked.case.is_field:
        raise ValueError("--region is for cells: choose one by --model, such as --model lstm.")
    if args.input_region and not asked.case.model.n_inputs:
        raise ValueError("--input-region is for models with inputs; add --n-inputs or --inputs.")
    args.input_region, args.ratio = args.input_region or 0.0, 2.0 if args.ratio is None else args.ratio
    try:
        found = [
            certify_region(one.recurrence, args.region, args.input_region, args.block, ratio=args.ratio)
            for one in asked.case.alone()
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
    heading, labels = _labels(asked)
    rows = zip(labels, found, strict=True)
    print_table(
        (heading, "‖J‖₂ at least", "at most"),
        [(label, *(from_log(end) for end in one.log_norm)) for label, one in rows],
    )
    print(f"\nfor all initial states within {args.region:g} and all inputs within {args.input_region:g}")
    return 0


def _labels(asked: network.AskedCase) -> tuple[str, list[str]]:
    """What tells the certificates apart: step sizes, or the numbers of the members of an ensemble."""
    if asked.ensemble:
        return "member", [str(member) for member in range(asked.steps.size)]
    return asked.step_column


def _show(heading: str, labels: list[str], found: list[Certificate]) -> None:
    print_table(
        (heading, "norm ‖J‖₂ enclosed", "rel. width", "bits", "float64 off by", "stated"),
        [
            (
                label,
                one.norm_ball.str(18),
                f"{one.width:.0e}",
                str(one.precision),
                from_log(one.log_error[1], 2),
                "none" if math.isnan(one.log_stated_error) else from_log(one.log_stated_error, 2),
            )
            for label, one in zip(labels, found, strict=True)
        ],
    )
    print("\nBounds against the enclosure:")
    print_table(
        (heading, "bound", "side", "value", "verdict"),
        [
            (label, bound.name, bound.side, _value(bound.log_value), bound.verdict)
            for label, one in zip(labels, found, strict=True)
            for bound in one.bounds
        ],
    )


def _show_theorems(one: Certificate, member: bool) -> None:
    """Every theorem there is about this norm, of the first certificate: the hypotheses are those of all."""
    print("\nTheorems about this norm" + (", of member 0:" if member else ":"))
    rows = [(row.theorem, row.bound, "yes" if row.holds else "no", row.said) for row in one.theorems]
    print_table(("theorem", "bound", "holds", "what becomes of it"), rows, left=4)


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
        "theorems": [row._asdict() for row in one.theorems],
    }


COMMAND = Command(
    "certify", "enclose the norm rigorously and prove the bounds", add_arguments, run, examples=EXAMPLES
)
