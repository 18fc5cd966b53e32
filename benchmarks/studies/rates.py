"""What a study of many tiny networks takes: running, going on, verifying, exporting."""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from sensitivity.studies import Study, open_results, verify

__all__ = ["PHASES", "measured", "phase", "study_of"]

QUANTITIES = ["log_norm"]
PHASES = ("run", "resume", "verify", "to_xarray", "netcdf", "zarr", "parquet", "csv")


def study_of(networks: int, quantities: list[str] | None = None) -> Study:
    """Networks with d = 2 and N = 10 that differ in their seeds."""
    grid = {"d": 2, "n_steps": 10, "seed": {"first": 0, "count": networks}, "step": 0.1}
    return Study(grid, QUANTITIES if quantities is None else quantities)


def phase(name: str, networks: int, folder: Path, executor: str, workers: int) -> dict[str, Any]:
    """One phase in this process: seconds by the clock, seconds of this process, and its peak of memory."""
    study = study_of(networks)
    began, spent = time.perf_counter(), time.process_time()
    if name in ("run", "resume"):
        report = study.run(folder, executor, workers=workers, progress=False).report
        assert report is not None and report.cells == networks
    elif name == "verify":
        assert verify(folder, progress=False).ok
    elif name == "to_xarray":
        assert float(open_results(folder).to_xarray()["log_norm"].mean().compute()) > 0.0
    else:
        results, target = open_results(folder), folder.with_suffix(f".{name}")
        getattr(results, f"to_{name}")(target)
        shutil.rmtree(target) if target.is_dir() else target.unlink()
    return {
        "phase": name,
        "seconds": time.perf_counter() - began,
        "processor": time.process_time() - spent,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "database": (folder / "study.sqlite").stat().st_size,
    }


def measured(
    networks: int, folder: Path, executor: str, workers: int, phases: tuple[str, ...] = PHASES
) -> list[dict[str, Any]]:
    """Every phase in a process of its own, one after the other."""
    found = []
    for name in phases:
        command = [sys.executable, "-m", "benchmarks.studies", "--phase", name, "--networks", str(networks)]
        command += ["--folder", str(folder), "--executor", executor, "--workers", str(workers)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found.append(json.loads(done.stdout.splitlines()[-1]))
    return found
