"""The gradient profile, against Jacobians of the rest of the run, one-stage matrices and a complex step."""

import io
import json
import math
import re

import mpmath
import numpy as np
import pytest

import naive
from integrators import SCHEMES, Field, NeuralField, integrate
from integrators.engine.column_scale import Scaled
from integrators.run import checkpoint, sweeps
from integrators.run.checkpoint import Segmentation
from integrators.run.overflow import TrajectoryOverflow
from integrators.run.recurrence import OdeRecurrence
from sensitivity import bounds, cell, jacobian, jacobian_norm, unroll
from sensitivity.analysis import norms
from sensitivity.analysis import profile as profile_module
from sensitivity.analysis.norms import spectral_norms
from sensitivity.analysis.profile import GradientProfile, gradient_profile
from sensitivity.cli.analysis import profile as command
from sensitivity.cli.parser import build_parser

N, STEP = 12, 0.2
LAM = np.array([1.0, -2.0, 0.5])
# Schemes of every kind of schedule.
VARIED = [
    "euler",
    "explicit_euler",
    "symplectic_euler",
    "symplectic_euler_dk",
    "leapfrog",
    "mclachlan2",
    "yoshida4",
]


@pytest.fixture
def driven(random_field):
    """A field of three units with two inputs, and where it starts."""
    rng = np.random.default_rng(7)
    return random_field(3, 2), {
        "y0": rng.normal(size=3),
        "p0": rng.normal(size=3),
        "inputs": rng.normal(size=(N, 2)),
    }


def rest(field, name, n_steps, start, step=STEP):
    """∂y_N/∂y_i for i = 0 … N: jacobian of the remaining steps, started at the nodes of `integrate`."""
    path = integrate(field, name, start["y0"], start["p0"], step, n_steps, start["inputs"])
    for i in range(n_steps + 1):
        p = None if SCHEMES[name].form == "first_order" else path.p[i]
        inputs = (
            start["inputs"] if start["inputs"] is None or callable(start["inputs"]) else start["inputs"][i:]
        )
        yield jacobian(field, name, step, n_steps - i, path.y[i], p, inputs)


# ------------------------------------------------------------------------------------------- values


@pytest.mark.parametrize("name", SCHEMES)
def test_it_is_the_jacobian_of_the_remaining_steps(name, driven):
    """Would catch the merged kick at the node left whole, left out, or taken with the input before."""
    field, start = driven
    matrices = list(rest(field, name, N, start))
    norms = gradient_profile(field, name, STEP, N, **start).norms
    np.testing.assert_allclose(norms, [np.linalg.norm(J, 2) for J in matrices], rtol=1e-12)
    losses = gradient_profile(field, name, STEP, N, **start, cotangent=LAM).norms
    np.testing.assert_allclose(losses, [np.linalg.norm(J.T @ LAM) for J in matrices], rtol=1e-12)


@pytest.mark.nojit
@pytest.mark.parametrize("name", SCHEMES)
def test_it_is_the_product_of_one_stage_matrices(name, driven):
    """The same without any driver of ours: phase-space maps of plain NumPy, then the position block."""
    field, start = driven
    scheme = SCHEMES[name]
    F = naive.neural(field.W, field.b, field.V, "tanh")

    def DF(y, x):
        return (1.0 - F(y, x) ** 2)[:, None] * field.W

    inputs = start["inputs"]
    states = naive.trajectory(scheme, F, start["y0"], start["p0"], STEP, N, inputs)
    norms = gradient_profile(field, name, STEP, N, **start).norms
    for i, (y, p) in enumerate(states):
        whole = naive.propagator(scheme, F, DF, y, p, STEP, N - i, inputs[i:])
        assert norms[i] == pytest.approx(np.linalg.norm(whole[:3, :3], 2), rel=1e-12)


