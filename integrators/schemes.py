"""Time-stepping schemes as data: one record per method, one table, and no loop of their own.

A second-order system ẏ = p, ṗ = F(y) is advanced by drifts y += a_s ε p and kicks p += b_s ε F(y); a scheme
is the list of its weights. Weights are expressions (see `integrators.composition`), so that the float64
arrays a kernel runs and the exact numbers a proof uses are two evaluations of one definition.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from decimal import Context, Decimal, localcontext
from functools import cached_property
from itertools import groupby
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .composition import Coefficient, Constructor, Definition, composition, convert, palindrome, symmetric
from .naming import UnknownNameError, nearest

__all__ = ["SCHEMES", "Scheme", "UnknownSchemeError", "get_scheme", "register"]

# Carried before the single rounding to float64, and in the checks of the sums.
WORKING_DIGITS = 60
# What float64 weights without `digits` are held to: their sums are one up to round-off only.
FLOAT_DIGITS = 15

FORMS = ("splitting", "first_order", "explicit")


@dataclass(frozen=True)
class _Entry:
    """One weight of a scheme that is defined as a whole."""

    definition: Definition
    row: int
    column: int

    def __call__(self, R: Constructor) -> Any:
        return self.definition(R)[self.row][self.column]


@dataclass(frozen=True, repr=False)
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
        >>> Scheme.define("shifted", 4, lambda R: composition(palindrome(1 / (2 - R(2) ** (R(1) / 3))),
        ...                                                   base="position_verlet"))
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
        # Built-in rows hold lambdas, which cannot be pickled; their names can.
        if self.name in _BUILT_IN and SCHEMES[self.name] is self:
            return get_scheme, (self.name,)
        return Scheme, tuple(getattr(self, field.name) for field in fields(self))

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
        return self.form == "splitting" and self._flows[0][0] == self._flows[-1][0] == "kick"

    @cached_property
    def n_kicks(self) -> int:
        """Force evaluations per step of a long run; kicks that share a force count once."""
        return sum(flow == "kick" for flow, _ in self._flows) - self.fsal

    @cached_property
    def is_symmetric(self) -> bool:
        """Whether the flows form a palindrome, so that the step is time-reversible: Φ_{−ε} ∘ Φ_ε = id."""
        return self.form == "splitting" and self._flows == self._flows[::-1]

    @cached_property
    def _exact(self) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        import sympy  # here, because it takes longer to import than the rest of the package

        return self.evaluate(sympy.Rational)

    @cached_property
    def _decimals(self) -> tuple[tuple[Decimal, ...], tuple[Decimal, ...]]:
        with localcontext(Context(prec=WORKING_DIGITS)):
            return self.evaluate(Decimal)

    @cached_property
    def _flows(self) -> list[tuple[str, float]]:
        """Flows in order of application, zero weights dropped and neighbours of one kind merged."""
        flows = [
            (flow, weight)
            for stage in zip(*self._decimals, strict=True)
            for flow, weight in zip(("drift", "kick"), stage, strict=True)
            if weight != 0
        ]
        if self.form == "first_order":  # the kicks move y, so two in a row are two forces
            return [(flow, float(weight)) for flow, weight in flows]
        with localcontext(Context(prec=WORKING_DIGITS)):
            runs = groupby(flows, key=lambda item: item[0])
            return [(flow, float(sum(weight for _, weight in run))) for flow, run in runs]

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

    def __init__(self, rows: Sequence[Scheme] = ()) -> None:
        self._rows: dict[str, Scheme] = {}
        self._owners: dict[str, str] = {}
        for row in rows:
            self._add(row)

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


def get_scheme(scheme: str | Scheme) -> Scheme:
    """Return a scheme given by name, by alias, or as the record itself.

    Raises
    ------
    UnknownSchemeError
        If there is no scheme of that name; the message has the nearest one.
    TypeError
        If `scheme` is neither a str nor a Scheme.
    """
    if isinstance(scheme, Scheme):
        return scheme
    if not isinstance(scheme, str):
        raise TypeError(f"scheme must be a name or a Scheme, got {scheme!r} of type {type(scheme).__name__}.")
    return SCHEMES[scheme]


def register(scheme: Scheme) -> Scheme:
    """Add a scheme to the table, or replace one added before under the same name; return it.

    Raises
    ------
    ValueError
        If its name or one of its aliases belongs to a built-in scheme, or to another scheme.
    """
    if not isinstance(scheme, Scheme):
        raise TypeError(f"register takes a Scheme, got {scheme!r} of type {type(scheme).__name__}.")
    for label in (scheme.name, *scheme.aliases):
        owner = SCHEMES[label].name if label in SCHEMES else None
        if owner in _BUILT_IN or owner not in (None, scheme.name):
            kind = "built-in" if owner in _BUILT_IN else "registered"
            raise ValueError(
                f"scheme {scheme.name!r}: {label!r} already names the {kind} scheme {owner!r}; take another."
            )
    SCHEMES._add(scheme)
    return scheme


def _triple_jump(R: Constructor) -> Any:
    return composition(palindrome(1 / (2 - R(2) ** (R(1) / 3))))


def _suzuki(R: Constructor) -> Any:
    outer = 1 / (4 - R(4) ** (R(1) / 3))
    return composition(palindrome(outer, outer))


def _mclachlan(R: Constructor) -> Any:
    # The kick α minimises ((6α − 1)/24)² + ((6α² − 6α + 1)/12)², the squared weights of the commutators
    # [A, [A, B]] and [B, [B, A]] in the modified equation: the real root of 48α³ − 72α² + 38α − 5.
    root = (2 * R(326) ** (R(1) / 2) + 36) ** (R(1) / 3)
    return symmetric(kicks=[R(1) / 2 - root / 12 + 1 / (6 * root)])


def _composed(outer: str) -> Definition:
    """Symmetric composition of leapfrog from published step fractions, outermost first, middle left out."""
    return lambda R: composition(palindrome(*map(R, outer.split())))


def _alternating(kicks: str, drifts: str) -> Definition:
    """Palindrome that opens with a kick, from its published free weights."""
    return lambda R: symmetric(list(map(R, kicks.split())), list(map(R, drifts.split())))


_HLW = "E. Hairer, C. Lubich, G. Wanner, Geometric Numerical Integration, 2nd ed., Springer (2006)"
_YOSHIDA = "H. Yoshida, Phys. Lett. A 150 (1990) 262–268"
_MCLACHLAN = "R. I. McLachlan, SIAM J. Sci. Comput. 16 (1995) 151–168"
_BLANES_MOAN = "S. Blanes, P. C. Moan, J. Comput. Appl. Math. 142 (2002) 313–330"
_KAHAN_LI = "W. Kahan, R.-C. Li, Math. Comp. 66 (1997) 1089–1099"

_ROWS = (
    Scheme("euler", 1, (0,), (1,), f"explicit Euler on ẏ = F(y); {_HLW}, Sect. I.1.2", form="first_order"),
    Scheme("explicit_euler", 1, (1,), (1,), f"on ẏ = p, ṗ = F(y); {_HLW}, Sect. I.1.2", form="explicit"),
    Scheme("symplectic_euler", 1, (0, 1), (1, 0), f"kick, then drift; {_HLW}, Sect. I.1.2"),
    Scheme("symplectic_euler_dk", 1, (1,), (1,), f"drift, then kick; {_HLW}, Sect. I.1.2"),
    Scheme.define(
        "leapfrog",
        2,
        lambda R: symmetric(first="kick"),
        reference="Störmer–Verlet in velocity form. L. Verlet, Phys. Rev. 159 (1967) 98–103; W. C. Swope, "
        f"H. C. Andersen, P. H. Berens, K. R. Wilson, J. Chem. Phys. 76 (1982) 637–649; {_HLW}, Sect. I.1.4",
        aliases=("stormer_verlet", "velocity_verlet", "verlet"),
    ),
    Scheme.define(
        "position_verlet",
        2,
        lambda R: symmetric(first="drift"),
        reference="Störmer–Verlet in position form. M. Tuckerman, B. J. Berne, G. J. Martyna, J. Chem. Phys. "
        f"97 (1992) 1990–2001; {_HLW}, Sect. I.1.4",
    ),
    Scheme.define(
        "mclachlan2",
        2,
        _mclachlan,
        reference=f"Symmetric two-stage method of least error, α ≈ 0.1932. {_MCLACHLAN}; closed form of α: "
        "I. P. Omelyan, I. M. Mryglod, R. Folk, Comput. Phys. Commun. 151 (2003) 272–314",
    ),
    Scheme.define(
        "yoshida4",
        4,
        _triple_jump,
        reference=f"E. Forest, R. D. Ruth, Physica D 43 (1990) 105–117; {_YOSHIDA}; {_HLW}, eq. (II.4.4)",
        aliases=("forest_ruth",),
    ),
    Scheme.define(
        "suzuki4",
        4,
        _suzuki,
        reference=f"M. Suzuki, Phys. Lett. A 146 (1990) 319–323; {_HLW}, eq. (II.4.5)",
    ),
    Scheme.define(
        "blanes_moan4",
        4,
        _alternating(
            kicks="0.0792036964311957 0.353172906049774 -0.0420650803577195",
            drifts="0.209515106613362 -0.143851773179818",
        ),
        reference=f"{_BLANES_MOAN}, Table 2, S_6",
        digits=15,
    ),
    Scheme.define(
        "blanes_moan6",
        6,
        _alternating(
            kicks="0.0502627644003922 0.413514300428344 0.0450798897943977 -0.188054853819569 "
            "0.541960678450780",
            drifts="0.148816447901042 -0.132385865767784 0.067307604692185 0.432666402578175",
        ),
        reference=f"{_BLANES_MOAN}, Table 2, S_10",
        digits=15,
    ),
    Scheme.define(
        "blanes_moan4_rkn",
        4,
        _alternating(
            kicks="0.0829844064174052 0.396309801498368 -0.0390563049223486",
            drifts="0.245298957184271 0.604872665711080",
        ),
        reference=f"{_BLANES_MOAN}, Table 3, SRKN_6^b",
        digits=15,
    ),
    Scheme.define(
        "blanes_moan6_rkn",
        6,
        _alternating(
            kicks="0.0414649985182624 0.198128671918067 -0.0400061921041533 0.0752539843015807 "
            "-0.0115113874206879",
            drifts="0.123229775946271 0.290553797799558 -0.127049212625417 -0.246331761062075 "
            "0.357208872795928",
        ),
        reference=f"{_BLANES_MOAN}, Table 3, SRKN_11^b. It owes its order to the drift being linear in p: "
        "with drift and kick exchanged it is lost",
        digits=15,
    ),
    Scheme.define(
        "yoshida6",
        6,
        _composed(
            "0.7845136104775572638194976338663498757768 0.2355732133593581336847931829785346016865 "
            "-1.177679984178871006946415680964315734639"
        ),
        reference=f"{_YOSHIDA}, Table 1, solution A, with the longer decimals of SUNDIALS/ARKODE; {_HLW}, "
        "Sect. V.3.2, s = 7",
        digits=39,
    ),
    Scheme.define(
        "kahan_li6",
        6,
        _composed(
            "0.39216144400731413927925056 0.33259913678935943859974864 -0.70624617255763935980996482 "
            "0.08221359629355080023149045"
        ),
        reference=f"{_KAHAN_LI}, method s9odr6a; {_HLW}, Sect. V.3.2, s = 9",
        digits=26,
    ),
    Scheme.define(
        "yoshida8",
        8,
        # Not solution D of Yoshida's Table 2: its 15 decimals are right to 12 only, and its largest step
        # fraction is 1.96 against 0.80 here.
        _composed(
            "0.7416703643506129534482278017838063156035 -0.4091008258000315939973000958935634173099 "
            "0.1907547102962383799538762564503716627355 -0.5738624711160822666563877266355357421595 "
            "0.2990641813036559238444635406886029882258 0.3346249182452981837849579798821822886337 "
            "0.3152930923967665966320566638110024309941"
        ),
        reference=f"Yoshida's 15-stage form ({_YOSHIDA}) with the step fractions of M. Suzuki, K. Umeno, in: "
        "Computer Simulation Studies in Condensed-Matter Physics VI, Springer (1993) 74–86, and of "
        f"{_MCLACHLAN}; decimals of SUNDIALS/ARKODE; {_HLW}, Sect. V.3.2, s = 15",
        digits=40,
        aliases=("suzuki_umeno8",),
    ),
    Scheme.define(
        "kahan_li8",
        8,
        _composed(
            "0.13020248308889008087881763 0.56116298177510838456196441 -0.38947496264484728640807860 "
            "0.15884190655515560089621075 -0.39590389413323757733623154 0.18453964097831570709183254 "
            "0.25837438768632204729397911 0.29501172360931029887096624"
        ),
        reference=f"{_KAHAN_LI}, method s17odr8a; {_HLW}, Sect. V.3.2, s = 17",
        digits=26,
    ),
    Scheme.define(
        "sofroniou_spaletta10",
        10,
        _composed(
            "0.078795722521686419263907679337684 0.31309610341510852776481247192647 "
            "0.027918383235078066109520273275299 -0.22959284159390709415121339679655 "
            "0.13096206107716486317465685927961 -0.26973340565451071434460973222411 "
            "0.074973343155891435666137105641410 0.11199342399981020488957508073640 "
            "0.36613344954622675119314812353150 -0.39910563013603589787862981058340 "
            "0.10308739852747107731580277001372 0.41143087395589023782070411897608 "
            "-0.0048663605831352617621956593099771 -0.39203335370863990644808193642610 "
            "0.051942502962449647037182904015976 0.050665090759924496335874344156866 "
            "0.049674370639729879054568800279461"
        ),
        reference="M. Sofroniou, G. Spaletta, Optim. Methods Softw. 20 (2005) 597–613; "
        f"{_HLW}, Sect. V.3.2, s = 35",
        digits=32,
        aliases=("sofroniou10",),
    ),
)

SCHEMES = SchemeTable(_ROWS)
"""Every scheme by name; `register` adds to it."""

_BUILT_IN = frozenset(SCHEMES)
