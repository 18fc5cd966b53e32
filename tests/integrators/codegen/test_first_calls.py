"""What the first call in a new environment compiles: nothing that it does not need, and nothing twice."""

import subprocess
import sys

import numpy as np
import pytest
from numba import types

from integrators import NeuralField
from integrators.codegen.array_types import VECTOR
from integrators.codegen.compiled import JIT_DISABLED, Kernel, helper
from integrators.fields.field import kicks_forward

SCRIPT = """
import gc
import numpy as np
import leapgrad as lg
from integrators.codegen.compiled import Kernel

field = lg.NeuralField.random(3, rng=0, inputs=2)
run = lg.unroll(field, scheme="leapfrog", step=0.1, inputs=np.ones((20, 2)))
lg.jacobian(run)
lg.gradient_profile(run)
lg.parameter_sensitivity(run)
lg.gradient_profile(run, of="inputs")
kernels = [thing for thing in gc.get_objects() if type(thing) is Kernel and thing._dispatcher is not None]
print(*sorted(kernel.__name__ for kernel in kernels))
"""


@helper
def added(array, start, all_of_it):
    """Adds to the entries from `start` on, or to one."""
    for i in range(start, array.size if all_of_it else start + 1):
        array[i] += 1.0


def calls(array, n):
    added(array, 0, True)
    added(array, 1, False)
    added(array, 2, n > 3)
    added(array, n, n > 5)


# Catches: a helper that is compiled again for each constant that it is called with.
@pytest.mark.skipif(JIT_DISABLED, reason="nothing is compiled")
def test_a_helper_is_compiled_once_whatever_constants_it_is_called_with():
    array = np.zeros(6)
    Kernel(calls, types.void(VECTOR, types.int64), cached=False)(array, 4)
    assert array.tolist() == [1.0, 2.0, 2.0, 2.0, 3.0, 2.0]
    assert len(added.overloads) == 1


# Catches: callbacks that are compiled, or loaded, although the loops of the neural field never call them.
@pytest.mark.skipif(JIT_DISABLED, reason="nothing is compiled")
def test_a_neural_field_needs_its_two_loops_alone():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["neural_backward", "neural_forward", "tiles"]


# Catches: a field whose loops call its kicks, and get no address.
@pytest.mark.nojit
def test_a_field_of_its_own_stage_and_one_that_is_called_agree():
    field, called = (NeuralField.random(3, rng=0, inputs=2) for _ in range(2))
    assert not field.calls_kicks
    called.driver_forward, called.calls_kicks, called.condenses = kicks_forward, True, False
    from sensitivity.analysis.jacobians import jacobian

    arguments = "leapfrog", 0.1, 20, None, None, np.ones((20, 2))
    np.testing.assert_allclose(jacobian(field, *arguments), jacobian(called, *arguments), rtol=1e-13)
