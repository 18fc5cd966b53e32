"""Backward sweeps over long runs: with checkpoints, and with a trajectory that is reconstructed."""

import re
import subprocess
import sys

import numpy as np
import pytest
from conftest import NOJIT

from integrators import SCHEMES, NeuralField, integrate
from integrators.run import checkpoint
from integrators.run.checkpoint import Segmentation
from integrators.run.pullback import checkpointed_pullback
from integrators.run.reversed import reversed_pullback
from sensitivity import OdeRecurrence

SYMMETRIC = [name for name, scheme in SCHEMES.items() if scheme.is_symmetric]
N = 600
ROOMY, TIGHT = 1 << 30, 150_000


def make(name, d, members, driven, random_field, n_steps=N, field=None):
    """A problem and two cotangent columns."""
    rng = np.random.default_rng(4)
    field = field or random_field(d, 2 if driven else 0)
    inputs = {"rows": rng.normal(size=(n_steps, 2)), "time": lambda t: [np.sin(t), 1.0], "": None}[driven]
    step = 0.05 if members == 1 else np.geomspace(0.01, 0.2, members)
    problem = OdeRecurrence(field, name, step, n_steps, rng.normal(size=d), rng.normal(size=d), inputs)
    return problem, rng.normal(size=(problem.state_size, 2))


def threaded(problem, threads):
    return problem.select(slice(None), threads=threads)


def layout(problem, k, memory_bytes, threads=1):
    return Segmentation.of(threaded(problem, threads), problem.program(), k, memory_bytes)


def least(problem, k, threads=1):
    """The smallest memory that is accepted."""
    with pytest.raises(ValueError, match="too small") as error:
        layout(problem, k, 1, threads)
    each, threads = map(int, re.search(r"need (\d+) on each of (\d+)", str(error.value)).groups())
    return each * threads


def same_bits(found, expected):
    return (
        np.array_equal(found.columns.values, expected.columns.values)
        and np.array_equal(found.columns.exponent, expected.columns.exponent)
        and np.array_equal(found.gradient, expected.gradient)
    )


# ------------------------------------------------------------------------------------ checkpoints


@pytest.mark.parametrize("driven", ["", "rows", "time"])
@pytest.mark.parametrize("name", SCHEMES)
def test_checkpoints_change_no_bit(name, driven, random_field):
    """Would catch a wrong merged kick, input row or tape entry where two segments meet."""
    problem, lam = make(name, 3, 1, driven, random_field)
    tight = least(problem, 2)
    assert layout(problem, 2, ROOMY).length == N
    assert layout(problem, 2, tight).length < N / 10
    for gradient in (False, True):
        whole = checkpointed_pullback(problem, lam, gradient=gradient, memory_bytes=ROOMY)
        assert same_bits(checkpointed_pullback(problem, lam, gradient=gradient, memory_bytes=tight), whole)


@pytest.mark.parametrize(("members", "room"), [(3, 2), (21, 8)])
def test_checkpoints_change_no_bit_of_any_member(members, room, random_field, monkeypatch):
    monkeypatch.setattr(checkpoint, "POOL_SECONDS", 0.0)  # threads also for little work
    problem, lam = make("leapfrog", 3, members, "rows", random_field)
    whole = checkpointed_pullback(threaded(problem, 1), lam, gradient=True, memory_bytes=ROOMY)
    for threads in (1, 2):
        memory = room * least(problem, 2, threads)
        found = checkpointed_pullback(threaded(problem, threads), lam, gradient=True, memory_bytes=memory)
        chosen = layout(problem, 2, memory, threads)
        assert chosen.threads == threads
        assert chosen.length < N
        assert same_bits(found, whole)


@pytest.mark.parametrize("driven", ["", "rows", "time"])
@pytest.mark.parametrize("name", ["euler", "explicit_euler", "symplectic_euler", "leapfrog", "yoshida4"])
def test_they_are_the_pullback_of_the_recurrence(name, driven, random_field):
    problem, lam = make(name, 3, 9, driven, random_field)
    found = checkpointed_pullback(problem, lam, memory_bytes=TIGHT)
    expected = problem.pullback(lam)
    np.testing.assert_array_equal(
        np.ldexp(found.columns.values, found.columns.exponent[:, None, None]), expected.unscaled()
    )
    gradient = checkpointed_pullback(problem, lam[:, :1], gradient=True, memory_bytes=TIGHT).gradient
    np.testing.assert_array_equal(gradient, problem.parameter_gradient(lam[:, 0]))


