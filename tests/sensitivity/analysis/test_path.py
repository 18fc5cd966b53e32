"""How far a reader has to go to follow one norm: the files and functions of ours that a call enters."""

import os
import subprocess
import sys

import pytest

SCRIPT = """
import os, sys
import leapgrad as lg
import numpy as np

PACKAGES = tuple(os.path.dirname(os.path.abspath(__import__(name).__file__)) + os.sep
                 for name in ("integrators", "sensitivity", "proofs", "leapgrad"))

def norm():
    return lambda: lg.jacobian_norm(lg.NeuralField.random(3), "leapfrog", step=0.1, n_steps=2)
def lstm():
    run = lg.unroll(lg.cell("lstm", 3, 2, rng=0), n_steps=2)
    return lambda: lg.jacobian(run)

call = {call}()
call()  # what is imported, or checked once a process, is no part of the path
entered = set()

def note(frame, event, argument):
    code = frame.f_code
    if event == "call" and code.co_filename.startswith(PACKAGES):
        entered.add((code.co_filename, code.co_qualname if hasattr(code, "co_qualname") else code.co_name, code.co_firstlineno))

sys.setprofile(note)
call()
sys.setprofile(None)
for name, function, line in sorted(entered):
    print(os.path.relpath(name), function, line, sep=":")
"""
