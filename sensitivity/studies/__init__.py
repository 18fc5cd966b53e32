"""Studies: grids of networks, computed anywhere, stored in one database, resumed and verified.

>>> study = Study({"d": [2, 10], "seed": range(5), "step": [0.01, 0.1]}, ["log_norm", "bounds"])
>>> results = study.run("widths")
>>> results.to_xarray()
"""

from .execution.grid import RunReport
from .execution.workers import WorkersLost
from .results import Results
from .storage.migration import Migration, migrate
from .storage.verify import Verification, verify
from .study import Study, open_results

__all__ = [
    "Migration",
    "Results",
    "RunReport",
    "Study",
    "Verification",
    "WorkersLost",
    "migrate",
    "open_results",
    "verify",
]
