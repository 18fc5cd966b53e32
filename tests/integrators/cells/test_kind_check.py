"""A kind of cell is looked at when it is first used: its slopes, its table, its clock, inverse and bound."""

import math
from dataclasses import replace

import numpy as np
import pytest

from integrators import Field, own_cell
from integrators.cells.cell import Kind
from integrators.cells.kind_check import check_bound, check_inverse, check_kind
from integrators.cells.layout import POINT
from integrators.codegen.compiled import kernel
from integrators.fields.activations import TANH, activate
from sensitivity import jacobian
from sensitivity.recurrences.cell import unroll
from sensitivity.recurrences.registry import MODELS, make


@kernel(POINT)
def right(constants, v, out, slopes):
    for f in range(v.shape[1]):  # h' = tanh(a) + k h: a, h, k are rows 0, 1, 2
        t = math.tanh(v[0, f])
        out[0, f] = t + v[2, f] * v[1, f]
        slopes[0, 0, f], slopes[0, 1, f], slopes[0, 2, f] = 1 - t * t, v[2, f], v[1, f]


@kernel(POINT)
def one_unfilled(constants, v, out, slopes):
    for f in range(v.shape[1]):
        t = math.tanh(v[0, f])
        out[0, f] = t + v[2, f] * v[1, f]
        slopes[0, 0, f], slopes[0, 2, f] = 1 - t * t, v[1, f]


@kernel(POINT)
def unfilled_where_negative(constants, v, out, slopes):
    for f in range(v.shape[1]):
        out[0, f] = max(v[0, f], 0.0) + v[2, f] * v[1, f]
        slopes[0, 1, f], slopes[0, 2, f] = v[2, f], v[1, f]
        if v[0, f] > 0:
            slopes[0, 0, f] = 1.0


@kernel(POINT)
def wrong_sign(constants, v, out, slopes):
    for f in range(v.shape[1]):
        t = math.tanh(v[0, f])
        out[0, f] = t - v[2, f] * v[1, f]
        slopes[0, 0, f], slopes[0, 1, f], slopes[0, 2, f] = 1 - t * t, v[2, f], -v[1, f]


@kernel(POINT)
def value_unfilled(constants, v, out, slopes):
    for f in range(v.shape[1]):
        slopes[0, 0, f] = slopes[0, 1, f] = slopes[0, 2, f] = 0.0


@kernel(POINT)
def mixing(constants, v, out, slopes):
    for f in range(v.shape[1]):
        out[0, f] = v[0, f] + v[1, 0]
        slopes[0, 0, f], slopes[0, 1, f], slopes[0, 2, f] = 1.0, 0.0, 0.0


@kernel(POINT)
def overwriting(constants, v, out, slopes):
    activate(TANH, v[0], v[0], slopes[0, 0])
    for f in range(v.shape[1]):
        out[0, f] = v[0, f]
        slopes[0, 1, f] = slopes[0, 2, f] = 0.0


def kind(point, depends="a h k", **more):
    return Kind(name="mine", state=("h",), rows=("a",), point=point, depends={"h": depends}, recurrent=1,
                vectors=("k",), **more)  # fmt: skip


def uses(cell):
    """Everything that a wrong slope would spoil."""
    return (
        lambda: cell.linearise(np.ones(cell.dim)),
        lambda: cell.adjoint(np.ones(cell.dim), None, np.ones(cell.dim)),
        lambda: jacobian(unroll(cell, 3)),
    )


@pytest.mark.parametrize(
    "point, depends, message",
    (
        (one_unfilled, "a h k", r"leaves ∂h/∂h unfilled"),
        (unfilled_where_negative, "a h k", r"leaves ∂h/∂a unfilled at some points"),
        (wrong_sign, "a h k", r"gives ∂h/∂h = "),
        (value_unfilled, "a h k", r"leaves h unfilled"),
        (right, "a k", r"makes h depend on h.*does not list"),
        (right, "h k", r"makes h depend on a.*does not list"),
        (right, "a h", r"makes h depend on k.*does not list"),
        (right, "", r"makes h depend on .*does not list"),
        (mixing, "a h k", r"makes one neuron or member depend on another"),
        (overwriting, "a h k", r"changes v"),
    ),
)
def test_a_wrong_rule_is_refused_at_its_first_use(point, depends, message):
    cell = kind(point, depends)(3, W=np.eye(3), k=np.full(3, 0.5))
    for use in uses(cell):
        with pytest.raises(ValueError, match=f"the kind 'mine': point {message}"):
            use()


def test_a_right_rule_passes_and_has_the_right_jacobian():
    cell = kind(right)(3, W=np.eye(3), k=np.full(3, 0.5))
    for use in uses(cell):
        use()
    s = np.array([0.1, -0.2, 0.3])
    assert np.abs(cell.linearise(s)[1] - np.diag(1 - np.tanh(s) ** 2 + 0.5)).max() <= 1e-15


