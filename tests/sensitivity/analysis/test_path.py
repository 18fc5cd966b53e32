"""How far a reader has to go to follow one number: the files and functions of ours that a call enters.

Counted in plain Python, so that the bodies of compiled functions count too, in the second of two calls:
importing, and what is checked once a process, is no part of the way.
"""

import os
import subprocess
import sys

import pytest

SCRIPT = """
import importlib, os, sys
import leapgrad as lg

field = lg.NeuralField.random(3)
run = lg.unroll(lg.cell("lstm", 3, 2, rng=0), n_steps=2)
call = {
    "norm": lambda: lg.jacobian_norm(field, "leapfrog", step=0.1, n_steps=2),
    "lstm": lambda: lg.jacobian(run),
}[sys.argv[1]]
call()
packages = [importlib.import_module(name) for name in ("integrators", "sensitivity", "proofs", "leapgrad")]
folders = tuple(os.path.dirname(package.__file__) + os.sep for package in packages)
entered = set()

def note(frame, event, argument):
    code = frame.f_code
    if event == "call" and code.co_filename.startswith(folders):
        entered.add((code.co_filename, code.co_name))

sys.setprofile(note)
call()
sys.setprofile(None)
for name, function in sorted(entered):
    print(os.path.relpath(name, os.path.dirname(folders[0][:-1])), function)
"""


def way(call):
    """(file, function) of everything that is entered."""
    found = subprocess.run(
        [sys.executable, "-c", SCRIPT, call],
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    return [tuple(line.split()) for line in found.stdout.splitlines()]


# Catches: another layer between a question and its answer. The limits are what stands; they only go down.
@pytest.mark.parametrize(("call", "files", "functions"), [("norm", 15, 75), ("lstm", 16, 75)])
def test_the_way_to_a_number_is_short(call, files, functions):
    entered = way(call)
    assert len({name for name, _ in entered}) <= files, entered
    assert len(entered) <= functions, entered


# Catches: arguments that are looked at twice, and estimates for problems that take microseconds.
def test_the_analysis_adds_little_to_the_run():
    entered = [(name, function) for name, function in way("norm") if name.startswith("sensitivity/analysis")]
    assert len({name for name, _ in entered}) == 2
    assert len(entered) <= 7, entered
