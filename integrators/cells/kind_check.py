"""One check of a kind of cell, at its first use: its rules fill what they are said to fill, and rightly.

A rule that leaves out a slope would have old memory read, and one that depends on more than its table says a
Jacobian without that part; neither shows in the values.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from integrators.singular_values import spectral_norm

if TYPE_CHECKING:
    from .cell import Cell
    from .kind import Kind

__all__ = ["bound_of", "check_bound", "check_inverse", "check_kind"]

Float = NDArray[np.float64]
# Richardson-extrapolated differences are good to about 1e-10; a wrong slope is off by far more.
TOLERANCE = 1e-6
POINTS = 8

# A bound is compared with Jacobians of cells of at most so many state components.
BOUND_DIM = 64

_CHECKED: set[tuple[Any, ...]] = set()


class _Rule(NamedTuple):
    """A pointwise kernel with what it is said to fill."""

    kind: Kind
    what: str  # "point" or "middle"
    constants: Float
    blocks: tuple[str, ...]
    depends: dict[str, list[str]]

    def __call__(self, v: Float, fill: float = np.nan) -> tuple[Float, Float]:
        """Values and slopes, with `fill` where the kernel writes nothing."""
        out = np.full((len(self.blocks), v.shape[1]), fill)
        slopes = np.full((len(self.blocks), len(self.kind.locals), v.shape[1]), fill)
        getattr(self.kind, self.what)(self.constants.copy(), v, out, slopes)
        return out, slopes

    def refused(self, reason: str) -> ValueError:
        return ValueError(f"the kind {self.kind.name!r}: {self.what} {reason}")


def check_kind(cell: Cell) -> None:
    """Raise ValueError, naming the entry, unless the rules of the cell's kind are what its table says.

    At several points, some of them of positive numbers only: each block and each listed slope is filled, the
    slopes are those of the values, nothing else makes a difference, and a neuron depends on itself alone.
    Once for every kind; kinds of `own_cell` and `symbolic_cell` were checked when they were made.
    """
    kind = cell.kind
    if kind.point.recipe or not cell.compiled:
        return
    if callable(kind.linear) and cell.constant_jacobian:
        _check_linear_cell(cell)
    tables = (tuple((k, tuple(v.split())) for k, v in (t or {}).items()) for t in (kind.depends, kind.hidden))
    key = (kind.point.function, kind.middle.function, kind.locals, *tables)
    if key in _CHECKED:
        return
    clock = cell.clock(2)[1]
    own = np.array([float(cell.parameters[name]) for name in kind.constants or {}])
    for what, blocks, table in (
        ("middle", tuple(kind.hidden or {}), kind.hidden or {}),
        ("point", kind.state, kind.depends),
    ):
        depends = {block: table[block].split() for block in blocks}
        # The default constants first: those of a cell may make a rule of steps, as a grid does.
        default = np.array([float(value) for value in (kind.constants or {}).values()])
        rules = [_Rule(kind, what, constants, blocks, depends) for constants in (default, own)]
        if blocks and not any(_is_right(rule, cell.step_size, clock) for rule in rules[: 1 + bool(own.size)]):
            continue  # no point of its domain is known
    _CHECKED.add(key)


def _is_right(rule: _Rule, step: float, clock: Float) -> bool:
    """Whether the rule could be checked, at points where it is finite; raises where it is wrong."""
    rng = np.random.default_rng(2019)
    v = np.empty((len(rule.kind.locals) + 1 + clock.size, 2 * POINTS))
    v[: len(rule.kind.locals)] = rng.normal(size=(len(rule.kind.locals), 2 * POINTS))
    v[:, POINTS:] = np.abs(v[:, POINTS:])
    v[len(rule.kind.locals)], v[len(rule.kind.locals) + 1 :] = step, clock[:, None]
    given = v.copy()
    out, slopes = rule(v)
    if not np.array_equal(v, given):
        raise rule.refused("changes v, which it may only read.")
    _check_filled(rule, v, out, slopes)
    good = np.isfinite(out).all(axis=0)
    moved = v.copy()
    moved[: len(rule.kind.locals), 0] += 0.1
    alone = np.array_equal(rule(moved)[0][:, 1:], out[:, 1:], equal_nan=True)
    if not alone:
        raise rule.refused("makes one neuron or member depend on another; it must work entry by entry.")
    if not good.any():
        return False
    if rule.kind.linear is True:
        _check_linear(rule, v, slopes)
    for number, local in enumerate(rule.kind.locals):
        expected, trusted = _differences(rule, v, number)
        for b, block in enumerate(rule.blocks):
            listed = local in rule.depends[block]
            _compare(
                rule, block, local, slopes[b, number] if listed else None, expected[b], good & trusted[b]
            )
    return True


def _check_linear_cell(cell: Cell) -> None:
    """`_check_linear` for a cell whose constants make its rules linear; once for each choice of these."""
    kind = cell.kind
    constants = np.array([float(cell.parameters[name]) for name in kind.constants or {}])
    key = ("linear", kind.point.function, kind.middle.function, kind.locals, *constants.tolist())
    if key in _CHECKED:
        return
    v = np.random.default_rng(2019).normal(size=(len(kind.locals) + 1, 2 * POINTS))
    v[len(kind.locals)] = cell.step_size
    for what, table in (("middle", kind.hidden or {}), ("point", kind.depends)):
        depends = {block: listed.split() for block, listed in table.items()}
        rule = _Rule(kind, what, constants, tuple(depends), depends)
        if depends:
            _check_linear(rule, v, rule(v)[1])
    _CHECKED.add(key)


def _check_linear(rule: _Rule, v: Float, slopes: Float) -> None:
    """Slopes by pre-activations and state are the same at other ones of these."""
    count = len(rule.kind.locals) - len(rule.kind.vectors)
    moved = v.copy()
    moved[:count] = 0.7 - 0.5 * moved[:count]
    other = rule(moved)[1]
    for b, block in enumerate(rule.blocks):
        for local in set(rule.depends[block]) & set(rule.kind.locals[:count]):
            number = rule.kind.locals.index(local)
            if not np.array_equal(slopes[b, number], other[b, number]):
                raise rule.refused(
                    f"is said to be linear, but ∂{block}/∂{local} depends on the state or input."
                )


def _check_filled(rule: _Rule, v: Float, out: Float, slopes: Float) -> None:
    other_out, other_slopes = rule(v, fill=0.5)
    for b, block in enumerate(rule.blocks):
        if (np.isnan(out[b]) & (other_out[b] == 0.5)).any():
            raise rule.refused(f"leaves {block} unfilled at some points; it must fill every out[{b}, f].")
        for local in rule.depends[block]:
            number = rule.kind.locals.index(local)
            if (np.isnan(slopes[b, number]) & (other_slopes[b, number] == 0.5)).any():
                raise rule.refused(
                    f"leaves ∂{block}/∂{local} unfilled at some points, which its table lists; fill "
                    f"slopes[{b}, {number}, f], or take {local!r} off the table."
                )


def _differences(rule: _Rule, v: Float, local: int) -> tuple[Float, NDArray[np.bool_]]:
    """Slopes by one local at all points, and where two sizes of differences agree: not next to a kink."""

    def richardson(h: float) -> Float:
        steps = []
        for size in (h, h / 2):
            moved = [v.copy(), v.copy()]
            moved[0][local] += size
            moved[1][local] -= size
            steps.append((rule(moved[0])[0] - rule(moved[1])[0]) / (2 * size))
        return (4 * steps[1] - steps[0]) / 3

    with np.errstate(all="ignore"):
        coarse, fine = richardson(1e-3), richardson(2.5e-4)
        trusted = np.abs(coarse - fine) <= TOLERANCE * np.maximum(1.0, np.abs(fine))
    return fine, trusted


def _compare(
    rule: _Rule, block: str, local: str, slope: Float | None, expected: Float, at: NDArray[np.bool_]
) -> None:
    found = np.zeros_like(expected) if slope is None else slope
    error = np.where(at, np.abs(found - expected), 0.0)
    wrong = ~(error <= TOLERANCE * np.maximum(1.0, np.abs(expected))) & at
    if not wrong.any():
        return
    where = int(np.flatnonzero(wrong)[0])
    if slope is None:
        raise rule.refused(
            f"makes {block} depend on {local}, with slope {expected[where]:.6g}, which its table does not "
            f"list; add {local!r} to the locals of {block!r}."
        )
    raise rule.refused(
        f"gives ∂{block}/∂{local} = {found[where]:.6g} where differences give {expected[where]:.6g}; "
        "correct it."
    )


def check_inverse(cell: Cell) -> None:
    """Raise ValueError unless the inverse of the cell's kind takes a step back; once for every kind."""
    kind = cell.kind
    key = (kind.inverse, kind.point.function)
    if kind.inverse is None or key in _CHECKED:
        return
    back = kind.inverse(cell)
    rng = np.random.default_rng(2019)
    grid = float(cell.parameters.get("grid", np.zeros(())))
    s, x = 0.5 * rng.normal(size=cell.dim), rng.normal(size=cell.n_inputs)
    s = np.rint(s / grid) * grid if grid > 0.0 else s
    layers = cell.layout.layers > 1  # the layer below is to be still after its step: the sweep sees to that
    found = s if layers else back.stepped(cell.stepped(s, x), x)
    if np.isfinite(found).all() and not np.abs(found - s).max() <= TOLERANCE * max(1.0, np.abs(s).max()):
        worst = int(np.argmax(np.abs(found - s)))
        raise ValueError(
            f"the kind {kind.name!r}: its inverse takes s[{worst}] = {s[worst]:.6g} after one step back to "
            f"{found[worst]:.6g}; correct it."
        )
    if not layers:
        _CHECKED.add(key)


