"""``python -m benchmarks``: run this work side by side and print the table."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from pathlib import Path

# The libraries' processes import this module again: what is slow to import waits for `main`.


def arguments(given: list[str] | None) -> argparse.Namespace:
    from .rows import EXTRAS, ROWS

    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Times this package beside JAX, PyTorch, autograd, heyoka and SciPy.",
    )
    keys = ", ".join([*(row.key for row in ROWS), *EXTRAS])
    parser.add_argument("--rows", nargs="+", default=[], metavar="ROW", help=f"only these: {keys}")
    parser.add_argument("--quick", action="store_true", help="small work: does everything run and agree?")
    parser.add_argument(
        "--repeats", type=int, metavar="N", help="rounds for every row, instead of its own number"
    )
    parser.add_argument(
        "--cores", type=int, default=2, help="cores, and threads, for every library (default: 2)"
    )
    parser.add_argument(
        "--shape", choices=["both", "own", "avx2"], default="both",
        help="all that the processor has, AVX2 alone, or both (default), where it has more",
    )  # fmt: skip
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers")
    parser.add_argument("--write-docs", action="store_true", help="write performance.md and its picture")
    parser.add_argument(
        "--out", type=Path, default=Path("docs"), help="where --write-docs writes (default: docs)"
    )
    options = parser.parse_args(given)
    unknown = set(options.rows) - {row.key for row in ROWS} - set(EXTRAS)
    if unknown:
        parser.error(f"there is no row {', '.join(sorted(unknown))}; the rows are {keys}.")
    if options.write_docs and (options.rows or options.quick):
        parser.error("--write-docs needs a full run: leave out --rows and --quick.")
    if options.repeats is not None and options.repeats < 1:
        parser.error("--repeats must be at least 1.")
    if options.cores < 1:
        parser.error("--cores must be at least 1.")
    return options


def main(given: list[str] | None = None) -> int:
    """Run the benchmark; 1 if two candidates disagree, else 0."""
    options = arguments(given)
    from . import report
    from .measure import Disagreement
    from .session import Session

    session = Session(options)
    try:
        whole = session.run()
    except Disagreement as error:
        print(error, file=sys.stderr)
        return 1
    if options.json:
        options.json.write_text(
            json.dumps(dataclasses.asdict(whole), indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
        )
    if options.write_docs:
        for path in report.write(whole, options.out):
            session.say(f"wrote {path}")
    session.say("done")
    return 0


if __name__ == "__main__":
    sys.exit(main())
