"""The table of schemes: every method a row of data.

Weights keep every published digit. Where a method has exact weights they are written as expressions, from
which the float64 arrays of the kernels and the exact numbers of the proofs are evaluated alike.
"""

from __future__ import annotations

from typing import Any

from integrators.naming import shown

from .composition import Constructor, Definition, composition, palindrome, symmetric
from .scheme import BUILT_IN, SCHEMES, Scheme, UnknownSchemeError, get_scheme

__all__ = ["SCHEMES", "Scheme", "UnknownSchemeError", "get_scheme", "is_built_in", "register"]


def register(scheme: Scheme) -> Scheme:
    """Add a scheme to `SCHEMES`, so that all functions find it by its name.

    A scheme that was registered before under the same name is replaced.

    Parameters
    ----------
    scheme : Scheme

    Returns
    -------
    Scheme
        The same record.

    Raises
    ------
    ValueError
        If its name or one of its aliases belongs to a built-in scheme, or to another registered scheme.
    TypeError
        If it is not a `Scheme`.

    Examples
    --------
    >>> from integrators import SCHEMES, Scheme, register
    >>> ruth = Scheme("ruth3_docs", 3, a=("1", "-2/3", "2/3"), b=("-1/24", "3/4", "7/24"))
    >>> register(ruth)
    <Scheme ruth3_docs: order 3, 3 kicks per step, not symmetric, exact coefficients>
    >>> SCHEMES["ruth3_docs"].order
    3
    """
    if not isinstance(scheme, Scheme):
        raise TypeError(f"register takes a Scheme, got {shown(scheme)} of type {type(scheme).__name__}.")
    for label in (scheme.name, *scheme.aliases):
        owner = SCHEMES[label].name if label in SCHEMES else None
        if owner in BUILT_IN or owner not in (None, scheme.name):
            kind = "built-in" if owner in BUILT_IN else "registered"
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

for _row in _ROWS:
    SCHEMES._add(_row)
BUILT_IN.update(SCHEMES)


def is_built_in(name: str) -> bool:
    """Whether `name` is a row of this file rather than a scheme that a user registered."""
    return name in BUILT_IN
