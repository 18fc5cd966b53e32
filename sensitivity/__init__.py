"""Hidden-state gradients of recurrent maps: Jacobians, their norms, and what is proved about them.

Names are imported when first used, so that the command line starts without loading the compiler.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import bounds
    from .certification import Certificate, certify
    from .comparison import Comparison, compare
    from .graded import log_singular_values
    from .growth import GrowthExponents, growth_exponents
    from .jacobians import float32_error, jacobian, jacobian_norm, log_jacobian_norm, singular_values
    from .profile import GradientProfile, gradient_profile
    from .recommend import StepRecommendation, recommend_step
    from .recurrence import Recurrence, Scaled
    from .recurrences.cell import unroll
    from .recurrences.ode import OdeRecurrence
    from .studies import Results, Study, open_results

__all__ = [
    "Certificate",
    "Comparison",
    "GradientProfile",
    "GrowthExponents",
    "OdeRecurrence",
    "Recurrence",
    "Results",
    "Scaled",
    "StepRecommendation",
    "Study",
    "bounds",
    "certify",
    "compare",
    "float32_error",
    "gradient_profile",
    "growth_exponents",
    "jacobian",
    "jacobian_norm",
    "log_jacobian_norm",
    "log_singular_values",
    "open_results",
    "recommend_step",
    "singular_values",
    "unroll",
]

# No module may share its name with a function here: importing it would put the module in its place.
_HOME = {
    ".certification": ("Certificate", "certify"),
    ".comparison": ("Comparison", "compare"),
    ".profile": ("GradientProfile", "gradient_profile"),
    ".recommend": ("StepRecommendation", "recommend_step"),
    ".graded": ("log_singular_values",),
    ".growth": ("GrowthExponents", "growth_exponents"),
    ".jacobians": ("float32_error", "jacobian", "jacobian_norm", "log_jacobian_norm", "singular_values"),
    ".recurrence": ("Recurrence", "Scaled"),
    ".recurrences.cell": ("unroll",),
    ".recurrences.ode": ("OdeRecurrence",),
    ".studies": ("Results", "Study", "open_results"),
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}


def __getattr__(name: str) -> Any:
    if name == "bounds":
        return importlib.import_module(".bounds", __name__)
    if name in _MODULE_OF:
        value = getattr(importlib.import_module(_MODULE_OF[name], __name__), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
