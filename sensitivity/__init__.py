"""Hidden-state gradients of recurrent maps: Jacobians, their norms, and what is proved about them.

Names are imported when first used, so that the command line starts without loading the compiler.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .jacobian import jacobian, jacobian_norm, log_jacobian_norm, singular_values
    from .recurrence import Recurrence, Scaled
    from .recurrences.ode import OdeRecurrence

__all__ = ["OdeRecurrence", "Recurrence", "Scaled", "jacobian", "jacobian_norm", "log_jacobian_norm", "singular_values"]

_HOME = {
    "OdeRecurrence": ".recurrences.ode",
    "Recurrence": ".recurrence",
    "Scaled": ".recurrence",
    "jacobian": ".jacobian",
    "jacobian_norm": ".jacobian",
    "log_jacobian_norm": ".jacobian",
    "singular_values": ".jacobian",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = getattr(importlib.import_module(_HOME[name], __name__), name)
        # The function `jacobian` must win over the submodule of the same name.
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
