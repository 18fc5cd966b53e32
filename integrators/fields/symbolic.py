"""A field from SymPy expressions: its derivatives are derived, printed and compiled."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from numba.core.errors import NumbaError
from numpy.typing import ArrayLike

from integrators.codegen.compiled import Kernel, first_reason
from integrators.codegen.expressions import compiled, digest, prepared, source
from integrators.validation import as_name

from .check import check_field
from .field import Field
from .textbook import callbacks

__all__ = ["symbolic_field"]


def symbolic_field(
    expressions: Any,
    y: Any,
    x: Any = (),
    parameters: Mapping[Any, float] | None = None,
    *,
    name: str = "symbolic",
    lipschitz: float | None = None,
    check_at: ArrayLike | None = None,
) -> Field:
    """The field whose force F(y, x; θ) is given by SymPy expressions.

    DF, its transpose and ∂F/∂θ come from SymPy's differentiation, share their common subexpressions, and are
    compiled to the same kind of callbacks as a field written by hand.

    Parameters
    ----------
    expressions : sequence of SymPy expressions, length d
        The components of F; a single expression stands for d = 1.
    y : sequence of Symbol, length d
        The components of the state.
    x : sequence of Symbol, optional
        The components of the input; none make an autonomous field.
    parameters : mapping Symbol → float, optional
        Values of all other symbols, in the order of ``theta``.
    name : str
        Shown by ``repr`` and in messages.
    lipschitz : float, optional
        A bound on sup ‖DF‖₂, where one is known; see `Field`.
    check_at : array_like, shape (d,), optional
        A point inside the domain of F, where the compiled callbacks are checked; see `Field`.

    Returns
    -------
    Field

    Raises
    ------
    ValueError, TypeError
        For symbols that are neither in y, x nor parameters, another number of expressions than of y,
        expressions that are not real or not differentiable, and functions that cannot be compiled.

    Notes
    -----
    Abs, Max and Min are differentiated piece by piece. At the kink itself the derivative of Abs is 0, and
    that of Max(0, a) and of Min(1, a) too, as in PyTorch; otherwise it is that of one of the sides.

    Text is never taken for an expression, at no depth of a list: SymPy would run it as Python code.

    Examples
    --------
    >>> import sympy
    >>> import leapgrad as lg
    >>> u, k = sympy.symbols("u k")
    >>> spring = lg.symbolic_field([-k * u**3], [u], parameters={k: 2.0}, name="cubic spring")
    >>> spring.force([0.5])
    array([-0.25])
    >>> lg.jacobian(spring, "leapfrog", 0.1, 10, y0=[1.0]).round(6)
    array([[-0.686042]])
    """
    name = as_name(name)
    found = prepared(expressions, y, x, parameters, "field")
    d, jacobian = len(found.state), found.derivatives(found.state)
    sources = (
        source("linearise", found.symbols, d, {"force": found.values, "jacobian": jacobian}),
        source("by_theta", found.symbols, d, {"slopes": found.derivatives(found.constants)}),
    )
    kick, kick_adjoint = _leaves(sources, f"{re.sub(r'[^0-9A-Za-z]+', '_', name)}_{digest(sources)}")
    field = Field(
        d, kick, kick_adjoint, found.theta, n_inputs=len(found.drive), lipschitz=lipschitz, name=name
    )
    field.constant_jacobian = not any(e.free_symbols & {*found.state, *found.drive} for e in jacobian)
    try:
        check_field(field, check_at)
    except NumbaError as error:
        reason = first_reason(error)
        raise ValueError(f"{name}: the expressions do not compile to real functions: {reason}") from error
    return field


@lru_cache(maxsize=64)
def _leaves(sources: tuple[str, str], name: str) -> tuple[Kernel, Kernel]:
    """The two callbacks; made once in a process, for copies and for pickled fields too."""
    both = callbacks(compiled(sources[0]), compiled(sources[1]), name)
    for number, callback in enumerate(both):
        callback.recipe = (_callback, sources, name, number)
    return both


def _callback(sources: tuple[str, str], name: str, number: int) -> Kernel:
    return _leaves(sources, name)[number]
