"""Networks: the interface for the trainer, and a recurrence with a softmax readout over blocks of a batch."""

from __future__ import annotations

import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numba import types
from numpy.typing import NDArray

from integrators.codegen.array_types import COLUMNS
from integrators.codegen.compiled import kernel
from integrators.codegen.primitives import aligned_array, flat, get, put
from integrators.codegen.simd import WIDTH
from integrators.codegen.threads import on_threads, thread_count
from integrators.engine.drivers import KEEP, NOTHING, Block, Run, Taps
from integrators.engine.program import Program
from integrators.naming import nearest
from integrators.run.recurrence import Recurrence
from integrators.validation import as_count

from .readout import readout_gradient, readout_scores

__all__ = ["MOST_VECTORS", "BatchGradient", "Blocks", "Float", "Network", "RecurrentNetwork", "Weights"]

Float = NDArray[np.float64]

_I = types.int64
MOST_VECTORS = 4
"""Eights of batch members in a block: enough for a product's tile, few enough for a step to stay in L1."""


@dataclass(frozen=True)
class BatchGradient:
    """Loss, gradient and number of right answers of one batch.

    Attributes
    ----------
    loss : float
        Mean of −ln softmax(R y_N + r)[label].
    right : int
    gradient : ndarray, shape (n_parameters,)
        ∂loss/∂θ.
    """

    loss: float
    right: int
    gradient: Float