def test_tables_are_held_against_their_names():
    for depends in ("a a h k", "a h k nowhere"):
        with pytest.raises(ValueError, match=r"depends\['h'\] must list some of a, h, k, each once"):
            kind(right, depends)(2)
    with pytest.raises(ValueError, match=r"depends\['g'\] is no block"):
        replace(kind(right), depends={"h": "a h k", "g": "a"})(2)
    with pytest.raises(ValueError, match="two locals"):
        replace(kind(right), vectors=("a",), depends={"h": "a h"})(2)


@pytest.mark.parametrize("name", ("gru_before", "lem", "sbo", "momentum_lstm"))
def test_the_table_of_every_block_matters(name):
    """Cells of one and of two stages: no entry of a table can be left out unnoticed."""
    found = make(name, 3, 2)
    for field in ("depends", "hidden"):
        table = getattr(found.kind, field) or {}
        for block, listed in table.items():
            for local in listed.split():
                fewer = " ".join(other for other in listed.split() if other != local)
                wrong = found._with(
                    found.packed, found._free, replace(found.kind, **{field: {**table, block: fewer}})
                )
                with pytest.raises(ValueError, match="does not list"):
                    check_kind(wrong)


@pytest.mark.parametrize("name", tuple(MODELS))
def test_every_kind_of_ours_passes(name):
    cell = make(name, 4, 2)
    check_kind(cell)
    check_bound(cell)
    check_inverse(cell)


def test_a_clock_of_another_shape_is_refused():
    for clock in (
        lambda cell, n: np.ones(n),
        lambda cell, n: np.ones((n, 2)),
        lambda cell, n: np.ones((n + 1, 1)),
    ):
        with pytest.raises(ValueError, match="clock of the kind 'mine'"):
            unroll(kind(right, clock=clock, clock_rows=1)(2), 3)


def test_an_inverse_that_does_not_undo_is_refused():
    cell = make("staggered", 3)
    wrong = cell._with(cell.packed, cell._free, replace(cell.kind, inverse=lambda own: own))
    with pytest.raises(ValueError, match="its inverse takes"):
        check_inverse(wrong)
    check_inverse(cell)


def test_a_bound_below_the_jacobian_is_refused():
    cell = make("scornn", 4)
    wrong = cell._with(
        cell.packed, cell._free, replace(cell.kind, bound=lambda own, h, n_steps: np.full(h.shape, -1.0))
    )
    with pytest.raises(ValueError, match=r"its bound exp\(-1\) lies below"):
        wrong.log_bound(1.0, 10)


def kinked_kick(theta, y, x, c, p, dy, dp):
    for q in range(y.shape[1]):
        slope = 2.0 if y[0, q] > 0 else 0.5
        p[0, q] -= c[q] * slope * y[0, q]
        for k in range(dy.shape[1]):
            dp[0, k, q] -= c[q] * slope * dy[0, k, q]


def kinked_adjoint(theta, y, x, c, lam_p, lam_y, grad_theta):
    for q in range(y.shape[1]):
        slope = 2.0 if y[0, q] > 0 else 0.5
        for k in range(lam_p.shape[1]):
            lam_y[0, k, q] -= c[q] * slope * lam_p[0, k, q]


def one_sided_kick(theta, y, x, c, p, dy, dp):
    for q in range(y.shape[1]):
        p[0, q] -= c[q] * (2.0 if y[0, q] > 0 else 0.5) * y[0, q]
        for k in range(dy.shape[1]):
            dp[0, k, q] -= c[q] * 0.5 * dy[0, k, q]


def one_sided_adjoint(theta, y, x, c, lam_p, lam_y, grad_theta):
    for q in range(y.shape[1]):
        for k in range(lam_p.shape[1]):
            lam_y[0, k, q] -= c[q] * 0.5 * lam_p[0, k, q]


def test_a_field_is_checked_at_several_points():
    """One random point lies on one side of the kink only."""
    Field(1, kinked_kick, kinked_adjoint)
    with pytest.raises(ValueError, match="the tangent of kick"):
        Field(1, one_sided_kick, kinked_adjoint)
    with pytest.raises(ValueError, match="lam_y of kick_adjoint"):
        Field(1, kinked_kick, one_sided_adjoint)


def test_an_own_cell_is_checked_at_several_states():
    def step(theta, s, x, out, by_state):
        for q in range(s.shape[1]):
            out[0, q], by_state[0, 0, q] = (2.0 if s[0, q] > 0 else 0.5) * s[0, q], 0.5

    with pytest.raises(ValueError, match="∂Φ_i/∂s_j"):
        own_cell(step, lambda theta, s, x, by_theta, by_input: None, 1)