def test_a_gradient_beyond_float64_keeps_its_powers_of_two():
    """W = 1, σ = identity: cosh-like growth far above 2^1024, rescaled across segments."""
    field = NeuralField([[1.0]], [0.0], activation="identity")
    problem = OdeRecurrence(field, "leapfrog", 1.0, 3000)
    lam = np.array([[1.0], [0.0]])
    whole = checkpointed_pullback(problem, lam, memory_bytes=ROOMY)
    assert same_bits(checkpointed_pullback(problem, lam, memory_bytes=3000), whole)
    log2 = np.log2(whole.columns.values[0, 0, 0]) + whole.columns.exponent[0]
    # Theorem B holds with equality: C_N(3/2).
    assert log2 == pytest.approx((3000 * np.arccosh(1.5) - np.log(2.0)) / np.log(2.0), rel=1e-13)


def test_checkpoints_in_float32(random_field):
    field = random_field(3)
    problem = OdeRecurrence(field, "yoshida4", 0.05, N, dtype=np.float32)
    lam = np.ones((6, 1))
    whole = checkpointed_pullback(problem, lam, gradient=True, memory_bytes=ROOMY)
    assert whole.gradient.dtype == np.float32
    assert same_bits(checkpointed_pullback(problem, lam, gradient=True, memory_bytes=8_000), whole)


def test_the_step_at_which_the_state_is_lost_is_counted_from_the_start_of_the_run():
    """Lost in the last segment, whose tape starts there."""
    field = NeuralField([[1.0]], [0.0], activation="identity")
    problem = OdeRecurrence(field, "leapfrog", 1.0, 745, y0=[1.0])  # 1.618² grows by 1.39 bits a step
    lam = np.ones((2, 1))
    whole = checkpointed_pullback(problem, lam, memory_bytes=ROOMY)
    found = checkpointed_pullback(problem, lam, memory_bytes=1700)
    assert 0 < whole.overflowed[0] <= 745
    assert found.overflowed[0] == whole.overflowed[0]


def test_no_steps_and_no_members(random_field):
    field, lam = random_field(3), np.eye(6, 3)
    still = checkpointed_pullback(OdeRecurrence(field, "leapfrog", 0.1, 0), lam, gradient=True)
    np.testing.assert_array_equal(still.columns.values[0], np.eye(6, 3))
    assert not still.gradient.any()
    assert checkpointed_pullback(OdeRecurrence(field, "leapfrog", [], 5), lam).columns.values.shape == (
        0,
        6,
        3,
    )


def test_memory_that_is_too_small_says_how_much_is_needed(random_field):
    problem, lam = make("leapfrog", 3, 1, "", random_field)
    with pytest.raises(ValueError, match=r"memory_bytes = 100 is too small.* need \d+") as error:
        checkpointed_pullback(problem, lam, memory_bytes=100)
    needed = int(re.search(r"need (\d+)", str(error.value))[1])
    checkpointed_pullback(problem, lam, memory_bytes=needed)
    with pytest.raises(ValueError, match="memory_bytes"):
        checkpointed_pullback(problem, lam, memory_bytes=needed - 1)