@dataclass(frozen=True)
class Blocks:
    """A batch of `n` cut into blocks: their widths, multiples of eight, and which thread does which.

    The sums of a gradient are cut where the blocks are, so that its bits depend on `n` and on nothing else.
    """

    n: int
    widths: tuple[int, ...]

    @classmethod
    def of(cls, n: int) -> Blocks:
        vectors = -(-n // WIDTH)
        count = min(vectors, 2 * -(-vectors // (2 * MOST_VECTORS)))
        return cls(n, tuple(WIDTH * (vectors // count + (b < vectors % count)) for b in range(count)))

    def members(self) -> list[tuple[int, int]]:
        """(first member, number of members) of each block."""
        firsts = np.cumsum([0, *self.widths[:-1]]).tolist()
        return [(first, min(width, self.n - first)) for first, width in zip(firsts, self.widths, strict=True)]

    def shares(self, threads: int) -> list[list[int]]:
        """The blocks of each thread, as even as can be."""
        loads, shares = [0] * threads, [[] for _ in range(threads)]
        for block in sorted(range(len(self.widths)), key=lambda b: -self.widths[b]):
            thread = loads.index(min(loads))
            loads[thread] += self.widths[block]
            shares[thread].append(block)
        return [share for share in shares if share]

    def run(self, work: Callable[[list[int]], None], threads: int) -> None:
        """``work(blocks)`` for the share of every thread."""
        calls = [partial(work, share) for share in self.shares(threads)]
        if len(calls) == 1:
            calls[0]()
        else:
            on_threads(calls, threads)


class Network(ABC):
    """A recurrent classifier: sequences of inputs → scores of the classes, with its exact gradient.

    Attributes
    ----------
    n_steps, n_inputs, n_classes, d : int
    step : float, optional
        ε, where the network has one.
    shapes : mapping
        Name → shape of each parameter, in their order in θ.
    readout : tuple of str
        The names of R and r.
    """

    n_steps: int
    n_inputs: int
    n_classes: int
    d: int
    step: float | None = None
    shapes: Mapping[str, tuple[int, ...]]
    readout: tuple[str, str] = ("R", "r")

    @property
    def n_parameters(self) -> int:
        return sum(math.prod(shape) for shape in self.shapes.values())

    @property
    def recurrent_parameters(self) -> int:
        """Free parameters of the hidden-to-hidden map, as the paper's tables count them."""
        return math.prod(self.shapes["W"])

    def named(self, theta: Float) -> dict[str, Float]:
        """Views of θ by name."""
        parts, start = {}, 0
        for name, shape in self.shapes.items():
            stop = start + math.prod(shape)
            parts[name] = theta[start:stop].reshape(shape)
            start = stop
        return parts

    def spread(self, numbers: Mapping[str, float]) -> Float:
        """A number for each entry of θ, by the name of its parameter; 1 for those that are not named.

        Raises
        ------
        ValueError
            If the network has no parameter of that name.
        """
        found = np.ones(self.n_parameters)
        parts = self.named(found)
        for name, value in numbers.items():
            if name not in parts:
                raise nearest("parameter", name, parts)
            parts[name][...] = value
        return found

    def start(self, rng: np.random.Generator) -> Float | None:
        """The part of θ before the readout at a start of the network's own, or None where it has none."""
        return None

    def plain(self, name: str) -> str:
        """The name of a parameter without the number of its layer."""
        return name

    @abstractmethod
    def gradient(
        self, theta: Float, inputs: Float, labels: NDArray[np.int64], weights: Float | None = None
    ) -> BatchGradient:
        """Loss and gradient of a batch: inputs (n_steps, n_inputs, n), labels (n,).

        The loss is Σ weights[q] · cross-entropy of sequence q; weights are 1/n where none are given.
        """

    @abstractmethod
    def scores(self, theta: Float, inputs: Float) -> Float:
        """R y_N + r for inputs (n_steps, n_inputs, n): shape (n_classes, n)."""

    def recurrence(self, theta: Float, inputs: Float) -> Recurrence:
        """The run of its state for inputs (n_steps, n_inputs, n), a batch of n."""
        raise TypeError(f"{type(self).__name__} is not made of a field or a cell.")

    def from_named(self, theta: Float, gradient: Mapping[str, Float]) -> Float:
        """A gradient by the parameters of its field or cell, by name, as one by θ; zero for the readout."""
        raise TypeError(f"{type(self).__name__} is not made of a field or a cell.")

    @abstractmethod
    def weights(self, theta: Float) -> Float:
        """W, the matrix on the hidden state inside σ (of a gated cell, that of all gates)."""

    def describe(self) -> dict[str, Any]:
        """A description of the network for manifests and checkpoints."""
        return {"d": self.d, "n_steps": self.n_steps, "n_inputs": self.n_inputs, "n_classes": self.n_classes}


class Weights(NamedTuple):
    """Parameters as compiled code reads them, and what takes a gradient by them to one by θ."""

    packed: Float
    pulled: Callable[[Float], Float]


class _Ready(NamedTuple):
    """What the drivers are told of a block of one width, in memory of a `_Workspace`."""

    run: Run
    block: Block
    tape: Float
    cotangents: Float  # (D, 1, width)
    scores: Float  # (n_classes, width)


class _Workspace:
    """The memory of one thread, kept from batch to batch; blocks of all widths lie in the same place."""

    def __init__(self) -> None:
        self.memory: Float = np.empty(0)
        self.ready: dict[tuple[int, int], _Ready] = {}

    def arrays(self, *shapes: tuple[int, ...]) -> list[Float]:
        """One array of each shape, not initialised; those with last axes of eight numbers are aligned."""
        ends = list(itertools.accumulate(map(math.prod, shapes), initial=0))
        if self.memory.size < ends[-1]:
            self.memory, self.ready = aligned_array((ends[-1],), np.float64), {}
        return [self.memory[i:j].reshape(shape) for i, j, shape in zip(ends, ends[1:], shapes, strict=False)]


@kernel(types.void(COLUMNS, _I, _I, _I, COLUMNS))
def take_members(inputs, first, last, n_inputs, target):
    """target[:, :n_inputs] ← inputs[:, :, first:last], and zeros in the columns that are left."""
    (steps, height, width), batch = target.shape, inputs.shape[2]
    source, into = flat(inputs), flat(target)
    for i in range(steps):
        for j in range(n_inputs):
            here, there = (i * n_inputs + j) * batch + first, (i * height + j) * width
            for q in range(last - first):
                put(into, there + q, get(source, here + q))
            for q in range(last - first, width):
                put(into, there + q, 0.0)


class RecurrentNetwork(Network):
    """A recurrence run from zero over each sequence, and a softmax readout R h + r of rows h of its state.

    A subclass says what the recurrence is: `packed`, `forward`, `backward`, and

    Attributes
    ----------
    program : Program
    dim : int
        D, the length of the state.
    read : slice
        The rows of the state that are read out.
    entry_rows : int
        Rows of a tape entry.
    kept : {KEEP, CONDENSE}
        What a forward sweep writes there.
    step_size : float
        The factor on the weights of the program.
    clock : ndarray, shape (n_steps, any)
        What compiled code is told about each step besides its input.
    threads : int
        No result depends on it.
    """

    program: Program
    dim: int
    read: slice
    entry_rows: int
    kept: int = KEEP
    step_size: float
    clock: Float

    def __init__(self, n_steps: int, n_inputs: int, n_classes: int, threads: int | None) -> None:
        self.n_steps = as_count(n_steps, "n_steps", least=1)
        self.n_inputs = as_count(n_inputs, "n_inputs")
        self.n_classes = as_count(n_classes, "n_classes", least=2)
        self.threads = thread_count(threads)
        # Those in use are not in the list, so that no two calls share one, and one that a thread may still
        # write to after Ctrl-C is not used again.
        self._workspaces: list[_Workspace] = []

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_workspaces": []}

    @abstractmethod
    def packed(self, theta: Float) -> Weights:
        """The parameters of the recurrence."""

    @abstractmethod
    def forward(self, packed: Float, *rest: Any) -> None:
        """`sweep_forward` of the recurrence: run, block, tape, nodes, and steps [start, stop)."""

    @abstractmethod
    def backward(self, packed: Float, *rest: Any) -> None:
        """`sweep_backward`: run, tape, columns, exponent, gradient, taps, and steps [start, stop)."""

    def _readout(self, theta: Float) -> Float:
        """[R r] row by row."""
        parts = self.named(theta)
        R, r = (parts[name] for name in self.readout)
        return np.concatenate([R, r[:, None]], axis=1).ravel()

    def gradient(
        self, theta: Float, inputs: Float, labels: NDArray[np.int64], weights: Float | None = None
    ) -> BatchGradient:
        inputs = self._checked(inputs)
        if labels.shape != inputs.shape[2:]:
            raise ValueError(f"labels has shape {labels.shape}; these inputs ask for {inputs.shape[2:]}.")
        own, readout, blocks = self.packed(theta), self._readout(theta), Blocks.of(labels.size)
        shares = np.full(labels.size, 1.0 / labels.size) if weights is None else weights
        cut = own.packed.size
        gradients = np.zeros((len(blocks.widths), cut + readout.size))
        results = np.empty((len(blocks.widths), 2))

        def work(b: int, members: slice, space: _Workspace) -> None:
            at = self._run_forward(
                own.packed, inputs, members, self._ready(blocks.widths[b], self.kept, space)
            )
            state, lam = at.block.state[self.read], at.cotangents
            lam[:] = 0.0
            readout_gradient(
                readout, labels[members], shares[members], state, at.scores,
                lam[self.read].reshape(state.shape), gradients[b, cut:], results[b],
            )  # fmt: skip
            exponent, by_own = at.block.exponent, gradients[b, :cut]
            self.backward(own.packed, at.run, at.tape, lam, exponent, by_own, _NO_TAPS, 0, self.n_steps)

        self._for_blocks(blocks, work)
        loss, right = results.sum(axis=0)
        total = gradients.sum(axis=0)
        R = total[cut:].reshape(self.n_classes, -1)
        gradient = np.concatenate([own.pulled(total[:cut]), R[:, :-1].ravel(), R[:, -1]])
        return BatchGradient(float(loss), int(right), gradient)

    def scores(self, theta: Float, inputs: Float) -> Float:
        inputs = self._checked(inputs)
        own, readout, blocks = self.packed(theta), self._readout(theta), Blocks.of(inputs.shape[2])
        scores = np.empty((self.n_classes, inputs.shape[2]))

        def work(b: int, members: slice, space: _Workspace) -> None:
            at = self._run_forward(own.packed, inputs, members, self._ready(blocks.widths[b], NOTHING, space))
            readout_scores(readout, at.block.state[self.read], at.scores)
            scores[:, members] = at.scores[:, : members.stop - members.start]

        self._for_blocks(blocks, work)
        return scores

    def _checked(self, inputs: Float) -> Float:
        if np.ndim(inputs) != 3 or np.shape(inputs)[:2] != (self.n_steps, self.n_inputs):
            raise ValueError(
                f"inputs has shape {np.shape(inputs)}; this network asks for (n_steps, n_inputs, number of "
                f"sequences) = ({self.n_steps}, {self.n_inputs}, any)."
            )
        return np.ascontiguousarray(inputs, np.float64)

    def _ready(self, width: int, kind: int, space: _Workspace) -> _Ready:
        if (width, kind) not in space.ready:
            program, n_steps, clock = self.program, self.n_steps, self.clock
            entries = 0 if kind == NOTHING else program.n_entries
            state, lam, inputs, tape = space.arrays(
                (self.dim, width), (self.dim, 1, width), (n_steps, self.n_inputs + clock.shape[1], width),
                (entries, self.entry_rows, width),
            )  # fmt: skip
            # Whether the state is finite shows in the loss: it need not be looked at on the way.
            run = Run(program.form, program.body, program.first, program.closing, n_steps, 0,
                      np.full(width, self.step_size), inputs, program.rows, n_steps + 1, 0, kind)  # fmt: skip
            counts = np.zeros(width, np.int64)
            block = Block(state, np.zeros((self.dim, 0, width)), counts, counts.copy())
            space.ready[width, kind] = _Ready(run, block, tape, lam, np.empty((self.n_classes, width)))
        return space.ready[width, kind]

    def _run_forward(self, packed: Float, inputs: Float, members: slice, at: _Ready) -> _Ready:
        """Run some sequences from rest, beside columns that see zeros."""
        take_members(inputs, members.start, members.stop, self.n_inputs, at.run.inputs)
        if self.clock.size > 0:
            at.run.inputs[:, self.n_inputs :] = self.clock[:, :, None]
        at.block.state[:] = 0.0
        self.forward(packed, at.run, at.block, at.tape, _NO_NODES, 0, self.n_steps)
        return at

    def _for_blocks(self, blocks: Blocks, work: Callable[[int, slice, _Workspace], None]) -> None:
        """``work(b, members, workspace)`` for every block."""
        members = [slice(first, first + count) for first, count in blocks.members()]

        def share_of(share: list[int]) -> None:
            space = self._workspaces.pop() if self._workspaces else _Workspace()
            for b in share:
                work(b, members[b], space)
            self._workspaces.append(space)

        blocks.run(share_of, self.threads)


_NO_NODES, _NO_TAPS = np.zeros((0, 0, 0)), Taps.none()
