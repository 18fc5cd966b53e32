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

from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .compiled import JIT_DISABLED, compiling_ours, kernel, shared
from .processor import Registers, registers

__all__ = [
    "TILE",
    "WIDTH",
    "copy_strip",
    "drift_tile",
    "emit_tiles",
    "outer_tile",
    "product_tile",
    "register_width",
    "shape_for",
    "sum_tile",
]

WIDTH = 8
"""Batch members are laid out in multiples of this on every processor.

The sums of a training gradient are kept in so many parts, which must not depend on the registers.
"""


class Shape(NamedTuple):
    """How many sums a tile keeps in registers.

    Attributes
    ----------
    width : int
        Numbers of float64 in a register; of float32 twice as many, up to eight.
    rows, vectors : int
        Of a product's tile, at most: rows times registers of columns.
    outer_rows, outer_columns : int
        Of the tile of an outer product, whose sums are a register each.
    """

    width: int
    rows: int
    vectors: int
    outer_rows: int
    outer_columns: int


# Beside the sums a product needs one register for each vector of columns and one for a number of A.
SHAPES = {
    Registers(8, 32): Shape(8, 12, 2, 5, 4),
    Registers(4, 16): Shape(4, 6, 2, 4, 3),
    Registers(2, 32): Shape(2, 6, 4, 5, 4),
    Registers(2, 16): Shape(2, 4, 2, 3, 3),
}


def shape_for(found: Registers) -> Shape:
    """The tile for a processor's registers."""
    return SHAPES[found]


TILE = shape_for(registers())