@pytest.mark.parametrize("name", ["leapfrog", "position_verlet", "yoshida4", "euler"])
@pytest.mark.parametrize("memory_bytes", [100_000, 300_000, 10_000_000])
def test_the_layout_keeps_to_the_memory(name, memory_bytes, random_field):
    """What `backwards` allocates, for every member of every thread, is at most what was allowed."""
    problem, _ = make(name, 8, 21, "", random_field)
    problem.n_steps = 2000
    chosen = layout(problem, 4, memory_bytes, threads=2)
    states = 2 * -(-2000 // chosen.length)
    entries = len(problem.program().body) * min(2000, chosen.length) + 1
    assert 2 * chosen.width * 8 * 8 * (states + entries) <= memory_bytes * 1.01


# What a process of its own needs for the sweep alone, in MB.
MEASURE = """
import sys
import numpy as np
from integrators import NeuralField
from integrators.run.pullback import checkpointed_pullback
from integrators.run.reversed import reversed_pullback
from sensitivity import OdeRecurrence

def peak():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) / 1024

field = NeuralField.random(100)
lam = np.ones((200, 1))
def sweep(n):
    problem = OdeRecurrence(field, "leapfrog", 1.0 / n, n)
    if sys.argv[1] == "reversed":
        return reversed_pullback(problem, lam, compare=False)
    return checkpointed_pullback(problem, lam, memory_bytes=int(sys.argv[1]))
sweep(100)
before = peak()
sweep(int(sys.argv[2]))
print(peak() - before)
"""


def megabytes(*arguments):
    command = [sys.executable, "-c", MEASURE, *map(str, arguments)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout)


@pytest.mark.skipif(
    NOJIT or sys.platform != "linux", reason="reads the peak memory of compiled code from /proc"
)
@pytest.mark.parametrize("how", [4_000_000, "reversed"])
def test_memory_of_a_long_sweep(how):
    """20 000 tape entries of d = 100 take 16 MB; checkpoints 0.3 MB, the reversed sweep 0.2 MB."""
    assert megabytes(how, 20_000) < 4.0


@pytest.mark.slow
@pytest.mark.skipif(
    NOJIT or sys.platform != "linux", reason="reads the peak memory of compiled code from /proc"
)
def test_memory_of_a_very_long_sweep():
    assert megabytes(1 << 29, 1_000_000) < 50.0


# --------------------------------------------------------------------------------- reconstruction


@pytest.mark.parametrize("driven", ["", "rows", "time"])
@pytest.mark.parametrize("name", SYMMETRIC)
def test_the_reversed_sweep_finds_its_way_back(name, driven, random_field):
    """Would catch a kick or drift that is undone out of turn, or with another input: the errors are O(ε)."""
    problem, lam = make(name, 3, 1, driven, random_field, n_steps=600)
    problem.steps[:] = 0.01
    for gradient in (False, True):
        sweep = reversed_pullback(problem, lam, gradient=gradient)
        true = checkpointed_pullback(problem, lam, gradient=gradient)
        assert sweep.start_error[0] < 1e-11
        assert sweep.deviation[0] < 1e-12
        np.testing.assert_allclose(sweep.columns.values, true.columns.values, rtol=1e-10)
        np.testing.assert_allclose(sweep.gradient, true.gradient, rtol=1e-9, atol=1e-11)


def test_the_reversed_sweep_of_many_members(random_field):
    problem, lam = make("yoshida4", 3, 21, "rows", random_field)
    one, two = (reversed_pullback(threaded(problem, t), lam, gradient=True) for t in (1, 2))
    assert one.deviation.shape == (21,)
    assert one.deviation.max() < 1e-10
    np.testing.assert_array_equal(one.gradient, two.gradient)


def test_the_reported_round_off_is_what_it_says(random_field):
    """A chaotic way back: the report must show the loss of digits, and tell it by member."""
    field = random_field(6, scale=4.0, seed=1)
    problem, lam = make("leapfrog", 6, 2, "", random_field, n_steps=400, field=field)
    problem.steps[:] = [0.01, 0.2]
    sweep = reversed_pullback(problem, lam)
    true = checkpointed_pullback(problem, lam)
    scale = np.ldexp(1.0, sweep.columns.exponent - true.columns.exponent)[:, None, None]
    error = np.sqrt(np.sum((sweep.columns.values * scale - true.columns.values) ** 2, axis=(1, 2)))
    size = np.sqrt(np.sum(true.columns.values**2, axis=(1, 2)))
    np.testing.assert_allclose(sweep.deviation, error / size)
    # The way back is the mirror image, bit by bit, of a run with the velocities reversed.
    y0, p0 = problem.initial_value
    there = integrate(field, "leapfrog", y0, p0, problem.steps, 400)
    for member, step in enumerate(problem.steps):
        back = integrate(field, "leapfrog", there.y[member, -1], -there.p[member, -1], step, 400)
        error = np.concatenate([back.y[-1] - y0, -back.p[-1] - p0])
        assert sweep.start_error[member] == pytest.approx(np.linalg.norm(error), rel=1e-12)
    assert sweep.start_error[1] > 100.0 * sweep.start_error[0] > 0.0
    assert re.fullmatch(
        r"<ReversedSweep of 2 batch members: start off by \S+, cotangent by \S+ of its size>", repr(sweep)
    )
    assert reversed_pullback(problem, lam, compare=False).deviation is None


@pytest.mark.parametrize("name", [name for name in SCHEMES if name not in SYMMETRIC])
def test_a_scheme_that_is_not_symmetric_is_refused(name, random_field):
    problem, lam = make(name, 3, 1, "", random_field)
    with pytest.raises(ValueError, match=f"'{name}' is not symmetric"):
        reversed_pullback(problem, lam)
