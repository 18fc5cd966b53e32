"""``python -m benchmarks.interrupt``: how long a long call goes on after Ctrl-C.

A process of its own runs one call over and over. At random moments it is sent SIGINT; the time from there to
the ``except KeyboardInterrupt`` around the call is what counts, by the clock that both processes share. The
kinds that start cold have a new process for every signal, sent within the first half second of the program
itself, imports and compilation included.
"""

from __future__ import annotations

import argparse
import os
import random
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from .table import markdown

__all__ = ["CALLS", "Latency", "measure"]

ALLOWED = 0.2
# Signals come this long after a call began, at most; and a call that goes on for so long has lost its signal.
LATEST, GIVEN_UP = 0.6, 60.0

PREAMBLE = """
import sys, time, warnings
def wait_for_signal(call):
    print("go", flush=True)
    call()
    time.sleep(30)
"""
IMPORTS = """
import numpy as np
from integrators import NeuralField, henon_heiles, integrate
from sensitivity import (
    OdeRecurrence, certify, gradient_profile, growth_exponents, jacobian, jacobian_norm, log_singular_values,
    singular_values,
)
rng = np.random.default_rng(0)
def gaussian(d, inputs=0):
    V = rng.normal(size=(d, inputs)) if inputs else None
    return NeuralField(rng.normal(size=(d, d)) / d**0.5, rng.normal(size=d), V)
def steps(members):
    return np.geomspace(1e-5, 1e-4, members)
def falsify(cases):
    from sensitivity.falsification import falsify
    return falsify(cases)
field = {field}
"""
LOOP = """
call = lambda: {call}
while True:
    try:
        wait_for_signal(call)
    except KeyboardInterrupt:
        print(time.monotonic(), flush=True)
"""
COLD = """
import time
try:
    print("go", flush=True)
{imports}
    {call}
    time.sleep(30)
except KeyboardInterrupt:
    print(time.monotonic(), flush=True)
"""

_LONG = "10_000_000"
# Name → field, call.
CALLS = {
    "jacobian, d = 1": ("gaussian(1)", f'jacobian(field, "leapfrog", steps(100), {_LONG})'),
    "jacobian, d = 10": ("gaussian(10)", f'jacobian(field, "leapfrog", steps(100), {_LONG})'),
    "jacobian, d = 100": ("gaussian(100)", f'jacobian(field, "leapfrog", steps(100), {_LONG})'),
    "jacobian, d = 512": ("gaussian(512)", f'jacobian(field, "leapfrog", steps(4), {_LONG})'),
    "jacobian, d = 512, one member, one thread": (
        "gaussian(512)",
        f'jacobian(field, "leapfrog", 1e-5, {_LONG}, threads=1)',
    ),
    "jacobian, d = 2000": ("gaussian(2000)", f'jacobian(field, "leapfrog", steps(2), {_LONG})'),
    "jacobian, 200 000 members": ("gaussian(40)", 'jacobian(field, "leapfrog", steps(200_000), 5)'),
    "jacobian, one step, large result": ("gaussian(300)", 'jacobian(field, "leapfrog", steps(300), 1)'),
    "a textbook field": (
        "henon_heiles()",
        f'jacobian(field, "leapfrog", 1e-5, 200 * {_LONG}, [0.1, 0.1])',
    ),
    "inputs as a function": (
        "gaussian(10, 2)",
        'jacobian(field, "leapfrog", steps(10), 1_000_000, inputs=lambda t: [t, 1.0])',
    ),
    "a field, d = 1500": ("None", "gaussian(1500)"),
    "norm, full, d = 512": (
        "gaussian(512)",
        'jacobian_norm(field, "leapfrog", steps(100), 1, method="full")',
    ),
    "norm, full, d = 1500": (
        "gaussian(1500)",
        'jacobian_norm(field, "leapfrog", steps(4), 1, method="full")',
    ),
    "norm, Lanczos, d = 512": (
        "gaussian(512)",
        'jacobian_norm(field, "leapfrog", np.linspace(0.1, 0.3, 32), 500, method="lanczos")',
    ),
    "norm, Lanczos, long, d = 100": (
        "gaussian(100)",
        'jacobian_norm(field, "leapfrog", np.linspace(1e-5, 1e-4, 8), 150_000, method="lanczos")',
    ),
    "singular values, d = 512": ("gaussian(512)", 'singular_values(field, "leapfrog", steps(100), 1)'),
    "log singular values, d = 10": (
        "gaussian(10)",
        f'log_singular_values(field, "leapfrog", steps(10), {_LONG})',
    ),
    "log singular values, d = 300": (
        "gaussian(300)",
        'log_singular_values(field, "leapfrog", steps(40), 40)',
    ),
    "growth exponents, d = 10": ("gaussian(10)", f'growth_exponents(field, "leapfrog", steps(10), {_LONG})'),
    "growth exponents, d = 512": (
        "gaussian(512)",
        'growth_exponents(field, "leapfrog", steps(2), 1_000_000)',
    ),
    "pullback with checkpoints": (
        "gaussian(100)",
        f'OdeRecurrence(field, "leapfrog", steps(16), {_LONG}).pullback(np.eye(200))',
    ),
    "parameter gradient": (
        "gaussian(100)",
        f'OdeRecurrence(field, "leapfrog", steps(16), {_LONG}).parameter_gradient(np.ones(200))',
    ),
    "profile, d = 130": ("gaussian(130)", 'gradient_profile(field, "leapfrog", steps(8), 100_000)'),
    "profile of inputs": (
        "gaussian(30, 2)",
        'gradient_profile(field, "leapfrog", steps(8), 1_000_000, of="inputs")',
    ),
    "trajectory": ("gaussian(100)", 'integrate(field, "leapfrog", None, None, steps(4), 200_000)'),
    "certify": ("gaussian(30)", 'certify(field, "leapfrog", 0.1, 3000)'),
    "certify, d = 100": ("gaussian(100)", 'certify(field, "leapfrog", 0.1, 3000)'),
    "falsify": ("None", "falsify(100_000)"),
}
FROM_THE_START = ("jacobian, d = 10", "growth exponents, d = 10", "certify", "falsify")


