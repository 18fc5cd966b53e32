"""The LLVM code of register tiles: one builder for all products, shaped by the number of registers.

A tile keeps a few rows and columns of sums in registers while it runs along the terms. What differs between
processors is how many (`SHAPES`); what differs between products is what it multiplies, what it starts from,
and what it does with the sums.
"""

from __future__ import annotations

from typing import NamedTuple

from llvmlite import ir
from numba.core import cgutils

from .processor import Registers

__all__ = [
    "BY_LANE",
    "BY_ROW",
    "FRESH",
    "FUNCTIONS",
    "ONTO",
    "SHAPES",
    "WIDTH",
    "TileShape",
    "emit_tiles",
    "pushed_rows",
    "width_of",
]

WIDTH = 8
"""Batch members are laid out in multiples of this on every processor.

The sums of a training gradient are kept in so many parts, which must not depend on the registers.
"""


class TileShape(NamedTuple):
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


# Beside the sums a product needs one register for each vector of columns and one for a number of A. Measured
# on one core of a processor with AVX-512 (at most 134 GF/s), and restricted to AVX2 (at most 67 GF/s), a
# product with d rows, terms and columns:
#
#   d =                      10    32    64   100   256
#   AVX-512  12 x 2        20.2   112   126   124   127
#             8 x 3        20.6   111   126   124   124
#             6 x 4        20.9   108   125   123   128
#   AVX2      6 x 2        15.4    60    65    64    64
#             4 x 3        15.2    60    66    64    66
#             8 x 1        15.0    58    63    63    62
#
# Any shape that fits does well; 12 x 2 of eight numbers, which AVX2 has to spill, made 30 to 45 of 67 GF/s in
# whole Jacobians. Tiles of the outer product: 4 x 3 to 5 x 5 are within 0.05 of each other in training.
# NEON and SSE2 were not measured; that their loops touch no stack is tested.
SHAPES = {
    Registers(8, 32): TileShape(8, 12, 2, 5, 4),
    Registers(4, 16): TileShape(4, 6, 2, 4, 3),
    Registers(2, 32): TileShape(2, 6, 4, 5, 4),
    Registers(2, 16): TileShape(2, 4, 2, 3, 3),
}

# Registers of sums of a matrix times one vector. Each sum waits four cycles for its last term, and a core
# begins two terms in a cycle, so eight are busy all the time; beside them only two registers are needed.
ROW_VECTORS = 8

COMBINED_ROWS = 4
"""Rows of scaled rows that are summed together: what has to be loaded for each is the same for any number."""

# What a tile of a product starts from, and what it does with its sums.
FRESH, ONTO, BY_ROW, BY_LANE = range(4)


def width_of(shape, number):
    """Numbers of a type of LLVM's in a register."""
    return shape.width if isinstance(number, ir.DoubleType) else min(8, 2 * shape.width)


def _register(shape, data):
    return ir.VectorType(data.type.pointee, width_of(shape, data.type.pointee))


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
    lanes = [ir.Constant(index, v * width_of(shape, o.type.pointee)) for v in range(n_vectors)]
    places = [(r, v) for r in range(n_rows) for v in range(n_vectors)]
    zero = ir.Constant(_register(shape, o), [0.0] * width_of(shape, o.type.pointee))
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


def _emit_sums(shape, _, n_vectors, builder, x, inner, b, b_row, o):
    """The sums of one row into a register each, then added to the target."""
    index = inner.type
    lanes = [ir.Constant(index, v * width_of(shape, o.type.pointee)) for v in range(n_vectors)]
    zero = ir.Constant(_register(shape, o), [0.0] * width_of(shape, o.type.pointee))
    sums = [[cgutils.alloca_once_value(builder, zero) for _ in lanes]]
    with cgutils.for_range(builder, inner) as loop:
        at_b = builder.mul(loop.index, b_row)
        _add_products(
            shape,
            builder,
            o,
            sums,
            lambda r: _load_everywhere(shape, builder, x, loop.index),
            lambda v: _load(shape, builder, b, builder.add(at_b, lanes[v])),
        )
    for lane, total in zip(lanes, sums[0], strict=True):
        _store(shape, builder, builder.fadd(_load(shape, builder, o, lane), builder.load(total)), o, lane)


