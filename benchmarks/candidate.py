"""What every library offers: named ways to do a piece of work, each ready to be timed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .work import Work

__all__ = [
    "AUTOGRAD",
    "CONTINUOUS",
    "GROWTH",
    "JAX",
    "MACHINE",
    "OURS",
    "PEERS",
    "PLAIN_JAX",
    "PYTORCH",
    "TUNED_JAX",
    "Candidate",
    "Library",
    "NotAvailable",
    "Run",
]

Run = Callable[[], Any]


class NotAvailable(Exception):
    """A candidate cannot do this work here; the message says why."""


@dataclass(frozen=True)
class Candidate:
    """One way to do a piece of work.

    Attributes
    ----------
    name : str
    prepare : callable
        ``prepare(work, cores)`` does all that is not to be timed (compiling, placing the data) and returns
        the call that is. What the call returns is complete: nothing is left to be computed later.
    finish : callable
        Turns what the call returned into an array, ∂y_N/∂y_0 of shape (steps, d, d) or norms (steps,); not
        timed.
    familiar : bool
        The way that the library's documentation teaches: shown beside the fastest way, however slow.
    judged : bool
        Whether it may be the best of its library in the table; others are shown beside it.
    """

    name: str
    prepare: Callable[[Work, int], Run]
    finish: Callable[[Any], NDArray[np.float64]] = np.asarray
    familiar: bool = False
    judged: bool = True


@dataclass(frozen=True)
class Library:
    """A module with ``candidates(work, cores)`` and ``settings(cores)``, run in a process of its own.

    Attributes
    ----------
    name, module : str
    packages : tuple of str
        Distributions whose versions are shown.
    screening_steps, screening_members, screening_runs : int
        Size and number of the short runs that choose among candidates.
    members_in_turn : bool
        Whether it loops over step sizes, so that each costs the same.
    environment : mapping
        Environment variables of the process; ``{cores}`` stands for the number of processors.
    """

    name: str
    module: str
    packages: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    screening_steps: int = 1000
    screening_members: int = 100
    screening_runs: int = 3
    members_in_turn: bool = False


# One BLAS or OpenMP thread a processor, whatever the library.
_THREADS = {
    name: "{cores}" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NPROC")
}
# Where threads of Python call LAPACK (for norms) or BLAS; XLA's own products do not use it.
_ONE = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
_JAX = {**_THREADS, **_ONE, "JAX_PLATFORMS": "cpu"}
# Short loops compiled into one function, and the widest registers: the first doubles the speed at d = 1, and
# costs a factor of five to twenty where a loop holds large products of few columns.
_FLAGS = (
    "--xla_backend_extra_options=xla_cpu_small_while_loop_byte_threshold=1000000000 "
    "--xla_cpu_prefer_vector_width=512"
)

OURS = Library("leapgrad", "ours", ("leapgrad", "numba", "llvmlite", "numpy"), _THREADS)
TUNED_JAX = Library("JAX", "peers_jax", ("jax", "jaxlib"), {**_JAX, "XLA_FLAGS": _FLAGS})
PLAIN_JAX = Library("JAX, default flags", "peers_jax_plain", ("jax", "jaxlib"), _JAX)
PYTORCH = Library("PyTorch", "peers_torch", ("torch",), _THREADS, screening_steps=50)
AUTOGRAD = Library(
    "autograd", "peers_autograd", ("autograd", "numpy"), _THREADS, 20, 2, 1, members_in_turn=True
)
JAX = (TUNED_JAX, PLAIN_JAX)
PEERS = (*JAX, PYTORCH, AUTOGRAD)
CONTINUOUS = Library("variational equations", "peers_ode", ("heyoka", "scipy"), _THREADS)
MACHINE = Library("machine", "rates", ("numpy",), {**_THREADS, **_ONE})
GROWTH = Library("growth", "growth", ("leapgrad",), _THREADS)
