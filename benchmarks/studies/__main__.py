"""``python -m benchmarks.studies``: run the measurements of docs/scaling.md."""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path


def main() -> None:
    from .kills import killed_study
    from .rates import PHASES, measured, phase
    from .sleeping import simulated

    parser = argparse.ArgumentParser(prog="python -m benchmarks.studies", description=__doc__)
    parser.add_argument("--networks", type=int, default=20_000, metavar="N")
    parser.add_argument("--executor", default="threads", metavar="NAME")
    parser.add_argument("--workers", type=int, default=1, metavar="N")
    parser.add_argument("--folder", type=Path, help="where the study lies (default: a temporary folder)")
    parser.add_argument("--phase", choices=PHASES, help="only this, in this process")
    parser.add_argument("--kills", type=int, metavar="N", help="kill a study so many times instead")
    parser.add_argument(
        "--sleeping", type=float, nargs="+", metavar="SECONDS", help="jobs that sleep instead"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = options.folder or Path(place) / "study"
        if options.phase:
            print(
                json.dumps(phase(options.phase, options.networks, folder, options.executor, options.workers))
            )
        elif options.kills:
            print(json.dumps(killed_study(options.networks, folder, options.kills)))
        elif options.sleeping:
            for number, duration in enumerate(options.sleeping):
                where = Path(place) / str(number)
                print(json.dumps(simulated(options.workers, options.networks, duration, where)))
        else:
            for row in measured(options.networks, folder, options.executor, options.workers):
                print(json.dumps(row))


if __name__ == "__main__":
    main()
