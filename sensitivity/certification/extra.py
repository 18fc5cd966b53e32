"""What ball arithmetic needs: the extra that brings it, and the precisions that are tried."""

from __future__ import annotations

from sensitivity.extras import imported

__all__ = ["DEFAULT_PRECISION", "FIRST_PRECISION", "require_flint"]

FIRST_PRECISION = 128
DEFAULT_PRECISION = 16384


def require_flint() -> None:
    """Raise MissingExtra, with what to install, if python-flint is not there."""
    imported(
        "flint",
        "certificates need python-flint, which the extra 'certify' brings: pip install 'leapgrad[certify]'.",
    )
