"""The record of a time-stepping scheme, weights, order and source, and the look-up of schemes by name.

A second-order system ẏ = p, ṗ = F(y) is advanced by drifts y += a_s ε p and kicks p += b_s ε F(y); a scheme
is the list of its weights. Weights are expressions (see `integrators.schemes.composition`), so that the
float64 arrays a kernel runs and the exact numbers a proof uses are two evaluations of one definition. A
record checks itself and has no loop of its own. `table` fills in the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from decimal import Context, Decimal, localcontext
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from integrators.engine.program import Program
from integrators.naming import UnknownNameError, nearest, shown
from integrators.values import portable

from .composition import Coefficient, Constructor, Definition, convert

__all__ = ["SCHEMES", "Scheme", "SchemeTable", "UnknownSchemeError", "get_scheme"]

# Carried before the single rounding to float64, and in the checks of the sums.
WORKING_DIGITS = 60
# What float64 weights without `digits` are held to: their sums are one up to round-off only.
FLOAT_DIGITS = 15

BUILT_IN: dict[str, Scheme] = {}
"""The rows of the table, which fills it in: they are pickled by name."""

FORMS = ("splitting", "first_order", "explicit")


@dataclass(frozen=True)
class _Entry:
    """One weight of a scheme that is defined as a whole."""

    definition: Definition
    row: int
    column: int

    def __call__(self, R: Constructor) -> Any:
        return self.definition(R)[self.row][self.column]

    def __reduce__(self) -> tuple[Any, ...]:
        return _Entry, (portable(self.definition), self.row, self.column)


@dataclass(frozen=True, repr=False, eq=False)
class Scheme:
    """A time-stepping scheme: its weights, its claimed order, and where they come from.

    One step of size ε applies, for s = 1, …, S,

        y ← y + a_s ε p          (drift)
        p ← p + b_s ε F(y)       (kick)

    and skips every zero weight. Two further forms serve as baselines: ``"first_order"`` is explicit Euler on
    ẏ = F(y), each kick added to y; ``"explicit"`` is explicit Euler on the second-order system, drift and
    kick both taken from the old state.

    Parameters
    ----------
    name : str
        A valid identifier.
    order : int
        The order p ≥ 1 that is claimed: one step is off by O(ε^{p+1}).
    a, b : sequence of Coefficient, equal length S ≥ 1
        Drift and kick weights. Each sums to one (the drifts of a ``"first_order"`` scheme to zero).
    reference : str
        Authors, journal, year, equation or table.
    form : {"splitting", "first_order", "explicit"}
        How the weights are applied.
    digits : int, optional
        Number of decimals to which the weights are published; None means that they are exact.
    aliases : tuple of str
        Further names.

    Raises
    ------
    ValueError, TypeError
        Naming the scheme, what was found and how to mend it.

    Examples
    --------
    >>> from integrators import Scheme
    >>> Scheme("ruth3", 3, a=("1", "-2/3", "2/3"), b=("-1/24", "3/4", "7/24"))
    <Scheme ruth3: order 3, 3 kicks per step, not symmetric, exact coefficients>
    >>> Scheme("typo", 2, a=(0, 1), b=(0.5, 0.4))
    Traceback (most recent call last):
        ...
    ValueError: scheme 'typo': the kick weights sum to 0.9, not 1. Check digits and signs, or let \
