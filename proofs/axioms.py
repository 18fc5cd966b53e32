"""The few general facts that proofs take for granted; a step lists by name each one it uses.

Everything else in a step is decided by exact computer algebra. A reader who accepts these sentences, and
SymPy's exact arithmetic, accepts the proofs.
"""

from __future__ import annotations

from types import MappingProxyType

AXIOMS = MappingProxyType(
    {
        "triangle": "‖A + B‖ ≤ ‖A‖ + ‖B‖",
        "submultiplicative": "‖AB‖ ≤ ‖A‖ ‖B‖ and ‖cA‖ = |c| ‖A‖",
        "identity_norm": "‖I‖ = 1 and ‖0‖ = 0 for the spectral norm",
        "diagonal_norm": "‖diag(v)‖ = max|v_i|, so |σ'| ≤ L gives ‖D(u)‖ ≤ L",
        "weyl": "every singular value of I + E lies in [1 − ‖E‖, 1 + ‖E‖]",
        "fundamental_theorem": "∫_0^t g' = g(t) − g(0), and d/dt ∫_0^t g = g(t), for continuous g",
        "integral_monotone": "g ≥ 0 on [0, t] implies ∫_0^t g ≥ 0",
        "integral_norm": "‖∫ A‖ ≤ ∫ ‖A‖",
        "volterra_comparison": "f(t) ≤ 1 + ∫_0^t (t − r) k(r) f(r) dr and k ≤ c imply f ≤ m, where m "
        "has equality "
        "with c in place of k",
        "orthogonal_norm": "WᵀW = I (or W* W = I) implies |Wv| = |v| for every v, so that ‖W‖ = 1",
        "largest_stretch": "‖M‖ is the largest |Mv|/|v|, so |Mv|² ≤ c |v|² for every v gives ‖M‖² ≤ c",
        "liouville": "a flow whose field has divergence 0 preserves volume",
        "spectral_real": "a real matrix that is antisymmetric is the orthogonal sum of planes on which "
        "it acts as "
        "ω((0, 1), (−1, 0)), and of lines on which it is 0",
        "cayley_hamilton": "M² = tr M · M − det M for every 2×2 matrix",
        "picard_unique": "an initial value problem with Lipschitz right-hand side has exactly one solution",
        "chain_rule": "the derivative of a composition is the product of the derivatives, each at its own "
        "point",
        "mean_value": "g(b) − g(a) = g'(ξ)(b − a) for some ξ between a and b",
        "mixed_partials": "second partial derivatives of a C² function commute",
        "monotone": "g' ≥ 0 on an interval implies g is non-decreasing there",
        "induction": "base case and inductive step together give the claim for every natural number",
        "det_product": "det(AB) = det A det B",
        "unipotent": "(M − I)² = 0 implies det M = 1",
        "polynomials_commute": "rational functions of one square matrix commute with each other",
        "orthogonal_basis": "a symmetric matrix with an orthogonal eigenbasis has the moduli of its "
        "eigenvalues as "
        "singular values",
        "normal_norm": "the spectral norm of a normal matrix is the largest modulus of its eigenvalues",
        "group_flow": "exact flows form a group: exp(sX) exp(tX) = exp((s + t)X)",
        "lyndon": "a group-like series is determined, order by order, by its coefficients on Lyndon words",
        "nystrom_trees": "a Nyström method has order p iff its elementary weights agree with those of the "
        "flow on every "
        "tree up to order p",
    }
)
