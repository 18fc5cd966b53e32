"""The scan form of linear recurrences, h_n = J_n h_{n−1} + c_n, gives the states and products of the loop."""

import numpy as np
import pytest

import leapgrad as lg

# Cells whose step is affine in the state, with coefficients of the input alone.
LINEAR = "linoss_im linoss_imex linoss_vv dlinoss lru s4d s6 rg_lru mingru minlstm".split()


def combined(J, c):
    """Products and offsets of all prefixes by the associative combination, in log₂ N rounds of doubling.

    (J₂, c₂) after (J₁, c₁) is (J₂ J₁, J₂ c₁ + c₂), so that entry n holds steps max(0, n − 2ᵏ + 1) … n after
    k rounds.
    """
    J, c, shift = J.copy(), c.copy(), 1
    while shift < len(J):
        products = J[shift:] @ J[:-shift]
        offsets = np.einsum("nij,nj->ni", J[shift:], c[:-shift]) + c[shift:]
        J[shift:], c[shift:] = products, offsets
        shift *= 2
    return J, c


# Catches: a gate that reads the state, an offset of another step, states that drift from the closed form.
@pytest.mark.parametrize("name", LINEAR)
def test_scan_and_loop_agree(name):
    n, rng = 200, np.random.default_rng(3)
    cell = lg.cell(name, 4, 2, rng=1)
    inputs, start = rng.normal(size=(n, 2)), rng.normal(size=cell.dim)
    pairs = [cell.linearise(np.zeros(cell.dim), x, index=k) for k, x in enumerate(inputs)]
    J, c = combined(np.array([one[1] for one in pairs]), np.array([one[0] for one in pairs]))
    run = lg.unroll(cell, s0=start, inputs=inputs, progress=False)
    states = run.states()
    by_scan = np.einsum("nij,j->ni", J, start) + c
    scale = max(1.0, np.abs(states).max())
    np.testing.assert_allclose(states.reshape(n + 1, cell.dim)[1:], by_scan, rtol=0, atol=1e-12 * scale)
    np.testing.assert_allclose(lg.jacobian(run, block="state"), J[-1], rtol=0, atol=1e-12 * np.abs(J).max())


# Catches: a state that is not affine in the one before, for which the test above would say nothing.
def test_a_gru_has_no_scan():
    cell, x = lg.cell("gru", 4, 2, rng=1), np.array([0.3, -0.2])
    zero, J = cell.linearise(np.zeros(4), x)
    s = np.ones(4)
    assert np.abs(cell.step(s, x) - (J @ s + zero)).max() > 1e-3


# Catches: a rate that may be given in one of its two usual forms only; rates of both signs that are taken.
def test_the_rate_of_s6_comes_with_its_sign_or_as_a_size():
    runs = [lg.unroll(lg.cell("s6", 2, 1, A=A, dt=4), n_steps=2048) for A in (-1e-4, 1e-4)]
    norms = [float(lg.jacobian_norm(run, block="state")) for run in runs]
    assert norms == pytest.approx([np.exp(-2048 * 4 * 1e-4)] * 2, rel=1e-12)
    for A in (0.0, [-1.0, 1.0]):
        with pytest.raises(ValueError, match="A must be negative, or the size of a negative rate"):
            lg.cell("s6", 2, 1, A=A)
    with pytest.raises(ValueError, match="A must be at least 0"):
        lg.cell("linoss_im", 2, A=-1.0)
