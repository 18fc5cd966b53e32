"""Ctrl-C during a long computation: KeyboardInterrupt, promptly, with every thread stopped."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest
from conftest import NOJIT

ROOT = Path(__file__).resolve().parent.parent
pytestmark = pytest.mark.skipif(
    NOJIT or not hasattr(signal, "SIGINT") or os.name == "nt",
    reason="needs compiled kernels and POSIX signals",
)

# Chunks take 0.02 s; the rest is for a busy machine.
PATIENCE = 0.5

SCRIPT = """
import sys, threading
import numpy as np
from integrators import NeuralField, henon_heiles, integrate
from sensitivity import OdeRecurrence, jacobian_norm

field = NeuralField.random(100)
steps = np.linspace(0.001, 0.002, 16)
jacobian_norm(field, "leapfrog", steps, 2, threads=2)  # everything is compiled
print("running", flush=True)
try:
    {call}
except KeyboardInterrupt:
    print("interrupted", sum(t.name.startswith("leapgrad") for t in threading.enumerate()), flush=True)
    sys.exit(130)
print("finished", flush=True)
"""

CALLS = {
    "norm_on_two_threads": 'jacobian_norm(field, "leapfrog", steps, 10_000_000, threads=2)',
    "norm_on_one_thread": 'jacobian_norm(field, "leapfrog", 0.001, 10_000_000, threads=1)',
    "cheap_steps": 'jacobian_norm(henon_heiles(), "leapfrog", 1e-4, 2_000_000_000, [0.1, 0.1])',
    "pullback": 'OdeRecurrence(field, "leapfrog", steps, 2_000_000, threads=2).pullback(np.eye(200))',
    "run": 'OdeRecurrence(field, "leapfrog", steps, 100_000_000, threads=2).run()',
}


@pytest.mark.parametrize("call", CALLS)
def test_ctrl_c_stops_a_long_call(call, record_property):
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(SCRIPT).format(call=CALLS[call])],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    watchdog = threading.Timer(30, process.kill)
    watchdog.start()
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "running\n", process.communicate()[1]
        time.sleep(0.5)
        began = time.perf_counter()
        process.send_signal(signal.SIGINT)
        line = process.stdout.readline()
        waited = time.perf_counter() - began
        _, error = process.communicate()
    finally:
        watchdog.cancel()
        process.kill()
    assert line == "interrupted 0\n", error
    assert process.returncode == 130
    assert error == ""
    record_property("seconds", waited)
    print(f"{call}: {waited:.3f} s")
    assert waited <= PATIENCE