@pytest.mark.nojit
@pytest.mark.parametrize("name", SCHEMES)
def test_inputs_against_a_complex_step(name, driven):
    """Would catch an input that is credited with the kick before or after its own."""
    field, start = driven
    scheme, F = SCHEMES[name], naive.neural(field.W, field.b, field.V, "tanh")

    def last(flat):
        y, p = (start[v].astype(complex) for v in ("y0", "p0"))
        return naive.trajectory(scheme, F, y, p, STEP, N, flat.reshape(N, 2))[-1][0]

    J = naive.complex_step(last, start["inputs"].ravel()).reshape(3, N, 2)
    found = gradient_profile(field, name, STEP, N, **start, of="inputs")
    expected = [np.linalg.norm(J[:, i], 2) for i in range(N)]
    np.testing.assert_allclose(found.norms, expected, rtol=1e-11, atol=1e-15)
    np.testing.assert_array_equal(found.index, np.arange(1, N + 1))
    losses = gradient_profile(field, name, STEP, N, **start, of="inputs", cotangent=LAM).norms
    expected = [np.linalg.norm(LAM @ J[:, i]) for i in range(N)]
    np.testing.assert_allclose(losses, expected, rtol=1e-11, atol=1e-15)


@pytest.mark.parametrize("of", ["state", "inputs"])
@pytest.mark.parametrize("name", VARIED)
def test_checkpoints_and_small_chunks_change_nothing(name, of, driven, monkeypatch):
    """Would catch the station or the input row of the kick where two stretches or two chunks meet."""
    field, start = driven
    n_steps = 600
    start["inputs"] = np.random.default_rng(2).normal(size=(n_steps, 2))
    for step in (0.01, np.geomspace(0.005, 0.02, 9)):
        whole = gradient_profile(field, name, step, n_steps, **start, of=of)
        with pytest.raises(ValueError, match="too small") as error:
            gradient_profile(field, name, step, n_steps, **start, of=of, memory_bytes=1)
        memory = min(8, np.size(step)) * int(re.search(r"need (\d+)", str(error.value))[1])
        problem = OdeRecurrence(field, name, step, n_steps)
        assert Segmentation.of(problem, problem.program(close=False), 3, memory).length < n_steps / 10
        monkeypatch.setattr(sweeps, "KEPT_BYTES", 3000)
        found = gradient_profile(field, name, step, n_steps, **start, of=of, memory_bytes=memory, threads=1)
        monkeypatch.undo()
        np.testing.assert_array_equal(found.norms, whole.norms)


@pytest.mark.parametrize("name", VARIED)
def test_every_index_is_handed_out_once(name, driven, monkeypatch):
    field, start = driven
    monkeypatch.setattr(sweeps, "KEPT_BYTES", 1000)
    problem = OdeRecurrence(field, name, STEP, N, **start)
    for sweep, count in ((sweeps.node_cotangents, N + 1), (sweeps.input_cotangents, N)):
        seen = []
        sweep(
            problem, np.eye(3), lambda kept, seen=seen: seen.append(kept.first + np.arange(len(kept.values)))
        )
        assert len(seen) > 2
        assert sorted(np.concatenate(seen)) == list(range(N + 1 - count, N + 1))


def test_times_of_inputs_that_are_a_function(driven):
    field, start = driven
    start["inputs"] = lambda t: [np.sin(t), np.cos(3 * t)]
    found = gradient_profile(field, "yoshida4", STEP, N, **start)
    path = integrate(field, "yoshida4", start["y0"], start["p0"], STEP, N, start["inputs"])
    for i in (0, 5, N):
        later = jacobian(
            field, "yoshida4", STEP, N - i, path.y[i], path.p[i], lambda t, i=i: start["inputs"](t + i * STEP)
        )
        assert found.norms[i] == pytest.approx(np.linalg.norm(later, 2), rel=1e-12)


