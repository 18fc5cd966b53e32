"""One map of a cell for many steps at once, with tangent columns, and the way back through both.

For a state s, columns v_1 … v_k and cotangents μ of the new state and λ_r of the new columns, the way back
differentiates ⟨μ, Φ(s)⟩ + Σ_r ⟨λ_r, ∂Φ/∂s v_r⟩ by s, by the columns, by the input and by the parameters.
With pre-activations z = W s + V x + b and slopes S = ∂s'/∂(locals), the second sum is Σ λ S dv. Its
derivative by the locals is Σ λ Ṡ, with Ṡ the derivative of the slopes along the columns, since second
derivatives are symmetric.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from integrators.cells.layout import Layout
from integrators.codegen.compiled import Kernel

from .dual import Duals, on_points

__all__ = ["Affine", "MapCotangents", "Pointwise", "matrix_sum"]

Float = NDArray[np.float64]


class Pointwise(NamedTuple):
    """A pointwise rule: its kernel, and which block of its result depends on which local."""

    kernel: Kernel
    pairs: NDArray[np.int64]
    blocks: int


class MapCotangents(NamedTuple):
    """What the way back gives: cotangents, (m, T, …) and (m, T, k, …), and gradients by parameter, (m, …)."""

    state: Float
    columns: Float
    drive: Float
    drive_columns: Float
    parameters: dict[str, Float]


def matrix_sum(left: Float, right: Float) -> Float:
    """Σ over all steps (and columns) of left ⊗ right, member by member: (m, …, a), (m, …, b) → (m, a, b)."""
    a, b = (part.reshape(len(part), math.prod(part.shape[1:-1]), part.shape[-1]) for part in (left, right))
    return np.swapaxes(a, 1, 2) @ b


class _Slopes(NamedTuple):
    """Slopes of a rule by pair of the layout, and their derivatives along the columns."""

    value: list[Float]  # (m, T, d)
    along: list[Float]  # (m, T, k, d)


class Affine:
    """A map s' = φ(W s + V x + b, …) at given states, inputs and columns.

    Parameters
    ----------
    layout : Layout
    rules : pair of Pointwise
        `point` and `middle`.
    own : mapping
        Parameters by name: W, V, b, R where they exist, and "vectors" and "constants" as lists.
    d : int
    back : bool
        Whether `pull` will be asked for, which needs the derivatives of the slopes.
    """

    def __init__(
        self,
        layout: Layout,
        rules: tuple[Pointwise, Pointwise],
        own: dict[str, Any],
        d: int,
        back: bool = True,
    ) -> None:
        self.layout, self.d, self.own, self._back = layout, d, own, back
        self.point, self.middle = rules
        self.rows = layout.first + layout.second
        self.R: Any = own["W"].T if layout.tied and "W" in own else own.get("R")

    def _block(self, array: Float, number: int) -> Float:
        return array[..., number * self.d : (number + 1) * self.d]

    def forward(self, s: Float, ds: Float, x: Float, dx: Float | None, beside: Float) -> tuple[Float, Float]:
        """Φ(s) and ∂Φ v.

        Parameters
        ----------
        s, ds : ndarray, shapes (m, T, D) and (m, T, k, D)
        x, dx : ndarray, shapes (m, T, n) and (m, T, k, n)
            The input, and its columns where it is the state of a layer below.
        beside : ndarray, shape (1 + clock rows, m, T)
            The step size and the clock.
        """
        layout, own, d = self.layout, self.own, self.d
        self.s, self.ds, self.x, self.dx = s, ds, x, dx
        z, dz = np.zeros((*s.shape[:2], self.rows * d)), np.zeros((*ds.shape[:3], self.rows * d))
        if "b" in own:
            z[..., layout.bias_from * d : layout.bias_to * d] += own["b"]
        if layout.recurrent:
            seen = layout.source * d
            z[..., : layout.recurrent * d] += s[..., :seen] @ own["W"].T
            dz[..., : layout.recurrent * d] += ds[..., :seen] @ own["W"].T
        driven = slice(layout.input_from * d, layout.input_to * d)
        if "V" in own:
            z[..., driven] += x @ own["V"].T
            if dx is not None:
                dz[..., driven] += dx @ own["V"].T
        if layout.second:
            values, self.hidden = self._pointwise(self.middle, z, dz, beside)
            self.u = np.concatenate(values, axis=-1)
            self.du = self._pushed(self.middle, self.hidden, dz)
            z[..., layout.first * d :] += self.u @ self.R.T
            dz[..., layout.first * d :] += self.du @ self.R.T
        values, self.slopes = self._pointwise(self.point, z, dz, beside)
        return np.concatenate(values, axis=-1), self._pushed(self.point, self.slopes, dz)

    def _pointwise(self, rule: Pointwise, z: Float, dz: Float, beside: Float) -> tuple[list[Float], _Slopes]:
        """The rule at all points: its blocks (m, T, d), and its slopes."""
        layout, d = self.layout, self.d
        shape, k = (*z.shape[:2], d), dz.shape[2]
        n = int(np.prod(shape))

        def dual(value: Float, along: Float | None = None) -> Duals:
            flat = np.broadcast_to(value, shape).reshape(n)
            return Duals(
                flat, None if along is None or not self._back else np.moveaxis(along, 2, 0).reshape(k, n)
            )

        locals_ = self.rows + layout.states + layout.vectors
        v = np.empty((locals_ + len(beside), 1), object)
        for g in range(self.rows):
            v[g, 0] = dual(self._block(z, g), self._block(dz, g))
        for g in range(layout.states):
            v[self.rows + g, 0] = dual(self._block(self.s, g), self._block(self.ds, g))
        for g, vector in enumerate(self.own["vectors"]):
            v[self.rows + layout.states + g, 0] = dual(vector)
        for g, number in enumerate(beside):
            v[locals_ + g, 0] = dual(number[..., None])
        outputs: list[Any] = [np.full((rule.blocks, 1), np.nan, object)]
        outputs.append(np.full((rule.blocks, locals_, 1), np.nan, object))
        with np.errstate(all="ignore"):
            out, slopes = on_points(
                rule.kernel, (self.own["constants"], v), outputs, f"the rule {rule.kernel.__name__!r}"
            )
        values = [np.broadcast_to(_value(one), (n,)).reshape(shape) for one in out[:, 0]]
        found = _Slopes([], [])
        for block, local in rule.pairs:
            one = slopes[block, local, 0]
            found.value.append(np.broadcast_to(_value(one), (n,)).reshape(shape))
            if not self._back:
                continue
            along = one.along if isinstance(one, Duals) and one.along is not None else np.zeros((k, n))
            found.along.append(np.moveaxis(along.reshape(k, *shape), 0, 2))
        return values, found

    def _local(self, dz: Float, local: int) -> Float | None:
        """Columns of a local; None for a parameter."""
        if local < self.rows:
            return self._block(dz, local)
        if local < self.rows + self.layout.states:
            return self._block(self.ds, local - self.rows)
        return None

    def _pushed(self, rule: Pointwise, slopes: _Slopes, dz: Float) -> Float:
        out = np.zeros((*dz.shape[:3], rule.blocks * self.d))
        for (block, local), value in zip(rule.pairs, slopes.value, strict=True):
            columns = self._local(dz, local)
            if columns is not None:
                self._block(out, block)[...] += value[:, :, None] * columns
        return out

    def pull(self, mu: Float, lam: Float) -> MapCotangents:
        """The way back for cotangents μ, (m, T, D), and λ, (m, T, k, D); see the module."""
        layout, own, d = self.layout, self.own, self.d
        locals_ = self.rows + layout.states + layout.vectors
        back = np.zeros((*mu.shape[:2], locals_ * d)), np.zeros((*lam.shape[:3], locals_ * d))
        gradient: dict[str, Float] = {}
        self._through(self.point, self.slopes, mu, lam, back)
        if layout.second:
            first, last = layout.first * d, self.rows * d
            mu_z, lam_z = back[0][..., first:last], back[1][..., first:last]
            by_r = matrix_sum(mu_z, self.u) + matrix_sum(lam_z, self.du)
            gradient["R"] = by_r
            self._through(self.middle, self.hidden, mu_z @ self.R, lam_z @ self.R, back)
        mu_z, lam_z = (part[..., : self.rows * d] for part in back)
        state = slice(self.rows * d, (self.rows + layout.states) * d)
        mu_s, lam_s = back[0][..., state].copy(), back[1][..., state].copy()
        if layout.recurrent:
            rows, seen = layout.recurrent * d, layout.source * d
            mu_s[..., :seen] += mu_z[..., :rows] @ own["W"]
            lam_s[..., :seen] += lam_z[..., :rows] @ own["W"]
            gradient["W"] = matrix_sum(mu_z[..., :rows], self.s[..., :seen]) + matrix_sum(
                lam_z[..., :rows], self.ds[..., :seen]
            )
        if layout.second and layout.tied:
            gradient["W"] = gradient["W"] + np.swapaxes(gradient.pop("R"), 1, 2)
        driven = slice(layout.input_from * d, layout.input_to * d)
        mu_x, lam_x = np.zeros_like(self.x), np.zeros((*lam.shape[:3], self.x.shape[-1]))
        if "V" in own:
            gradient["V"] = matrix_sum(mu_z[..., driven], self.x)
            mu_x = mu_z[..., driven] @ own["V"]
            if self.dx is not None:
                gradient["V"] = gradient["V"] + matrix_sum(lam_z[..., driven], self.dx)
                lam_x = lam_z[..., driven] @ own["V"]
        if "b" in own:
            gradient["b"] = mu_z[..., layout.bias_from * d : layout.bias_to * d].sum(axis=1)
        vectors = back[0][..., (self.rows + layout.states) * d :].sum(axis=1)
        gradient["vectors"] = vectors.reshape(len(vectors), layout.vectors, d)
        return MapCotangents(mu_s, lam_s, mu_x, lam_x, gradient)

    def _through(
        self, rule: Pointwise, slopes: _Slopes, mu: Float, lam: Float, back: tuple[Float, Float]
    ) -> None:
        """Add the cotangents of the locals, and of their columns, of a rule."""
        for (block, local), value, along in zip(rule.pairs, slopes.value, slopes.along, strict=True):
            own, columns = self._block(mu, block), self._block(lam, block)
            self._block(back[0], local)[...] += own * value + (columns * along).sum(axis=2)
            self._block(back[1], local)[...] += columns * value[:, :, None]


def _value(x: Any) -> Any:
    return x.value if isinstance(x, Duals) else x
