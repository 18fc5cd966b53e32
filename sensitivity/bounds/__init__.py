"""Proved bounds on the hidden-state gradient, as functions of the field, the step and the length.

====================  =======  ========================================================================
function              theorem  bounds
====================  =======  ========================================================================
`chebyshev`           B        ‖∂y_N/∂y_0‖ of leapfrog, recursions (11) and (13); sharp
`cosh`                A, B     the same and the flow's ‖∂y(T)/∂y(0)‖, T = Nε; depends on Nε√λ alone
`no_vanishing`        C        every singular value of ∂y_N/∂y_0, from below
`euler`               D        ‖∂y_N/∂y_0‖ of the Euler recursion (12)
`majorant`            E        ‖∂y_N/∂y_0‖ of any scheme
`aposteriori`         F        B, D and E with the slopes met along the trajectory in place of sup|σ'|
`phase_no_vanishing`  I        every singular value of ∂(y_N, p_N)/∂(y_0, p_0), from below
`bias_gradient`       J        ‖∂y_N/∂b‖ of a neural field
`weight_gradient`     J        ‖∂y_N/∂W‖ of a neural field with bounded σ
`step_product`        H        ∂s_N/∂s_0 of any recurrence by Π ‖J_n‖ along the trajectory
`weighted_product`    H        the same in a norm chosen for the trajectory; never above theorem F
`segment_product`     K        products of segments of steps in place of single ones; as near as one likes
`theorem_3_2`         3.2      the *flow's* |∂y(T)/∂y(0)|, d = 1, ẏ(0) > T
`log_upper_bound`     all      the least of the upper bounds that hold for every run
`lower_bound`         all      the greatest of the lower ones
====================  =======  ========================================================================

Theorems F, H and K bound the product of Jacobians along the *computed* trajectory: of the exact ones at the
computed states, and of those that `jacobian` multiplies. Where σ' jumps (relu), the trajectory of the exact
map may lie on the other side of the kink and its gradient above them: W = 0.1, b = −1, relu, Euler, ε = 1,
y_0 = 10 has the gradient 1 in float64 and 1.1 without rounding. ``aposteriori(..., local="certified")``
bounds that of the exact map, and `certify` encloses it. Results of float32 arithmetic may exceed a bound by
what float32 rounds; `float32_error` measures it.

Here λ = ``field.lipschitz`` ≥ sup ‖DF‖₂, which is L‖W‖₂ with L = sup|σ'| for a `NeuralField`. No bound but
theorems F, H, K and 3.2 depends on initial values or inputs: A to E hold for driven recursions as they stand;
F, H and K take the inputs as an argument, and 3.2 has none. Each is proved in the package `proofs`, in the
module named after the theorem; equation numbers are those of Rusch, Pearson, Zygalakis (2019).

The row above each function says what it states and when it holds (`sensitivity.bounds.table`). `applicable`
lists the bounds that hold for a given case, each with its hypotheses, its logarithm and its `Bound.tightness`
against a computed norm; `inapplicable` says why the others do not hold. `of_recurrence` lists those of a
cell.

Every function takes `step` as a number or an array, whose shape leads the result's, and returns float64; an
upper bound beyond float64 is inf, and its ``log_`` twin still has it. All are rounded outwards by N times a
few units in the last place (`matrix.relative_slack`), so that a computed norm stays below its bound also
where the theorem holds with equality: σ = identity, W symmetric and positive semidefinite.
"""

from importlib import import_module
from pkgutil import iter_modules

from .aposteriori import aposteriori, local_lipschitz, log_aposteriori
from .bound import Bound
from .cells import of_recurrence
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
    phase_no_vanishing,
)
from .parameters import bias_gradient, log_bias_gradient, log_weight_gradient, weight_gradient
from .products import log_step_product, log_weighted_product, step_product, weighted_product
from .segments import log_segment_product, segment_product
from .table import TABLE, applicable, inapplicable, log_upper_bound, lower_bound

# A file of this folder that puts a bound into the table needs no line here.
for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")
globals().update({row.name: row.function for row in TABLE})

__all__ = [
    "Bound",
    "aposteriori",
    "applicable",
    "bias_gradient",
    "chebyshev",
    "cosh",
    "euler",
    "inapplicable",
    "local_lipschitz",
    "log_aposteriori",
    "log_bias_gradient",
    "log_chebyshev",
    "log_cosh",
    "log_euler",
    "log_majorant",
    "log_segment_product",
    "log_step_product",
    "log_upper_bound",
    "log_weight_gradient",
    "log_weighted_product",
    "lower_bound",
    "majorant",
    "no_vanishing",
    "of_recurrence",
    "phase_no_vanishing",
    "segment_product",
    "step_product",
    "theorem_3_2",
    "weight_gradient",
    "weighted_product",
]
