"""PyTorch: torch.func as its documentation teaches, and tangents written out by hand."""

# pyright: reportMissingImports=false
# The libraries compared with are not part of the development set-up.

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from .candidate import Candidate, NotAvailable, Run
from .work import Work

__all__ = ["candidates", "settings"]

# Compiling pays where the columns of a step are more than a few numbers, and not where BLAS is all there is.
COMPILED_DIMS = range(10, 257)


def _tensors(work: Work, cores: int) -> tuple[Tensor, Tensor, Tensor]:
    torch.set_num_threads(cores)
    return torch.tensor(work.steps), torch.tensor(work.W), torch.tensor(work.b)


def vmap_jacfwd(work: Work, cores: int) -> Run:
    """vmap(jacfwd(loop)), eagerly."""
    steps, W, b = _tensors(work, cores)

    def trajectory(y: Tensor, h: Tensor) -> Tensor:
        if work.scheme == "euler":
            for _ in range(work.n_steps):
                y = y + h * torch.tanh(W @ y + b)
            return y
        p = h / 2 * torch.tanh(W @ y + b)
        y = y + h * p
        for _ in range(work.n_steps - 1):
            p = p + h * torch.tanh(W @ y + b)
            y = y + h * p
        return y

    jacobian = torch.func.vmap(torch.func.jacfwd(trajectory), in_dims=(None, 0))
    start = torch.zeros(work.d, dtype=torch.float64)
    return lambda: jacobian(start, steps)


State = tuple[Tensor, Tensor, Tensor, Tensor]


def _start(work: Work, h: Tensor, W: Tensor, b: Tensor) -> State:
    """After the first step: y, p and their columns (d, k, members); the product with the identity is W."""
    s = torch.tanh(b)[:, None].expand(work.d, h.numel())
    first = (1.0 - s * s)[:, None] * W[:, :, None]
    eye = torch.eye(work.d, dtype=torch.float64)[:, :, None]
    if work.scheme == "euler":
        return h * s, s, eye + h * first, first
    p, P = h / 2 * s, h / 2 * first
    return h * p, p, eye + h * P, P


@torch.inference_mode()
def _in_place(work: Work, h: Tensor, W: Tensor, b: Tensor) -> Tensor:
    y, p, T, P = _start(work, h, W, b)
    product = torch.empty_like(T)
    square, bias = (part.view(work.d, -1) for part in (product, b))
    for _ in range(work.n_steps - 1):
        s = torch.addmm(bias, W, y).tanh_()
        ds = torch.addcmul(h, h * s, s, value=-1.0)[:, None]
        torch.mm(W, T.view(work.d, -1), out=square)
        if work.scheme == "euler":
            y.addcmul_(h, s)
            T.addcmul_(ds, product)
        else:
            p.addcmul_(h, s)
            P.addcmul_(ds, product)
            y.addcmul_(h, p)
            T.addcmul_(h, P)
    return T.permute(2, 0, 1)


def tangents(members: int, work: Work, cores: int) -> Run:
    """Columns (d, k, members) changed in place, one product a step, in blocks of so many members."""
    steps, W, b = _tensors(work, cores)
    return lambda: torch.cat([_in_place(work, h, W, b) for h in torch.split(steps, members)])


def _one_step(
    scheme: str, y: Tensor, p: Tensor, T: Tensor, P: Tensor, h: Tensor, W: Tensor, b: Tensor
) -> State:
    s = torch.tanh(torch.addmm(b, W, y))
    force = (h * (1.0 - s * s))[:, None] * (W @ T.view(T.shape[0], -1)).view(T.shape)
    if scheme == "euler":
        return y + h * s, p, T + force, P
    p, P = p + h * s, P + force
    return y + h * p, p, T + h * P, P


def compiled(work: Work, cores: int) -> Run:
    """One step through torch.compile, if there is a C++ compiler that it can use."""
    steps, W, b = _tensors(work, cores)
    step = torch.compile(partial(_one_step, work.scheme))
    bias = b[:, None]

    @torch.inference_mode()
    def run() -> Tensor:
        state = _start(work, steps, W, b)
        for _ in range(work.n_steps - 1):
            state = step(*state, steps, W, bias)
        return state[2].permute(2, 0, 1)

    try:
        run()
    except Exception as error:
        raise NotAvailable(f"torch.compile: {type(error).__name__}") from error
    return run


def norms(prepare: Callable[[Work, int], Run]) -> Callable[[Work, int], Run]:
    """‖J‖₂ of what `prepare` gives."""

    def of(work: Work, cores: int) -> Run:
        run = prepare(work, cores)

        def largest() -> Tensor:
            J = run()
            return torch.linalg.eigvalsh(J @ J.mT)[:, -1].sqrt()

        return largest

    return of


def candidates(work: Work, cores: int) -> list[Candidate]:
    """The familiar way, and the tangents written out."""
    ways: dict[str, Callable[[Work, int], Run]] = {"vmap(jacfwd)": vmap_jacfwd}
    ways["tangents, in place"] = partial(tangents, work.members)
    if work.d in range(32, 257):
        ways["tangents, in place, blocks of 5"] = partial(tangents, 5)
    if work.d in COMPILED_DIMS:
        ways["tangents, torch.compile"] = compiled
    if work.what == "norm":
        ways = {name: norms(prepare) for name, prepare in ways.items()}

    def to_numpy(result: Any) -> Any:
        return result.numpy()

    return [Candidate(name, prepare, to_numpy, familiar="jacfwd" in name) for name, prepare in ways.items()]


def settings(cores: int) -> str:
    """What the user of this library could set, as it is set here."""
    torch.set_num_threads(cores)
    return f"float64, {torch.get_num_threads()} threads, inference mode where it is written out"
