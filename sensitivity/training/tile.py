"""Register tiles of the two matrix products of training, for flat arrays whose rows are lanes.

``multiply``, ``add_multiplied``: out = A B, out += A B for one step, as
`integrators.codegen.product.add_product`,
but without its scale and its choice of shapes, which cost more than the product when d is about ten.

``add_outer``: out += G Yᵀ, contracted over lanes and time. Its sums stay vectors of eight lanes, in registers
within a call and in memory between calls; their eight parts are added when a gradient is complete.

Every sum runs in a fixed order with one fused multiply-add a term, whatever stands beside it.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from integrators.codegen.compiled import JIT_DISABLED, helper
from integrators.codegen.simd import WIDTH

__all__ = ["add_multiplied", "add_outer", "multiply"]

if JIT_DISABLED:

    def multiply_tile(rows, vectors, fresh, A, a, a_row, a_column, inner, B, b, b_row, out, o, o_row):
        """The same in plain Python; rounds products twice, having no fused multiply-add."""
        for r in range(rows):
            for v in range(vectors * WIDTH):
                total = 0.0 if fresh else out[o + r * o_row + v]
                for j in range(inner):
                    total += A[a + r * a_row + j * a_column] * B[b + j * b_row + v]
                out[o + r * o_row + v] = total

    def outer_tile(rows, columns, G, g, g_step, Y, y, y_step, steps, vectors, out, o, o_row):
        """The same in plain Python; rounds products twice, having no fused multiply-add."""
        w = vectors * WIDTH
        for r in range(rows):
            for c in range(columns):
                for lane in range(WIDTH):
                    place = o + r * o_row + c * WIDTH + lane
                    for t in range(steps):
                        for v in range(lane, w, WIDTH):
                            out[place] += G[g + t * g_step + r * w + v] * Y[y + t * y_step + c * w + v]

else:

    class _Builder:
        """Vector loads, stores and fused multiply-adds on flat float64 arrays."""

        def __init__(self, context, builder, index):
            self.context, self.builder, self.index = context, builder, index
            self.vector = ir.VectorType(ir.DoubleType(), WIDTH)
            kind = ir.FunctionType(self.vector, [self.vector] * 3)
            self.fused = cgutils.get_or_insert_function(builder.module, kind, f"llvm.fma.v{WIDTH}f64")
            self.zero = ir.Constant(self.vector, [0.0] * WIDTH)

        def data(self, kind, array):
            return self.context.make_array(kind)(self.context, self.builder, array).data

        def address(self, data, position):
            return self.builder.bitcast(self.builder.gep(data, [position]), self.vector.as_pointer())

        def load(self, data, position):
            return self.builder.load(self.address(data, position), align=8)

        def store(self, value, data, position):
            self.builder.store(value, self.address(data, position), align=8)

        def everywhere(self, data, position):
            lane = ir.IntType(32)
            undefined = ir.Constant(self.vector, ir.Undefined)
            value = self.builder.load(self.builder.gep(data, [position]))
            one = self.builder.insert_element(undefined, value, ir.Constant(lane, 0))
            zeros = ir.Constant(ir.VectorType(lane, WIDTH), [0] * WIDTH)
            return self.builder.shuffle_vector(one, undefined, zeros)

        def offset(self, base, count, stride):
            return self.builder.add(base, self.builder.mul(ir.Constant(self.index, count), stride))

        def beyond(self, base, count):
            return self.builder.add(base, ir.Constant(self.index, count * WIDTH))

        def add_product(self, left, right, place):
            total = self.builder.call(self.fused, [left, right, self.builder.load(place)])
            self.builder.store(total, place)

    @intrinsic(prefer_literal=True)
    def multiply_tile(
        typingctx, rows, vectors, fresh, A, a, a_row, a_column, inner, B, b, b_row, out, o, o_row
    ):
        """out[o + r·o_row + v] (0 if fresh) += Σ_j A[a + r·a_row + j·a_column] B[b + j·b_row + v].

        For r < rows and v < 8·vectors; `rows`, `vectors` and `fresh` are literals.
        """
        n_rows, n_vectors, starts_at_zero = (part.literal_value for part in (rows, vectors, fresh))

        def codegen(context, builder, signature, arguments):
            array_a, a, a_row, a_column, inner, array_b, b, b_row, array_o, o, o_row = arguments[3:]
            to = _Builder(context, builder, a.type)
            data_a, data_b, data_o = (
                to.data(signature.args[n], array) for n, array in ((3, array_a), (8, array_b), (11, array_o))
            )

            def place(r, v):
                return to.beyond(to.offset(o, r, o_row), v)

            sums = [
                [
                    cgutils.alloca_once_value(
                        builder, to.zero if starts_at_zero else to.load(data_o, place(r, v))
                    )
                    for v in range(n_vectors)
                ]
                for r in range(n_rows)
            ]
            with cgutils.for_range(builder, inner) as loop:
                at_b = builder.add(b, builder.mul(loop.index, b_row))
                at_a = builder.add(a, builder.mul(loop.index, a_column))
                columns = [to.load(data_b, to.beyond(at_b, v)) for v in range(n_vectors)]
                for r in range(n_rows):
                    factor = to.everywhere(data_a, to.offset(at_a, r, a_row))
                    for v in range(n_vectors):
                        to.add_product(factor, columns[v], sums[r][v])
            for r in range(n_rows):
                for v in range(n_vectors):
                    to.store(builder.load(sums[r][v]), data_o, place(r, v))
            return context.get_dummy_value()

        i = types.intp
        return types.void(rows, vectors, fresh, A, i, i, i, i, B, i, i, out, i, i), codegen

    @intrinsic(prefer_literal=True)
    def outer_tile(typingctx, rows, columns, G, g, g_step, Y, y, y_step, steps, vectors, out, o, o_row):
        """out[o + r·o_row + 8c + ℓ] += Σ_tv G[g + t·g_step + r·w + 8v + ℓ] Y[y + t·y_step + c·w + 8v + ℓ].

        For t < steps and v < vectors, w = 8·vectors; r < rows and c < columns, which are literals; and the
        eight lanes ℓ.
        """
        n_rows, n_columns = rows.literal_value, columns.literal_value

        def codegen(context, builder, signature, arguments):
            array_g, g, g_step, array_y, y, y_step, steps, vectors, array_o, o, o_row = arguments[2:]
            to = _Builder(context, builder, g.type)
            data_g, data_y, data_o = (
                to.data(signature.args[n], array) for n, array in ((2, array_g), (5, array_y), (10, array_o))
            )
            row = builder.mul(vectors, ir.Constant(to.index, WIDTH))

            def place(r, c):
                return to.beyond(to.offset(o, r, o_row), c)

            sums = [
                [cgutils.alloca_once_value(builder, to.load(data_o, place(r, c))) for c in range(n_columns)]
                for r in range(n_rows)
            ]
            with cgutils.for_range(builder, steps) as time, cgutils.for_range(builder, vectors) as loop:
                lane = builder.mul(loop.index, ir.Constant(to.index, WIDTH))
                at_g, at_y = (
                    builder.add(builder.add(start, builder.mul(time.index, step)), lane)
                    for start, step in ((g, g_step), (y, y_step))
                )
                right = [to.load(data_y, to.offset(at_y, c, row)) for c in range(n_columns)]
                for r in range(n_rows):
                    left = to.load(data_g, to.offset(at_g, r, row))
                    for c in range(n_columns):
                        to.add_product(left, right[c], sums[r][c])
            for r in range(n_rows):
                for c in range(n_columns):
                    to.store(builder.load(sums[r][c]), data_o, place(r, c))
            return context.get_dummy_value()

        i = types.intp
        return types.void(rows, columns, G, i, i, Y, i, i, i, i, out, i, i), codegen


@helper
def _height(left):
    """Rows of the next tile: five where four would leave fewer than four, so that ten rows are two tiles."""
    if left >= 5 and left % 4 != 0:
        return 5
    return 4 if left >= 4 else 1


def _named(function, *numbers):
    """`helper` under a name of its own.

    The linker knows a function by its qualified name and a count that begins anew in every process. Two of
    one name that differ in what is compiled in are one symbol, where kernels from two processes are loaded.
    """
    function.__qualname__ = f"{function.__name__}_{'_'.join(map(str, numbers))}"
    return helper(function)


def _strip(vectors, fresh):
    """The product for all rows of so many registers of lanes: the shape of a tile is compiled in."""

    def rows_of_tiles(A, start, row, column, rows, inner, B, b, b_row, out, o, o_row):
        i = 0
        while i < rows:
            height, a, at = _height(rows - i), start + i * row, o + i * o_row
            if height == 5:
                multiply_tile(5, vectors, fresh, A, a, row, column, inner, B, b, b_row, out, at, o_row)
            elif height == 4:
                multiply_tile(4, vectors, fresh, A, a, row, column, inner, B, b, b_row, out, at, o_row)
            else:
                multiply_tile(1, vectors, fresh, A, a, row, column, inner, B, b, b_row, out, at, o_row)
            i += height

    return _named(rows_of_tiles, vectors, fresh)


def _multiply(fresh):
    one, three, four = (_strip(vectors, fresh) for vectors in (1, 3, 4))

    def product(A, start, row, column, rows, inner, B, b, b_row, out, lanes):
        q = 0
        while q < lanes:
            left = (lanes - q) // WIDTH
            if left == 3:
                three(A, start, row, column, rows, inner, B, b + q, b_row, out, q, lanes)
                q += 3 * WIDTH
            elif left >= 4:
                four(A, start, row, column, rows, inner, B, b + q, b_row, out, q, lanes)
                q += 4 * WIDTH
            else:
                one(A, start, row, column, rows, inner, B, b + q, b_row, out, q, lanes)
                q += WIDTH

    return _named(product, fresh)


multiply, add_multiplied = _multiply(1), _multiply(0)
"""out = A B, and out += A B, for one step.

