"""The register tiles of matrix products, for compiled code.

LLVM vectorises simple loops by itself but gives up on a product's register tile (too many arrays that might
overlap), and sums that live in memory run at a third of the speed. Unlike BLAS, a tile sums every entry in
one fixed order with one fused multiply-add per term, so that an entry has the same bits whatever stands
beside it and whatever the shape of the tile, and it ends by adding to the target, which spares two passes
over the columns.

The shape follows from the registers of the processor that Numba compiles for (`processor`). Where that has no
fused multiply-add (x86 before 2013), each is a call of C's ``fma``: the bits are the same, at a small part of
the speed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .compiled import JIT_DISABLED, compiling_ours, kernel, shared
from .processor import registers
from .register_tile import (
    BY_LANE,
    BY_ROW,
    FRESH,
    ONTO,
    PUSHED_VECTORS,
    ROW_VECTORS,
    SHAPES,
    WIDTH,
    emit_tiles,
    pushed_rows,
    width_of,
)

__all__ = [
    "PUSHED_ROWS",
    "PUSHED_VECTORS",
    "REGISTER_NUMBERS",
    "ROW_VECTORS",
    "TILE",
    "WIDTH",
    "combine_rows",
    "copy_strip",
    "drift_tile",
    "outer_tile",
    "product_tile",
    "push_tile",
    "register_width",
    "row_tile",
    "sum_tile",
]

TILE = SHAPES[registers()]
"""The tile for the registers of the code that this process compiles."""


PUSHED_ROWS = pushed_rows(TILE)
"""The most rows that `push_tile` takes."""


REGISTER_NUMBERS = {
    np.dtype(kind): min(WIDTH, TILE.width * 8 // np.dtype(kind).itemsize) for kind in (np.float32, np.float64)
}
"""Numbers of a type in a register, for Python."""


if JIT_DISABLED:

    def register_width(array):
        """Numbers of the type of `array` in a register."""
        return TILE.width

    def product_tile(
        rows, vectors, A, a, a_row, a_column, inner, B, b, b_row, out, o, o_row, scale, s, s_row, s_lane
    ):
        """The same in plain Python; rounds products twice, having no fused multiply-add."""
        for r in range(rows):
            for v in range(vectors * TILE.width):
                total = 0.0
                for j in range(inner):
                    total += A[a + r * a_row + j * a_column] * B[b + j * b_row + v]
                out[o + r * o_row + v] += scale[s + r * s_row + (v if s_lane else 0)] * total

    def sum_tile(rows, vectors, onto, A, a, a_row, a_column, inner, B, b, b_row, out, o, o_row):
        """The same in plain Python."""
        for r in range(rows):
            for v in range(vectors * TILE.width):
                total = out[o + r * o_row + v] if onto else 0.0
                for j in range(inner):
                    total += A[a + r * a_row + j * a_column] * B[b + j * b_row + v]
                out[o + r * o_row + v] = total

    def outer_tile(rows, columns, G, g, g_step, Y, y, y_step, steps, vectors, row, out, o, o_row):
        """The same in plain Python."""
        for r in range(rows):
            for c in range(columns):
                for lane in range(TILE.width):
                    place = o + r * o_row + c * WIDTH + lane
                    for t in range(steps):
                        for v in range(lane, vectors * WIDTH + lane, WIDTH):
                            out[place] += G[g + t * g_step + r * row + v] * Y[y + t * y_step + c * row + v]

    def row_tile(vectors, x, inner, B, b, b_row, out, o):
        """The same in plain Python; rounds products twice, having no fused multiply-add."""
        for v in range(vectors * TILE.width):
            total = 0.0
            for j in range(inner):
                total += x[j] * B[b + j * b_row + v]
            out[o + v] += total

    def combine_rows(
        rows, vectors, onto, by_lane, places, p, terms, factor, f, f_row, source, s, s_row, out, o, o_row
    ):
        """The same in plain Python."""
        for r in range(rows):
            for v in range(vectors * TILE.width):
                total = out[o + r * o_row + v] if onto else -0.0
                for t in range(p, p + 2 * terms, 2):
                    scale = factor[places[t] + f + r * f_row + (v if by_lane else 0)]
                    total += scale * source[places[t + 1] + s + r * s_row + v]
                out[o + r * o_row + v] = total

    def push_tile(
        rows, vectors, A, a, a_row, a_column, inner, B, b, b_row, out, o, o_row, scale, s, s_row, moves,
        drift, e,
    ):  # fmt: skip
        """The same in plain Python."""
        product_tile(
            rows, vectors, A, a, a_row, a_column, inner, B.copy(), b, b_row, out, o, o_row, scale, s, s_row,
            True,
        )  # fmt: skip
        for r in range(rows if moves else 0):
            for v in range(vectors * TILE.width):
                B[b + r * b_row + v] += drift[e + v] * out[o + r * o_row + v]

    def copy_strip(rows, width, source, s, s_row, target, t, t_row):
        """The same in plain Python."""
        for r in range(rows):
            for v in range(width):
                target[t + r * t_row + v] = source[s + r * s_row + v]

    def drift_tile(rows, vectors, factor, f, by_lane, source, target, at, row):
        """The same in plain Python."""
        for r in range(rows):
            for v in range(vectors * TILE.width):
                target[at + r * row + v] += factor[f + (v if by_lane else 0)] * source[at + r * row + v]

else:

    def _keep_out_of_cache(module):
        """Makes Numba refuse to cache a function of somebody else's, by a variable whose name it looks for.

        In a later process the function would be loaded before the code that it refers to: a crash.
        """
        name = "numba.dynamic.globals.leapgrad"
        if name not in module.globals:
            mark: Any = ir.GlobalVariable(module, ir.IntType(8), name)
            mark.linkage, mark.initializer = "weak", ir.Constant(ir.IntType(8), 0)

    def _call_shared(builder, name, arguments):
        number = next(argument.type.pointee for argument in arguments if argument.type.is_pointer)
        tiles.for_dtype(np.float64 if isinstance(number, ir.DoubleType) else np.float32).compile_here()
        if not compiling_ours():
            _keep_out_of_cache(builder.module)
        kind = ir.FunctionType(ir.VoidType(), [argument.type for argument in arguments])
        function = cgutils.get_or_insert_function(builder.module, kind, f"leapgrad.{name}.{number}")
        builder.call(function, arguments)

    def _data(context, builder, signature, arguments, place):
        """Pointer to the start of a part of the array at `place`; the argument after it is the start."""
        array = context.make_array(signature.args[place])(context, builder, arguments[place])
        return builder.gep(array.data, [arguments[place + 1]])

    @intrinsic
    def register_width(typingctx, array):
        """Numbers of the type of `array` in a register: known when the caller is compiled."""

        def codegen(context, builder, signature, arguments):
            number = context.make_array(array)(context, builder).data.type.pointee
            return context.get_constant(types.intp, width_of(TILE, number))

        return types.intp(array), codegen

    @intrinsic
    def product_tile(
        typingctx, rows, vectors, A, a, a_row, a_column, inner, B, b, b_row, out, o, o_row, scale, s, s_row,
        s_lane,
    ):  # fmt: skip
        """out[o + r·o_row + v] += scale · Σ_j A[a + r·a_row + j·a_column] B[b + j·b_row + v].

        For r < rows ≤ TILE.rows and v < width·vectors with vectors ≤ TILE.vectors, all arrays flat and
        indices unchecked. The scale of an entry is ``scale[s + r·s_row]``, or ``scale[s + r·s_row + v]``
        with s_lane. The sum over j < inner runs in order.
        """

        def codegen(context, builder, signature, arguments):
            rows, vectors, _, _, *strides_a, _, _, b_row, _, _, o_row, _, _, s_row, by_lane = arguments
            a, b, o, s = (_data(context, builder, signature, arguments, place) for place in (2, 7, 10, 13))
            mode = builder.select(by_lane, rows.type(BY_LANE), rows.type(BY_ROW))
            _call_shared(builder, "tile", [rows, vectors, mode, a, *strides_a, b, b_row, o, o_row, s, s_row])
            return context.get_dummy_value()

        i = types.intp
        signature = types.void(i, i, A, i, i, i, i, B, i, i, out, i, i, scale, i, i, types.boolean)
        return signature, codegen

    @intrinsic
    def sum_tile(typingctx, rows, vectors, onto, A, a, a_row, a_column, inner, B, b, b_row, out, o, o_row):
        """The same sums, begun at `out` with `onto` and at zero without, into `out`."""

        def codegen(context, builder, signature, arguments):
            rows, vectors, onto, _, _, *strides_a, _, _, b_row, _, _, o_row = arguments
            a, b, o = (_data(context, builder, signature, arguments, place) for place in (3, 8, 11))
            mode = builder.select(onto, rows.type(ONTO), rows.type(FRESH))
            _call_shared(builder, "tile", [rows, vectors, mode, a, *strides_a, b, b_row, o, o_row, o, o_row])
            return context.get_dummy_value()

        i = types.intp
        return types.void(i, i, types.boolean, A, i, i, i, i, B, i, i, out, i, i), codegen

    @intrinsic
    def row_tile(typingctx, vectors, x, inner, B, b, b_row, out, o):
        """out[o + v] += Σ_j x[j] B[b + j·b_row + v] for v < width·vectors, vectors ≤ ROW_VECTORS, all flat.

        The sum over j < inner runs in order and begins at zero.
        """

        def codegen(context, builder, signature, arguments):
            vectors, factors, inner, _, _, b_row, _, _ = arguments
            x = context.make_array(signature.args[1])(context, builder, factors).data
            b, o = (_data(context, builder, signature, arguments, place) for place in (3, 6))
            _call_shared(builder, "row", [vectors, x, inner, b, b_row, o])
            return context.get_dummy_value()

        i = types.intp
        return types.void(i, x, i, B, i, i, out, i), codegen

    @intrinsic
    def outer_tile(typingctx, rows, columns, G, g, g_step, Y, y, y_step, steps, vectors, row, out, o, o_row):
        """out[o + r·o_row + 8c + ℓ] += Σ_tv G[g + t·g_step + r·row + 8v + ℓ] Y[y + t·y_step + c·row + 8v + ℓ]

        for t < steps and v < vectors, in this order; r < rows ≤ TILE.outer_rows, c < columns ≤
        TILE.outer_columns, and ℓ < TILE.width.
        """

        def codegen(context, builder, signature, arguments):
            rows, columns, _, _, g_step, _, _, y_step, steps, vectors, row, _, _, o_row = arguments
            g, y, o = (_data(context, builder, signature, arguments, place) for place in (2, 5, 11))
            _call_shared(
                builder, "outer", [rows, columns, g, g_step, y, y_step, steps, vectors, row, o, o_row]
            )
            return context.get_dummy_value()

        i = types.intp
        return types.void(i, i, G, i, i, Y, i, i, i, i, i, out, i, i), codegen

    @intrinsic
    def combine_rows(
        typingctx, rows, vectors, onto, by_lane, places, p, terms, factor, f, f_row, source, s, s_row, out, o,
        o_row,
    ):  # fmt: skip
        """out[o + r·o_row + v] = Σ_t factor[a_t + f + r·f_row] source[b_t + s + r·s_row + v].

        For r < rows and v < width·vectors, all arrays flat; a_t = ``places[p + 2t]`` and b_t
        the number after it, t < terms in order. With by_lane a factor is that at ``+ v``; with `onto` the sum
        begins at `out`.
        """

        def codegen(context, builder, signature, arguments):
            rows, vectors, onto, by_lane, _, _, terms, _, _, f_row, _, _, s_row, _, _, o_row = arguments
            places, f, s, o = (_data(context, builder, signature, arguments, at) for at in (4, 7, 10, 13))
            _call_shared(
                builder, "combine",
                [rows, vectors, onto, by_lane, terms, f, f_row, s, s_row, o, o_row, places],
            )  # fmt: skip
            return context.get_dummy_value()

        i, b = types.intp, types.boolean
        return types.void(i, i, b, b, places, i, i, factor, i, i, source, i, i, out, i, i), codegen

    @intrinsic
    def push_tile(
        typingctx, rows, vectors, A, a, a_row, a_column, inner, B, b, b_row, out, o, o_row, scale, s, s_row,
        moves, drift, e,
    ):  # fmt: skip
        """out += scale · A B and then, with `moves`, B += drift · out, as in `product_tile` with s_lane.

        All rows of A at once, rows = inner ≤ PUSHED_ROWS, and vectors ≤ PUSHED_VECTORS. B may be out if
        nothing moves.
        """

        def codegen(context, builder, signature, arguments):
            rows, vectors, _, _, *strides_a, _, _, b_row, _, _, o_row, _, _, s_row, moves, _, _ = arguments
            a, b, o, s, e = (
                _data(context, builder, signature, arguments, place) for place in (2, 7, 10, 13, 17)
            )
            _call_shared(
                builder, "push", [rows, vectors, a, *strides_a, b, b_row, o, o_row, s, s_row, moves, e]
            )
            return context.get_dummy_value()

        i = types.intp
        signature = types.void(i, i, A, i, i, i, i, B, i, i, out, i, i, scale, i, i, types.boolean, drift, i)
        return signature, codegen

    @intrinsic
    def drift_tile(typingctx, rows, vectors, factor, f, by_lane, source, target, at, row):
        """target[at + r·row + v] += factor · source[at + r·row + v] for r < rows and v < width·vectors.

        All arrays flat. The factor is ``factor[f + v]`` with by_lane, else ``factor[f]``.
        """

        def codegen(context, builder, signature, arguments):
            rows, vectors, factor, f, by_lane, source, target, at, row = arguments
            pointers = [
                builder.gep(context.make_array(signature.args[i])(context, builder, array).data, [start])
                for i, array, start in ((2, factor, f), (5, source, at), (6, target, at))
            ]
            _call_shared(builder, "drift", [rows, vectors, by_lane, *pointers, row])
            return context.get_dummy_value()

        i = types.intp
        return types.void(i, i, factor, i, types.boolean, source, target, i, i), codegen

    @intrinsic
    def copy_strip(typingctx, rows, width, source, s, s_row, target, t, t_row):
        """target[t + r·t_row + v] = source[s + r·s_row + v] for r < rows and v < width, all arrays flat."""

        def codegen(context, builder, signature, arguments):
            rows, width, _, _, s_row, _, _, t_row = arguments
            s, t = (_data(context, builder, signature, arguments, place) for place in (2, 5))
            _call_shared(builder, "copy", [rows, width, s, s_row, t, t_row])
            return context.get_dummy_value()

        i = types.intp
        return types.void(i, i, source, i, i, target, i, i), codegen

    @intrinsic
    def define_tiles(typingctx, array):
        """Define the functions that the tiles call, for arrays of this type."""

        def codegen(context, builder, signature, arguments):
            number = context.make_array(array)(context, builder).data.type.pointee
            emit_tiles(builder.module, number, TILE)
            return context.get_dummy_value()

        return types.void(array), codegen

    @shared
    @kernel(types.void(types.Array(types.float64, 1, "C")))
    def tiles(array):
        """Holds the machine code of the tiles; calling it does nothing."""
        define_tiles(array)
