"""Proved bounds on the hidden-state gradient, as functions of the field, the step and the length.

==================  ==========  =======================================================================
function            theorem     bounds
==================  ==========  =======================================================================
`chebyshev`         B           ‖∂y_N/∂y_0‖ of leapfrog, recursions (11) and (13); sharp
`cosh`              A, B        the same and the flow's ‖∂y(T)/∂y(0)‖, T = Nε; depends on Nε√λ alone
`no_vanishing`      C           every singular value of ∂y_N/∂y_0, from below
`euler`             D           ‖∂y_N/∂y_0‖ of the Euler recursion (12)
`majorant`          E           ‖∂y_N/∂y_0‖ of any scheme
`aposteriori`       F           B, D and E with the slopes met along the trajectory in place of sup|σ'|
`theorem_3_2`       3.2         the *flow's* |∂y(T)/∂y(0)|, d = 1, ẏ(0) > T
`log_upper_bound`   all         the least of the upper bounds that hold for every run
`lower_bound`       all         the greatest of the lower ones
==================  ==========  =======================================================================

Here λ = ``field.lipschitz`` ≥ sup ‖DF‖₂, which is L‖W‖₂ with L = sup|σ'| for a `NeuralField`. No bound but
the last two theorems depends on initial values or inputs: A to E hold for driven recursions as they stand, F
takes the inputs as an argument, and 3.2 has none. Each is proved in the package `proofs`, in the module named
after the theorem; equation numbers are those of Rusch, Pearson, Zygalakis (2019).

The row above each function says what it states and when it holds (`sensitivity.bounds.table`). `applicable`
lists the bounds that hold for a given case, each with its hypotheses, its logarithm and its `Bound.tightness`
against a computed norm; `inapplicable` says why the others do not hold.

Every function takes `step` as a number or an array, whose shape leads the result's, and returns float64; an
upper bound beyond float64 is inf, and its ``log_`` twin still has it. All are rounded outwards by N times a
few units in the last place (`matrix.relative_slack`), so that a computed norm stays below its bound also
where the theorem holds with equality: σ = identity, W symmetric and positive semidefinite.
"""

from importlib import import_module
from pkgutil import iter_modules

from .aposteriori import aposteriori, local_lipschitz, log_aposteriori
from .bound import Bound
from .flow import theorem_3_2
from .growth import (
    chebyshev,
    cosh,
    euler,
    log_chebyshev,
    log_cosh,
    log_euler,
    log_majorant,
    majorant,
    no_vanishing,
)
from .table import TABLE, applicable, inapplicable, log_upper_bound, lower_bound

# A file of this folder that puts a bound into the table needs no line here.
for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")
globals().update({row.name: row.function for row in TABLE})

__all__ = [
    "Bound",
    "aposteriori",
    "applicable",
    "chebyshev",
    "cosh",
    "euler",
    "inapplicable",
    "local_lipschitz",
    "log_aposteriori",
    "log_chebyshev",
    "log_cosh",
    "log_euler",
    "log_majorant",
    "log_upper_bound",
    "lower_bound",
    "majorant",
    "no_vanishing",
    "theorem_3_2",
]
