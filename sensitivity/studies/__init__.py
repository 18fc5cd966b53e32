"""Studies: grids of networks, computed anywhere, stored cell by cell, resumed and verified.

>>> study = Study({"d": [2, 10], "seed": range(5), "step": [0.01, 0.1]}, ["log_norm", "bounds"])
>>> results = study.run("widths")
>>> results.to_xarray()
"""

from .execution.grid import RunReport
from .execution.workers import WorkersLost
from .results import Results
from .storage.verify import Verification, verify
from .study import Study, open_results

__all__ = ["Results", "RunReport", "Study", "Verification", "WorkersLost", "open_results", "verify"]
