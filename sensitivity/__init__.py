"""Hidden-state gradients of recurrent maps: Jacobians, their norms, and what is proved about them.

Names are imported when first used, so that the command line starts without loading the compiler.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from integrators.engine.column_scale import Scaled
    from integrators.run.recurrence import OdeRecurrence, Recurrence

    from . import bounds
    from .analysis.approximate import Agreement, agreement, rflo_gradient, truncated_gradient
    from .analysis.comparison import Comparison, compare
    from .analysis.convergence import Convergence, convergence, energy_error
    from .analysis.graded import log_singular_values
    from .analysis.gradients.exponents import (
        exponent_gradient,
        log_norm_gradient,
        log_singular_value_gradient,
    )
    from .analysis.gradients.log_gradient import LogGradient
    from .analysis.growth import GrowthExponents, growth_exponents
    from .analysis.jacobians import float32_error, jacobian, jacobian_norm, log_jacobian_norm, singular_values
    from .analysis.memory.covariant import CovariantVectors, covariant_vectors
    from .analysis.memory.gradient_time import GradientInTime, gradient_in_time
    from .analysis.memory.input_kernels import (
        MemoryKernels,
        ReadoutCeiling,
        memory_kernels,
        readout_ceiling,
    )
    from .analysis.memory.parameters import ParameterNorms, parameter_sensitivity
    from .analysis.memory.singular_vectors import SingularDirections, singular_directions
    from .analysis.memory.windows import finite_time_exponents, log_window_norms, window_norms
    from .analysis.profile import GradientProfile, gradient_profile
    from .analysis.recommend import StepRecommendation, recommend_step
    from .analysis.singular import SingularValues
    from .certification import Certificate, RegionCertificate, certify, certify_region
    from .figures.sliders import explore
    from .recurrences.cell import unroll
    from .recurrences.closed_loop import close_loop
    from .recurrences.function_cell import from_function
    from .recurrences.registry import make as cell
    from .recurrences.stacks.blocks import build_stack as stack
    from .recurrences.structures.matrices import (
        Antisymmetric,
        Cayley,
        ComplexMatrix,
        FourierFactors,
        Positive,
        UnitaryCayley,
    )
    from .recurrences.structures.spectral import EigenNormalised, Exponential
    from .reports.practitioner import NetworkReport, report
    from .studies import Results, Study, open_results
    from .training.classifier import SequenceClassifier
    from .weights.weight_files import from_arrays, load_weights, save_weights
    from .weights.weights import from_keras, from_torch, to_torch

__all__ = [
    "Agreement",
    "Antisymmetric",
    "Cayley",
    "Certificate",
    "Comparison",
    "ComplexMatrix",
    "Convergence",
    "CovariantVectors",
    "EigenNormalised",
    "Exponential",
    "FourierFactors",
    "GradientInTime",
    "GradientProfile",
    "GrowthExponents",
    "LogGradient",
    "MemoryKernels",
    "NetworkReport",
    "OdeRecurrence",
    "ParameterNorms",
    "Positive",
    "ReadoutCeiling",
    "Recurrence",
    "RegionCertificate",
    "Results",
    "Scaled",
    "SequenceClassifier",
    "SingularDirections",
    "SingularValues",
    "StepRecommendation",
    "Study",
    "UnitaryCayley",
    "agreement",
    "bounds",
    "cell",
    "certify",
    "certify_region",
    "close_loop",
    "compare",
    "convergence",
    "covariant_vectors",
    "energy_error",
    "explore",
    "exponent_gradient",
    "finite_time_exponents",
    "float32_error",
    "from_arrays",
    "from_function",
    "from_keras",
    "from_torch",
    "gradient_in_time",
    "gradient_profile",
    "growth_exponents",
    "jacobian",
    "jacobian_norm",
    "load_weights",
    "log_jacobian_norm",
    "log_norm_gradient",
    "log_singular_value_gradient",
    "log_singular_values",
    "log_window_norms",
    "memory_kernels",
    "open_results",
    "parameter_sensitivity",
    "readout_ceiling",
    "recommend_step",
    "report",
    "rflo_gradient",
    "save_weights",
    "singular_directions",
    "singular_values",
    "stack",
    "to_torch",
    "truncated_gradient",
    "unroll",
    "window_norms",
]

# No module may share its name with a function here: importing it would put the module in its place.
_HOME = {
    "integrators.engine.column_scale": ("Scaled",),
    "integrators.run.recurrence": ("OdeRecurrence", "Recurrence"),
    ".certification": ("Certificate", "RegionCertificate", "certify", "certify_region"),
    ".analysis.approximate": ("Agreement", "agreement", "rflo_gradient", "truncated_gradient"),
    ".analysis.comparison": ("Comparison", "compare"),
    ".analysis.convergence": ("Convergence", "convergence", "energy_error"),
    ".analysis.profile": ("GradientProfile", "gradient_profile"),
    ".analysis.recommend": ("StepRecommendation", "recommend_step"),
    ".analysis.graded": ("log_singular_values",),
    ".analysis.gradients.exponents": (
        "exponent_gradient",
        "log_norm_gradient",
        "log_singular_value_gradient",
    ),
    ".analysis.gradients.log_gradient": ("LogGradient",),
    ".analysis.growth": ("GrowthExponents", "growth_exponents"),
    ".analysis.memory.covariant": ("CovariantVectors", "covariant_vectors"),
    ".analysis.memory.gradient_time": ("GradientInTime", "gradient_in_time"),
    ".analysis.memory.input_kernels": (
        "MemoryKernels",
        "ReadoutCeiling",
        "memory_kernels",
        "readout_ceiling",
    ),
    ".analysis.memory.parameters": ("ParameterNorms", "parameter_sensitivity"),
    ".analysis.memory.singular_vectors": ("SingularDirections", "singular_directions"),
    ".analysis.memory.windows": ("finite_time_exponents", "log_window_norms", "window_norms"),
    ".analysis.singular": ("SingularValues",),
    ".analysis.jacobians": (
        "float32_error",
        "jacobian",
        "jacobian_norm",
        "log_jacobian_norm",
        "singular_values",
    ),
    ".figures.sliders": ("explore",),
    ".recurrences.cell": ("unroll",),
    ".recurrences.closed_loop": ("close_loop",),
    ".recurrences.function_cell": ("from_function",),
    ".recurrences.registry": ("cell",),
    ".recurrences.stacks.blocks": ("stack",),
    ".recurrences.structures.spectral": ("EigenNormalised", "Exponential"),
    ".recurrences.structures.matrices": (
        "Antisymmetric",
        "Cayley",
        "ComplexMatrix",
        "FourierFactors",
        "Positive",
        "UnitaryCayley",
    ),
    ".weights.weight_files": ("from_arrays", "load_weights", "save_weights"),
    ".weights.weights": ("from_keras", "from_torch", "to_torch"),
    ".reports.practitioner": ("NetworkReport", "report"),
    ".studies": ("Results", "Study", "open_results"),
    ".training.classifier": ("SequenceClassifier",),
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}
_NAME_THERE = {"cell": "make", "stack": "build_stack"}

DISTRIBUTION = "leapgrad"
"""Whose package this is; other projects have packages of this name."""


def __getattr__(name: str) -> Any:
    if name == "bounds":
        return importlib.import_module(".bounds", __name__)
    if name in _MODULE_OF:
        value = getattr(importlib.import_module(_MODULE_OF[name], __name__), _NAME_THERE.get(name, name))
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
