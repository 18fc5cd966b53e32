"""`leapgrad bound`: the norm, every proved bound that holds for it, its tightness, and why others fail."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sensitivity.cli import network
from sensitivity.cli.command import Command
from sensitivity.cli.output import checked, from_log, print_json, print_table
from sensitivity.text import block_symbol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from sensitivity.bounds import Bound
    from sensitivity.recurrences.case import ModelCase

    Float = NDArray[np.float64]

__all__ = ["COMMAND"]


EXAMPLES = """\
  leapgrad bound --d 10 --step 1e-3,1e-2,1e-1 --n-steps 1000
  leapgrad bound --d 1 --p0 2 --step 1e-3 --n-steps 1000
  leapgrad bound --model unicornn --d 16 --n-steps 500
  leapgrad bound --model lstm --d 8 --n-steps 100 --products
  leapgrad bound --d 4 --n-inputs 1 --n-steps 100 --step 0.05 --ensemble 20
  leapgrad bound --weights net.npz --scheme euler --inputs x.npy --step 0.01 --n-steps 784"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    network.add_arguments(parser, steps="1e-3,1e-2,1e-1,1")
    group = parser.add_argument_group("bounds")
    group.add_argument(
        "--products",
        action="store_true",
        help="also the products of the norms of steps and of segments of them (theorems H and K), which take "
        "N singular values",
    )


@dataclass(frozen=True)
class _Computed:
    """Logarithms of the extreme singular values of ∂y_N/∂y_0, NaN where the trajectory overflows."""

    norm: Float
    smallest: Float
    noise: Float

    def of(self, bound: Bound) -> Float:
        """The quantity that is bounded."""
        return self.norm if bound.side == "upper" else self.smallest

    def crosses(self, bound: Bound) -> NDArray[np.bool_]:
        """Where a bound on the computed map is crossed by more than the rounding of what it bounds."""
        import numpy as np

        if bound.side == "upper":
            return np.asarray(self.norm > bound.log_value)
        with np.errstate(invalid="ignore"):
            return np.asarray(np.logaddexp(self.smallest, self.noise) < bound.log_value)


def run(args: argparse.Namespace) -> int:
    asked = network.build(args)
    case = asked.case
    found, reasons = _bounds(case)
    if args.products:
        found += _products(case)
    computed = _computed(case)
    violations = sum(int(computed.crosses(bound).sum()) for bound in found if bound.of != "flow")
    if args.json:
        print_json(
            {
                "parameters": asked.parameters,
                "step": asked.steps,
                "log_norm": computed.norm,
                "log_smallest": computed.smallest,
                "bounds": [_plain(bound, computed) for bound in found],
                "do_not_hold": reasons,
                "violations": violations,
            }
        )
    else:
        print(asked.describe())
        _show(asked, computed, found, reasons)
        if not args.products:
            closer = "Closer bounds" if _loose(computed, found) else "Also proved"
            print(f"\n{closer}, along the trajectory of this run: --products (theorems H and K).")
    return checked(violations, "computed values cross a proved bound")


def _loose(computed: _Computed, found: list[Bound]) -> bool:
    """Whether no upper bound is within a factor of a thousand of the norm, for some step size or member."""
    import numpy as np

    upper = [bound.log_tightness(computed.norm) for bound in found if bound.side == "upper"]
    with np.errstate(invalid="ignore"):
        return not upper or bool((np.min(upper, axis=0) > np.log(1000.0)).any())


def _bounds(case: ModelCase) -> tuple[list[Bound], dict[str, str]]:
    """The bounds that hold, and of a field the others with the hypothesis that fails."""
    from sensitivity.bounds import inapplicable
    from sensitivity.bounds.cells import cell_bound

    if case.is_field:
        arguments = next(case.alone()).arguments if case.ensemble else case.batch.arguments
        return _of_field(case), inapplicable(*arguments[:-1])
    own = cell_bound(case.batch.recurrence)
    if own is None:
        return [], {case.name: f"no bound is proved of this cell from its weights alone; {_proved()}"}
    return [own], {}


def _of_field(case: ModelCase, **options: Any) -> list[Bound]:
    """Those of a field, with a value for each step size or member of an ensemble."""
    import numpy as np

    from sensitivity.bounds import applicable

    if case.ensemble is None:
        return applicable(*case.batch.arguments, **options)
    every = [{bound.name: bound for bound in applicable(*one.arguments, **options)} for one in case.alone()]
    found = []
    for name, bound in every[0].items():
        if all(name in own for own in every):
            value = np.array([float(own[name].value) for own in every])
            log_value = np.array([float(own[name].log_value) for own in every])
            found.append(replace(bound, value=value, log_value=log_value))
    return found


