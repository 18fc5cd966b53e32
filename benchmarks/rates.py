"""How fast this machine multiplies and takes tanh: what the arithmetic bound is measured in."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numba import types

from integrators.codegen.compiled import kernel
from integrators.codegen.processor import registers
from integrators.fields.activations import ACTIVATIONS, activate

__all__ = ["Rates", "code_of", "measure", "throughput"]

SIZES = (256, 384, 512, 768, 1024)
# Arguments of tanh at a time: with value and derivative they fill three quarters of a 32 KiB cache.
ARGUMENTS = 1024
SECONDS = 0.1
TRIALS = 5

_VECTOR = types.Array(types.float64, 1, "C")


@dataclass(frozen=True)
class Rates:
    """Best rates seen, on one thread and on all `cores` together, each thread with data of its own.

    Attributes
    ----------
    cores : int
    dgemm : tuple of float
        Float operations a second of NumPy's matrix product (one-thread BLAS), best of several sizes.
    size : int
        The order of the matrices at which all cores together were fastest.
    tanh : tuple of float
        Arguments a second of `integrators.fields.activations.activate`, which gives tanh and its derivative.
    numpy_tanh : tuple of float
        Arguments a second of ``numpy.tanh``.
    xla_tanh : float, optional
        Of ``jax.numpy.tanh``, on one thread; for information, it is not in the bound.
    blas : str
        The library behind the matrix product, and the processor that its code is for.
    """

    cores: int
    dgemm: tuple[float, float]
    size: int
    tanh: tuple[float, float]
    numpy_tanh: tuple[float, float]
    xla_tanh: float | None = None
    blas: str = ""

    @property
    def best_tanh(self) -> float:
        """Arguments a second on all cores, of whichever tanh is faster."""
        return max(self.tanh[1], self.numpy_tanh[1])

    def best(self, other: Rates) -> Rates:
        """Rate by rate the faster of two measurements."""
        first = self if self.dgemm[1] >= other.dgemm[1] else other

        def faster(name: str) -> tuple[float, float]:
            alone, together = zip(getattr(self, name), getattr(other, name), strict=True)
            return max(alone), max(together)

        return Rates(
            self.cores, faster("dgemm"), first.size, faster("tanh"), faster("numpy_tanh"), self.xla_tanh,
            self.blas,
        )  # fmt: skip


@kernel(types.void(types.int64, _VECTOR, _VECTOR, _VECTOR, types.int64))
def tanh_over_and_over(code, z, s, ds, repeats):
    """The same arguments `repeats` times, but for one, so that no repetition can be left out."""
    for _ in range(repeats):
        activate(code, z, s, ds)
        z[0] = s[0]


def throughput(make: Callable[[], Callable[[], object]], amount: float, threads: int) -> float:
    """Amount a second of several threads together, each with a call of its own making; the best trial."""
    calls = [make() for _ in range(threads)]
    for call in calls:
        call()
    began = time.perf_counter()
    calls[0]()
    repeats = max(1, round(SECONDS / max(time.perf_counter() - began, 1e-9)))
    best = 0.0
    for _ in range(TRIALS):
        barrier = threading.Barrier(threads)
        spans: list[tuple[float, float]] = []

        def work(
            call: Callable[[], None], barrier: threading.Barrier, spans: list[tuple[float, float]]
        ) -> None:
            barrier.wait()
            started = time.perf_counter()
            for _ in range(repeats):
                call()
            spans.append((started, time.perf_counter()))

        workers = [threading.Thread(target=work, args=(call, barrier, spans)) for call in calls]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        seconds = max(stop for _, stop in spans) - min(start for start, _ in spans)
        best = max(best, threads * repeats * amount / seconds)
    return best


def _dgemm(size: int) -> Callable[[], None]:
    rng = np.random.default_rng(0)
    a, b, c = rng.random((size, size)), rng.random((size, size)), np.empty((size, size))

    def call() -> None:
        np.matmul(a, b, out=c)

    return call


def _tanh() -> Callable[[], None]:
    z = np.random.default_rng(0).normal(size=ARGUMENTS)
    s, ds, code = np.empty_like(z), np.empty_like(z), ACTIVATIONS["tanh"].code
    return lambda: tanh_over_and_over(code, z, s, ds, 100)


def _numpy_tanh() -> Callable[[], None]:
    z = np.random.default_rng(0).normal(size=ARGUMENTS)
    s = np.empty_like(z)

    def call() -> None:
        for _ in range(100):
            np.tanh(z, out=s)

    return call


def code_of() -> tuple[int, str]:
    """Numbers in a register of our code, and the BLAS of NumPy with the processor that its code is for."""
    from threadpoolctl import threadpool_info

    blas = next((found for found in threadpool_info() if found["user_api"] == "blas"), {})
    name = " for ".join(str(blas[key]) for key in ("internal_api", "architecture") if blas.get(key))
    return registers().width, name


def measure(cores: int) -> Rates:
    """Measure all rates; needs BLAS on one thread, as the benchmark's processes have it."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, "blas"):
        alone, together = (
            {size: throughput(lambda size=size: _dgemm(size), 2.0 * size**3, threads) for size in SIZES}
            for threads in (1, cores)
        )
    size = max(together, key=lambda size: together[size])
    tanh, numpy_tanh = (
        (throughput(make, 100.0 * ARGUMENTS, 1), throughput(make, 100.0 * ARGUMENTS, cores))
        for make in (_tanh, _numpy_tanh)
    )
    return Rates(cores, (max(alone.values()), together[size]), size, tanh, numpy_tanh, blas=code_of()[1])
