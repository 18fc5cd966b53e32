"""A one-step function of PyTorch or JAX as a recurrence, with the derivatives of its own library."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from integrators.cells.cell import Cell
from integrators.cells.kind import Kind
from integrators.cells.layout import no_middle
from integrators.engine.drivers import NOTHING, REPLAY, Block, Run, Taps
from integrators.naming import shown
from integrators.validation import as_array, as_count, as_vector

from .autodiff import Arrangement, Library, Tree, library_of, made

__all__ = ["FunctionCell", "check_repeats", "from_function"]

Float = NDArray[np.float64]

# Columns are brought near one where they leave 2^±300, as the compiled drivers do.
LARGE = 2.0**300
# A call of PyTorch or JAX from Python.
SECONDS_OF_A_CALL = 2e-4


def from_function(
    step: Callable[..., Any],
    s0: Any,
    params: Any = None,
    *,
    n_inputs: int | None = None,
    library: str | None = None,
    name: str | None = None,
) -> Cell:
    """A one-step function s' = step(s, x, params) of PyTorch or JAX as a cell.

    Norms, profiles, growth, windows, gradients and comparisons then work as for any other cell, by the
    library's own Jacobian–vector products. Each step is a call from Python, which is slow: some 0.1 ms.

    Parameters
    ----------
    step : callable or torch.nn.Module
        One step for one sequence, without a batch axis: step(s), step(s, x), step(s, params) or
        step(s, x, params). Arguments that are called params, p, theta or weights; s, h, state, carry or hx;
        and x, u or input may stand in any order. It returns the new state, in the form of `s0`, or a pair of
        the new state and an output, which is ignored. Of a module such as ``nn.GRUCell`` the parameters are
        taken.
    s0 : array_like, or nested tuples, lists and mappings of arrays
        The initial state, where `unroll` is given no other; it says what form the state has.
    params : array or nested tuples, lists and mappings of arrays, optional
        Parameters, by which gradients are taken. Integers and text in it are handed on as they are.
    n_inputs : int, optional
        Length of x. By default it is found from the shapes in `params`: the one length that the step takes.
    library : {"torch", "jax"}, optional
        By default that of the arrays in `s0` and `params`, or of what the step returns.
    name : str, optional
        By default that of the function.

    Returns
    -------
    Cell
        A cell whose state is one flat vector; `Cell.blocks` has the parts of `s0` by name.

    Raises
    ------
    TypeError, ValueError
        If the step does not take such arguments, does not return a state of the form of `s0`, or is of
        neither library; if `n_inputs` cannot be told; if the same arguments give another state at each call,
        as with dropout outside of ``eval()`` mode.
    ImportError
        If the library is not installed.

    Notes
    -----
    Arithmetic is float64: parameters and states are handed over in float64, also where the setting of JAX or
    the type of a module is float32.

    Examples
    --------
    With PyTorch or JAX installed, ``from_function(torch.nn.GRUCell(2, 8), torch.zeros(8))`` is a cell. What
    is neither is refused:

    >>> import numpy as np
    >>> import leapgrad as lg
    >>> lg.from_function(lambda s: 0.5 * s, np.zeros(3))
    Traceback (most recent call last):
        ...
    TypeError: step must be a function of PyTorch or JAX; with NumPy's arrays it returns ndarray. ...
    """
    if not callable(step):
        raise TypeError(f"step must be a function of one step, got {shown(step)}.")
    module = hasattr(step, "named_parameters") and hasattr(step, "forward")
    if module and params is None:
        params = dict(step.named_parameters())  # pyright: ignore[reportFunctionMemberAccess]
        arrangement = Arrangement.of(step, has_params=False)
    else:
        arrangement, module = Arrangement.of(step, has_params=params is not None), False
    state, parameters = Tree.of(s0, "s0"), Tree.of(params, "params")
    if state.values.size == 0:
        raise ValueError("s0 has no entries; it is the initial state, an array of at least one number.")
    chosen = _library(step, library, module, (s0, params), arrangement, state, parameters)
    given = None if n_inputs is None else as_count(n_inputs, "n_inputs")
    label = getattr(step, "__name__", type(step).__name__) if name is None else name
    cell = FunctionCell(label, step, chosen, arrangement, state, parameters, module)
    cell.n_inputs = _n_inputs(cell, given)
    check_repeats(cell._engine.value, cell.packed, state.values, cell.n_inputs)
    return cell


class FunctionCell(Cell):
    """A cell whose step is a function of PyTorch or JAX; `from_function` makes it.

    Parameters
    ----------
    name : str
    function : callable
    library : {"torch", "jax"}
    arrangement, state, parameters, module
        As `from_function` finds them.

    Attributes
    ----------
    start : ndarray, shape (D,)
        The initial state where none is given.
    """

    vectorised = condenses = False
    compiled = False

    def __init__(
        self,
        name: str,
        function: Any,
        library: str,
        arrangement: Arrangement,
        state: Tree,
        parameters: Tree,
        module: bool,
    ) -> None:
        self.name, self.function, self.library = name, function, library
        self._arrangement, self._state, self._parameters, self._module = (
            arrangement,
            state,
            parameters,
            module,
        )
        self.dim = self.d = state.values.size
        self.n_inputs, self.step_size, self.decoupled = 0, 1.0, False
        self.packed, self._free = parameters.values.copy(), None
        self.start = state.values.copy()
        label = "".join(c if c.isalnum() or c in "_." else "_" for c in name) or "function"
        self.kind = Kind(
            name=label, state=("state",), rows=(), point=no_middle, depends={"state": ""}, recurrent=0,
            reference=f"a function of {library}",
        )  # fmt: skip
        self.layout = self.kind.layout()
        self.blocks = dict(state.slices)
        if len(self.blocks) == 1:
            self.blocks = {"state": slice(0, self.dim)}
        self.default_block = "state"

    @cached_property
    def _engine(self) -> Library:
        """The step by its library."""

        def flat(join: Callable[[list[Any]], Any]) -> Any:
            def step(theta: Any, s: Any, x: Any) -> Any:
                return join(self._called(self._parameters.rebuilt(theta), self._state.rebuilt(s), x))

            return step

        return made(self.library, flat)

    def _called(self, params: Any, state: Any, x: Any) -> list[Any]:
        """The leaves of the new state."""
        step = self.function
        if self._module:
            call = importlib.import_module("torch.func").functional_call

            def step(*given: Any) -> Any:
                return call(self.function, params, given)

        found = self._arrangement.call(step, state, x, params)
        leaves = self._state.leaves_of(found)
        if leaves is None and isinstance(found, tuple) and len(found) == 2:
            leaves = self._state.leaves_of(found[0])  # a pair of the state and an output, as for scan
        elif leaves is not None and self._one_leaf_of_two(found):
            leaves = self._state.leaves_of(found[0])
        shapes = None if leaves is None else tuple(tuple(getattr(leaf, "shape", ())) for leaf in leaves)
        if leaves is None or shapes != self._state.shapes:
            got = f"{type(found).__name__}" if shapes is None else f"arrays of shapes {shapes}"
            raise ValueError(
                f"step must return a state like s0, arrays of shapes {self._state.shapes}; it returns {got}."
            )
        return leaves

    def _one_leaf_of_two(self, found: Any) -> bool:
        return len(self._state.shapes) == 1 and isinstance(found, tuple) and len(found) == 2

    # ------------------------------------------------------------------------------------ parameters

    def unpack(self, flat: Float) -> list[dict[str, Float]]:
        """Named views of a vector packed as theta, along its last axis: one mapping."""
        self._check_size(flat, self.packed.size, "theta", "unpack_free")
        shapes = dict(zip(self._parameters.names, self._parameters.shapes, strict=True))
        return [
            {
                name: flat[..., where].reshape((*flat.shape[:-1], *shapes[name]))
                for name, where in self._parameters.slices.items()
            }
        ]

    def unpack_free(self, flat: Float) -> list[dict[str, Float]]:
        """As `unpack`: every parameter is free."""
        return self.unpack(flat)

    def with_theta(self, theta: ArrayLike) -> Cell:
        """The same cell with other parameters."""
        return self._with(as_vector(theta, "theta", self.packed.size).copy(), None)

    def with_parameters(self, **given: ArrayLike) -> Cell:
        """The same cell with some parameters replaced by name.

        Raises
        ------
        ValueError, TypeError
            If there is no such parameter, or it has another shape.
        """
        packed = self.packed.copy()
        named = self.unpack(packed)[0]
        for name, value in given.items():
            if name not in named:
                raise ValueError(f"{self.name} has no parameter {name!r}; it has {', '.join(named)}.")
            array = as_array(value, name, named[name].ndim)
            if array.shape != named[name].shape:
                raise ValueError(f"{name} has shape {array.shape}; {self.name} asks for {named[name].shape}.")
            packed[self._parameters.slices[name]] = array.ravel()
        return self._with(packed, None)

    def state_of(self, s0: Any) -> Any:
        """A flat initial state from one of the form of `s0` in `from_function`; others as they are."""
        if isinstance(s0, (tuple, Mapping)) and self._state.leaves_of(s0) is not None:
            return Tree.of(s0, "s0").values
        return s0

    # --------------------------------------------------------------------------------------- drivers

    def seconds(self, k: int) -> float:
        """A rough estimate of the time of one step with k columns, for one batch member."""
        return SECONDS_OF_A_CALL * (1.0 + 0.02 * k)

    def forward(self, theta: Float, *rest: Any) -> None:
        """As `sweep_forward`, in Python: run, block, tape, nodes, and steps [start, stop)."""
        run, block, tape, nodes, start, stop = rest
        _forward(self, theta, run, block, tape, nodes, range(start, stop))

    def backward(self, theta: Float, *rest: Any) -> None:
        """As `sweep_backward`, in Python: run, tape, columns, exponent, gradient, taps, steps."""
        run, tape, columns, exponent, gradient, taps, start, stop = rest
        _backward(self, theta, (run, tape, taps), (columns, exponent), gradient, range(start, stop))


def _inputs(run: Run, entry: int, m: int, n: int) -> Float:
    """The input of a step for every member, (n_inputs, members)."""
    if not run.rows.size:
        return np.zeros((n, m))
    return np.broadcast_to(run.inputs[run.rows[entry]], (run.inputs.shape[1], m))


def _forward(
    cell: FunctionCell, theta: Float, run: Run, block: Block, tape: Float, nodes: Float, steps: range
) -> None:
    m, k = block.state.shape[1], block.columns.shape[1]
    for i in steps:
        x = _inputs(run, i, m, cell.n_inputs)
        at = tape[i - run.base] if run.tape == REPLAY else block.state
        if run.tape not in (NOTHING, REPLAY):
            tape[i - run.base] = block.state
        for q in range(m):
            s, drive = np.array(at[:, q]), np.array(x[:, q])
            if k:
                value, block.columns[:, :, q] = cell._engine.push(theta, s, drive, block.columns[:, :, q])
            else:
                value = cell._engine.value(theta, s, drive)
            if run.tape != REPLAY:
                block.state[:, q] = value
        if nodes.size:
            nodes[i + 1] = block.state
        if (i + 1) % run.check_every == 0 or i + 1 == run.n_steps:
            lost = ~np.isfinite(block.state).all(axis=0) & (block.overflowed < 0)
            block.overflowed[lost] = i + 1
            _rescale(block.columns, block.exponent)


def _backward(
    cell: FunctionCell,
    theta: Float,
    given: tuple[Run, Float, Taps],
    cotangents: tuple[Float, NDArray[np.int64]],
    gradient: Float,
    steps: range,
) -> None:
    (run, tape, taps), (columns, exponent) = given, cotangents
    m = columns.shape[2]
    for i in reversed(steps):
        at = i - steps.start
        if taps.forcing.size:
            columns += taps.forcing[at][:, None, :]
        x = _inputs(run, i, m, cell.n_inputs)
        for q in range(m):
            s, drive = np.array(tape[i - run.base][:, q]), np.array(x[:, q])
            by_s, by_x, by_theta = cell._engine.pull(theta, s, drive, columns[:, :, q], gradient.size > 0)
            columns[:, :, q] = by_s
            if taps.inputs.size:
                taps.inputs[at, :, :, q] = by_x
            if gradient.size:
                gradient += by_theta
        if taps.nodes.size:
            taps.nodes[at] = columns[: taps.nodes.shape[1]]
        if taps.exponents.size:
            taps.exponents[at] = exponent
        if gradient.size == 0 and not taps.forcing.size and (i % run.check_every == 0 or i == 0):
            _rescale(columns, exponent)


def _rescale(columns: Float, exponent: NDArray[np.int64]) -> None:
    """Take powers of two out of the columns (D, k, m) that have left 2^±300, in place."""
    size = np.abs(columns).max(axis=0, initial=0.0)
    far = np.isfinite(size) & (size > 0.0) & ((size > LARGE) | (size < 1.0 / LARGE))
    if far.any():
        shift = np.where(far, np.frexp(size)[1], 0)
        columns[...] = np.ldexp(columns, -shift)
        exponent[: shift.size] += shift.ravel()


# ---------------------------------------------------------------------------------------- what is left open


def _library(
    step: Any,
    asked: str | None,
    module: bool,
    values: tuple[Any, Any],
    arrangement: Arrangement,
    state: Tree,
    parameters: Tree,
) -> str:
    """Which library the step is of."""
    if asked is not None:
        if asked not in ("torch", "jax"):
            raise ValueError(f"library must be 'torch' or 'jax', got {shown(asked)}.")
        return asked
    found = "torch" if module else library_of(*values)
    if found is not None:
        return found
    returned: Any = None
    try:  # functions of JAX take arrays of NumPy, those of PyTorch do not
        returned = arrangement.call(
            step, state.rebuilt(state.values), np.zeros(1), parameters.rebuilt(parameters.values)
        )
        found = library_of(returned)
    except Exception as error:
        returned = error
    if found is None:
        raise TypeError(
            "step must be a function of PyTorch or JAX; with NumPy's arrays it returns "
            f"{type(returned).__name__}. Give s0 as an array of its library, or library='torch' or 'jax'; "
            "for other functions there are own_cell and symbolic_cell."
        )
    return found


def _n_inputs(cell: FunctionCell, given: int | None) -> int:
    """The length of x, checked by a call of the step."""
    if "input" not in cell._arrangement:
        if given:
            raise ValueError(f"n_inputs = {given}, but step takes no input; leave n_inputs out.")
        _tried(cell, 0)
        return 0
    if given is not None:
        _tried(cell, given)
        return given
    lengths = sorted({1, cell.dim, *(n for shape in cell._parameters.shapes for n in shape)})
    working, said = [], ""
    for n in lengths:
        try:
            _tried(cell, n)
            working.append(n)
        except Exception as error:
            said = f" ({' '.join(str(error).split())[:200]})"
    if len(working) != 1:
        tried = f"none{said}" if not working else " and ".join(map(str, working))
        raise ValueError(f"n_inputs is needed: of the lengths {lengths} of x the step takes {tried}.")
    return working[0]


def _tried(cell: FunctionCell, n: int) -> None:
    """Call the step once."""
    cell._engine.value(cell.packed, np.zeros(cell.dim) if cell.start is None else cell.start, np.zeros(n))


def check_repeats(
    value: Callable[[Float, Float, Float], Float], theta: Float, start: Float, n_inputs: int
) -> None:
    """Call the step twice at one point.

    Raises
    ------
    ValueError
        If it does not give the same state, up to round-off.
    """
    rng = np.random.default_rng(0)
    at, x = start + rng.normal(size=start.size), rng.normal(size=n_inputs)
    first, second = (value(theta, at.copy(), x.copy()) for _ in range(2))
    if not np.allclose(first, second, rtol=1e-9, atol=0.0, equal_nan=True):
        raise ValueError(
            "step returns another state when it is called again with the same arguments, so that there is no "
            "map to differentiate; put a module with dropout into eval() mode, and take random numbers and "
            "counters out of a step of your own."
        )