@pytest.mark.parametrize("d", [1, 2, 10, 50, 130])
def test_every_size(d):
    field = NeuralField.random(d)
    found = gradient_profile(field, "leapfrog", 0.1, 50)
    assert found.norms[0] == pytest.approx(
        jacobian_norm(field, "leapfrog", 0.1, 50, method="full"), rel=1e-10
    )
    assert found.norms[-1] == pytest.approx(1.0, rel=1e-12)


def test_many_step_sizes_and_threads(driven, monkeypatch):
    monkeypatch.setattr(checkpoint, "POOL_SECONDS", 0.0)  # threads also for little work
    field, start = driven
    steps = np.geomspace(0.01, 0.3, 20).reshape(4, 5)
    both = [gradient_profile(field, "leapfrog", steps, N, **start, threads=t) for t in (1, 2)]
    np.testing.assert_array_equal(both[0].norms, both[1].norms)
    assert both[0].norms.shape == (4, 5, N + 1)
    alone = gradient_profile(field, "leapfrog", steps[2, 3], N, **start)
    np.testing.assert_allclose(both[0].norms[2, 3], alone.norms, rtol=1e-13)


def test_a_field_of_ones_own():
    """A field without a leaf of its own for stored trajectories: ÿ = −θ y³."""

    def kick(theta, y, x, c, p, dy, dp):
        for q in range(y.shape[1]):
            p[0, q] -= c[q] * theta[0] * y[0, q] ** 3
            for k in range(dy.shape[1]):
                dp[0, k, q] -= c[q] * 3.0 * theta[0] * y[0, q] ** 2 * dy[0, k, q]

    def kick_adjoint(theta, y, x, c, lam_p, lam_y, grad_theta):
        for q in range(y.shape[1]):
            for k in range(lam_p.shape[1]):
                lam_y[0, k, q] -= c[q] * 3.0 * theta[0] * y[0, q] ** 2 * lam_p[0, k, q]
                if grad_theta.size:
                    grad_theta[0] -= c[q] * y[0, q] ** 3 * lam_p[0, k, q]

    spring = Field(1, kick, kick_adjoint, theta=[2.0])
    start = {"y0": np.array([1.0]), "p0": np.array([0.3]), "inputs": None}
    found = gradient_profile(spring, "yoshida4", 0.1, N, start["y0"], start["p0"])
    expected = [abs(J[0, 0]) for J in rest(spring, "yoshida4", N, start, 0.1)]
    np.testing.assert_allclose(found.norms, expected, rtol=1e-12)
    assert found.bound is None
    with pytest.raises(ValueError, match="no theorem"):
        found.log_bounds()


# --------------------------------------------------------------------------------------- long runs


def growing():
    return NeuralField([[1.0]], [0.0], activation="identity")


def test_growth_beyond_float64():
    """Theorem B with equality: ln C_n(1 + ε²/2), n = N − i, here up to 2^2700."""
    found = gradient_profile(growing(), "leapfrog", 1.0, 2000)
    with mpmath.workdps(30):
        expected = [float(mpmath.log(mpmath.cosh((2000 - i) * mpmath.acosh(1.5)))) for i in found.index]
    np.testing.assert_allclose(found.log_norms, expected, rtol=1e-13, atol=1e-13)
    assert np.isinf(found.norms[0])
    assert found.norms[-1] == 1.0


def test_decay_below_float64():
    """Euler with 1 + ε W = 1/2: 2^-(N − i), and ε 2^-(N − i) for the inputs."""
    field = NeuralField([[-1.0]], [0.0], [[1.0]], activation="identity")
    for of, scale in (("state", 1.0), ("inputs", 0.5)):
        found = gradient_profile(field, "euler", 0.5, 3000, of=of)
        expected = (found.index - 3000) * math.log(2.0) + math.log(scale)
        np.testing.assert_allclose(found.log_norms, expected, rtol=1e-14, atol=1e-14)
        assert found.norms[0] == 0.0
    tight = gradient_profile(field, "euler", 0.5, 3000, of="inputs", memory_bytes=3000)
    np.testing.assert_array_equal(tight.log_norms, found.log_norms)