Entry (i, j) of A, (rows, inner), is ``A[start + i·row + j·column]``; row j of B starts at ``b + j·b_row``;
out is (rows, lanes), lanes a multiple of eight. All arrays are flat.
"""


@helper
def add_outer(G, g, g_step, rows, Y, y, y_step, columns, steps, lanes, out):
    """out[i, j, ℓ] += Σ_tv G[t, i, 8v + ℓ] Y[t, j, 8v + ℓ] for flat arrays.

    Parameters
    ----------
    G, Y : float64[::1]
        (steps, rows, lanes) and (steps, columns, lanes), from `g` and `y` on; one step begins `g_step` or
        `y_step` after the other. Lanes are a multiple of eight.
    out : float64[::1]
        (rows, columns, 8).
    """
    vectors, o_row = lanes // WIDTH, columns * WIDTH
    i = 0
    while i < rows:
        height, a, o = _height(rows - i), g + i * lanes, i * o_row
        c = 0
        while c + 4 <= columns:
            b, at = y + c * lanes, o + c * WIDTH
            if height == 5:
                outer_tile(5, 4, G, a, g_step, Y, b, y_step, steps, vectors, out, at, o_row)
            elif height == 4:
                outer_tile(4, 4, G, a, g_step, Y, b, y_step, steps, vectors, out, at, o_row)
            else:
                outer_tile(1, 4, G, a, g_step, Y, b, y_step, steps, vectors, out, at, o_row)
            c += 4
        while c < columns:
            b, at = y + c * lanes, o + c * WIDTH
            if height == 5:
                outer_tile(5, 1, G, a, g_step, Y, b, y_step, steps, vectors, out, at, o_row)
            elif height == 4:
                outer_tile(4, 1, G, a, g_step, Y, b, y_step, steps, vectors, out, at, o_row)
            else:
                outer_tile(1, 1, G, a, g_step, Y, b, y_step, steps, vectors, out, at, o_row)
            c += 1
        i += height
