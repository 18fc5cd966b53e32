"""Covariant vectors against a run of fifty digits, exact maps, and what makes them covariant."""

import mpmath
import numpy as np
import pytest

import leapgrad as lg


def henon():
    import sympy

    u, v, a, b = sympy.symbols("u v a b")
    return lg.symbolic_cell([1 - a * u**2 + v, b * u], [u, v], parameters={a: 1.4, b: 0.3}, name="henon_map")


def linear(matrix):
    matrix = np.asarray(matrix)
    cell = lg.cell("vanilla", len(matrix), activation="identity")
    return cell.with_parameters(W=matrix, b=np.zeros(len(matrix)))


def in_fifty_digits(states):
    """Ginelli's method along given states of the Hénon map: vectors at every state."""
    with mpmath.workdps(50):
        frames, factors = [mpmath.matrix([[1, 0.5], [-0.25, 1]])], []
        for u, _ in states[:-1]:
            J = mpmath.matrix([[-2 * mpmath.mpf("1.4") * mpmath.mpf(float(u)), 1], [mpmath.mpf("0.3"), 0]])
            Q, R = mpmath.qr(J * frames[-1])
            frames.append(Q)
            factors.append(R)
        C, found = mpmath.matrix([[1, 1], [0, 1]]), []
        for i in range(len(states) - 1, -1, -1):
            V = frames[i] * C
            found.append([[float(V[r, j] / mpmath.norm(V[:, j])) for j in range(2)] for r in range(2)])
            if i:
                C = factors[i - 1] ** -1 * C
                C = mpmath.matrix([[C[r, j] / mpmath.norm(C[:, j]) for j in range(2)] for r in range(2)])
        return np.array(found[::-1])


def test_henon_against_fifty_digits():
    run = lg.unroll(henon(), 400, s0=[0.1, 0.1])
    found = lg.covariant_vectors(run)
    expected = in_fifty_digits(run.states())[found.steps]
    # The parameters 1.4 and 0.3 are those of float64 here and decimal there: 1e-16 apart.
    sines = found.vectors[:, 0] * expected[:, 1] - found.vectors[:, 1] * expected[:, 0]
    assert np.abs(sines).max() <= 1e-13 / found.angles()[:, 0, 1].min()
    assert found.error.max() <= 1e-12
    angle = found.angles()[:, 0, 1]
    cosines = np.abs((expected[:, :, 0] * expected[:, :, 1]).sum(axis=1))
    assert np.allclose(np.cos(angle), cosines, rtol=0, atol=1e-12)
    assert np.allclose(angle, found.hyperbolicity(1), rtol=1e-12, atol=0)
    assert found.exponents.sum() == pytest.approx(np.log(0.3), abs=0.05)


def lorenz(h):
    """One step of the classical Runge–Kutta method for the Lorenz equations (σ = 10, r = 28, b = 8/3)."""
    import sympy

    s = sympy.Matrix(sympy.symbols("x y z"))
    sigma, r, b = sympy.symbols("sigma r b")

    def slope(s):
        return sympy.Matrix([sigma * (s[1] - s[0]), s[0] * (r - s[2]) - s[1], s[0] * s[1] - b * s[2]])

    k1 = slope(s)
    k2 = slope(s + h / 2 * k1)
    k3 = slope(s + h / 2 * k2)
    k4 = slope(s + h * k3)
    new = list(s + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4))
    values = {sigma: 10.0, r: 28.0, b: 8.0 / 3.0}
    return lg.symbolic_cell(new, list(s), parameters=values, name="lorenz_of_the_tests")