def test_a_lost_trajectory(random_field):
    field = NeuralField([[2.0]], [1.0], activation="relu")
    with pytest.raises(TrajectoryOverflow):
        gradient_profile(field, "euler", 1.0, 1000)
    with pytest.warns(RuntimeWarning, match="1 of 2 batch members"):
        found = gradient_profile(field, "euler", [1e-3, 1.0], 1000)
    assert np.isfinite(found.norms[0]).all()
    assert np.isnan(found.norms[1]).all()
    assert np.isnan(found.log_norms[1]).all()


# ----------------------------------------------------------------------------------- spectral norms


@pytest.mark.parametrize(
    "shape", [(1, 1), (1, 7), (7, 1), (2, 2), (3, 9), (9, 3), (60, 60), (130, 130), (5, 140)]
)
def test_spectral_norms_of_stacks(shape, rng):
    """Gaussian matrices, on which Lanczos gives up, and rank one plus a little, on which it does not."""
    noise = rng.normal(size=(6, *shape))
    spike = np.ones(shape) + 1e-3 * noise
    for matrices in (noise, spike, np.zeros((2, *shape)), noise * 1e-200, spike * 1e200):
        values, exponent = spectral_norms(Scaled(matrices, np.full(len(matrices), 3)))
        scale = np.abs(matrices).max() or 1.0
        expected = np.linalg.svd(matrices / scale, compute_uv=False)[..., 0]
        np.testing.assert_allclose(np.ldexp(values / scale, exponent), 8.0 * expected, rtol=1e-10)


def test_a_cluster_of_singular_values(rng):
    """The two largest differ by 1e-7, seen from a random start vector."""
    left, right = (np.linalg.qr(rng.normal(size=(4, 140, 140)))[0] for _ in range(2))
    sigma = np.concatenate([[1.0, 1.0 - 1e-7], np.linspace(0.9, 0.1, 138)])
    values, exponent = spectral_norms(Scaled(left * sigma @ right, np.zeros(4, np.int64)))
    np.testing.assert_allclose(np.ldexp(values, exponent), 1.0, rtol=1e-10)


def test_a_norm_does_not_depend_on_its_neighbours(rng, monkeypatch):
    """Some converge by Lanczos and some do not; batches of any size give the same bits."""
    matrices = rng.normal(size=(6, 130, 130))
    matrices[::2] += 30.0
    together = spectral_norms(Scaled(matrices, np.zeros(6, np.int64)))[0]
    monkeypatch.setattr(norms, "BATCH_BYTES", 8 * 130 * 130 * 4)
    np.testing.assert_array_equal(spectral_norms(Scaled(matrices, np.zeros(6, np.int64)))[0], together)
    alone = [spectral_norms(Scaled(m[None], np.zeros(1, np.int64)))[0][0] for m in matrices]
    np.testing.assert_array_equal(alone, together)


def test_numbers_that_are_not_finite_stay(rng):
    matrices = rng.normal(size=(3, 4, 4))
    matrices[0, 1, 2], matrices[1, 0, 0] = np.nan, np.inf
    values, _ = spectral_norms(Scaled(matrices, np.zeros(3, np.int64)))
    assert np.isnan(values[0])
    assert np.isinf(values[1])
    assert np.isfinite(values[2])


# -------------------------------------------------------------------------------- result and bounds


@pytest.mark.parametrize(("name", "theorem"), [("leapfrog", "B"), ("euler", "D"), ("yoshida4", "E")])
def test_the_bound_holds_with_the_remaining_steps(name, theorem, driven):
    field, start = driven
    found = gradient_profile(field, name, [0.01, 0.1], N, **start)
    limits = found.log_bounds()
    assert found.bound is not None
    assert found.bound.theorem == theorem
    assert (found.log_norms <= limits).all()
    np.testing.assert_array_equal(limits[:, 3], bounds.log_majorant(field, name, [0.01, 0.1], N - 3))
    losses = gradient_profile(field, name, 0.1, N, **start, cotangent=LAM)
    np.testing.assert_allclose(losses.log_bounds([0]), limits[1, :1] + math.log(np.linalg.norm(LAM)))
    assert (losses.log_norms <= losses.log_bounds()).all()


