"""Helpers of ours in functions that somebody else compiles, and somebody else's functions in ours."""

import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from numba import njit

from integrators import Field, own_cell

HEADER = """
    import sys, threading
    import numpy as np
    from numba import njit
    from integrators.codegen.product import add_matrix, add_outer, add_product, add_transposed, push_columns
    from integrators.codegen.simd import copy_strip

    rng = np.random.default_rng(0)
    A, B = rng.normal(size=(3, 3)), rng.normal(size=(3, 4))
"""


def run(folder, body, **environment):
    """A script in a process of its own, with a kernel cache of its own; a hang ends in an error."""
    script = folder / "script.py"
    script.write_text(textwrap.dedent(HEADER) + textwrap.dedent(body))
    env = {**os.environ, "LEAPGRAD_CACHE": str(folder / "kernels"), **environment}
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=300, env=env, cwd=folder
    )
    assert done.returncode == 0, done.stderr
    return done


def test_a_plain_njit_function_may_call_our_products(tmp_path):
    """The tiles were compiled on a thread that waited for the lock of the compilation that waited for it."""
    run(
        tmp_path,
        """
        @njit
        def products(A, B, out, turned, outer, ones):
            add_matrix(A, 0, 3, 3, B, out, 4, ones)
            add_transposed(A, 0, 3, 3, B, turned, 4, ones)
            add_outer(B, 3, B, 3, 4, outer, ones)

        for kind, tolerance in ((np.float64, 1e-14), (np.float32, 1e-5)):
            out, turned, outer = np.zeros((3, 4), kind), np.zeros((3, 4), kind), np.zeros((3, 3), kind)
            a, b = A.astype(kind), B.astype(kind)
            products(a.ravel(), b.ravel(), out.ravel(), turned.ravel(), outer.ravel(), np.ones(12, kind))
            assert abs(out - A @ B).max() <= tolerance and abs(turned - A.T @ B).max() <= tolerance
            assert abs(outer - B @ B.T).max() <= tolerance
        """,
    )


def test_beside_compilations_of_ours_on_other_threads(tmp_path):
    run(
        tmp_path,
        """
        from integrators.fields.neural import neural_kick_adjoint, neural_kick

        def foreign():
            @njit
            def multiply(A, B, out, ones):
                add_matrix(A, 0, 3, 3, B, out, 4, ones)
            out = np.zeros((3, 4))
            multiply(A.ravel(), B.ravel(), out.ravel(), np.ones(12))
            assert abs(out - A @ B).max() <= 1e-14

        calls = (foreign, lambda: neural_kick_adjoint.dispatcher, foreign)
        threads = [threading.Thread(target=call) for call in calls]
        for thread in threads:
            thread.start()
        neural_kick.dispatcher
        for thread in threads:
            thread.join()
        """,
    )


def test_numba_does_not_cache_what_refers_to_code_of_ours(tmp_path):
    """Loaded in a later process, before the tiles, it would end the process."""
    body = """
        @njit(cache=True)
        def multiply(A, B, out, ones):
            add_matrix(A, 0, 3, 3, B, out, 4, ones)
        out = np.zeros((3, 4))
        multiply(A.ravel(), B.ravel(), out.ravel(), np.ones(12))
        assert abs(out - A @ B).max() <= 1e-14
    """
    for _ in range(2):
        assert "Cannot cache" in run(tmp_path, body, NUMBA_CACHE_DIR=str(tmp_path / "numba")).stderr


def fine(theta, s, x, out, by_state):
    for q in range(s.shape[1]):
        out[0, q], by_state[0, 0, q] = 0.5 * s[0, q], 0.5


def no_slopes(theta, s, x, by_theta, by_input):
    pass


def with_text(theta, s, x, out, by_state):
    out[0, 0] = "a"


def of_two(theta, s):
    pass


def unknown_name(theta, s, x, out, by_state):
    out[0, 0] = nowhere  # noqa: F821


def raising(theta, s, x, out, by_state):
    raise ValueError("no")


def with_default(theta, s, x, out, by_state, factor=0.5):
    fine_compiled(theta, s, x, out, by_state)


fine_compiled = njit(fine)


@pytest.mark.parametrize("step", (with_text, of_two, unknown_name, raising))
@pytest.mark.parametrize("decorate", (lambda f: f, njit))
def test_own_cell_says_which_function_does_not_compile_and_why(step, decorate):
    for arguments, name in (((decorate(step), no_slopes), "step"), ((fine, decorate(step)), "slopes")):
        with pytest.raises(TypeError, match=rf"{name} \({step.__name__}\) does not (compile|work) for"):
            own_cell(*arguments, 1)


@pytest.mark.parametrize("given", (None, "step", 1, np.sin, fine.__call__))
def test_own_cell_takes_functions_only(given):
    with pytest.raises(TypeError, match="step must be a function"):
        own_cell(given, no_slopes, 1)
    with pytest.raises(TypeError, match="slopes must be a function"):
        own_cell(fine, given, 1)
    with pytest.raises(TypeError, match="kick must be a function"):
        Field(1, given, no_slopes)


@pytest.mark.parametrize("step", (fine, fine_compiled, with_default))
def test_own_cell_without_parameters_and_inputs(step):
    cell = own_cell(step, no_slopes, 1)
    assert cell.step([0.3]) == [0.15] and cell.linearise([0.3])[1] == [[0.5]] and cell.theta.size == 0


@pytest.mark.parametrize("theta", ([1.0], np.ones(2), {1: 1.0}, 3, {"r": "a"}, {"r": [1.0, 2.0]}))
def test_parameters_of_own_cell_are_named_numbers(theta):
    with pytest.raises((TypeError, ValueError), match="theta"):
        own_cell(fine, no_slopes, 1, theta)


def test_a_step_that_fills_less_than_its_state_is_refused():
    def half(theta, s, x, out, by_state):
        for q in range(s.shape[1]):
            out[0, q], by_state[0, 0, q] = s[0, q], 1.0

    def one_lane(theta, s, x, out, by_state):
        out[0, 0], by_state[0, 0, 0] = s[0, 0], 1.0

    with pytest.raises(ValueError, match=r"no finite out\[1, 0\]"):
        own_cell(half, no_slopes, 2)
    with pytest.raises(ValueError, match=r"no finite out\[0, 1\]"):
        own_cell(one_lane, no_slopes, 1)


def test_a_step_that_leaves_out_a_branch_gives_nan_not_old_memory():
    def positive_only(theta, s, x, out, by_state):
        for q in range(s.shape[1]):
            if s[0, q] > 0:
                out[0, q], by_state[0, 0, q] = 2 * s[0, q], 2.0

    cell = own_cell(positive_only, no_slopes, 1, check_at=[1.0])
    assert cell.step([1.0]) == [2.0] and np.isnan(cell.step([-1.0])).all()