def lorenz_in_fifty_digits(states, h):
    """Ginelli's method along given states, in plain lists of numbers of fifty digits: vectors at every state.

    The Jacobian of a step is made of the Jacobians of the four stages, and not of a formula for the step.
    """
    mp, three = mpmath.mpf, range(3)

    def product(a, b):
        return [[mpmath.fdot((a[i][m], b[m][j]) for m in three) for j in three] for i in three]

    def plus(a, factor, b):
        return [[a[i][j] + factor * b[i][j] for j in three] for i in three]

    def slope(s):
        x, y, z = s
        return [mp(10) * (y - x), x * (28 - z) - y, x * y - mp(8.0 / 3.0) * z]

    def slope_of(s, tangents):
        x, y, z = s
        return product([[-10, 10, 0], [28 - z, -1, -x], [y, x, -mp(8.0 / 3.0)]], tangents)

    def jacobian(s):
        unit = [[mp(i == j) for j in three] for i in three]
        total, at, tangents = unit, s, unit
        for weight, ahead in ((1, h / 2), (2, h / 2), (2, h), (1, None)):
            k, dk = slope(at), slope_of(at, tangents)
            total = plus(total, h * weight / 6, dk)
            if ahead is not None:
                at, tangents = [a + ahead * b for a, b in zip(s, k, strict=True)], plus(unit, ahead, dk)
        return total

    def length(v):
        return mpmath.sqrt(mpmath.fdot(v, v))

    def gram_schmidt(columns):
        frame, R = [], [[mp(0)] * 3 for _ in three]
        for j in three:
            v = [columns[i][j] for i in three]
            for m in range(j):
                R[m][j] = mpmath.fdot(frame[m], v)
                v = [a - R[m][j] * b for a, b in zip(v, frame[m], strict=True)]
            R[j][j] = length(v)
            frame.append([a / R[j][j] for a in v])
        return [[frame[j][i] for j in three] for i in three], R

    def back(R, C):
        found = []
        for j in three:
            c = [C[i][j] for i in three]
            for i in (2, 1, 0):
                c[i] = (c[i] - mpmath.fdot(R[i][i + 1 :], c[i + 1 :])) / R[i][i]
            found.append([a / length(c) for a in c])
        return [[found[j][i] for j in three] for i in three]

    with mpmath.workdps(50):
        h = mp(h)
        frames, factors = [gram_schmidt([[mp(1), 2, 1], [0, 1, 3], [1, 0, 1]])[0]], []
        for s in states[:-1].tolist():
            Q, R = gram_schmidt(product(jacobian([mp(value) for value in s]), frames[-1]))
            frames.append(Q)
            factors.append(R)
        C, found = [[mp(1), 1, 1], [mp(0), 1, 1], [mp(0), mp(0), 1]], []
        for i in range(len(states) - 1, -1, -1):
            V = product(frames[i], C)
            columns = np.array([[float(value) for value in row] for row in V])
            found.append(columns / np.linalg.norm(columns, axis=0))
            if i:
                C = back(factors[i - 1], C)
        return np.array(found[::-1])


# Catches: what a map of two dimensions cannot show: the order of three vectors, and the neutral one between
# them, which is known only as well as both of its neighbours are told apart from it.
def test_lorenz_against_fifty_digits():
    h = 1.0 / 64.0
    run = lg.unroll(lorenz(h), 3000, s0=[1.0, 1.0, 20.0])
    found = lg.covariant_vectors(run, burn_in=1450, backward=1450)
    expected = lorenz_in_fifty_digits(run.states(), h)[found.steps]
    cosines = np.abs((found.vectors * expected).sum(axis=1))
    differences = found.vectors * np.sign((found.vectors * expected).sum(axis=1))[:, None] - expected
    assert cosines.min() > 0.999 and np.abs(differences).max() <= 1e-8
    cosines = np.abs(expected.swapaxes(1, 2) @ expected)
    for first, second in ((0, 1), (0, 2), (1, 2)):
        angle = found.angles()[:, first, second]
        assert np.abs(np.cos(angle) - cosines[:, first, second]).max() <= 1e-8
    # The neutral vector is the direction in which the flow moves, up to the error of the method.
    x, y, z = run.states()[found.steps].T
    flow = np.array([10.0 * (y - x), x * (28.0 - z) - y, x * y - 8.0 / 3.0 * z]).T
    flow /= np.linalg.norm(flow, axis=1)[:, None]
    assert np.abs((flow * found.vectors[:, :, 1]).sum(axis=1)).min() > 0.9999


def test_lorenz_has_the_published_exponents():
    """0.9056, 0 and −14.5723 per time (J. C. Sprott, *Chaos and Time-Series Analysis*, Oxford 2003)."""
    h = 1.0 / 64.0
    run = lg.unroll(lorenz(h), 60_000, s0=[1.0, 1.0, 20.0])
    found = lg.covariant_vectors(run)
    assert np.allclose(found.exponents / h, [0.9056, 0.0, -14.5723], rtol=0, atol=0.02)


def test_each_vector_is_mapped_to_the_next():
    rng = np.random.default_rng(0)
    run = lg.unroll(lg.cell("gru", 6, 2, rng=1), inputs=rng.normal(size=(2, 240, 2)))
    found = lg.covariant_vectors(run, k=4)
    assert found.vectors.shape == (2, found.steps.size, 6, 4)
    states, inputs = run.states(), run.drive()
    for member in range(2):
        for place, i in enumerate(found.steps[:-1]):
            J = run.cell.linearise(states[member, i], inputs[member, i])[1]
            moved = J @ found.vectors[member, place]
            lengths = np.linalg.norm(moved, axis=0)
            assert np.allclose(np.log(lengths), found.local[member, place], rtol=0, atol=1e-7)
            difference = np.abs(moved / lengths) - np.abs(found.vectors[member, place + 1])
            assert np.abs(difference).max() <= 1e-7
    growth = lg.growth_exponents(run, k=4)
    assert np.allclose(found.exponents, growth.exponents, rtol=0, atol=0.15)


