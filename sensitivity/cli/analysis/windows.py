"""`leapgrad windows`: the norm of the gradient over every window of a run, and its finite-time exponents."""

from __future__ import annotations

import argparse

from sensitivity.cli import files, network
from sensitivity.cli.command import Command
from sensitivity.cli.output import from_log, number, print_json, print_table
from sensitivity.text import block_symbol

__all__ = ["COMMAND"]

EXAMPLES = """\
  leapgrad windows --model gru --d 16 --n-inputs 2 --n-steps 500 --width 20
  leapgrad windows --model lstm=trained.npz --inputs x.npy --n-steps 200 --width 50 --plot windows.png"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    network.add_arguments(parser, steps="1e-2")
    result = parser.add_argument_group("result")
    result.add_argument(
        "--width", type=int, metavar="W", help="steps of a window (default 10, or all of a shorter run)"
    )
    result.add_argument("--block", metavar="NAME", help="the block of the state")
    files.add(result, "the logarithm of the norm of every window, in full precision")


def run(args: argparse.Namespace) -> int:
    import numpy as np

    from sensitivity.analysis.memory.windows import log_window_norms

    asked = network.build(args)
    run = asked.run
    width = max(1, min(10, run.n_steps)) if args.width is None else args.width
    symbol = block_symbol(run.default_block if args.block is None else args.block)
    logs = log_window_norms(run, width, block=args.block).reshape(run.members, -1)
    windows = logs.shape[1]
    columns = {
        "member": np.repeat(np.arange(run.members), windows).tolist(),
        "first_step": np.tile(np.arange(windows), run.members).tolist(),
        "log_norm": logs.ravel().tolist(),
        "exponent": (logs / width).ravel().tolist(),
    }

    def draw():
        from sensitivity.figures.memory import plot_windows

        return plot_windows(logs, width, asked.describe(), symbol)

    files.write(args, columns, draw)
    low, middle, high = network.quantiles(logs.ravel())
    summary = {"5 %": low, "median": middle, "95 %": high, "largest": float(np.nanmax(logs, initial=-np.inf))}
    if args.json:
        results = {"log_norms": logs, "exponents": logs / width, "quantiles": summary}
        print_json({"parameters": {**asked.parameters, "width": width}, "results": results})
    else:
        print(f"‖∂{symbol}_(i+{width})/∂{symbol}_i‖ over {windows} windows: {asked.describe()}")
        rows = [[name, from_log(value), number(value / width)] for name, value in summary.items()]
        print_table(["", "norm", "exponent per step"], rows, left=1)
        files.tell(args)
    return 0


COMMAND = Command(
    "windows", "the norm of the gradient over every window of a run", add_arguments, run, examples=EXAMPLES
)
