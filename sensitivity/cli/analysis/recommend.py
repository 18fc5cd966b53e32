"""`leapgrad recommend`: the step ε = c/N that keeps the gradient in a band, guaranteed and observed."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from sensitivity.cli import network
from sensitivity.cli.command import Command
from sensitivity.cli.output import number, print_json, print_table

if TYPE_CHECKING:
    from sensitivity.analysis.recommend import StepRecommendation

__all__ = ["COMMAND"]

EXAMPLES = """\
  leapgrad recommend --d 10 --n-steps 1000
  leapgrad recommend --d 4 --n-inputs 1 --n-steps 200 --ensemble 20
  leapgrad recommend --weights net.npz --n-steps 784 --lo 0.1 --hi 10"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    network.add_arguments(parser, steps=None)
    band = parser.add_argument_group("band of the singular values of ∂y_N/∂y_0")
    band.add_argument("--lo", type=float, default=0.5, metavar="S", help="smallest allowed (default 0.5)")
    band.add_argument("--hi", type=float, default=2.0, metavar="S", help="largest allowed (default 2)")


def run(args: argparse.Namespace) -> int:
    from sensitivity.analysis.recommend import recommend_step

    if args.step is not None:
        raise ValueError(f"--step {args.step} cannot go with recommend, which finds the step; leave it out.")
    asked = network.build(args)
    network.check_field(asked, "recommend")
    every = []
    for one in asked.case.alone():
        field, scheme, _, n_steps, *rest = one.arguments
        every.append(recommend_step(field, n_steps, args.lo, args.hi, scheme, *rest))
    if asked.ensemble:
        return _show_ensemble(args, asked, every)
    (found,) = every[:1]
    if args.json:
        print_json({"parameters": asked.parameters, **found.to_dict()})
        return 0
    print(asked.describe())
    seen = f"the {found.leaves} leaves the band" if found.leaves else "nothing leaves the band"
    print_table(
        ("", "step ε", "c of ε = c/N"),
        [
            ("guaranteed (theorem C)", number(found.guaranteed), number(found.c)),
            (f"computed: {seen}", number(found.observed), number(found.c_observed)),
        ],
        left=1,
    )
    return 0


def _show_ensemble(
    args: argparse.Namespace, asked: network.AskedCase, found: list[StepRecommendation]
) -> int:
    """The guaranteed step, which is that of all members, and quantiles of the computed ones."""
    observed = network.quantiles([one.observed for one in found])
    if args.json:
        members = [one.to_dict() for one in found]
        quantiles = dict(zip(network.QUANTILE_NAMES, observed, strict=True))
        print_json({"parameters": asked.parameters, "members": members, "observed_quantiles": quantiles})
        return 0
    print(asked.describe())
    N, first = asked.case.n_steps, found[0]
    rows = [("guaranteed (theorem C), for all", number(first.guaranteed), number(first.c))]
    rows += [
        (f"computed, {name} of {len(found)} members", number(step), number(step * N))
        for name, step in zip(network.QUANTILE_NAMES, observed, strict=True)
    ]
    print_table(("", "step ε", "c of ε = c/N"), rows, left=1)
    return 0


COMMAND = Command(
    "recommend", "the step size that keeps the gradient in a band", add_arguments, run, examples=EXAMPLES
)