def test_the_result_object(driven):
    field, start = driven
    found = gradient_profile(field, "leapfrog", STEP, N, **start)
    assert isinstance(found, GradientProfile)
    np.testing.assert_array_equal(np.asarray(found), found.norms)
    text = repr(found)
    assert "leapfrog, N = 12" in text
    assert f"{found.norms[0]:.6g} at i = 0" in text
    assert "1 at i = 12" in text
    assert "theorem B: at most" in text
    huge = repr(gradient_profile(growing(), "leapfrog", 1.0, 2000))
    log10 = (2000 * math.acosh(1.5) - math.log(2.0)) / math.log(10.0)
    assert f"{10 ** (log10 % 1):.5f}e+{int(log10)} at i = 0" in huge
    assert "theorem" not in repr(gradient_profile(field, "leapfrog", STEP, N, **start, of="inputs"))
    assert "2 step sizes" in repr(gradient_profile(field, "leapfrog", [0.1, STEP], N, **start))
    assert repr(gradient_profile(field, "leapfrog", [], 3))


def test_no_steps(driven):
    field, _ = driven
    np.testing.assert_allclose(gradient_profile(field, "leapfrog", STEP, 0).norms, [1.0])
    assert gradient_profile(field, "leapfrog", STEP, 0, of="inputs").norms.shape == (0,)
    assert gradient_profile(field, "leapfrog", [], 4).norms.shape == (0, 5)


def test_wrong_arguments(driven, random_field):
    field, start = driven
    with pytest.raises(ValueError, match="of='input' is not known"):
        gradient_profile(field, "leapfrog", STEP, N, **start, of="input")
    with pytest.raises(ValueError, match="cotangent"):
        gradient_profile(field, "leapfrog", STEP, N, **start, cotangent=[1.0])
    with pytest.raises(ValueError, match="input weights"):
        gradient_profile(random_field(3), "leapfrog", STEP, N, of="inputs")
    with pytest.raises(ValueError, match="function of time"):
        gradient_profile(field, "leapfrog", STEP, N, inputs=lambda t: [0.0, 0.0], of="inputs")


def test_the_picture(driven):
    field, start = driven
    found = gradient_profile(field, "leapfrog", [0.1, STEP], N, **start)
    axes = found.plot()
    curves = {line.get_label(): line for line in axes.lines}
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), found.log_norms[0])
    np.testing.assert_array_equal(axes.lines[1].get_ydata(), found.log_bounds()[0])
    assert "its bound B" in curves
    assert len(axes.lines) == 4
    low, high = axes.get_ylim()
    assert low < found.log_norms.min() and high > found.log_norms.max()
    many = gradient_profile(field, "leapfrog", np.geomspace(1e-3, 0.1, 30), N, of="inputs")
    assert len(many.plot().lines) == 8


# ------------------------------------------------------------------------------------------ command


def run(*arguments):
    args = build_parser((command.COMMAND,)).parse_args(["profile", *arguments])
    return args.run(args)