# Registers of columns that a push takes at a time. With one alone, so that more rows fit, it is slower than
# the product and the drift in tiles of their own: at d = 10 with AVX2 by a sixth.
PUSHED_VECTORS = 2


def pushed_rows(shape):
    """The most rows of a push: their sums fit where those of a product do."""
    return shape.rows * shape.vectors // PUSHED_VECTORS


def _emit_push(
    shape, n_rows, n_vectors, builder, a, a_row, a_column, inner, b, b_row, o, o_row, s, s_row, moves, e
):
    """o += s · A b, then b += e · o: the sums of all rows are complete before anything is changed."""
    fma, index = _fma(shape, builder, o), inner.type
    lanes = [ir.Constant(index, v * width_of(shape, o.type.pointee)) for v in range(n_vectors)]
    places = [(r, v) for r in range(n_rows) for v in range(n_vectors)]
    zero = ir.Constant(_register(shape, o), [0.0] * width_of(shape, o.type.pointee))
    sums = [[cgutils.alloca_once_value(builder, zero) for _ in lanes] for _ in range(n_rows)]

    def at(row, stride, lane):
        return builder.add(_times(builder, row, stride), lanes[lane])

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
    totals = []
    for r, v in places:
        weight, old = _load(shape, builder, s, at(r, s_row, v)), _load(shape, builder, o, at(r, o_row, v))
        totals.append(builder.call(fma, [weight, builder.load(sums[r][v]), old]))
        _store(shape, builder, totals[-1], o, at(r, o_row, v))
    with builder.if_then(moves):
        drifts = [_load(shape, builder, e, lane) for lane in lanes]
        for (r, v), total in zip(places, totals, strict=True):
            moved = builder.call(fma, [drifts[v], total, _load(shape, builder, b, at(r, b_row, v))])
            _store(shape, builder, moved, b, at(r, b_row, v))


def _emit_outer(shape, n_rows, n_columns, builder, g, g_step, y, y_step, steps, vectors, row, o, o_row):
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
        at_g, at_y = (builder.add(builder.mul(time.index, step), lane) for step in (g_step, y_step))
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
    lanes = [ir.Constant(row.type, v * width_of(shape, target.type.pointee)) for v in range(n_vectors)]
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


def _emit_pushes(shape, builder, *arguments):
    _emit_choice(shape, _emit_push, pushed_rows(shape), PUSHED_VECTORS, builder, *arguments)


def _emit_drifts(shape, builder, rows, vectors, *arguments):
    one = ir.Constant(rows.type, 1)
    _emit_choice(shape, _emit_drift, 1, shape.vectors, builder, one, vectors, rows, *arguments)


def _emit_row(shape, builder, vectors, *arguments):
    one = ir.Constant(vectors.type, 1)
    _emit_choice(shape, _emit_sums, 1, ROW_VECTORS, builder, one, vectors, *arguments)


def _emit_copy(shape, builder, rows, width, source, s_row, target, t_row):
    size = ir.Constant(width.type, width_of(shape, source.type.pointee))
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


