"""JAX: the familiar Jacobian, and the fastest formulations that we could find.

Tried and left out because they were always slower (two cores, jaxlib 0.10): one (d, d) product a member
(`jnp.matmul` with a batch axis, 1.1 to 4 times slower), members before columns (1 to 2 times), products as a
broadcast and a sum (3 times or more), the trajectory first and the tangents after it, unrolled scans,
shard_map over two host devices (as fast as two threads, or slower), one Eigen thread, XLA's other scheduler,
fast-math.
"""

# pyright: reportMissingImports=false
# The libraries compared with are not part of the development set-up.

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from numpy.typing import NDArray

from .candidate import Candidate, Run
from .rates import throughput
from .work import Work

jax.config.update("jax_enable_x64", True)

Array = Any
Propagator = Callable[[Array, Array, Array], Array]
"""(steps, W, b) → ∂y_N/∂y_0, shape (steps, d, d)."""
Product = Callable[[Array, Array], Array]
Build = Callable[[Work], Propagator]
After = Callable[[Array], Any]
Spread = Callable[[Propagator, After, Work, int], Run]

# Formulations for small d: the loop's own cost counts there.
SMALL_DIM = 16
# Blocks of members: where the columns of all members together exceed the cache, and those of one do not.
BLOCKED_DIMS = range(32, 257)
BLOCKS = (1, 2, 10)
FAMILIAR = "jit(vmap(jacfwd))"


# ------------------------------------------------------------------------------- differentiated by JAX


def trajectory(work: Work, y: Array, h: Array, W: Array, b: Array) -> Array:
    """y_N from y_0 as one would write it down: Euler, or leapfrog with its end kicks merged."""
    if work.scheme == "euler":
        return lax.scan(lambda y, _: (y + h * jnp.tanh(W @ y + b), None), y, length=work.n_steps)[0]

    def leapfrog(state: Array, _: None) -> Array:
        y, p = state
        p = p + h * jnp.tanh(W @ y + b)
        return (y + h * p, p), None

    p = (h / 2) * jnp.tanh(W @ y + b)
    return lax.scan(leapfrog, (y + h * p, p), length=work.n_steps - 1)[0][0]


def vmap_jacfwd(work: Work) -> Propagator:
    """jit(vmap(jacfwd(scan))), the way the documentation teaches."""
    jacobian = jax.jacfwd(partial(trajectory, work))
    return lambda h, W, b: jax.vmap(lambda step: jacobian(jnp.zeros(work.d), step, W, b))(h)


def jacfwd_members(work: Work) -> Propagator:
    """jit(jacfwd) of the map that carries all members, members last."""

    def propagate(h: Array, W: Array, b: Array) -> Array:
        def members(y: Array) -> Array:
            return trajectory(work, jnp.broadcast_to(y[:, None], (work.d, h.size)), h, W, b[:, None])

        return jnp.moveaxis(jax.jacfwd(members)(jnp.zeros(work.d)), 1, 0)

    return propagate


# ------------------------------------------------------------------------------- written out by hand


def as_matrix(W: Array, T: Array) -> Array:
    """W T as one product (d, d) × (d, k·members)."""
    return (W @ T.reshape(W.shape[0], -1)).reshape(T.shape)


def by_rows(W: Array, T: Array) -> Array:
    """W T as d multiply-adds of rows, which XLA fuses into one loop; for small d."""
    total = W[:, 0, None, None] * T[0]
    for j in range(1, W.shape[0]):
        total = total + W[:, j, None, None] * T[j]
    return total


def tangents(product: Product, work: Work) -> Propagator:
    """A scan that carries the tangent columns (d, k, members) beside the state, in one product a step.

    The first kick acts on the identity and needs no product. Momenta carried times ε would spare one
    multiplication an entry, but XLA takes half as long again over that form.
    """

    def propagate(h: Array, W: Array, b: Array) -> Array:
        def linearise(y: Array) -> tuple[Array, Array]:
            s = jnp.tanh(W @ y + b[:, None])
            return s, (1.0 - s * s)[:, None]

        def euler(state: Array, _: None) -> Array:
            y, T = state
            s, ds = linearise(y)
            return (y + h * s, T + h * ds * product(W, T)), None

        def leapfrog(state: Array, _: None) -> Array:
            y, p, T, P = state
            s, ds = linearise(y)
            p, P = p + h * s, P + h * ds * product(W, T)
            return (y + h * p, p, T + h * P, P), None

        s, ds = linearise(jnp.zeros((work.d, h.size)))
        eye, first = jnp.eye(work.d)[:, :, None], ds * W[:, :, None]
        if work.scheme == "euler":
            step, start, T = euler, (h * s, eye + h * first), 1
        else:
            p, P = h / 2 * s, h / 2 * first
            step, start, T = leapfrog, (h * p, p, eye + h * P, P), 2
        end, _ = lax.scan(step, start, length=work.n_steps - 1)
        return jnp.moveaxis(end[T], 2, 0)

    return propagate