def test_the_command_prints_a_table_and_writes_files(tmp_path, capsys):
    out, plot = tmp_path / "p.csv", tmp_path / "p.png"
    assert (
        run("--d", "4", "--step", "0.1,0.2", "--n-steps", "20", "--out", str(out), "--plot", str(plot)) == 0
    )
    text = capsys.readouterr().out
    norms = gradient_profile(NeuralField.random(4), "leapfrog", [0.1, 0.2], 20).norms
    rows = text.splitlines()[3:14]
    assert [int(row.split()[0]) for row in rows] == list(range(0, 21, 2))
    assert float(rows[0].split()[1]) == pytest.approx(norms[0, 0], rel=1e-5)
    assert float(rows[5].split()[3]) == pytest.approx(norms[1, 10], rel=1e-5)
    table = np.genfromtxt(io.StringIO(out.read_text()), delimiter=",", names=True)
    np.testing.assert_array_equal(table["norm"], norms.ravel())
    np.testing.assert_array_equal(table["index"], [*range(21), *range(21)])
    assert plot.read_bytes()[:4] == b"\x89PNG"


def test_the_command_as_json(capsys):
    assert run("--d", "3", "--n-steps", "8", "--rows", "2", "--json", "--scheme", "euler") == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["parameters"]["theorem"] == "D"
    assert shown["results"]["index"] == list(range(9))
    assert shown["bounds"]["index"] == [0, 8]
    assert shown["violations"] == 0


def test_the_command_for_inputs(tmp_path, capsys):
    np.save(tmp_path / "x.npy", np.ones((6, 2)))
    assert run("--d", "3", "--n-steps", "6", "--inputs", str(tmp_path / "x.npy"), "--of", "inputs") == 0
    text = capsys.readouterr().out
    assert "∂y_N/∂x_i" in text
    assert "bound" not in text


def test_the_command_reports_a_violated_bound(monkeypatch, capsys):
    monkeypatch.setattr(
        profile_module, "log_upper_bound", lambda field, scheme, step, n: np.full(np.shape(step), -1.0)
    )
    assert run("--d", "3", "--n-steps", "6") == 1
    assert "something is wrong" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("--plot", "p.gif"), "must end in"),
        (("--rows", "1"), "--rows"),
        (("--of", "inputs"), "input weights"),
    ],
)
def test_the_command_names_a_wrong_argument(arguments, word, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=word):
        run("--n-steps", "4", *arguments)


# Catches: a profile of a cell, which has no scheme, that cannot be shown.
def test_a_profile_of_a_cell_is_shown():
    found = gradient_profile(unroll(cell("lstm", 4, 2), n_steps=10))
    assert repr(found).startswith("<GradientProfile ‖∂s_N/∂s_i‖, lstm, N = 10: ")
    assert found.plot().get_title(loc="left").startswith("lstm, d = ")
    with pytest.raises(ValueError, match="no theorem"):
        found.log_bounds()


# Catches: the size of the cotangent as a root of a sum of squares, 0 at 1e-200 and inf at 1e200.
@pytest.mark.parametrize("size", [1e-200, 1e-120, 1e200])
def test_bounds_of_a_profile_hold_for_cotangents_of_every_size(size):
    run = unroll(NeuralField([[0.5]], [0.0], activation="identity"), scheme="leapfrog", step=0.1, n_steps=4)
    found = gradient_profile(run, cotangent=[size])
    one = gradient_profile(run, cotangent=[1.0])
    logs = found.log_bounds()
    assert (found.log_norms <= logs).all()
    np.testing.assert_allclose(logs - math.log(size), one.log_bounds(), rtol=0.0, atol=1e-12)


# Catches: an index cut to a whole number; one below zero taken as more steps; unsigned numbers that descend.
def test_only_whole_numbers_within_the_run_have_a_bound_or_a_norm():
    run = unroll(NeuralField([[0.5]], [0.0], activation="identity"), scheme="leapfrog", step=0.1, n_steps=4)
    found = gradient_profile(run)
    for wrong in ([1.7], [-1], [5], True, [[1]]):
        with pytest.raises(ValueError, match="index must"):
            found.log_bounds(wrong)
    np.testing.assert_array_equal(found.log_bounds([3, 0]), found.log_bounds()[[3, 0]])
    with pytest.raises(ValueError, match="at must hold whole numbers, ascending"):
        gradient_profile(run, at=np.array([3, 1], dtype=np.uint64))
