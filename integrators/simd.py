"""The register tile of a matrix product, for compiled code.

LLVM vectorises simple loops by itself but gives up on a product's register tile (too many arrays that might
overlap), and sums that live in memory run at a third of the speed. Measured on one core with AVX-512, in
GF/s, tile against one-thread OpenBLAS ``np.dot``: d = 12: 40 against 50, d = 32: 49 against 53, d = 100: 55
against 46, d = 256: 50 against 52. Unlike BLAS, the tile sums every entry in one fixed order with one fused
multiply-add per term, so an entry has the same bits whatever stands beside it, and it ends by adding to the
target, which spares two passes over the columns.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.imputils import impl_ret_borrowed
from numba.extending import intrinsic
from numba.np.arrayobj import populate_array

from .compiled import JIT_DISABLED

__all__ = ["WIDTH", "flat", "get", "product_tile", "put"]

WIDTH = 8  # float64 numbers in the widest register; LLVM splits them on narrower machines

if JIT_DISABLED:

    def flat(array):
        """A contiguous array as one row."""
        return array.reshape(-1)

    def get(array, index):
        """array[index]."""
        return array[index]

    def put(array, index, value):
        """array[index] = value."""
        array[index] = value

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

else:

    def _splat(builder, vector, value):
        lane = ir.IntType(32)
        one = builder.insert_element(ir.Constant(vector, ir.Undefined), value, ir.Constant(lane, 0))
        zeros = ir.Constant(ir.VectorType(lane, WIDTH), [0] * WIDTH)
        return builder.shuffle_vector(one, ir.Constant(vector, ir.Undefined), zeros)

    @intrinsic
    def flat(typingctx, array):
        """A contiguous array as one row, borrowed: ``reshape`` costs a call of some 30 ns, this nothing."""
        row = types.Array(array.dtype, 1, "C")

        def codegen(context, builder, signature, arguments):
            source = context.make_array(array)(context, builder, arguments[0])
            view = context.make_array(row)(context, builder)
            populate_array(
                view,
                data=source.data,
                shape=[source.nitems],
                strides=[source.itemsize],
                itemsize=source.itemsize,
                meminfo=source.meminfo,
                parent=source.parent,
            )
            return impl_ret_borrowed(context, builder, row, view._getvalue())

        return row(array), codegen

    @intrinsic
    def get(typingctx, array, index):
        """array[index] of a flat array, index ≥ 0: Numba's wrap-around of computed indices stops LLVM."""

        def codegen(context, builder, signature, arguments):
            data = context.make_array(array)(context, builder, arguments[0]).data
            return builder.load(builder.gep(data, [arguments[1]]))

        return array.dtype(array, types.intp), codegen

    @intrinsic
    def put(typingctx, array, index, value):
        """array[index] = value of a flat array, index ≥ 0."""

        def codegen(context, builder, signature, arguments):
            data = context.make_array(array)(context, builder, arguments[0]).data
            builder.store(arguments[2], builder.gep(data, [arguments[1]]))
            return context.get_dummy_value()

        return types.void(array, types.intp, array.dtype), codegen

    @intrinsic(prefer_literal=True)
    def product_tile(
        typingctx, rows, vectors, A, a, a_row, a_column, inner, B, b, b_row, out, o, o_row, scale, s, s_row,
        s_lane,
    ):  # fmt: skip
        """out[o + r·o_row + v] += scale · Σ_j A[a + r·a_row + j·a_column] B[b + j·b_row + v].

        For r < rows and v < 8·vectors, all arrays flat and indices unchecked. The scale of an entry is
        ``scale[s + r·s_row]``, or ``scale[s + r·s_row + v]`` with s_lane. `rows` and `vectors` are literals;
        the sum over j < inner runs in order.
        """
        n_rows, n_vectors = rows.literal_value, vectors.literal_value

        def codegen(context, builder, signature, arguments):
            _, _, array_a, a, a_row, a_col, inner, array_b, b, b_row, array_o, o, o_row = arguments[:13]
            array_s, s, s_row, by_lane = arguments[13:]
            data = [
                context.make_array(signature.args[position])(context, builder, array).data
                for position, array in ((2, array_a), (7, array_b), (10, array_o), (13, array_s))
            ]
            data_a, data_b, data_o, data_s = data
            index = inner.type
            size = out.dtype.bitwidth // 8
            vector = ir.VectorType(data_o.type.pointee, WIDTH)
            fma = cgutils.get_or_insert_function(
                builder.module, ir.FunctionType(vector, [vector] * 3), f"llvm.fma.v{WIDTH}f{8 * size}"
            )

            def address(pointer_data, position):
                return builder.bitcast(builder.gep(pointer_data, [position]), vector.as_pointer())

            def load(pointer_data, position):
                return builder.load(address(pointer_data, position), align=size)

            def load_everywhere(pointer_data, position):
                return _splat(builder, vector, builder.load(builder.gep(pointer_data, [position])))

            def offset(base, count, stride):
                return builder.add(base, builder.mul(ir.Constant(index, count), stride))

            zero = ir.Constant(vector, [0.0] * WIDTH)
            sums = [
                [cgutils.alloca_once_value(builder, zero) for _ in range(n_vectors)] for _ in range(n_rows)
            ]
            with cgutils.for_range(builder, inner) as loop:
                at_b = builder.add(b, builder.mul(loop.index, b_row))
                at_a = builder.add(a, builder.mul(loop.index, a_col))
                columns = [
                    load(data_b, builder.add(at_b, ir.Constant(index, v * WIDTH))) for v in range(n_vectors)
                ]
                for r in range(n_rows):
                    factor = load_everywhere(data_a, offset(at_a, r, a_row))
                    for v in range(n_vectors):
                        total = builder.call(fma, [factor, columns[v], builder.load(sums[r][v])])
                        builder.store(total, sums[r][v])

            def add_scaled(weight_of):
                for r in range(n_rows):
                    at_s, at_o = offset(s, r, s_row), offset(o, r, o_row)
                    for v in range(n_vectors):
                        lane = ir.Constant(index, v * WIDTH)
                        at = builder.add(at_o, lane)
                        weight = weight_of(builder.add(at_s, lane), at_s)
                        total = builder.call(fma, [weight, builder.load(sums[r][v]), load(data_o, at)])
                        builder.store(total, address(data_o, at), align=size)

            with builder.if_else(by_lane) as (yes, no):
                with yes:
                    add_scaled(lambda lane, row: load(data_s, lane))
                with no:
                    add_scaled(lambda lane, row: load_everywhere(data_s, row))
            return context.get_dummy_value()

        i = types.intp
        signature = types.void(rows, vectors, A, i, i, i, i, B, i, i, out, i, i, scale, i, i, types.boolean)
        return signature, codegen