def bound_of(cell: Cell, h: Float, n_steps: int, s0: ArrayLike | None = None) -> Float:
    """The logarithm of the bound of the cell's kind, for initial states s0, zero by default."""
    assert cell.kind.bound is not None
    with np.errstate(over="ignore", invalid="ignore"):
        if not cell.kind.bound_needs_start:
            return cell.kind.bound(cell, h, n_steps)
        return cell.kind.bound(cell, h, n_steps, _size_of(cell, s0))


def _size_of(cell: Cell, s0: ArrayLike | None) -> dict[str, float]:
    """The largest entry of every block of the initial states, in absolute value."""
    states = np.abs(np.zeros(cell.dim) if s0 is None else np.asarray(s0, dtype=np.float64))
    if states.shape[-1:] != (cell.dim,):
        raise ValueError(f"s0 has shape {states.shape}; the state of {cell!r} has {cell.dim} entries.")
    return {name: float(states[..., part].max(initial=0.0)) for name, part in cell.blocks.items()}


def check_bound(cell: Cell) -> None:
    """Raise ValueError if the bound of the cell's kind lies below the Jacobian of one step at a random state.

    Once for every kind, at the first cell of moderate size; it cannot prove a bound.
    """
    kind = cell.kind
    key = (kind.bound, kind.point.function)
    if kind.bound is None or key in _CHECKED or cell.dim > BOUND_DIM:
        return
    rng, part = np.random.default_rng(2019), cell.blocks.get(cell.default_block, slice(None))
    for scale in (0.0, 1.0, 1.0, 1.0):
        s, x = scale * rng.normal(size=cell.dim), scale * rng.normal(size=cell.n_inputs)
        log_bound = np.ravel(bound_of(cell, np.full(1, cell.step_size), 1, s))[0]
        J = cell.linearise(s, x)[1][part, part]
        if np.isfinite(J).all():
            with np.errstate(divide="ignore"):
                norm = float(np.log(spectral_norm(J)))
            if norm > log_bound + TOLERANCE:
                raise ValueError(
                    f"the kind {kind.name!r}: its bound exp({log_bound:.6g}) lies below the norm "
                    f"exp({norm:.6g}) of one step; correct it."
                )
    _CHECKED.add(key)
