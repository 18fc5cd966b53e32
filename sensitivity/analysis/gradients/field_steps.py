"""Steps of a field under a scheme, many at a time, with tangent columns.

A step begins and ends with the kick of its own node complete, as the Jacobians of single steps have it: it is
the kick with which a run begins, the operations within the step, and the kick that closes a run.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from integrators.engine.program import EXPLICIT, FIRST_ORDER
from integrators.fields.field import Field
from integrators.fields.neural import NeuralField
from integrators.fields.potential import PotentialField
from integrators.run.recurrence import Recurrence
from sensitivity.recurrences.cells.vanilla import VANILLA

from .affine import Affine, MapCotangents, Pointwise, matrix_sum
from .dual import Duals, on_points

__all__ = ["FieldSteps", "StepOperation", "closing_kick"]

Float = NDArray[np.float64]


class StepOperation(NamedTuple):
    """A kick of some weight, then a drift; where both are one operation, both act on the old state."""

    weight: float
    drift: float
    time: float
    closes: bool


class FieldSteps:
    """Steps start … start + T − 1 of every batch member, at known states and columns.

    Parameters
    ----------
    run : Recurrence
        Of a field.
    states : ndarray, shape (m, T, D)
    columns : ndarray, shape (m, T, k, D)
    start : int
    operations : list of StepOperation, optional
        Those of a step by default.
    back : bool
        Whether `pull` will be asked for.

    Attributes
    ----------
    columns : ndarray, shape (m, T, k, D)
        The columns after each of these steps.
    """

    def __init__(
        self,
        run: Recurrence,
        states: Float,
        columns: Float,
        start: int,
        operations: list[StepOperation] | None = None,
        back: bool = True,
    ) -> None:
        self._run, d = run, run.system.dim
        program = run.program()
        self._form, self._h = program.form, run.steps[:, None, None]
        self._maps: list[tuple[StepOperation, Any]] = []
        steps = np.arange(start, start + states.shape[1])
        y, p = states[..., :d], states[..., d:]
        dy, dp = columns[..., :d], columns[..., d:]
        h, each = self._h, self._h[..., None]
        for operation in _operations(program) if operations is None else operations:
            old = p, dp
            one = None
            if operation.weight != 0.0:
                one = _force(run.system, back)
                F, dF = one.forward(y, dy, self._drive(steps, operation))
                if self._form == FIRST_ORDER:
                    y, dy = y + operation.weight * h * F, dy + operation.weight * each * dF
                else:
                    p, dp = p + operation.weight * h * F, dp + operation.weight * each * dF
            if operation.drift != 0.0 and self._form != FIRST_ORDER:
                q, dq = old if self._form == EXPLICIT else (p, dp)
                y, dy = y + operation.drift * h * q, dy + operation.drift * each * dq
            self._maps.append((operation, one))
        self.columns = np.concatenate([dy, dp], axis=-1)

    def _drive(self, steps: NDArray[np.int64], operation: StepOperation) -> Float:
        """What an operation sees at every step, (m, T, n_inputs)."""
        run = self._run
        n, m = run.system.n_inputs, run.members
        if n == 0:
            return np.zeros((m, steps.size, 0))
        if callable(run.inputs):
            times = run.steps[:, None] * (steps + operation.time)
            samples = [run.inputs(t) for t in times.ravel().tolist()]
            return np.asarray(samples, dtype=np.float64).reshape(m, steps.size, n)
        rows = np.minimum(steps + operation.closes, run.n_steps - 1)
        drive = run.inputs[rows].transpose(2, 0, 1)
        return np.broadcast_to(drive, (m, *drive.shape[1:]))

    def pull(self, mu: Float, lam: Float) -> tuple[Float, Float, Float]:
        """Cotangents of states and columns, and the gradient by θ summed over the steps, (m, P)."""
        d, h, each = self._run.system.dim, self._h, self._h[..., None]
        gradient = np.zeros((len(mu), self._run.theta.size))
        mu_y, mu_p = mu[..., :d].copy(), mu[..., d:].copy()
        lam_y, lam_p = lam[..., :d].copy(), lam[..., d:].copy()
        for operation, one in reversed(self._maps):
            before = mu_y.copy(), lam_y.copy()
            drifts = operation.drift != 0.0 and self._form != FIRST_ORDER
            if drifts and self._form != EXPLICIT:
                mu_p, lam_p = mu_p + operation.drift * h * mu_y, lam_p + operation.drift * each * lam_y
            if one is not None:
                pushed = (mu_y, lam_y) if self._form == FIRST_ORDER else (mu_p, lam_p)
                back_y, back_dy, by_theta = one.pull(
                    operation.weight * h * pushed[0], operation.weight * each * pushed[1]
                )
                mu_y, lam_y = mu_y + back_y, lam_y + back_dy
                gradient += by_theta
            if drifts and self._form == EXPLICIT:
                mu_p, lam_p = (
                    mu_p + operation.drift * h * before[0],
                    lam_p + operation.drift * each * before[1],
                )
        return np.concatenate([mu_y, mu_p], axis=-1), np.concatenate([lam_y, lam_p], axis=-1), gradient


def closing_kick(run: Recurrence) -> StepOperation | None:
    """The kick that ends a step and is merged with the one that begins the next; None where there is none."""
    if run.cell is not None:
        return None
    weight = float(run.program().closing)
    return StepOperation(weight, 0.0, 1.0, True) if weight != 0.0 else None


def _operations(program: Any) -> list[StepOperation]:
    found, time = [], 0.0
    for number, (weight, drift) in enumerate(program.body.tolist()):
        own = float(program.first) if number == 0 else weight
        found.append(StepOperation(own, drift, time, False))
        time += weight if program.form in (FIRST_ORDER, EXPLICIT) else drift
    if program.closing != 0.0:
        found.append(StepOperation(float(program.closing), 0.0, 1.0, True))
    return found


def _force(field: Field, back: bool) -> Any:
    if isinstance(field, PotentialField):
        return _Potential(field, back)
    return _Neural(field, back) if isinstance(field, NeuralField) else _Callback(field)


class _Neural:
    """F = σ(W y + V x + b), which is the map of a vanilla cell."""

    def __init__(self, field: Any, back: bool) -> None:
        layout = VANILLA.layout()
        own: dict[str, Any] = {
            "W": field.W,
            "b": field.b,
            "vectors": [],
            "constants": [field.activation.code],
        }
        if field.n_inputs:
            own["V"] = field.V
        rules = (
            Pointwise(VANILLA.point, layout.out_pairs, 1),
            Pointwise(VANILLA.middle, layout.hidden_pairs, 0),
        )
        self._map, self._size = Affine(layout, rules, own, field.dim, back), field.packed.size

    def forward(self, y: Float, dy: Float, x: Float) -> tuple[Float, Float]:
        return self._map.forward(y, dy, x, None, np.ones((1, *y.shape[:2])))

    def pull(self, mu: Float, lam: Float) -> tuple[Float, Float, Float]:
        pulled = self._map.pull(mu, lam)
        return pulled.state, pulled.columns, self._flat(pulled)

    def _flat(self, pulled: MapCotangents) -> Float:
        flat = np.zeros((len(pulled.state), self._size))
        parts = [
            pulled.parameters[name].reshape(len(flat), -1) for name in "WVb" if name in pulled.parameters
        ]
        own = np.concatenate(parts, axis=1)
        flat[:, : own.shape[1]] = own
        return flat


class _Potential(_Neural):
    """F = −Wᵀ σ(W y + V x + b)."""

    def __init__(self, field: Any, back: bool) -> None:
        super().__init__(field, back)
        self._W = field.W

    def forward(self, y: Float, dy: Float, x: Float) -> tuple[Float, Float]:
        self._u, self._du = super().forward(y, dy, x)
        return -self._u @ self._W, -self._du @ self._W

    def pull(self, mu: Float, lam: Float) -> tuple[Float, Float, Float]:
        back_y, back_dy, gradient = super().pull(-mu @ self._W.T, -lam @ self._W.T)
        by_w = matrix_sum(self._u, mu) + matrix_sum(self._du, lam)
        gradient[:, : self._W.size] -= by_w.reshape(len(gradient), -1)
        return back_y, back_dy, gradient


class _Callback:
    """Any other field, by its callbacks: they run on dual numbers, all points and columns at once."""

    def __init__(self, field: Field) -> None:
        self._field = field

    def forward(self, y: Float, dy: Float, x: Float) -> tuple[Float, Float]:
        field, d = self._field, self._field.dim
        self._y, self._dy, self._x = y, dy, x
        m, T, k, _ = dy.shape
        points = m * T
        # Copies: what is given may be a view that cannot be written, which compiled functions do not take.
        flat_y, flat_x = (np.array(part.reshape(points, part.shape[-1]).T, order="C") for part in (y, x))
        columns = np.array(dy.reshape(points, k, d).transpose(2, 1, 0), order="C")
        F, dF = np.zeros((d, points)), np.zeros((d, k, points))
        field.kick(field.packed, flat_y, flat_x, np.ones(points), F, columns, dF)
        return F.T.reshape(m, T, d), dF.transpose(2, 1, 0).reshape(m, T, k, d)

    def pull(self, mu: Float, lam: Float) -> tuple[Float, Float, Float]:
        """From the adjoint of the kick: along the columns for λ, as it is for μ."""
        P, (m, T, k, _) = self._field.packed.size, lam.shape
        shape = m, T, k
        y, x = (np.broadcast_to(part[:, :, None], (*shape, part.shape[-1])) for part in (self._y, self._x))
        direct, turned, by_theta = self._adjoint(y, self._dy, x, lam)
        first, _, own = self._adjoint(self._y, None, self._x, mu)
        gradient = np.zeros((m, P))
        gradient += by_theta[1].reshape(m, T * k, P).sum(axis=1) + own[0].sum(axis=1)
        return first + turned.sum(axis=2), direct, gradient

    def _adjoint(self, y: Float, dy: Float | None, x: Float, lam: Float) -> tuple[Any, Any, Any]:
        """DFᵀ λ, its derivative along dy, and (∂F/∂θ)ᵀ λ with its derivative, at all points."""
        field, d, P = self._field, self._field.dim, self._field.packed.size
        lead = y.shape[:-1]
        n = int(np.prod(lead))
        points = np.empty((d, 1), object)
        for i in range(d):
            along = None if dy is None else dy[..., i].reshape(1, n)
            points[i, 0] = Duals(y[..., i].reshape(n), along)
        drive, given = np.empty((field.n_inputs, 1), object), np.empty((d, 1, 1), object)
        for j in range(field.n_inputs):
            drive[j, 0] = Duals(x[..., j].reshape(n))
        for i in range(d):
            given[i, 0, 0] = Duals(lam[..., i].reshape(n))
        outputs = [np.full((d, 1, 1), 0.0, object), np.full(P, 0.0, object)]
        with np.errstate(all="ignore"):
            by_y, by_theta = on_points(
                field.kick_adjoint, (field.packed, points, drive, np.ones(1), given), outputs,
                f"the field {field.name!r}",
            )  # fmt: skip
        value, turned = _parts(by_y[:, 0, 0], n)
        own = _parts(by_theta, n)
        return (
            value.reshape(*lead, d),
            turned.reshape(*lead, d),
            (
                own[0].reshape(*lead, P),
                own[1].reshape(*lead, P),
            ),
        )


def _parts(entries: NDArray[Any], n: int) -> tuple[Float, Float]:
    """Values and derivatives of some duals at n points, (n, entries) each."""
    value, along = np.zeros((n, entries.size)), np.zeros((n, entries.size))
    for i, one in enumerate(entries):
        value[:, i] = one.value if isinstance(one, Duals) else one
        if isinstance(one, Duals) and one.along is not None:
            along[:, i] = one.along[0]
    return value, along
