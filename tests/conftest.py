"""Shared small fields and settings."""

import os
import signal
import sys
from contextlib import suppress

import numpy as np
import pytest

import leapgrad
from integrators import SCHEMES, NeuralField
from integrators.codegen.compiled import Kernel

# Subprocesses and timings mean nothing without compiled kernels.
NOJIT = os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0")

# A shell starts background jobs with Ctrl-C ignored, and every child inherits that; several tests press it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def _compiled_between_them(request, tmp_path_factory):
    """Processes that run all tests side by side compile the kernels between them, before their first test.

    They would else begin with tests of different files, and each compile most of the kernels for itself. A
    kernel is compiled by the process that makes its file; those that take longest come first, which have the
    most arguments.
    """
    if NOJIT or request.session.testscollected < 1000 or not hasattr(request.config, "workerinput"):
        return
    for name in leapgrad.__all__:
        getattr(leapgrad, name)
    owned = {
        thing
        for name, module in list(sys.modules.items())
        if name.startswith(("integrators.", "sensitivity."))
        for thing in vars(module).values()
        if isinstance(thing, Kernel)
    }
    claims = tmp_path_factory.getbasetemp().parent  # of all processes
    for one in sorted(owned, key=lambda one: (-len(one.signature.args), repr(one))):
        with suppress(FileExistsError):
            (claims / f"compiled-{one.function.__module__}.{one.__name__}").touch(exist_ok=False)
            one.dispatcher  # noqa: B018


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch):
    """No test depends on the variables that a developer may have set."""
    for name in ("LEAPGRAD_THREADS",):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def _built_in_schemes_only(monkeypatch):
    """What a test registers is gone after it."""
    for name in ("_rows", "_owners"):
        monkeypatch.setattr(SCHEMES, name, dict(getattr(SCHEMES, name)))


@pytest.fixture
def rng():
    return np.random.default_rng(11)


@pytest.fixture(scope="session")
def random_field():
    """Factory of fields with weights of either sign: random_field(d, n_inputs, activation)."""

    def make(d, n_inputs=0, activation="tanh", seed=5, scale=1.0):
        rng = np.random.default_rng(seed)
        W = scale * rng.normal(size=(d, d)) / np.sqrt(d)
        return NeuralField(W, rng.normal(size=d), rng.normal(size=(d, n_inputs)), activation)

    return make
