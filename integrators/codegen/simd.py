"""The register tile of a matrix product, for compiled code.

LLVM vectorises simple loops by itself but gives up on a product's register tile (too many arrays that might
overlap), and sums that live in memory run at a third of the speed. Measured on one core with AVX-512, in
GF/s, tile against one-thread OpenBLAS ``np.dot``: d = 12: 40 against 50, d = 32: 49 against 53, d = 100: 55
against 46, d = 256: 50 against 52. Unlike BLAS, the tile sums every entry in one fixed order with one fused
multiply-add per term, so an entry has the same bits whatever stands beside it, and it ends by adding to the
target, which spares two passes over the columns.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .compiled import JIT_DISABLED, compiling_ours, kernel, shared

__all__ = ["TILE_ROWS", "WIDTH", "copy_strip", "drift_tile", "product_tile"]

WIDTH = 8  # float64 numbers in the widest register; LLVM splits them on narrower machines
# With two registers of columns: 24 sums of the 32 registers. One core, GF/s with 8 and with 12 rows: d = 64:
# 49 and 52, d = 100: 52 and 55.
TILE_ROWS = 12

if JIT_DISABLED:

    def product_tile(
        rows, vectors, A, a, a_row, a_column, inner, B, b, b_row, out, o, o_row, scale, s, s_row, s_lane
    ):
        """The same in plain Python; rounds products twice, having no fused multiply-add."""
        for r in range(rows):
            for v in range(vectors * WIDTH):
                total = 0.0
                for j in range(inner):
                    total += A[a + r * a_row + j * a_column] * B[b + j * b_row + v]
                out[o + r * o_row + v] += scale[s + r * s_row + (v if s_lane else 0)] * total

    def copy_strip(rows, width, source, s, s_row, target, t, t_row):
        """The same in plain Python."""
        for r in range(rows):
            for v in range(width):
                target[t + r * t_row + v] = source[s + r * s_row + v]

    def drift_tile(rows, vectors, factor, f, by_lane, source, target, at, row):
        """The same in plain Python."""
        for r in range(rows):
            for v in range(vectors * WIDTH):
                target[at + r * row + v] += factor[f + (v if by_lane else 0)] * source[at + r * row + v]

else:

    def _splat(builder, vector, value):
        lane = ir.IntType(32)
        one = builder.insert_element(ir.Constant(vector, ir.Undefined), value, ir.Constant(lane, 0))
        zeros = ir.Constant(ir.VectorType(lane, WIDTH), [0] * WIDTH)
        return builder.shuffle_vector(one, ir.Constant(vector, ir.Undefined), zeros)

    def _register(data):
        return ir.VectorType(data.type.pointee, WIDTH)

    def _place(builder, data, offset):
        """The register's worth of numbers from data[offset] on, wherever they lie."""
        return builder.bitcast(builder.gep(data, [offset]), _register(data).as_pointer())

    def _size(data):
        return 8 if isinstance(data.type.pointee, ir.DoubleType) else 4

    def _load(builder, data, offset):
        return builder.load(_place(builder, data, offset), align=_size(data))

    def _load_everywhere(builder, data, offset):
        """data[offset] in every place of a register."""
        return _splat(builder, _register(data), builder.load(builder.gep(data, [offset])))

    def _store(builder, vector, data, offset):
        builder.store(vector, _place(builder, data, offset), align=_size(data))

    def _fma(builder, data):
        vector = _register(data)
        kind = ir.FunctionType(vector, [vector] * 3)
        return cgutils.get_or_insert_function(builder.module, kind, f"llvm.fma.v{WIDTH}f{8 * _size(data)}")

    def _times(builder, count, stride):
        return builder.mul(ir.Constant(stride.type, count), stride)

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

    def _emit_shape(
        n_rows, n_vectors, builder, by_lane, a, a_row, a_column, inner, b, b_row, o, o_row, s, s_row
    ):
        """Code of a tile of one shape: the number of its sums is known here, so they stay in registers."""
        fma, index = _fma(builder, o), inner.type
        zero = ir.Constant(_register(o), [0.0] * WIDTH)
        places = [(r, v) for r in range(n_rows) for v in range(n_vectors)]
        lanes = [ir.Constant(index, v * WIDTH) for v in range(n_vectors)]
        sums = {place: cgutils.alloca_once_value(builder, zero) for place in places}
        with cgutils.for_range(builder, inner) as loop:
            at_b, at_a = builder.mul(loop.index, b_row), builder.mul(loop.index, a_column)
            columns = [_load(builder, b, builder.add(at_b, lane)) for lane in lanes]
            for r in range(n_rows):
                factor = _load_everywhere(builder, a, builder.add(at_a, _times(builder, r, a_row)))
                for v in range(n_vectors):
                    total = builder.call(fma, [factor, columns[v], builder.load(sums[r, v])])
                    builder.store(total, sums[r, v])

        def add_scaled(weight_of):
            for r, v in places:
                at = builder.add(_times(builder, r, o_row), lanes[v])
                weight = weight_of(_times(builder, r, s_row), lanes[v])
                total = builder.call(fma, [weight, builder.load(sums[r, v]), _load(builder, o, at)])
                _store(builder, total, o, at)

        with builder.if_else(by_lane) as (yes, no):
            with yes:
                add_scaled(lambda row, lane: _load(builder, s, builder.add(row, lane)))
            with no:
                add_scaled(lambda row, lane: _load_everywhere(builder, s, row))

    def _emit_tiles(builder, rows, vectors, *rest):
        """Code of every shape, and the choice between them."""
        shape = builder.add(builder.add(rows, rows), vectors)
        done = builder.append_basic_block("done")
        switch = builder.switch(shape, done)
        for n_rows in range(1, TILE_ROWS + 1):
            for n_vectors in (1, 2):
                block = builder.append_basic_block(f"tile.{n_rows}.{n_vectors}")
                switch.add_case(ir.Constant(shape.type, 2 * n_rows + n_vectors), block)
                builder.position_at_end(block)
                _emit_shape(n_rows, n_vectors, builder, *rest)
                builder.branch(done)
        builder.position_at_end(done)

    @intrinsic
    def product_tile(
        typingctx, rows, vectors, A, a, a_row, a_column, inner, B, b, b_row, out, o, o_row, scale, s, s_row,
        s_lane,
    ):  # fmt: skip
        """out[o + r·o_row + v] += scale · Σ_j A[a + r·a_row + j·a_column] B[b + j·b_row + v].

        For r < rows ≤ TILE_ROWS and v < 8·vectors ≤ 16, all arrays flat and indices unchecked. The scale of
        an entry is ``scale[s + r·s_row]``, or ``scale[s + r·s_row + v]`` with s_lane. The sum over j < inner
        runs in order.
        """

        def codegen(context, builder, signature, arguments):
            rows, vectors, A, a, a_row, a_column, inner, B, b, b_row, out, o, o_row = arguments[:13]
            scale, s, s_row, by_lane = arguments[13:]
            data_a, data_b, data_o, data_s = (
                builder.gep(context.make_array(signature.args[i])(context, builder, array).data, [start])
                for i, array, start in ((2, A, a), (7, B, b), (10, out, o), (13, scale, s))
            )
            numbers = [rows, vectors, by_lane, data_a, a_row, a_column, inner, data_b, b_row]
            _call_shared(builder, "tile", [*numbers, data_o, o_row, data_s, s_row])
            return context.get_dummy_value()

        i = types.intp
        signature = types.void(i, i, A, i, i, i, i, B, i, i, out, i, i, scale, i, i, types.boolean)
        return signature, codegen

    def _emit_drift(builder, rows, vectors, by_lane, factor, source, target, row):
        fma = _fma(builder, target)

        def emit(n_vectors):
            lanes = [ir.Constant(row.type, v * WIDTH) for v in range(n_vectors)]
            weights = []
            for lane in lanes:
                weight = cgutils.alloca_once_value(builder, _load_everywhere(builder, factor, lanes[0]))
                with builder.if_then(by_lane):
                    builder.store(_load(builder, factor, lane), weight)
                weights.append(builder.load(weight))
            with cgutils.for_range(builder, rows) as loop:
                start = builder.mul(loop.index, row)
                for lane, weight in zip(lanes, weights, strict=True):
                    at = builder.add(start, lane)
                    moved, old = _load(builder, source, at), _load(builder, target, at)
                    _store(builder, builder.call(fma, [weight, moved, old]), target, at)

        with builder.if_else(builder.icmp_signed("==", vectors, ir.Constant(vectors.type, 2))) as (yes, no):
            with yes:
                emit(2)
            with no:
                emit(1)

    @intrinsic
    def drift_tile(typingctx, rows, vectors, factor, f, by_lane, source, target, at, row):
        """target[at + r·row + v] += factor · source[at + r·row + v] for r < rows and v < 8·vectors ≤ 16.

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

    def _emit_copy(builder, rows, width, source, s_row, target, t_row):
        size = ir.Constant(width.type, WIDTH)
        whole = builder.udiv(width, size)
        with cgutils.for_range(builder, rows) as row:
            s, t = builder.mul(row.index, s_row), builder.mul(row.index, t_row)
            with cgutils.for_range(builder, whole) as vector:
                at = builder.mul(vector.index, size)
                moved = _load(builder, source, builder.add(s, at))
                _store(builder, moved, target, builder.add(t, at))
            with cgutils.for_range_slice(builder, builder.mul(whole, size), width, size.type(1)) as (lane, _):
                number = builder.load(builder.gep(source, [builder.add(s, lane)]))
                builder.store(number, builder.gep(target, [builder.add(t, lane)]))

    @intrinsic
    def copy_strip(typingctx, rows, width, source, s, s_row, target, t, t_row):
        """target[t + r·t_row + v] = source[s + r·s_row + v] for r < rows and v < width, all arrays flat."""

        def codegen(context, builder, signature, arguments):
            rows, width, source, s, s_row, target, t, t_row = arguments
            data_s, data_t = (
                builder.gep(context.make_array(signature.args[i])(context, builder, array).data, [start])
                for i, array, start in ((2, source, s), (5, target, t))
            )
            _call_shared(builder, "copy", [rows, width, data_s, s_row, data_t, t_row])
            return context.get_dummy_value()

        i = types.intp
        return types.void(i, i, source, i, i, target, i, i), codegen

    @intrinsic
    def define_tiles(typingctx, array):
        """Define the functions that `product_tile` and `drift_tile` call, for arrays of this type."""

        def codegen(context, builder, signature, arguments):
            data, number, yes = (
                context.make_array(array)(context, builder).data.type,
                ir.IntType(64),
                ir.IntType(1),
            )
            tile = [number, number, yes, data, number, number, number, data, number, data, number]
            tile += [data, number]
            drift = [number, number, yes, data, data, data, number]
            copy = [number, number, data, number, data, number]
            for name, kinds, emit in (
                ("tile", tile, _emit_tiles),
                ("drift", drift, _emit_drift),
                ("copy", copy, _emit_copy),
            ):
                kind = ir.FunctionType(ir.VoidType(), kinds)
                function = ir.Function(builder.module, kind, f"leapgrad.{name}.{data.pointee}")
                inner = ir.IRBuilder(function.append_basic_block("entry"))
                emit(inner, *function.args)
                inner.ret_void()
            return context.get_dummy_value()

        return types.void(array), codegen

    @shared
    @kernel(types.void(types.Array(types.float64, 1, "C")))
    def tiles(array):
        """Holds the machine code of the tiles; calling it does nothing."""
        define_tiles(array)
