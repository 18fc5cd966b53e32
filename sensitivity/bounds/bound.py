"""What a bound that holds for a given case is: its value, what it is a bound of, and what was checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from integrators.display import Displayed, Table
from integrators.values import ByValue
from sensitivity.text import from_log

__all__ = ["Block", "Bound", "Of", "Side"]

Float = NDArray[np.float64]
Side = Literal["upper", "lower"]
Of = Literal["recursion", "trajectory", "product", "flow"]
Block = Literal["position", "phase"]


@dataclass(frozen=True, repr=False, eq=False)
class Bound(ByValue, Displayed):
    """A bound that holds for a given case.

    Attributes
    ----------
    name : str
        The function of `sensitivity.bounds` that gives it.
    theorem : str
        "B", "D", …
    value : ndarray, shape step.shape
        inf beyond float64.
    log_value : ndarray, shape step.shape
        Its natural logarithm, which does not overflow with N; −inf where a lower bound is not positive.
    statement : str
        The formula.
    side : {"upper", "lower"}
        Of the norm ‖∂y_N/∂y_0‖₂, or of its smallest singular value.
    of : {"recursion", "trajectory", "product", "flow"}
        Whether it bounds the map that runs, for every initial value and input; the product of Jacobians along
        this computed trajectory, from the slopes met ("trajectory") or from the Jacobians of its steps
        ("product"); or only the differential equation behind it.
    hypotheses : tuple of str
        What was checked.

    Examples
    --------
    >>> import leapgrad as lg
    >>> field = lg.NeuralField([[2.0]], [0.0], activation="identity")
    >>> bound = lg.bounds.applicable(field, "leapfrog", 0.1, 50)[0]
    >>> bound.name, bound.theorem, bound.side
    ('chebyshev', 'B', 'upper')
    >>> bound.tightness(lg.log_jacobian_norm(field, "leapfrog", 0.1, 50)).round(6)
    np.float64(1.0)
    """

    name: str
    theorem: str
    value: Float
    log_value: Float
    statement: str
    side: Side
    of: Of
    hypotheses: tuple[str, ...]

    def log_tightness(self, log_value: ArrayLike) -> Float:
        """Natural logarithm of `tightness`, which does not overflow."""
        gap = np.asarray(self.log_value, dtype=np.float64) - np.asarray(log_value, dtype=np.float64)
        return (gap if self.side == "upper" else -gap)[()]

    def tightness(self, log_value: ArrayLike) -> Float:
        """How sharp the bound is: bound ÷ norm; for a lower bound, smallest singular value ÷ bound.

        Parameters
        ----------
        log_value : array_like, shape step.shape
            Natural logarithm of ‖∂y_N/∂y_0‖₂ (`log_jacobian_norm`), or of the smallest singular value.

        Returns
        -------
        ndarray
            1 or more; inf where a lower bound is not positive, and where the ratio is too large for float64.
        """
        with np.errstate(over="ignore"):
            return np.exp(self.log_tightness(log_value))[()]

    def _table(self) -> Table:
        facts = [(name, getattr(self, name)) for name in ("theorem", "statement", "of", "side")]
        facts += [("hypothesis", text) for text in self.hypotheses]
        facts += [("value", from_log(float(value))) for value in np.ravel(self.log_value)]
        return ("bound", self.name), facts

    def __repr__(self) -> str:
        shown = f"{self.value:.6g}" if np.ndim(self.value) == 0 else f"{np.size(self.value)} values"
        checked = ", ".join(self.hypotheses)
        return f"<Bound {self.name} (theorem {self.theorem}): {shown} for the {self.of}; {checked}>"
