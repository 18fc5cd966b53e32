"""Functions that differ have names that differ: kernels kept by two processes may be loaded into one."""

from __future__ import annotations

import subprocess
import sys

import pytest
from conftest import NOJIT

from integrators.codegen.expressions import compiled
from sensitivity.training.networks import tile


def names(function, found):
    """Qualified names of a helper and of the helpers in its closure."""
    plain = function.py_func
    found.append(plain.__qualname__)
    for cell in plain.__closure__ or ():
        if hasattr(cell.cell_contents, "py_func"):
            names(cell.cell_contents, found)
    return found


def test_products_with_other_numbers_compiled_in_are_other_symbols():
    """Two strips of one name were one symbol: scores after a gradient were wrong, or the process died."""
    found = [name for name in dir(tile) if hasattr(getattr(tile, name), "py_func")]
    whole = [name for function in found for name in names(getattr(tile, function), [])]
    assert {"multiply", "add_multiplied", "add_outer"} <= set(found)
    assert len(set(whole)) == len(whole), "one name for what differs in a closure"


def test_functions_from_expressions_are_other_symbols():
    one, two = (compiled(f"def linearise(theta, y, x, force):\n    force[0, 0] = {n}\n") for n in (1.0, 2.0))
    assert one.py_func.__qualname__ != two.py_func.__qualname__
    assert one.py_func.__code__.co_name.startswith("linearise_")


@pytest.mark.skipif(NOJIT, reason="needs compiled functions")
def test_two_processes_and_a_child_number_their_functions_differently():
    """Numba counts functions from 1 in every process: the symbols of kept kernels were those of others."""
    script = """
import os, numba
from integrators.codegen.compiled import helper

def first():
    made = helper(eval("lambda: 1"))
    made()
    return made.overloads[()].fndesc.unique_name.rpartition("$")[2]

print(first(), flush=True)
child = os.fork() if hasattr(os, "fork") else 0
if child == 0:
    print(first(), flush=True)
    os._exit(0)
os.waitpid(child, 0)
print(first(), flush=True)
"""
    found = []
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, check=True
        )
        found += done.stdout.split()
    assert len(set(found)) == len(found) == 6
