"""Claim of Figure 2: the Euler network's gradient blows up exponentially. Not so for d = 1 under the stated
set-up.

Set-up: y_0 = 0, W, b ∈ (0, 1), σ bounded by 1 (tanh). Flow: ∂y(t)/∂y_0 ≤ 1/tanh b for every t; recursion:
∂y_N/∂y_0 ≤ (1 + εW)/tanh b for every N and ε.
"""

from __future__ import annotations

import sympy as sp

from integrators.fields.activations import ACTIVATIONS
from proofs import decide
from proofs.blocks import eps
from proofs.decision import Decision
from proofs.kernel.formulas import AtMost, Known, Limit, Not, procedure
from proofs.kernel.mutants import sharper
from proofs.proposition import Mutant, Proposition, Role, Step, Verdict, concluded
from proofs.schemes.first_order_flow import (
    CONCAVE,
    EULER,
    EULER_STEPS,
    FACTOR,
    W,
    concave,
    gradient,
    grown,
    i,
    slope,
    value,
)

b = sp.Symbol("b", positive=True)
c, rate = sp.symbols("c rate", positive=True)

SET_UP = Known("Example 2 with d = 1: y_0 = 0, W > 0, b > 0; the paper does not print σ, tanh fits its words")
SIZE, SLOPE = AtMost(value(i), 1), AtMost(slope(0), 1)
CEILING = AtMost(gradient(i + 1), (1 + eps * W) / value(0))
EXPONENTIAL = c * sp.exp(rate * eps * (i + 1))
STATEMENT = AtMost(EXPONENTIAL, gradient(i + 1)).called(
    "with W, b drawn from (0, 1), y_0 = 0 and σ = tanh, the Euler network's ∂y_N/∂y_0, N = i + 1, grows "
    "at least "
    "like c e^{λNε}, with some c, λ > 0 (here d = 1; d = 10 and 100 are measured, not proved)"
)
AT = {"W": sp.Rational(1, 2), "b": sp.Rational(1, 2)}
FAILS = Not(STATEMENT, example={
    "d": 1, "σ": "tanh", "y_0": 0, **AT,
    "∂y_N/∂y_0 at ε = 1, every N": f"≤ {sp.N((1 + AT['W']) / sp.tanh(AT['b']), 6)}",
})  # fmt: skip
GROWS = Limit(EXPONENTIAL, i, sp.oo, sp.oo)


@procedure
def moving(activation: str = "tanh") -> Decision:
    """b > 0: σ(W·0 + b) = tanh b > 0, so the flow is not started on a zero of σ."""
    u = sp.Symbol("u", positive=True)
    value = ACTIVATIONS[activation].symbolic(b).rewrite(sp.exp).subs(b, sp.log(1 + u))
    return decide.all_of(
        {
            "not negative": decide.at_least_zero(sp.simplify(value)),
            "not zero": decide.fact(
                sp.cancel(value).is_positive, sp.cancel(value), "as a function of e^b = 1 + u > 1"
            ),
            "at most 1": decide.at_least_zero(sp.simplify(1 - value)),
        }
    )


STEPS = (
    Step("moving", "0 < tanh b ≤ 1 for b > 0: the start is not a fixed point", moving, premises=(SET_UP,)),
    Step("concave", "tanh is concave on [0, ∞)", concave),
    *EULER_STEPS,
    Step("recursion", CEILING, rule="linear", premises=(grown(i), SIZE, SLOPE),
         numbers={"multipliers": (1 / value(0), FACTOR / value(0), eps * W / value(0))}),
    Step("grows", GROWS),
    Step("crossing", FAILS, rule="overtaken", premises=(CEILING, GROWS), role=Role.FIGURE),
)  # fmt: skip
CONCLUSION = concluded(STEPS, role=Role.FIGURE)

PROPOSITION = Proposition(
    name="claim_figure_2",
    title="Claim: Figure 2, exponential growth of the Euler gradient",
    statement=STATEMENT,
    hypotheses={"set-up": SET_UP, "euler": EULER, "concave": CONCAVE, "size": SIZE, "slope": SLOPE},
    source="Example 2 and Figure 2",
    expected=Verdict.NOT_REPRODUCED,
    rests_on=("first_order_flow", "activation_bounds"),
    steps=(*STEPS, CONCLUSION),
    mutants=(
        Mutant("unbounded", "σ = identity", {"activation": "identity"}),
        Mutant("convex_side", "tanh concave on (−∞, 0]", {"side": -1}),
        *sharper((*STEPS, CONCLUSION)),
    ),
)