symmetric() or composition() complete the sum.
    """

    name: str
    order: int
    a: Sequence[Coefficient]
    b: Sequence[Coefficient]
    reference: str = ""
    form: Literal["splitting", "first_order", "explicit"] = "splitting"
    digits: int | None = None
    aliases: tuple[str, ...] = ()

    @classmethod
    def define(cls, name: str, order: int, definition: Definition, **details: Any) -> Scheme:
        """Make a scheme from one function of the number constructor that returns all weights.

        Parameters
        ----------
        name, order
            As for `Scheme`.
        definition : callable
            R ↦ (a, b), for instance by way of `composition` or `symmetric`. A scheme that is to be sent to
            another process needs a function of a module here, not a lambda.
        **details
            The remaining fields of `Scheme`.

        Examples
        --------
        >>> from integrators import Scheme, composition, palindrome
        >>> def weights(R):
        ...     return composition(palindrome(1 / (2 - R(2) ** (R(1) / 3))), base="position_verlet")
        >>> Scheme.define("shifted", 4, weights)
        <Scheme shifted: order 4, 3 kicks per step, symmetric, exact coefficients>
        """
        with localcontext(Context(prec=WORKING_DIGITS)):
            sizes = [len(weights) for weights in definition(Decimal)]
        a, b = ([_Entry(definition, row, column) for column in range(size)] for row, size in enumerate(sizes))
        return cls(name, order, a, b, **details)

    def __post_init__(self) -> None:
        self._check_labels()
        for field in ("a", "b"):
            weights = getattr(self, field)
            if isinstance(weights, str | bytes) or not hasattr(weights, "__len__"):
                raise TypeError(
                    f"scheme {self.name!r}: {field} must be a sequence of coefficients, got {weights!r}."
                )
            object.__setattr__(self, field, tuple(weights))
        self._check_weights()

    def __repr__(self) -> str:
        form = "" if self.form == "splitting" else f"{self.form} form, "
        kicks = f"{self.n_kicks} kick{'s' if self.n_kicks > 1 else ''} per step"
        symmetry = "symmetric" if self.is_symmetric else "not symmetric"
        source = "exact coefficients" if self.digits is None else f"{self.digits} decimals"
        return f"<Scheme {self.name}: order {self.order}, {form}{kicks}, {symmetry}, {source}>"

    def __reduce__(self) -> tuple[Callable[..., Scheme], tuple[Any, ...]]:
        # Built-in rows hold lambdas, which cannot be pickled; their name can.
        if BUILT_IN.get(self.name) is self:
            return built_in, (self.name,)
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        values |= {name: tuple(map(portable, values[name])) for name in ("a", "b")}
        return Scheme, tuple(values.values())

    def __copy__(self) -> Scheme:
        return self

    def __deepcopy__(self, memo: object) -> Scheme:
        return self

    @cached_property
    def _value(self) -> tuple[Any, ...]:
        labels = self.name, self.order, self.reference, self.form, self.digits, self.aliases
        return (*labels, self._decimals)

    @cached_property
    def _hash(self) -> int:
        return hash(self._value)

    def __eq__(self, other: object) -> bool:
        """Whether all weights are the same, to 60 digits, and everything that is said of them."""
        return self is other or (isinstance(other, Scheme) and self._value == other._value)

    def __hash__(self) -> int:
        return self._hash

    def evaluate(self, R: Constructor) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """Return the drift and the kick weights as numbers of the type that `R` constructs.

        Parameters
        ----------
        R : callable
            For example ``decimal.Decimal`` (in the current context), ``mpmath.mpf`` or ``sympy.Rational``.
        """
        seen: dict[Definition, Any] = {}

        def value(weight: Coefficient) -> Any:
            if isinstance(weight, _Entry):  # its definition yields all weights at once: call it once
                if weight.definition not in seen:
                    seen[weight.definition] = weight.definition(R)
                weight = seen[weight.definition][weight.row][weight.column]
            return convert(weight, R)

        def row(field: str, weights: Sequence[Coefficient]) -> Iterator[Any]:
            for index, weight in enumerate(weights):
                where = f"scheme {self.name!r}, {field}[{index}]"
                try:
                    yield value(weight)
                except TypeError as error:
                    raise TypeError(f"{where}: {error}") from error
                except (ArithmeticError, ValueError) as error:
                    raise ValueError(f"{where}: {weight!r} is not a number.") from error

        return tuple(row("a", self.a)), tuple(row("b", self.b))

    def exact(self) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """Return the drift and kick weights as SymPy numbers; decimals become the rationals they spell."""
        return self._exact

    @cached_property
    def drift(self) -> NDArray[np.float64]:
        """Drift weights a_s, shape (S,), each rounded once to float64; read-only."""
        return _read_only(self._decimals[0])

    @cached_property
    def kick(self) -> NDArray[np.float64]:
        """Kick weights b_s, shape (S,), each rounded once to float64; read-only."""
        return _read_only(self._decimals[1])

    @property
    def stages(self) -> int:
        """Number S of drift–kick pairs, zero weights included."""
        return len(self.a)

    @cached_property
    def fsal(self) -> bool:
        """First same as last: a step opens and closes with a kick, so consecutive steps share a force."""
        return self._step[0][0] == self._step[-1][0] == "kick"

    @cached_property
    def n_kicks(self) -> int:
        """Force evaluations per step of a long run; kicks that share a force count once."""
        return sum(stage != "drift" for stage, _ in self._step) - self.fsal

    @cached_property
    def is_symmetric(self) -> bool:
        """Whether the flows form a palindrome, so that the step is time-reversible: Φ_{−ε} ∘ Φ_ε = id."""
        return self.form == "splitting" and self._step == self._step[::-1]

    @cached_property
    def _exact(self) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        import sympy  # here, because it takes longer to import than the rest of the package

        return self.evaluate(sympy.Rational)

    @cached_property
    def _decimals(self) -> tuple[tuple[Decimal, ...], tuple[Decimal, ...]]:
        with localcontext(Context(prec=WORKING_DIGITS)):
            return self.evaluate(Decimal)

    @cached_property
    def _step(self) -> tuple[tuple[str, float], ...]:
        """Stage and weight of every operation of a single step, the closing kick included."""
        with localcontext(Context(prec=WORKING_DIGITS)):
            program = Program.unrolled(self.form, *self._decimals, n_steps=1)
            return tuple((operation.stage, float(operation.weight)) for operation in program)

    def _check_labels(self) -> None:
        if not isinstance(self.aliases, tuple | list):
            raise TypeError(f"scheme {self.name!r}: aliases must be a tuple of names, got {self.aliases!r}.")
        object.__setattr__(self, "aliases", tuple(self.aliases))
        for label in (self.name, *self.aliases):
            if not isinstance(label, str):
                raise TypeError(f"a scheme name must be a str, got {label!r}.")
            if not label.isidentifier():
                raise ValueError(
                    f"scheme name {label!r} is not a valid identifier; use letters, digits and underscores."
                )
        if not isinstance(self.reference, str):
            raise TypeError(f"scheme {self.name!r}: reference must be a str, got {self.reference!r}.")
        counts = (
            {"order": self.order} if self.digits is None else {"order": self.order, "digits": self.digits}
        )
        for field, value in counts.items():
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"scheme {self.name!r}: {field} must be a positive int, got {value!r}.")
        if self.form not in FORMS:
            raise ValueError(
                f"scheme {self.name!r}: form must be one of {', '.join(FORMS)}, got {self.form!r}."
            )

    def _check_weights(self) -> None:
        if len(self.a) != len(self.b):
            raise ValueError(
                f"scheme {self.name!r}: {len(self.a)} drift and {len(self.b)} kick weights. Stage s is drift "
                "a[s], then kick b[s]; pad the shorter list with a zero."
            )
        if len(self.a) == 0:
            raise ValueError(f"scheme {self.name!r} has no stage; give at least one drift and one kick.")
        if self.form == "explicit" and len(self.a) != 1:
            raise ValueError(f"scheme {self.name!r}: the explicit form has one stage, got {len(self.a)}.")
        digits = FLOAT_DIGITS if self.digits is None else min(self.digits, WORKING_DIGITS - 5)
        targets = {"drift": 0 if self.form == "first_order" else 1, "kick": 1}
        for (flow, target), weights in zip(targets.items(), self._decimals, strict=True):
            for index, weight in enumerate(weights):
                if not weight.is_finite():
                    raise ValueError(f"scheme {self.name!r}: {flow} weight {index} is {weight}, not finite.")
            with localcontext(Context(prec=WORKING_DIGITS)):
                total = sum(weights, Decimal(0))
                consistent = abs(total - target) <= Decimal(10) ** (1 - digits)
            if not consistent:
                found = total.normalize(Context(prec=digits))  # digits enough to show the difference
                raise ValueError(
                    f"scheme {self.name!r}: the {flow} weights sum to {found}, not {target}. Check digits "
                    "and signs, or let symmetric() or composition() complete the sum."
                )


def _read_only(weights: Sequence[Decimal]) -> NDArray[np.float64]:
    array = np.array([float(weight) for weight in weights], dtype=np.float64)
    array.flags.writeable = False
    return array


class UnknownSchemeError(UnknownNameError):
    """A name that no scheme has: a KeyError for mappings, a ValueError for whoever checks arguments."""


class SchemeTable(Mapping[str, Scheme]):
    """All known schemes by name. Iteration gives each scheme once; look-up also accepts aliases."""

    def __reduce__(self) -> str:
        return "SCHEMES"

    def __init__(self) -> None:
        self._rows: dict[str, Scheme] = {}
        self._owners: dict[str, str] = {}

    def __getitem__(self, name: str) -> Scheme:
        try:
            return self._rows[self._owners[name]]
        except (KeyError, TypeError):
            raise UnknownSchemeError(str(nearest("scheme", name, self._owners))) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def __repr__(self) -> str:
        return f"<SchemeTable: {', '.join(self._rows)}>"

    def _add(self, scheme: Scheme) -> None:
        # A row that is replaced takes its old aliases with it.
        self._owners = {label: owner for label, owner in self._owners.items() if owner != scheme.name}
        self._owners.update(dict.fromkeys((scheme.name, *scheme.aliases), scheme.name))
        self._rows[scheme.name] = scheme


SCHEMES = SchemeTable()
"""Every scheme by name or alias; `register` adds to it.

Examples
--------
>>> from integrators import SCHEMES
>>> SCHEMES["verlet"].name, SCHEMES["kahan_li8"].order
('leapfrog', 8)
"""


def get_scheme(scheme: str | Scheme) -> Scheme:
    """Return the scheme of a name or an alias, or the record itself.

    Parameters
    ----------
    scheme : str or Scheme
        A name or alias of `SCHEMES`, or a record, which is returned as it is.

    Returns
    -------
    Scheme

    Raises
    ------
    UnknownSchemeError
        If there is no scheme of that name. It is a KeyError and a ValueError, and suggests the nearest name.
    TypeError
        If `scheme` is neither a str nor a Scheme.

    Examples
    --------
    >>> from integrators import get_scheme
    >>> get_scheme("verlet")
    <Scheme leapfrog: order 2, 1 kick per step, symmetric, exact coefficients>
    """
    if isinstance(scheme, Scheme):
        return scheme
    if not isinstance(scheme, str):
        raise TypeError(
            f"scheme must be a name or a Scheme, got {shown(scheme)} of type {type(scheme).__name__}."
        )
    return SCHEMES[scheme]


def built_in(name: str) -> Scheme:
    """A row of the table."""
    return BUILT_IN[name]
