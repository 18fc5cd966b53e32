"""The program of a scheme does what the scheme's stages do, one after the other."""

from fractions import Fraction

import numpy as np
import pytest

from integrators import SCHEMES
from integrators.engine.program import Program

H = 0.3


def force(y, x):
    return np.cos(y) + x


def stage_by_stage(scheme, n_steps, rows, close=True):
    """y, p and the places of the forces, by the scheme's definition; x_i stands in rows[i]."""
    y, p, t = 0.4, -0.7, 0.0
    for i in range(n_steps):
        last = max(s for s, a in enumerate(scheme.drift) if a) if scheme.form == "splitting" else -1
        for s, (a, b) in enumerate(zip(scheme.drift, scheme.kick, strict=True)):
            if scheme.form == "first_order":
                y += b * H * force(y, rows[i])
                continue
            if scheme.form == "explicit":
                y, p = y + a * H * p, p + b * H * force(y, rows[i])
                continue
            y += a * H * p
            t += a
            # A kick after the last drift of a step acts on the next one, with the input of that.
            ends = s >= last
            if close or not (ends and i == n_steps - 1):
                p += b * H * force(y, rows[min(i + ends, n_steps - 1)])
    return y, p


def by_program(program, rows):
    y, p = 0.4, -0.7
    for stage, weight, row, *_ in program:
        if stage == "drift":
            y += weight * H * p
        elif stage == "kick":
            p += weight * H * force(y, rows[row])
        elif stage == "increment":
            y += weight * H * force(y, rows[row])
        else:
            y, p = y + weight * H * p, p + weight * H * force(y, rows[row])
    return y, p


@pytest.mark.parametrize("close", [True, False])
@pytest.mark.parametrize("n_steps", [0, 1, 2, 5])
@pytest.mark.parametrize("name", SCHEMES)
def test_operations_are_the_stages_of_the_scheme(name, n_steps, close, rng):
    """Would catch a kick left out, doubled, out of turn or with another input, at either end too."""
    rows = rng.normal(size=max(n_steps, 1))
    program = Program.of(SCHEMES[name], n_steps, close)
    expected = stage_by_stage(SCHEMES[name], n_steps, rows, close)
    assert by_program(program, rows) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", SCHEMES)
def test_tables_agree_with_the_operations(name):
    for close in (True, False):
        program = Program.of(SCHEMES[name], 4, close)
        seen = [operation for operation in program if operation.entry >= 0]
        entries = [operation.entry for operation in seen]
        assert entries == np.flatnonzero(program.evaluated).tolist()
        assert [operation.row for operation in seen] == program.rows[entries].tolist()
        assert len(program.times) == len(program.rows) == len(program.evaluated) == program.n_entries
        time, times = 0.0, []
        for stage, weight, *_ in program:
            if stage == "drift":
                time += weight
                continue
            times.append(time)
            time += weight if stage != "kick" else 0.0
        np.testing.assert_allclose(program.times[entries], times, atol=1e-14)


def test_leapfrog_has_one_force_a_step_and_the_ends_of_its_own():
    program = Program.of(SCHEMES["leapfrog"], 3)
    assert [(o.stage, o.weight, o.row) for o in program] == [
        ("kick", 0.5, 0), ("drift", 1.0, -1), ("kick", 1.0, 1), ("drift", 1.0, -1), ("kick", 1.0, 2),
        ("drift", 1.0, -1), ("kick", 0.5, 2),
    ]  # fmt: skip
    assert program.evaluations_per_step == 1


def test_end_kicks_that_cancel_stay_apart():
    program = Program.unrolled("splitting", [0.0, 1.0], [-0.5, 1.5 - 1.0], 2)
    assert [(o.stage, o.weight, o.row) for o in program] == [
        ("kick", -0.5, 0), ("drift", 1.0, -1), ("kick", 0.5, 1), ("kick", -0.5, 1), ("drift", 1.0, -1),
        ("kick", 0.5, 1),
    ]  # fmt: skip


def test_weights_may_be_exact_numbers():
    half, one = Fraction(1, 2), Fraction(1)
    program = Program.unrolled("splitting", [0 * one, one], [half, half], 3)
    weights = [operation.weight for operation in program if operation.stage == "kick"]
    assert weights == [half, one, one, half] and all(isinstance(weight, Fraction) for weight in weights)