@dataclass(frozen=True)
class Latency:
    """Seconds from SIGINT to KeyboardInterrupt, one entry a signal; inf for one that was lost."""

    name: str
    seconds: tuple[float, ...]

    @property
    def worst(self) -> float:
        return max(self.seconds)


class _Process:
    """A process that says "go", is sent a signal, and answers with the time."""

    def __init__(self, script: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        self._unread = b""

    def __enter__(self) -> _Process:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def _line(self, seconds: float) -> str:
        """The next line of its output, or nothing if none comes in time."""
        assert self._process.stdout is not None
        until = time.monotonic() + seconds
        while b"\n" not in self._unread:
            left = until - time.monotonic()
            ready, _, _ = select.select([self._process.stdout], [], [], max(0.0, left))
            piece = os.read(self._process.stdout.fileno(), 4096) if ready else b""
            if not piece:
                return ""
            self._unread += piece
        line, self._unread = self._unread.split(b"\n", 1)
        return line.decode()

    def latency(self, delay: float) -> float:
        """Wait for "go" and then `delay`; seconds from the signal to the answer."""
        if self._line(60.0) != "go":
            assert self._process.stderr is not None
            self._process.kill()
            raise RuntimeError(self._process.stderr.read().decode())
        time.sleep(delay)
        sent = time.monotonic()
        self._process.send_signal(signal.SIGINT)
        answer = self._line(GIVEN_UP)
        return float(answer) - sent if answer else float("inf")


def measure(name: str, signals: int, cold: bool, seed: int = 0) -> Latency:
    """Send so many signals to one kind of call.

    Parameters
    ----------
    name : str
        A key of `CALLS`.
    signals : int
    cold : bool
        Whether every signal gets a new process, which has imported nothing yet.
    seed : int
        Of the moments.
    """
    moments, found = random.Random(seed), []
    field, call = CALLS[name]
    if cold:
        indented = "\n".join("    " + line for line in IMPORTS.format(field=field).splitlines())
        script = COLD.format(imports=indented, call=call)
        for _ in range(signals):
            with _Process(script) as process:
                found.append(process.latency(moments.uniform(0.0, LATEST)))
        return Latency(name + ", from the start", tuple(found))
    script = PREAMBLE + IMPORTS.format(field=field) + LOOP.format(call=call)
    while len(found) < signals:
        with _Process(script) as process:
            while len(found) < signals:
                found.append(process.latency(moments.uniform(0.0, LATEST)))
                if found[-1] == float("inf"):
                    break  # a lost signal: start anew
    return Latency(name, tuple(found))


def table(latencies: Sequence[Latency]) -> str:
    """Milliseconds, in Markdown."""
    lines = [
        [
            latency.name,
            str(len(latency.seconds)),
            *(f"{1e3 * seconds:.0f}" for seconds in (median(latency.seconds), latency.worst)),
            "yes" if latency.worst <= ALLOWED else "NO",
        ]
        for latency in latencies
    ]
    return markdown(["call", "signals", "median, ms", "worst, ms", f"within {1e3 * ALLOWED:.0f} ms"], lines)


def main(given: list[str] | None = None) -> int:
    """Measure all kinds, or those asked for; 1 if one was late."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.interrupt", description=__doc__)
    parser.add_argument("--signals", type=int, default=30, metavar="N", help="for every call (default 30)")
    parser.add_argument("--calls", nargs="+", default=[], metavar="WORD", help="only calls with these words")
    parser.add_argument("--seed", type=int, default=0, help="of the moments (default 0)")
    options = parser.parse_args(given)
    if os.name == "nt":
        parser.error("Windows sends no SIGINT to another process.")
    chosen = [(name, False) for name in CALLS] + [(name, True) for name in FROM_THE_START]
    if options.calls:
        chosen = [pair for pair in chosen if any(word in pair[0] for word in options.calls)]
    found = []
    for name, cold in chosen:
        found.append(measure(name, options.signals, cold, options.seed))
        print(f"{found[-1].name}: worst {1e3 * found[-1].worst:.0f} ms", file=sys.stderr, flush=True)
    print(table(found))
    return 1 if any(latency.worst > ALLOWED for latency in found) else 0


if __name__ == "__main__":
    sys.exit(main())