def test_the_vectors_of_a_linear_map_are_its_eigenvectors():
    rng = np.random.default_rng(1)
    basis = rng.normal(size=(4, 4))
    basis /= np.linalg.norm(basis, axis=0)
    matrix = basis @ np.diag([1.5, 1.0, -0.7, 0.2]) @ np.linalg.inv(basis)
    found = lg.covariant_vectors(lg.unroll(linear(matrix), 400))
    assert np.allclose(found.exponents, np.log([1.5, 1.0, 0.7, 0.2]), rtol=0, atol=1e-11)
    for vectors in found.vectors[[0, -1]]:
        cosines = np.abs((vectors * basis).sum(axis=0))
        assert np.allclose(cosines, 1.0, rtol=0, atol=1e-10)
    outside = found.hyperbolicity(2)
    import scipy.linalg

    least = scipy.linalg.subspace_angles(basis[:, :2], basis[:, 2:]).min()
    assert np.allclose(outside, least, rtol=1e-8, atol=0)


def test_diagonal_maps_and_rotations():
    diagonal = lg.covariant_vectors(lg.unroll(linear(np.diag([2.0, 1.0, 0.5])), 300))
    assert np.allclose(np.abs(diagonal.vectors), np.eye(3), rtol=0, atol=1e-14)
    assert np.allclose(diagonal.exponents, [np.log(2.0), 0.0, -np.log(2.0)], rtol=0, atol=1e-14)
    c, s = np.cos(0.3), np.sin(0.3)
    turning = lg.covariant_vectors(lg.unroll(linear([[c, -s], [s, c]]), 200))
    assert np.allclose(turning.exponents, 0.0, rtol=0, atol=1e-14)
    assert turning.error.max() > 0.1  # without a gap there is nothing to converge to


def test_convergence_is_shown():
    matrix = [[1.0, 0.3], [0.0, 0.99]]
    short = lg.covariant_vectors(lg.unroll(linear(matrix), 400))
    long = lg.covariant_vectors(lg.unroll(linear(matrix), 8000), backward=3000, burn_in=3000)
    assert short.error[1] > 1e-4 and long.error[1] < 1e-11
    assert np.allclose(long.vectors[:, 1, 1] / long.vectors[:, 0, 1], -0.01 / 0.3, rtol=1e-9, atol=0)


def test_growth_far_outside_float64_and_a_field():
    found = lg.covariant_vectors(lg.unroll(linear(np.diag([1e40, 1e-40])), 100))
    assert np.allclose(found.exponents, [40.0 * np.log(10.0), -40.0 * np.log(10.0)], rtol=1e-12, atol=0)
    assert np.allclose(np.abs(found.vectors), np.eye(2), rtol=0, atol=1e-14)
    run = lg.unroll(lg.henon_heiles(), scheme="leapfrog", step=0.1, n_steps=600, s0=[0.1, 0.3, 0.2, 0.1])
    vectors = lg.covariant_vectors(run, k=2)
    assert vectors.vectors.shape == (vectors.steps.size, 4, 2) and np.isfinite(vectors.vectors).all()


def test_directions_that_are_lost_and_members_that_overflow():
    singular = lg.covariant_vectors(lg.unroll(linear([[1.0, 0.0], [0.0, 0.0]]), 40))
    assert np.isfinite(singular.vectors[..., 0]).all() and np.isnan(singular.vectors[..., 1]).all()
    cell = lg.cell("vanilla", 1, 1, activation="relu").with_parameters(W=[[3.0]], V=[[1.0]], b=[0.0])
    inputs = np.ones((2, 900, 1))
    inputs[0] = 1e-300
    inputs[0, 1:] = 0.0
    with pytest.warns(RuntimeWarning):
        found = lg.covariant_vectors(lg.unroll(cell, inputs=inputs))
    assert np.isnan(found.vectors[1]).all() and np.isfinite(found.vectors[0]).all()


def test_what_leaves_nothing_is_refused():
    run = lg.unroll(lg.cell("vanilla", 3), n_steps=20)
    with pytest.raises(ValueError, match="k must be at most 3"):
        lg.covariant_vectors(run, 4)
    with pytest.raises(ValueError, match="burn_in \\+ backward must be less than n_steps = 20"):
        lg.covariant_vectors(run, burn_in=10, backward=10)
    with pytest.raises(ValueError, match="split must be from 1 to 2"):
        lg.covariant_vectors(run).hyperbolicity(3)