def _emit_combined_rows(
    shape, n_rows, n_vectors, builder, onto, by_lane, terms, a, a_row, b, b_row, o, o_row, places
):
    """Sums of scaled rows, a few rows of them; they begin at −0, to which any number may be added."""
    lanes = [ir.Constant(terms.type, v * width_of(shape, o.type.pointee)) for v in range(n_vectors)]
    zero = ir.Constant(_register(shape, o), [-0.0] * width_of(shape, o.type.pointee))
    sums = [[cgutils.alloca_once_value(builder, zero) for _ in lanes] for _ in range(n_rows)]
    ends = [[builder.add(_times(builder, r, o_row), lane) for lane in lanes] for r in range(n_rows)]
    fma = _fma(shape, builder, o)
    for totals, line in zip(sums, ends, strict=True):
        for total, end in zip(totals, line, strict=True):
            builder.store(zero, total)
            with builder.if_then(onto):
                builder.store(_load(shape, builder, o, end), total)

    def add_terms(factors_of):
        with cgutils.for_range(builder, terms) as loop:
            pair = builder.shl(loop.index, loop.index.type(1))
            at_a = builder.load(builder.gep(places, [pair]))
            at_b = builder.load(builder.gep(places, [builder.add(pair, pair.type(1))]))
            for r, totals in enumerate(sums):
                row = builder.add(at_b, _times(builder, r, b_row))
                factors = factors_of(builder.add(at_a, _times(builder, r, a_row)))
                for total, factor, lane in zip(totals, factors, lanes, strict=True):
                    moved = _load(shape, builder, b, builder.add(row, lane))
                    builder.store(builder.call(fma, [factor, moved, builder.load(total)]), total)

    with builder.if_else(by_lane) as (each, same):
        with each:
            add_terms(lambda at: [_load(shape, builder, a, builder.add(at, lane)) for lane in lanes])
        with same:
            add_terms(lambda at: [_load_everywhere(shape, builder, a, at)] * n_vectors)
    for totals, line in zip(sums, ends, strict=True):
        for total, end in zip(totals, line, strict=True):
            _store(shape, builder, builder.load(total), o, end)


def _emit_combination(
    shape, _, n_vectors, builder, rows, onto, by_lane, terms, a, a_row, b, b_row, o, o_row, places
):
    """All rows of a strip: some at a time, then the others one by one."""
    whole = builder.mul(builder.udiv(rows, rows.type(COMBINED_ROWS)), rows.type(COMBINED_ROWS))
    for first, last, n_rows in ((rows.type(0), whole, COMBINED_ROWS), (whole, rows, 1)):
        with cgutils.for_range_slice(builder, first, last, rows.type(n_rows)) as (row, _):
            at_a, at_b, at_o = (
                builder.gep(data, [builder.mul(row, stride)])
                for data, stride in ((a, a_row), (b, b_row), (o, o_row))
            )
            _emit_combined_rows(
                shape, n_rows, n_vectors, builder, onto, by_lane, terms, at_a, a_row, at_b, b_row, at_o,
                o_row, places,
            )  # fmt: skip


def _emit_combinations(shape, builder, rows, vectors, *arguments):
    one = rows.type(1)
    _emit_choice(shape, _emit_combination, 1, shape.vectors, builder, one, vectors, rows, *arguments)


# The arguments of each function: i an index, d data, b a truth value, t a table of indices.
FUNCTIONS = (
    ("tile", "iiidiiidididi", _emit_products),
    ("outer", "iididiiiidi", _emit_outers),
    ("combine", "iibbidididit", _emit_combinations),
    ("drift", "iibdddi", _emit_drifts),
    ("copy", "iididi", _emit_copy),
    ("row", "ididid", _emit_row),
    ("push", "iidiiidididibd", _emit_pushes),
)


def emit_tiles(module, number, shape):
    """Define the functions that the intrinsics below call, for arrays of one type of number."""
    index = ir.IntType(64)
    kinds = {"i": index, "d": number.as_pointer(), "b": ir.IntType(1), "t": index.as_pointer()}
    for name, arguments, emit in FUNCTIONS:
        kind = ir.FunctionType(ir.VoidType(), [kinds[letter] for letter in arguments])
        function = ir.Function(module, kind, f"leapgrad.{name}.{number}")
        builder = ir.IRBuilder(function.append_basic_block("entry"))
        emit(shape, builder, *function.args)
        builder.ret_void()
