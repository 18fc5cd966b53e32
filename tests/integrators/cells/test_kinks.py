"""What the slope of a cell is where its rule has a kink: one-sided limits that agree, or PyTorch's choice."""

import json

import naive_cells
import numpy as np
import pytest

from integrators import ACTIVATIONS
from integrators.fields.check import differences
from sensitivity import jacobian, jacobian_norm
from sensitivity.cli import main
from sensitivity.recurrences.cell import unroll
from sensitivity.recurrences.cells.orthogonal import MODRELU, MODRELU_COMPLEX
from sensitivity.recurrences.registry import make

TURN = np.array([[0.6, -0.8], [0.8, 0.6]])


@pytest.mark.parametrize("b, slope", ((-0.3, 0.0), (0.0, 1.0), (-0.0, 1.0), (0.4, 1.0)))
def test_real_modrelu_at_zero(b, slope):
    cell = MODRELU(2, W=TURN, b=[b, b])
    for zero in (0.0, -0.0):
        value, J = cell.linearise([zero, zero])
        assert not value.any() and np.array_equal(J, slope * TURN)
    assert np.array_equal(
        J, naive_cells.jacobian(naive_cells.scornn, cell.parameters, np.zeros(2), np.zeros(0))
    )
    by_state, _, by_theta = cell.adjoint(np.zeros(2), None, np.ones(2))
    assert np.array_equal(by_state, slope * TURN.T @ np.ones(2)) and not by_theta.any()


def test_real_modrelu_with_b_0_is_the_identity_everywhere():
    cell = MODRELU(3, W=np.diag([1.0, 0.0, -1.0]))
    for s in ([1.0, 2.0, 3.0], [0.0, 2.0, 0.0], [-1e-320, 0.0, 1e300]):
        value, J = cell.linearise(s)
        assert np.array_equal(value, np.diag(cell.parameters["W"]) * s) and np.array_equal(
            J, cell.parameters["W"]
        )


@pytest.mark.parametrize("b, slope", ((-0.3, 0.0), (0.3, 1.0)))
def test_real_modrelu_at_the_edge_of_its_dead_zone_is_like_relu(b, slope):
    cell = MODRELU(1, W=[[1.0]], b=[b])
    assert cell.linearise([0.3])[1] == slope and cell.linearise([-0.3])[1] == slope


@pytest.mark.parametrize("name", ("scornn", "enrnn", "exprnn"))
def test_orthogonal_networks_from_the_zero_state(name, capsys):
    cell = make(name, 8)
    theta = cell.theta.copy()
    cell.unpack(theta)[0]["b"][...] = 0.0
    W = cell.parameters["W"]
    J = jacobian(unroll(cell.with_theta(theta), 100))
    assert np.abs(J - np.linalg.matrix_power(W, 100)).max() <= 1e-12
    if name == "scornn":  # its published start
        assert jacobian_norm(unroll(cell, 1000)) == pytest.approx(1.0, abs=1e-12)
        assert main(["norm", "--model", "scornn", "--d", "8", "--n-steps", "100", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["results"]["norm"][0] == pytest.approx(1.0, abs=1e-12)


def of_one(b, inside=0.0, outside=0.0):
    return MODRELU_COMPLEX(1, W=TURN, b=[b], inside=inside, outside=outside)


@pytest.mark.parametrize(
    "b, inside, outside, slope",
    (
        (-0.3, 0.0, 0.0, 0.0),
        (0.0, 0.0, 0.0, 1.0),
        (0.3, 0.0, 0.0, 1.0),  # a jump: the slope along a line through 0
        (-0.3, 0.0, 1e-2, 0.0),
        (0.0, 0.0, 1e-2, 0.0),
        (0.3, 0.0, 1e-2, 30.0),
        (-0.3, 1e-4, 1e-2, 0.0),
        (0.0, 1e-4, 1e-2, 0.5),
        (0.3, 1e-4, 1e-2, 15.5),
    ),
)
def test_complex_modrelu_at_zero(b, inside, outside, slope):
    cell = of_one(b, inside, outside)
    value, J = cell.linearise(np.zeros(2))
    assert not value.any() and np.abs(J - slope * TURN).max() <= 1e-13 * max(1.0, slope)
    twin = naive_cells.jacobian(naive_cells.urnn, cell.parameters, np.zeros(2), np.zeros(0))
    assert np.abs(twin - J).max() <= 1e-13 * max(1.0, slope)
    if outside:  # differentiable there
        h = 1e-9
        by_hand = [(cell.step(h * e) - cell.step(-h * e)) / (2 * h) for e in np.eye(2)]
        assert np.abs(np.array(by_hand).T - J).max() <= 1e-6 * max(1.0, slope)
    assert np.linalg.norm(J, 2) <= np.exp(cell.log_bound(np.ones(()), 1))


@pytest.mark.parametrize("size", (1e-320, 1e-200, 1e-160, 1e-120, 1e-99, 1e-90))
@pytest.mark.parametrize("outside", (0.0, 1e-5))
@pytest.mark.parametrize("b", (-0.2, 0.0, 0.3))
def test_complex_modrelu_next_to_zero(size, outside, b):
    """The published formula in a direction of its own: gains (r + b)/(r + e) across, its derivative along."""
    cell = MODRELU_COMPLEX(1, W=np.eye(2), b=[b], outside=outside)
    c, s = 0.6, 0.8
    value, J = cell.linearise([size * c, size * s])
    across = (size + b) / (size + outside) if b >= 0 else 0.0
    along = (size / (size + outside)) * (1 + (outside - b) / (size + outside)) + b / (size + outside)
    along = along if b >= 0 else 0.0
    if size * max(across, size) > 1e-300:
        assert value == pytest.approx(across * size * np.array([c, s]), rel=1e-12, abs=0)
    if b == 0.0 or outside > 0.0:  # the gain across is moderate
        U = np.array([[c, -s], [s, c]])
        tolerance = 1e-12 if size > 1e-310 else 1e-3  # numbers of few digits
        assert np.abs(U.T @ J @ U - np.diag([along, across])).max() <= tolerance * max(1.0, across)
    elif b < 0:
        assert not J.any()
    elif size > 1e-308:
        assert np.linalg.norm(J, 2) == pytest.approx(b / size, rel=1e-3)
    else:
        assert not np.isfinite(J).all()  # b/|z| is beyond float64


def test_unitary_networks_from_the_zero_state():
    for name in ("urnn", "scurnn"):
        cell = make(name, 4)
        found = cell.linearise(np.zeros(8))[1]
        by_hand = differences(lambda s, cell=cell: cell.step(1e-9 * s), np.zeros(8)) * 1e9
        assert np.abs(found - by_hand).max() <= 1e-5 * np.abs(found).max()


def test_relu_has_slope_0_at_0_as_pytorch_takes_it():
    assert ACTIVATIONS["relu"].derivative([0.0, -0.0, 5e-324]).tolist() == [0.0, 0.0, 1.0]
    cell = make("irnn", 3)
    assert not cell.linearise(np.zeros(3))[1].any()
    for smooth in ("softsign", "tanh", "erf", "arctan", "sin", "identity"):
        record = ACTIVATIONS[smooth]
        h = 1e-6
        assert record.derivative(0.0) == pytest.approx((record(h) - record(-h)) / (2 * h), rel=1e-5)
