"""Arrays as compiled code reads them fastest: flat, indices unchecked, references not counted."""

from __future__ import annotations

from numba import types
from numba.core import cgutils
from numba.core.imputils import impl_ret_borrowed
from numba.extending import intrinsic
from numba.np.arrayobj import populate_array

from .compiled import JIT_DISABLED

__all__ = ["borrowed", "flat", "get", "hold", "put"]

if JIT_DISABLED:

    def flat(array):
        """A contiguous array as one row."""
        return array.reshape(-1)

    def borrowed(array):
        """The array itself."""
        return array

    def hold(array):
        """Nothing."""

    def get(array, index):
        """array[index]."""
        return array[index]

    def put(array, index, value):
        """array[index] = value."""
        array[index] = value

else:

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
    def borrowed(typingctx, array):
        """The same array without its reference count, valid while somebody holds the owner.

        Counts are atomic, some 5 ns each: on a small block half of the time of a step went into them.
        """

        def codegen(context, builder, signature, arguments):
            view = context.make_array(array)(context, builder, arguments[0])
            view.meminfo = cgutils.get_null_value(view.meminfo.type)
            view.parent = cgutils.get_null_value(view.parent.type)
            return view._getvalue()

        return array(array), codegen

    @intrinsic
    def hold(typingctx, array):
        """Keeps an array up to here: Numba frees what it sees no more use of."""

        def codegen(context, builder, signature, arguments):
            return context.get_dummy_value()

        return types.void(array), codegen

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