# What a tile of a product starts from, and what it does with its sums.
FRESH, ONTO, BY_ROW, BY_LANE = range(4)

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

    def _width(shape, data):
        """Numbers of the type that `data` points to in a register."""
        return shape.width if isinstance(data.type.pointee, ir.DoubleType) else min(8, 2 * shape.width)

    def _register(shape, data):
        return ir.VectorType(data.type.pointee, _width(shape, data))

    def _place(shape, builder, data, offset):
        """The register's worth of numbers from data[offset] on, wherever they lie."""
        return builder.bitcast(builder.gep(data, [offset]), _register(shape, data).as_pointer())

    def _size(data):
        return 8 if isinstance(data.type.pointee, ir.DoubleType) else 4

    def _load(shape, builder, data, offset):
        return builder.load(_place(shape, builder, data, offset), align=_size(data))

    def _load_everywhere(shape, builder, data, offset):
        """data[offset] in every place of a register."""
        vector, lane = _register(shape, data), ir.IntType(32)
        undefined = ir.Constant(vector, ir.Undefined)
        value = builder.load(builder.gep(data, [offset]))
        one = builder.insert_element(undefined, value, ir.Constant(lane, 0))
        zeros = ir.Constant(ir.VectorType(lane, vector.count), [0] * vector.count)
        return builder.shuffle_vector(one, undefined, zeros)

    def _store(shape, builder, vector, data, offset):
        builder.store(vector, _place(shape, builder, data, offset), align=_size(data))

    def _fma(shape, builder, data):
        vector = _register(shape, data)
        kind = ir.FunctionType(vector, [vector] * 3)
        name = f"llvm.fma.v{vector.count}f{8 * _size(data)}"
        return cgutils.get_or_insert_function(builder.module, kind, name)

    def _times(builder, count, stride):
        return builder.mul(ir.Constant(stride.type, count), stride)

    def _add_products(shape, builder, out, sums, left, right):
        """sums[r][v] += left(r) · right(v), the one place where a tile multiplies."""
        fma = _fma(shape, builder, out)
        columns = [right(v) for v in range(len(sums[0]))]
        for r, row in enumerate(sums):
            factor = left(r)
            for total, column in zip(row, columns, strict=True):
                builder.store(builder.call(fma, [factor, column, builder.load(total)]), total)

    def _emit_product(
        shape, n_rows, n_vectors, builder, mode, a, a_row, a_column, inner, b, b_row, o, o_row, s, s_row
    ):
        """A product's tile of one shape: the number of its sums is known here, so they stay in registers."""
        fma, index = _fma(shape, builder, o), inner.type
        lanes = [ir.Constant(index, v * _width(shape, o)) for v in range(n_vectors)]
        places = [(r, v) for r in range(n_rows) for v in range(n_vectors)]
        zero = ir.Constant(_register(shape, o), [0.0] * _width(shape, o))
        sums = [[cgutils.alloca_once_value(builder, zero) for _ in lanes] for _ in range(n_rows)]
        ends = [[builder.add(_times(builder, r, o_row), lane) for lane in lanes] for r in range(n_rows)]
        with builder.if_then(builder.icmp_signed("==", mode, ir.Constant(mode.type, ONTO))):
            for r, v in places:
                builder.store(_load(shape, builder, o, ends[r][v]), sums[r][v])
        with cgutils.for_range(builder, inner) as loop:
            at_b, at_a = builder.mul(loop.index, b_row), builder.mul(loop.index, a_column)
            _add_products(
                shape,
                builder,
                o,
                sums,
                lambda r: _load_everywhere(shape, builder, a, builder.add(at_a, _times(builder, r, a_row))),
                lambda v: _load(shape, builder, b, builder.add(at_b, lanes[v])),
            )

        def add_scaled(weight_of):
            for r, v in places:
                weight = weight_of(_times(builder, r, s_row), lanes[v])
                old = _load(shape, builder, o, ends[r][v])
                total = builder.call(fma, [weight, builder.load(sums[r][v]), old])
                _store(shape, builder, total, o, ends[r][v])

        done = builder.append_basic_block("end")
        stored, by_row, by_lane = (builder.append_basic_block(name) for name in ("sum", "row", "lane"))
        switch = builder.switch(mode, stored)
        switch.add_case(ir.Constant(mode.type, BY_ROW), by_row)
        switch.add_case(ir.Constant(mode.type, BY_LANE), by_lane)
        builder.position_at_end(by_row)
        add_scaled(lambda row, lane: _load_everywhere(shape, builder, s, row))
        builder.branch(done)
        builder.position_at_end(by_lane)
        add_scaled(lambda row, lane: _load(shape, builder, s, builder.add(row, lane)))
        builder.branch(done)
        builder.position_at_end(stored)
        for r, v in places:
            _store(shape, builder, builder.load(sums[r][v]), o, ends[r][v])
        builder.branch(done)
        builder.position_at_end(done)

    def _emit_outer(
        shape, n_rows, n_columns, builder, g, g_step, y, y_step, steps, vectors, row, o, o_row
    ):
        """A tile of an outer product of one shape."""
        eight = ir.Constant(row.type, WIDTH)
        ends = [
            [builder.add(_times(builder, r, o_row), ir.Constant(row.type, c * WIDTH)) for c in range(n_columns)]
            for r in range(n_rows)
        ]
        sums = [
            [cgutils.alloca_once_value(builder, _load(shape, builder, o, end)) for end in line] for line in ends
        ]
        with cgutils.for_range(builder, steps) as time, cgutils.for_range(builder, vectors) as loop:
            lane = builder.mul(loop.index, eight)
            at_g, at_y = (
                builder.add(builder.mul(time.index, step), lane) for step in (g_step, y_step)
            )
            _add_products(
                shape,
                builder,
                o,
                sums,
                lambda r: _load(shape, builder, g, builder.add(at_g, _times(builder, r, row))),
                lambda c: _load(shape, builder, y, builder.add(at_y, _times(builder, c, row))),
            )
        for totals, line in zip(sums, ends, strict=True):
            for total, end in zip(totals, line, strict=True):
                _store(shape, builder, builder.load(total), o, end)

    def _emit_choice(shape, emit, most_rows, most_columns, builder, rows, columns, *rest):
        """Code of every shape up to the largest, and the choice between them."""
        wanted = builder.add(_times(builder, most_columns, rows), columns)
        done = builder.append_basic_block("done")
        switch = builder.switch(wanted, done)
        for n_rows in range(1, most_rows + 1):
            for n_columns in range(1, most_columns + 1):
                block = builder.append_basic_block(f"tile.{n_rows}.{n_columns}")
                switch.add_case(ir.Constant(wanted.type, most_columns * n_rows + n_columns), block)
                builder.position_at_end(block)
                emit(shape, n_rows, n_columns, builder, *rest)
                builder.branch(done)
        builder.position_at_end(done)

    def _emit_products(shape, builder, *arguments):
        _emit_choice(shape, _emit_product, shape.rows, shape.vectors, builder, *arguments)

    def _emit_outers(shape, builder, *arguments):
        _emit_choice(shape, _emit_outer, shape.outer_rows, shape.outer_columns, builder, *arguments)

    def _emit_drift(shape, _, n_vectors, builder, rows, by_lane, factor, source, target, row):
        fma = _fma(shape, builder, target)
        lanes = [ir.Constant(row.type, v * _width(shape, target)) for v in range(n_vectors)]
        weights = []
        for lane in lanes:
            weight = cgutils.alloca_once_value(builder, _load_everywhere(shape, builder, factor, lanes[0]))
            with builder.if_then(by_lane):
                builder.store(_load(shape, builder, factor, lane), weight)
            weights.append(builder.load(weight))
        with cgutils.for_range(builder, rows) as loop:
            start = builder.mul(loop.index, row)
            for lane, weight in zip(lanes, weights, strict=True):
                at = builder.add(start, lane)
                moved, old = _load(shape, builder, source, at), _load(shape, builder, target, at)
                _store(shape, builder, builder.call(fma, [weight, moved, old]), target, at)

    def _emit_drifts(shape, builder, rows, vectors, *arguments):
        one = ir.Constant(rows.type, 1)
        _emit_choice(shape, _emit_drift, 1, shape.vectors, builder, one, vectors, rows, *arguments)

    def _emit_copy(shape, builder, rows, width, source, s_row, target, t_row):
        size = ir.Constant(width.type, _width(shape, source))
        whole = builder.udiv(width, size)
        with cgutils.for_range(builder, rows) as row:
            s, t = builder.mul(row.index, s_row), builder.mul(row.index, t_row)
            with cgutils.for_range(builder, whole) as vector:
                at = builder.mul(vector.index, size)
                moved = _load(shape, builder, source, builder.add(s, at))
                _store(shape, builder, moved, target, builder.add(t, at))
            with cgutils.for_range_slice(builder, builder.mul(whole, size), width, size.type(1)) as (lane, _):
                number = builder.load(builder.gep(source, [builder.add(s, lane)]))
                builder.store(number, builder.gep(target, [builder.add(t, lane)]))

    # The arguments of each function: i an index, d data, b a truth value.
    FUNCTIONS = (
        ("tile", "iiidiiidididi", _emit_products),
        ("outer", "iididiiiidi", _emit_outers),
        ("drift", "iibdddi", _emit_drifts),
        ("copy", "iididi", _emit_copy),
    )

    def emit_tiles(module, number, shape):
        """Define the functions that the intrinsics below call, for arrays of one type of number."""
        kinds = {"i": ir.IntType(64), "d": number.as_pointer(), "b": ir.IntType(1)}
        for name, arguments, emit in FUNCTIONS:
            kind = ir.FunctionType(ir.VoidType(), [kinds[letter] for letter in arguments])
            function = ir.Function(module, kind, f"leapgrad.{name}.{number}")
            builder = ir.IRBuilder(function.append_basic_block("entry"))
            emit(shape, builder, *function.args)
            builder.ret_void()

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
            data = context.make_array(array)(context, builder).data
            return context.get_constant(types.intp, _width(TILE, data))

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
            rows, vectors, _, _, a_row, a_column, inner, _, _, b_row, _, _, o_row, _, _, s_row, by_lane = arguments
            a, b, o, s = (_data(context, builder, signature, arguments, place) for place in (2, 7, 10, 13))
            mode = builder.select(by_lane, rows.type(BY_LANE), rows.type(BY_ROW))
            _call_shared(
                builder, "tile", [rows, vectors, mode, a, a_row, a_column, inner, b, b_row, o, o_row, s, s_row]
            )
            return context.get_dummy_value()

        i = types.intp
        signature = types.void(i, i, A, i, i, i, i, B, i, i, out, i, i, scale, i, i, types.boolean)
        return signature, codegen

    @intrinsic
    def sum_tile(typingctx, rows, vectors, onto, A, a, a_row, a_column, inner, B, b, b_row, out, o, o_row):
        """The same sums, begun at `out` with `onto` and at zero without, into `out`."""

        def codegen(context, builder, signature, arguments):
            rows, vectors, onto, _, _, a_row, a_column, inner, _, _, b_row, _, _, o_row = arguments
            a, b, o = (_data(context, builder, signature, arguments, place) for place in (3, 8, 11))
            mode = builder.select(onto, rows.type(ONTO), rows.type(FRESH))
            _call_shared(
                builder, "tile", [rows, vectors, mode, a, a_row, a_column, inner, b, b_row, o, o_row, o, o_row]
            )
            return context.get_dummy_value()

        i = types.intp
        return types.void(i, i, types.boolean, A, i, i, i, i, B, i, i, out, i, i), codegen

    @intrinsic
    def outer_tile(typingctx, rows, columns, G, g, g_step, Y, y, y_step, steps, vectors, row, out, o, o_row):
        """out[o + r·o_row + 8c + ℓ] += Σ_tv G[g + t·g_step + r·row + 8v + ℓ] Y[y + t·y_step + c·row + 8v + ℓ].

        For t < steps and v < vectors, in this order; r < rows ≤ TILE.outer_rows, c < columns ≤
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