def _products(case: ModelCase) -> list[Bound]:
    """The bounds along the trajectory that need the Jacobian of every step."""
    from sensitivity.bounds import of_recurrence

    if case.is_field:
        return _of_field(case, of=("product",))
    return [bound for bound in of_recurrence(case.batch.recurrence) if bound.of == "product"]


def _proved() -> str:
    """The models of which a bound is proved, for a sentence."""
    from sensitivity.recurrences.registry import MODELS, make

    cells = [name for name in MODELS if make(name, 2).kind.bound is not None]
    return (
        f"leapgrad bound has one for {', '.join(cells)}, and for fields whose sup‖DF‖ is known; --products "
        "gives one along this trajectory"
    )


def _computed(case: ModelCase) -> _Computed:
    import numpy as np

    from sensitivity.analysis.jacobians import singular_values

    values = singular_values(*case.batch.arguments, method="full").log
    noise = np.log(4.0 * np.finfo(np.float64).eps * values.shape[-1]) + values[:, 0]
    return _Computed(values[:, 0], values[:, -1], noise)


def _show(asked: network.AskedCase, computed: _Computed, found: list[Bound], reasons: dict[str, str]) -> None:
    steps, block = asked.steps, asked.case.recurrence.default_block
    h = "y" if asked.case.is_field else block_symbol(block)
    first, labels = asked.step_column
    rows = [(step, *map(from_log, row)) for step, *row in
            zip(labels, computed.norm.tolist(), computed.smallest.tolist(), strict=True)]  # fmt: skip
    if asked.ensemble:
        quantiles = zip(network.quantiles(computed.norm), network.quantiles(computed.smallest), strict=True)
        rows = [
            (name, *map(from_log, row)) for name, row in zip(network.QUANTILE_NAMES, quantiles, strict=True)
        ]
        first = f"of {steps.size} members"
    print_table((first, f"‖∂{h}_N/∂{h}_0‖", "smallest singular value"), rows)
    if found:
        _show_bounds(asked, computed, found)
    if reasons:
        print("\nThese do not hold here:")
        for name, reason in reasons.items():
            print(f"  {name}: {reason}")


def _show_bounds(asked: network.AskedCase, computed: _Computed, found: list[Bound]) -> None:
    slope = ", with λ ≥ sup‖DF‖" if asked.case.is_field else ""
    print(f"\nBounds{slope}; tightness is bound ÷ norm, or smallest singular value ÷ bound:")
    tight = [bound.log_tightness(computed.of(bound)) for bound in found]
    if asked.ensemble:
        tightness = (f"tightness, {name}" for name in network.QUANTILE_NAMES)
        print_table(
            ("theorem", "bound", "of the", "value, median", *tightness),
            [
                (bound.theorem, bound.name, bound.of, from_log(network.quantiles(bound.log_value)[1]),
                 *map(_ratio, network.quantiles(ratio)))
                for bound, ratio in zip(found, tight, strict=True)
            ],
            left=3,
        )  # fmt: skip
        _show_statements(found)
        return
    print_table(
        ("theorem", "bound", "of the", asked.step_column[0], "value", "tightness"),
        [
            (bound.theorem, bound.name, bound.of, step, _value(bound, index), _ratio(ratio[index]))
            for bound, ratio in zip(found, tight, strict=True)
            for index, step in enumerate(asked.step_column[1])
        ],
        left=3,
    )
    _show_statements(found)


def _show_statements(found: list[Bound]) -> None:
    print("\nWhat they say, and what was checked:")
    print_table(
        ("bound", "statement", "checked"),
        [(bound.name, bound.statement, ", ".join(bound.hypotheses)) for bound in found],
        left=3,
    )


def _value(bound: Bound, index: int) -> str:
    if bound.log_value[index] == float("-inf"):
        return "≤ 0"
    return from_log(float(bound.log_value[index]))


def _ratio(log_value: float) -> str:
    return "says nothing" if log_value == float("inf") else from_log(float(log_value))


def _plain(bound: Bound, computed: _Computed) -> dict[str, Any]:
    return {
        "name": bound.name,
        "theorem": bound.theorem,
        "statement": bound.statement,
        "side": bound.side,
        "of": bound.of,
        "hypotheses": bound.hypotheses,
        "value": bound.value,
        "log_value": bound.log_value,
        "tightness": bound.tightness(computed.of(bound)),
        "log_tightness": bound.log_tightness(computed.of(bound)),
    }


COMMAND = Command(
    "bound", "the norm, the proved bounds that hold and how tight they are", add_arguments, run,
    examples=EXAMPLES,
)  # fmt: skip
