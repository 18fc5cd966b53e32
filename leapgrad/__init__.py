"""Hidden-state gradients of recurrent networks: exact values, proved bounds, checked proofs.

>>> import leapgrad as lg
>>> field = lg.NeuralField.random(10)
>>> lg.jacobian_norm(field, "leapfrog", step=0.01, n_steps=100) <= lg.bounds.chebyshev(field, 0.01, 100)
True
>>> lg.jacobian(lg.unroll(lg.cell("lstm", 4, 2), n_steps=50)).shape
(4, 4)

This package has all public names of `integrators` (fields, schemes, cells), `sensitivity` (Jacobians, norms,
bounds, studies, training) and `proofs`. A name is imported when it is first used, so that ``import leapgrad``
takes a few milliseconds.

Raises
------
ImportError
    If Python finds a package of another project under one of these three names.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from leapgrad._owner import check_owner

if TYPE_CHECKING:
    from integrators import *
    from proofs import *
    from sensitivity import *

    __version__: str

# The lists are written out because reading them from the packages would import the compiler and SymPy.
_NAMES = {
    "integrators": """
        ACTIVATIONS Activation Cell ConservativeField Field Joint Kind NeuralField POINT
        PotentialField SCHEMES Scheme Structure TANH Trajectory TrajectoryOverflow activate
        composition get_scheme harmonic henon_heiles integrate kepler kernel own_cell palindrome
        pendulum register symbolic_cell symbolic_field symmetric
    """,
    "sensitivity": """
        LogGradient exponent_gradient log_norm_gradient log_singular_value_gradient
        Agreement Antisymmetric Cayley Certificate Comparison ComplexMatrix Convergence CovariantVectors
        EigenNormalised Exponential FourierFactors GradientInTime GradientProfile GrowthExponents
        MemoryKernels NetworkReport OdeRecurrence ParameterNorms Positive ReadoutCeiling Recurrence
        RegionCertificate Results Scaled SequenceClassifier SingularDirections SingularValues
        StepRecommendation Study UnitaryCayley agreement bounds cell certify certify_region close_loop
        compare convergence covariant_vectors energy_error explore finite_time_exponents float32_error
        from_arrays from_function from_keras from_torch gradient_in_time gradient_profile growth_exponents
        jacobian jacobian_norm
        load_weights log_jacobian_norm log_singular_values log_window_norms memory_kernels open_results
        parameter_sensitivity readout_ceiling recommend_step report rflo_gradient save_weights
        singular_directions singular_values stack to_torch truncated_gradient unroll
        window_norms
    """,
    "proofs": """
        CATALOGUE Decision Mutant Outcome Proposition Report Role Step StepReport Verdict check
        check_all check_mutants decide standalone
    """,
}
_HOME = {name: package for package, names in _NAMES.items() for name in names.split()}

if not TYPE_CHECKING:
    __all__ = sorted(_HOME)

for _package in _NAMES:
    check_owner(_package)


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = getattr(_imported(_HOME[name]), name)
    elif name == "__version__":
        from importlib.metadata import version

        value = version("leapgrad")
    else:
        raise AttributeError(f"module 'leapgrad' has no attribute {name!r}")
    globals()[name] = value
    return value


def _imported(package: str) -> Any:
    """The package, after it has said itself that it is ours: its files may have been overwritten in place."""
    module = importlib.import_module(package)
    if getattr(module, "DISTRIBUTION", None) != "leapgrad":
        check_owner(package, overwritten=True)
    return module


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME, "__version__"})
