"""Order conditions of compositions of drifts and kicks.

Lyndon words give those of any splitting, Nyström trees those of ÿ = F(y).

With A the drift and B the kick, one step is exp(c_1 X_1) exp(c_2 X_2) ⋯, and it has order p iff its
coefficients agree with those of exp(A + B), i.e. with 1/n!, on every Lyndon word of length n ≤ p. For ÿ =
F(y) fewer conditions are needed, one or two for every Nyström tree. Arithmetic is whatever the weights are
made of: number-field elements or balls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from math import factorial
from typing import Any

from sympy import Rational

Weighted = Sequence[tuple[str, Any]]
"""Flows ("drift" | "kick", number) in order of application."""
Tree = tuple[Any, ...]
"""Sorted children; a child is "p" (a velocity) or a tree."""


@cache
def lyndon_words(length: int) -> tuple[str, ...]:
    """Lyndon words over {A, B} of length 1 to ``length`` (Duval's algorithm), shortest first."""
    words, word = [], [-1]
    while word:
        word[-1] += 1
        words.append("".join("AB"[letter] for letter in word))
        word = [word[k % len(word)] for k in range(length)]
        while word and word[-1] == 1:
            word.pop()
    return tuple(sorted(words, key=len))


def word_residuals(
    flows: Weighted, length: int, one: Any, exact: Callable[[Rational], Any]
) -> dict[str, Any]:
    """Return coefficient − 1/n! for every Lyndon word of length n ≤ ``length``.

    Parameters
    ----------
    flows : sequence of (kind, number)
        One step.
    length : int
        Largest length.
    one : number
        The number 1 in the arithmetic of the weights.
    exact : callable
        Makes a number of that arithmetic from a rational.
    """
    words = lyndon_words(length)
    prefixes = sorted({word[:n] for word in words for n in range(1, len(word) + 1)}, key=len, reverse=True)
    value: dict[str, Any] = {"": one}
    for kind, weight in flows:
        letter = "A" if kind == "drift" else "B"
        powers = [one]
        for n in range(1, length + 1):
            powers.append(powers[-1] * weight / n)
        for prefix in prefixes:  # longest first, so that shorter ones still hold the values before this flow
            run = len(prefix) - len(prefix.rstrip(letter))
            total = value.get(prefix)
            for n in range(1, run + 1):
                shorter = value.get(prefix[: len(prefix) - n])
                if shorter is not None:
                    term = shorter * powers[n]
                    total = term if total is None else total + term
            if total is not None:
                value[prefix] = total
    zero = exact(Rational(0))
    return {word: value.get(word, zero) - exact(Rational(1, factorial(len(word)))) for word in words}


@cache
def tree_order(tree: Tree) -> int:
    """Power of ε with which the tree enters the momentum."""
    return 1 + sum(1 if child == "p" else tree_order(child) + 1 for child in tree)


@cache
def nystrom_trees(order: int) -> tuple[Tree, ...]:
    """All trees of exactly this order."""

    def forests(weight: int, largest: int) -> Iterator[Tree]:
        if weight == 0:
            yield ()
            return
        for index in range(largest, -1, -1):
            child, size = children[index]
            if size <= weight:
                for rest in forests(weight - size, index):
                    yield (child, *rest)

    children: list[tuple[Any, int]] = [("p", 1)]
    children += [(tree, size + 1) for size in range(1, order - 1) for tree in nystrom_trees(size)]
    return tuple(forests(order - 1, len(children) - 1))


@cache
def tree_constant(tree: Tree) -> Rational:
    """K in Φ(s) = K s^{order − 1} for the exact flow."""
    value = Rational(1)
    for child in tree:
        if child != "p":
            n = tree_order(child)
            value *= tree_constant(child) / (n * (n + 1))
    return value


def tree_residuals(flows: Weighted, order: int, one: Any, exact: Callable[[Rational], Any]) -> dict[str, Any]:
    """Return elementary weight − exact value: momentum for trees up to ``order``, position up to ``order −
    1``.
    """
    zero = exact(Rational(0))
    times, kicks, clock = [], [], zero
    for kind, weight in flows:
        if kind == "drift":
            clock = clock + weight
        else:
            times.append(clock)
            kicks.append(weight)
    stages = range(len(kicks))
    spread = {(i, j): kicks[j] * (times[i] - times[j]) for i in stages for j in range(i)}
    known: dict[Tree, list[Any]] = {}

    def weights(tree: Tree) -> list[Any]:
        if tree not in known:
            values = [one for _ in stages]
            for child in tree:
                inner = times if child == "p" else integrated(child)
                values = [value * factor for value, factor in zip(values, inner, strict=True)]
            known[tree] = values
        return known[tree]

    def integrated(child: Tree) -> list[Any]:
        inner = weights(child)
        totals = []
        for i in stages:
            total = zero
            for j in range(i):
                total = total + spread[i, j] * inner[j]
            totals.append(total)
        return totals

    found = {}
    for n in range(1, order + 1):
        for tree in nystrom_trees(n):
            phi, K = weights(tree), tree_constant(tree)
            momentum, position = zero, zero
            for i in stages:
                term = kicks[i] * phi[i]
                momentum = momentum + term
                position = position + term * (clock - times[i])
            found[f"p:{tree}"] = momentum - exact(K / n)
            if n < order:
                found[f"y:{tree}"] = position - exact(K / (n * (n + 1)))
    return found