def one_column_more(work: Work) -> Propagator:
    """The same with the state as one more column (d, k + 1, members): a single product a step."""
    d = work.d

    def propagate(h: Array, W: Array, b: Array) -> Array:
        def force(products: Array) -> Array:
            s = jnp.tanh(products[:, d] + b[:, None])
            return jnp.concatenate([(1.0 - s * s)[:, None] * products[:, :d], s[:, None]], axis=1)

        def euler(T: Array, _: None) -> Array:
            return T + h * force(as_matrix(W, T)), None

        def leapfrog(state: Array, _: None) -> Array:
            T, P = state
            P = P + h * force(as_matrix(W, T))
            return (T + h * P, P), None

        start = jnp.eye(d, d + 1)[:, :, None]
        first = force(jnp.pad(W, ((0, 0), (0, 1)))[:, :, None]) * jnp.ones(h.size)
        if work.scheme == "euler":
            T, _ = lax.scan(euler, start + h * first, length=work.n_steps - 1)
        else:
            P = h / 2 * first
            (T, _), _ = lax.scan(leapfrog, (start + h * P, P), length=work.n_steps - 1)
        return jnp.moveaxis(T[:, :d], 2, 0)

    return propagate


def in_blocks(build: Build, members: int, work: Work) -> Propagator:
    """Blocks of members one after the other, so that the columns of a block stay in cache."""
    propagate = build(work)

    def blocked(h: Array, W: Array, b: Array) -> Array:
        whole = h.size - h.size % members
        if whole == 0:
            return propagate(h, W, b)
        J = lax.map(lambda steps: propagate(steps, W, b), h[:whole].reshape(-1, members))
        J = J.reshape(whole, *J.shape[2:])
        return J if whole == h.size else jnp.concatenate([J, propagate(h[whole:], W, b)])

    return blocked


def gram(propagate: Propagator) -> Propagator:
    """J Jᵀ for every member."""

    def product(h: Array, W: Array, b: Array) -> Array:
        J = propagate(h, W, b)
        return J @ jnp.swapaxes(J, 1, 2)

    return product


def norms(products: Array) -> NDArray[np.float64]:
    """‖J‖₂ = √λ_max(J Jᵀ) for every member, which costs a fraction of the singular values.

    By NumPy, in the thread that has the products: LAPACK called by XLA from two threads can wait for ever.
    """
    return np.sqrt(np.linalg.eigvalsh(np.asarray(products))[:, -1])


# ------------------------------------------------------------------------------- onto the processors


def one_call(propagate: Propagator, after: After, work: Work, cores: int) -> Run:
    """XLA spreads single operations over its intra-op threads."""
    call = jax.jit(propagate)
    arguments = [jax.device_put(part) for part in (work.steps, work.W, work.b)]
    return lambda: [after(jax.block_until_ready(call(*arguments)))]


def by_threads(propagate: Propagator, after: After, work: Work, cores: int) -> Run:
    """The members in equal parts, each part a call of its own from a thread of its own."""
    call = jax.jit(propagate)
    matrices = [jax.device_put(part) for part in (work.W, work.b)]
    parts = [jax.device_put(part) for part in np.array_split(work.steps, min(cores, work.n_kept))]
    pool = ThreadPoolExecutor(len(parts))
    return lambda: list(pool.map(lambda h: after(jax.block_until_ready(call(h, *matrices))), parts))


# ------------------------------------------------------------------------------- the list


def formulations(work: Work) -> Iterator[tuple[str, Build, tuple[Spread, ...]]]:
    """Name, builder and ways onto the processors of all that has a chance at this size."""
    columns: Build = partial(tangents, as_matrix)
    both = (one_call, by_threads)
    yield FAMILIAR, vmap_jacfwd, both
    yield "jacfwd, members last", jacfwd_members, both
    yield "tangents", columns, both
    yield "tangents and state", one_column_more, both
    if work.d <= SMALL_DIM:
        yield "tangents by rows", partial(tangents, by_rows), both
    if work.d in BLOCKED_DIMS:
        for members in BLOCKS:
            if 2 * members <= work.members:
                yield f"tangents, blocks of {members}", partial(in_blocks, columns, members), (by_threads,)
                yield (
                    f"tangents and state, blocks of {members}",
                    partial(in_blocks, one_column_more, members),
                    (by_threads,),
                )


def candidates(work: Work, cores: int) -> list[Candidate]:
    """All formulations that have a chance at this size, the familiar one first."""

    def prepare(build: Build, spread: Spread, work: Work, cores: int) -> Run:
        propagate = build(work)
        if work.what == "norm":
            return spread(gram(propagate), norms, work, cores)
        return spread(propagate, lambda J: J, work, cores)

    return [
        Candidate(
            f"{name}, threads" if spread is by_threads else name,
            partial(prepare, build, spread),
            np.concatenate,
            familiar=name == FAMILIAR and spread is one_call,
        )
        for name, build, spreads in formulations(work)
        for spread in spreads
    ]


def tanh_rate() -> float:
    """Arguments a second of XLA's tanh, on one thread."""
    arguments, repeats = 1024, 1000
    z = jnp.asarray(np.random.default_rng(0).normal(size=arguments))

    def again(state: Array, _: None) -> tuple[Array, None]:
        z, s = state
        return (z + 1e-9 * s, jnp.tanh(z)), None

    call = jax.jit(lambda z: lax.scan(again, (z, z), length=repeats)[0])
    return throughput(lambda: lambda: jax.block_until_ready(call(z)), float(arguments * repeats), 1)


def settings(cores: int) -> str:
    """What the user of this library could set, as it is set here."""
    return f"x64, {cores} intra-op threads, flags of `benchmarks/candidate.py`, compilation not timed"
