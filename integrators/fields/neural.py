"""The neural field σ(W y + V x + b): the right-hand side of the paper's recurrent networks."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from integrators.codegen.compiled import helper, inlined, kernel
from integrators.codegen.primitives import aligned_empty, borrowed, copy_into, flat, fma, get, on_stack, put
from integrators.codegen.product import (
    add_matrix,
    add_matrix_vector,
    add_product,
    add_rows_vector,
    push_columns,
)
from integrators.engine.column_scale import bits_from_one
from integrators.engine.drivers import CONDENSE, KEEP, REPLAY, sweep_backward, sweep_forward
from integrators.engine.program import EXPLICIT, FIRST_ORDER, SPLITTING
from integrators.singular_values import spectral_norm
from integrators.validation import as_array, as_count, as_generator

from .activations import ACTIVATIONS, CHUNK, TANH, activate, begin_exponentials, exponential_of, tanh_of
from .field import BACKWARD, FORWARD, KICK, KICK_ADJOINT, Field, drift, halves, spare_rows
from .named import named

__all__ = ["NeuralField", "hamiltonian"]

Float = NDArray[np.float64]
EPS = float(np.finfo(np.float64).eps)


@inlined
def linearise(theta, transposed, y, x, work):
    """Fill work (3, d·m) with the rows (s, ds, z): s = σ(z) and ds = σ'(z) at z = b + W y + V x, flat.

    `transposed` has Wᵀ row by row, for a single batch member; it may be empty.
    """
    d, m = y.shape
    s, ds, z = work[0], work[1], work[2]
    n_inputs = x.shape[0]
    v_start = d * d
    b_start = v_start + d * n_inputs
    for i in range(d):
        for q in range(m):
            put(z, i * m + q, theta[b_start + i])
    if m == 1 and transposed.size > 0:
        add_rows_vector(theta, transposed, d, d, flat(y), z)
    elif m == 1:
        add_matrix_vector(theta, 0, d, d, flat(y), z)
    else:
        ones(ds, d)
        add_product(theta, 0, d, 1, d, d, flat(y), z, m, m, ds, False)
    if n_inputs > 0:
        ones(ds, d)
        add_matrix(theta, v_start, d, n_inputs, flat(x), z, m, ds)
    activate(int(theta[b_start + d]), z, s, ds)


@inlined
def ones(array, n):
    for i in range(n):
        array[i] = 1.0


@inlined
def push_through(theta, transposed, x, c, e, y, p, dy, dp, work, in_place, slopes):
    """p += c σ(z) and dp += c σ'(z) W dy, then, with factors e of a drift, y += e p and dy += e dp.

    Parameters
    ----------
    c, e : float64[::1]
        As filled by `drivers.weights_and_factors`, m numbers over and over; e may be empty.
    in_place : bool
        Whether p is y and dp is dy; e is empty then.
    slopes : float64[::1]
        Where σ'(z) is kept; may be empty.
    """
    d, m = y.shape
    k = dy.shape[1]
    linearise(theta, transposed, y, x, work)
    s, ds, kicked = work[0], work[1], flat(p)
    copy_into(ds[: slopes.size], slopes)
    width = c.size
    whole = kicked.size - kicked.size % width
    for start in range(0, whole, width):
        for q in range(width):
            f = start + q
            put(kicked, f, fma(c[q], get(s, f), get(kicked, f)))
            put(ds, f, c[q] * get(ds, f))
    for q in range(kicked.size - whole):
        f = whole + q
        put(kicked, f, fma(c[q], get(s, f), get(kicked, f)))
        put(ds, f, c[q] * get(ds, f))
    if k > 0:
        shift = e[: min(m, e.size)]
        push_columns(theta, 0, d, 1, d, d, flat(dy), flat(dp), k * m, m, ds, m > 1, shift, in_place)
    if e.size > 0:
        drift(e, flat(p), flat(y))


@inlined
def scaled_slopes(c, slopes, scale):
    """scale ← c σ' for flat arrays, members last; c as filled by `drivers.weights_and_factors`."""
    width = c.size
    whole = slopes.size - slopes.size % width
    for start in range(0, whole, width):
        for q in range(width):
            put(scale, start + q, c[q] * get(slopes, start + q))
    for q in range(slopes.size - whole):
        put(scale, whole + q, c[q] * get(slopes, whole + q))


@inlined
def replay(theta, slopes, c, e, dy, dp, work, in_place):
    """The columns' part of `push_through`, from stored slopes."""
    d, k, m = dy.shape
    scale = work[0]
    scaled_slopes(c, flat(slopes), scale)
    shift = e[: min(m, e.size)]
    push_columns(theta, 0, d, 1, d, d, flat(dy), flat(dp), k * m, m, scale, m > 1, shift, in_place)


@inlined
def push_neural(
    callback, transposed, layout, theta, operation, x, c, e, entry, parts, spare, spare_columns, work
):
    """A kick and the drift after it in one pass over the columns; see `drivers`."""
    y, p, dy, dp = parts
    drifts = e[: e.size if operation.drift != 0.0 and operation.form == SPLITTING else 0]
    if operation.form == FIRST_ORDER:
        p, dp = y, dy
    elif operation.form != SPLITTING:
        copy_into(flat(p), flat(spare))
        copy_into(flat(dp), flat(spare_columns))
    in_place = operation.form == FIRST_ORDER
    if operation.weight == 0.0:
        if operation.drift != 0.0:
            drift(e, flat(p), flat(y))
            drift(e, flat(dp), flat(dy))
    elif operation.tape == REPLAY:
        replay(theta, entry, c, drifts, dy, dp, work, in_place)
    else:
        if operation.tape == KEEP:
            copy_into(flat(y), flat(entry))
        slopes = flat(entry)[: entry.size if operation.tape == CONDENSE else 0]
        push_through(theta, transposed, x, c, drifts, y, p, dy, dp, work, in_place, slopes)
    if operation.form == EXPLICIT:
        drift(e, flat(spare), flat(y))
        drift(e, flat(spare_columns), flat(dy))
    return False


@helper
def kick_units(w, b, c, e, n, state, room, z):
    """`push_through` for n single tanh units with one column each, rounded as there.

    `state` holds y, p, dy and dp in four rows of CHUNK numbers, and `e` may be empty.
    """
    for q in range(n):
        put(z, q, w * get(state, q) + b)
    begin_exponentials(-2.0, z[:n], room)
    for q in range(n):
        t, exp = exponential_of(room, q)
        s, ds = tanh_of(get(z, q), t, exp)
        kicked = fma(get(c, q), s, get(state, CHUNK + q))
        column = fma(get(c, q) * ds, w * get(state, 2 * CHUNK + q), get(state, 3 * CHUNK + q))
        put(state, CHUNK + q, kicked)
        put(state, 3 * CHUNK + q, column)
        if e.size > 0:
            put(state, q, fma(get(e, q), kicked, get(state, q)))
            put(state, 2 * CHUNK + q, fma(get(e, q), column, get(state, 2 * CHUNK + q)))


@helper
def push_units(w, b, weights, factors, y, p, dy, dp, in_place, steps):
    """`push_steps` for a single tanh unit and column, all arrays flat: CHUNK members at a time.

    What a member needs stays in memory that nothing else can point to. So LLVM vectorises without a look at
    what overlaps, which took as long as the arithmetic for 100 members.
    """
    state, room, z = on_stack(), on_stack(), on_stack()
    rows = (y, p, dy, dp)
    for first in range(0, y.size, CHUNK):
        n = min(CHUNK, y.size - first)
        for q in range(n):
            for r in range(4):
                put(state, r * CHUNK + q, get(rows[r], first + q))
        for _ in range(steps):
            for j in range(weights.shape[0] - 2):
                c, e = factors[j, 0][first:], factors[j, 1][first:]
                moves = not in_place and weights[j, 1] != 0.0
                if weights[j, 0] != 0.0:
                    kick_units(w, b, c, e[: e.size if moves else 0], n, state, room, z)
                elif moves:
                    for q in range(n):
                        for r in (0, 2):
                            at = r * CHUNK + q
                            put(state, at, fma(get(e, q), get(state, at + CHUNK), get(state, at)))
                if in_place:
                    for q in range(n):
                        put(state, q, get(state, CHUNK + q))
                        put(state, 2 * CHUNK + q, get(state, 3 * CHUNK + q))
        for q in range(n):
            for r in range(4):
                put(rows[r], first + q, get(state, r * CHUNK + q))


@helper
def push_steps(transposed, theta, form, weights, factors, parts, work, steps):
    """Steps in the middle of a run, without inputs and tape; see `drivers`."""
    y, p, dy, dp = parts
    if form == EXPLICIT:
        return False
    in_place = form == FIRST_ORDER
    if in_place:
        p, dp = y, dy
    if y.shape[0] == 1 and dy.shape[1] == 1 and theta[2] == TANH and y.itemsize == 8:
        push_units(
            theta[0], theta[1], weights, factors, flat(y), flat(p), flat(dy), flat(dp), in_place, steps
        )
        return True
    for _ in range(steps):
        for j in range(weights.shape[0] - 2):
            moves = not in_place and weights[j, 1] != 0.0
            c, e = factors[j, 0], factors[j, 1]
            if weights[j, 0] != 0.0:
                drifts = e[: e.size if moves else 0]
                push_through(theta, transposed, y[:0], c, drifts, y, p, dy, dp, work, in_place, c[:0])
            elif moves:
                drift(e, flat(p), flat(y))
                drift(e, flat(dp), flat(dy))
    return True


@inlined
def neural_workspace(layout, form, D, k, m, dtype):
    """Room for `linearise`. Only the explicit form needs the old p: z is complete before y changes."""
    d = D if form == FIRST_ORDER else D // 2
    own = aligned_empty(3 * d * m, dtype).reshape((3, d * m))
    return D // 2 if form == EXPLICIT else 0, own, borrowed(own)


@kernel(FORWARD)
def neural_forward(kick, theta, transposed, run, block, tape, nodes, start, stop):
    """`sweep_forward` of the neural field, which does not call its callback."""
    sweep_forward(
        push_neural, push_steps, halves, neural_workspace, kick, borrowed(transposed), 0,
        borrowed(theta), run, block, tape, nodes, start, stop,
    )  # fmt: skip


@kernel(KICK)
def neural_kick(theta, y, x, c, p, dy, dp):
    """p += c σ(z); dp += c σ'(z) W dy, with z = W y + V x + b."""
    work = aligned_empty(3 * y.size, theta.dtype).reshape((3, y.size))
    push_through(theta, theta[:0], x, c, c[:0], y, p, dy, dp, work, False, c[:0])


@helper
def pull_columns(theta, row, column, slope, lam_p, lam_y, k, m, g):
    """g = slope lam_p and lam_y += Wᵀ g, all flat; entry (i, j) of Wᵀ is ``theta[i·row + j·column]``."""
    d = slope.size // m
    for i in range(d if k > 1 else 0):
        for r in range(k):
            for q in range(m):
                f = (i * k + r) * m + q
                put(g, f, get(slope, i * m + q) * get(lam_p, f))
    for f in range(d * m if k == 1 else 0):  # one long loop: short ones would not be vectorised
        put(g, f, get(slope, f) * get(lam_p, f))
    add_product(theta, 0, row, column, d, d, g, lam_y, k * m, m, np.ones(d, theta.dtype), False)


@helper
def add_neural_gradient(g, y, x, d, k, m, gradient):
    """∂W += g yᵀ, ∂V += g xᵀ, ∂b += g, summed over columns and members; g flat."""
    n_inputs = x.shape[0]
    v_start = d * d
    b_start = v_start + d * n_inputs
    for i in range(d):
        for r in range(k):
            for q in range(m):
                value = g[(i * k + r) * m + q]
                gradient[b_start + i] += value
                for j in range(d):
                    gradient[i * d + j] += value * y[j, q]
                for j in range(n_inputs):
                    gradient[v_start + i * n_inputs + j] += value * x[j, q]


@kernel(KICK_ADJOINT)
def neural_kick_adjoint(theta, y, x, c, lam_p, lam_y, grad_theta):
    """With g = c σ'(z) lam_p: lam_y += Wᵀ g; ∂W += g yᵀ, ∂V += g xᵀ, ∂b += g."""
    d, m = y.shape
    k = lam_p.shape[1]
    work = aligned_empty(3 * d * m, theta.dtype).reshape((3, d * m))
    linearise(theta, theta[:0], y, x, work)
    ds = work[1]
    g = np.empty(d * k * m, theta.dtype)
    for i in range(d):
        for q in range(m):
            put(ds, i * m + q, c[q] * get(ds, i * m + q))
    pull_columns(theta, 1, d, ds, flat(lam_p), flat(lam_y), k, m, g)
    if grad_theta.size > 0:
        add_neural_gradient(g, y, x, d, k, m, grad_theta)


@inlined
def pull_workspace(layout, form, D, k, m, dtype):
    """Three rows for `linearise`, then room for g."""
    d = D if form == FIRST_ORDER else D // 2
    own = aligned_empty((3 + k) * d * m, dtype)
    return spare_rows(form, D), own, borrowed(own)


@inlined
def pull_neural(
    callback, transposed, layout, theta, operation, x, c, e, entry, columns, spare, by_input, gradient, work
):
    """g = c σ'(z) lam_p: lam_y += Wᵀ g, and by_input += Vᵀ g; σ' from the tape, or from y there.

    Wᵀ lies row by row in `transposed`: of W, whose rows would be its columns, 8 members made 33 GF/s at
    d = 512 on one core, and make 52 this way.
    """
    k, m = columns.shape[1], columns.shape[2]
    d = columns.shape[0] if operation.form == FIRST_ORDER else columns.shape[0] // 2
    lam_y, lam_p = columns[:d], columns[d:]
    if operation.form == FIRST_ORDER:
        copy_into(flat(columns), flat(spare))
        lam_p = spare
    elif operation.form == EXPLICIT:
        copy_into(flat(lam_y), flat(spare))
    elif operation.drift != 0.0:
        drift(e, flat(lam_y), flat(lam_p))
    if operation.weight != 0.0:
        slope, g = work[: d * m], work[3 * d * m :]
        if operation.tape == CONDENSE:
            scaled_slopes(c, flat(entry), slope)
        else:
            rows = work[: 3 * d * m].reshape((3, d * m))
            linearise(theta, transposed, entry, x, rows)
            scaled_slopes(c, rows[1], slope)
        pull_columns(transposed, d, 1, slope, flat(lam_p), flat(lam_y), k, m, g)
        n_inputs = by_input.shape[0]
        if n_inputs > 0:
            one = work[d * m : d * m + n_inputs] if n_inputs <= 2 * d * m else np.empty(n_inputs, work.dtype)
            ones(one, n_inputs)
            add_product(theta, d * d, 1, n_inputs, n_inputs, d, g, flat(by_input), k * m, m, one, False)
        if gradient.size > 0:
            add_neural_gradient(g, entry, x, d, k, m, gradient)
    if operation.form == EXPLICIT:
        drift(e, flat(spare), flat(lam_p))
    return False


@kernel(BACKWARD)
def neural_backward(
    kick_adjoint, theta, transposed, run, tape, columns, exponent, gradient, taps, start, stop
):
    """`sweep_backward` of the neural field, which does not call its callback."""
    sweep_backward(
        pull_neural, pull_workspace, kick_adjoint, borrowed(transposed), 0, borrowed(theta), run,
        tape, columns, exponent, gradient, taps, start, stop,
    )  # fmt: skip


def _largest_slope(lipschitz: float, matrix: Float) -> float:
    """A float64 that is at least L‖W‖₂: singular values err by some units of the largest, times d."""

    with np.errstate(over="ignore"):
        norm = float(spectral_norm(matrix)) * (1.0 + 4.0 * (len(matrix) - 1) * EPS)
    product = lipschitz * norm
    exact = math.frexp(lipschitz)[0] == 0.5 or product == 0.0  # a power of two rounds nothing
    return product if exact else math.nextafter(product, math.inf)


def largest_slopes(lipschitz: float | Float, matrices: Float) -> Float:
    """`NeuralField.lipschitz` of many weights W, shape (networks, d, d); L = sup|σ'| for all or for each."""
    with np.errstate(over="ignore", invalid="ignore"):
        products = lipschitz * (spectral_norm(matrices) * (1.0 + 4.0 * (matrices.shape[-1] - 1) * EPS))
    exact = (products == 0.0) | (np.frexp(lipschitz)[0] == 0.5)
    return np.where(exact, products, np.nextafter(products, np.inf))


class NeuralField(Field):
    """F(y, x) = σ(W y + V x + b), applied componentwise.

    Parameters
    ----------
    W : array_like, shape (d, d)
    b : array_like, shape (d,)
    V : array_like, shape (d, n_inputs), optional
        Input weights; without them the field is autonomous.
    activation : str
        A name of `ACTIVATIONS`.

    Attributes
    ----------
    W, V, b : ndarray
        Read-only copies.
    activation : Activation
    lipschitz : float
        sup|σ'| ‖W‖₂, a bound on ‖DF‖₂, rounded up.

    Raises
    ------
    ValueError, TypeError
        If a shape does not fit, an entry is not finite or not real, or the activation is unknown.

    Notes
    -----
    DF = D(z) W with D(z) = diag σ'(z), z = W y + V x + b. The parameters are packed into ``theta`` as W, V,
    b row by row, then the activation's code. Equations (1)–(4) and (11)–(13) of Rusch, Pearson,
    Zygalakis (2019) all use this field.

    Examples
    --------
    >>> import leapgrad as lg
    >>> field = lg.NeuralField(W=[[0.5, -0.25], [1.0, 0.125]], b=[0.25, -0.5])
    >>> field
    NeuralField(d=2, tanh, sup‖DF‖≤1.118)
    >>> field.force([0.1, 0.2]).round(6)
    array([ 0.244919, -0.358357])
    >>> lg.integrate(field, "leapfrog", [0.1, 0.2], [0.0, 0.0], step=0.1, n_steps=20).y[-1].round(6)
    array([ 0.71927 , -0.376165])
    """

    def __init__(
        self, W: ArrayLike, b: ArrayLike, V: ArrayLike | None = None, activation: str = "tanh"
    ) -> None:
        matrix = as_array(W, "W", 2)
        d = matrix.shape[0]
        if d == 0 or matrix.shape != (d, d):
            raise ValueError(f"W has shape {matrix.shape}; it must be square and not empty.")
        bias = as_array(b, "b", 1)
        if bias.shape != (d,):
            raise ValueError(f"b has shape {bias.shape}; W of shape {matrix.shape} asks for ({d},).")
        weights = np.zeros((d, 0)) if V is None else as_array(V, "V", 2)
        if weights.shape[0] != d:
            raise ValueError(
                f"V has shape {weights.shape}; W of shape {matrix.shape} asks for ({d}, n_inputs)."
            )
        self.activation = ACTIVATIONS[activation]
        self.W, self.b, self.V = matrix, bias, weights
        for array in (self.W, self.b, self.V):
            array.flags.writeable = False
        self.vectorised = True
        self.constant_jacobian = self.activation.name == "identity"
        self.factor_bits = bits_from_one(matrix)
        super().__init__(
            d,
            neural_kick,
            neural_kick_adjoint,
            np.concatenate([matrix.ravel(), weights.ravel(), bias, [self.activation.code]]),
            n_inputs=weights.shape[1],
            lipschitz=_largest_slope(self.activation.lipschitz, matrix),
            name=self.activation.name,
        )
        self.calls_kicks, self.condenses, self.transposed = False, True, matrix.T.ravel()
        self.driver_forward, self.driver_backward = neural_forward, neural_backward

    @classmethod
    def random(
        cls, d: int, rng: int | np.random.Generator = 0, inputs: int = 0, activation: str = "tanh"
    ) -> NeuralField:
        """The paper's random set-up (Examples 1 and 2): W, then b, then V, each uniform on (0, 1/d).

        Parameters
        ----------
        d : int
            Hidden dimension.
        rng : int or numpy.random.Generator
            Seed, as for ``numpy.random.default_rng``.
        inputs : int
            Number of input components; 0 for an autonomous field.
        activation : str
            The paper prints none for its figures; tanh satisfies all that it asks of σ.

        Examples
        --------
        >>> from integrators import NeuralField
        >>> NeuralField.random(4, rng=1, inputs=2)
        NeuralField(d=4, n_inputs=2, tanh, sup‖DF‖≤0.5273)
        """
        return cls(*_drawn(d, rng, inputs), activation)

    @classmethod
    def antisymmetric(
        cls, W: ArrayLike, b: ArrayLike, gamma: float, V: ArrayLike | None = None, activation: str = "tanh"
    ) -> NeuralField:
        """The antisymmetric field: W replaced by W − Wᵀ − γ I (Chang et al., ICLR 2019; Example 3).

        Examples
        --------
        >>> from integrators import NeuralField
        >>> NeuralField.antisymmetric([[0.0, 1.0], [0.0, 0.0]], [0.0, 0.0], gamma=0.1).W
        array([[-0.1,  1. ],
               [-1. , -0.1]])
        """
        matrix = as_array(W, "W", 2)
        if matrix.shape[0] != matrix.shape[1]:
            raise ValueError(f"W has shape {matrix.shape}; it must be square.")
        shift = float(as_array(gamma, "gamma", 0))
        return cls(matrix - matrix.T - shift * np.eye(matrix.shape[0]), b, V, activation)

    def __repr__(self) -> str:
        driven = f", n_inputs={self.n_inputs}" if self.n_inputs else ""
        return f"NeuralField(d={self.dim}{driven}, {self.activation.name}, sup‖DF‖≤{self.lipschitz:.4g})"


def _drawn(d: int, rng: int | np.random.Generator, inputs: int) -> tuple[Float, Float, Float | None]:
    """W, b and V of `NeuralField.random`."""
    d = as_count(d, "d", least=1)
    inputs = as_count(inputs, "inputs")
    generator = as_generator(rng)
    W = generator.uniform(0.0, 1.0 / d, (d, d))
    b = generator.uniform(0.0, 1.0 / d, d)
    return W, b, generator.uniform(0.0, 1.0 / d, (d, inputs)) if inputs else None


def _from_weights(
    W: ArrayLike,
    b: ArrayLike,
    V: ArrayLike | None = None,
    activation: str = "tanh",
    weight_scale: float = 1.0,
    gamma: float | None = None,
) -> NeuralField:
    """The field with weights W, b and V, after W is scaled and, where γ is given, made antisymmetric."""
    scaled = float(as_array(weight_scale, "weight_scale", 0)) * as_array(W, "W", 2)
    if gamma is None:
        return NeuralField(scaled, b, V, activation)
    return NeuralField.antisymmetric(scaled, b, gamma, V, activation)


@named("Rusch, Pearson, Zygalakis (2019)", _from_weights)
def hamiltonian(
    d: int,
    n_inputs: int = 0,
    rng: int | np.random.Generator = 0,
    activation: str = "tanh",
    weight_scale: float = 1.0,
    gamma: float | None = None,
) -> NeuralField:
    """The field σ(W y + V x + b) of the Hamiltonian network, with all weights uniform on (0, 1/d).

    Parameters
    ----------
    d, n_inputs, rng, activation
        As for `NeuralField.random`.
    weight_scale : float
        A factor on W.
    gamma : float, optional
        γ: with it the field is the antisymmetric one, with W − Wᵀ − γ I in place of W.
    """
    return _from_weights(*_drawn(d, rng, n_inputs), activation, weight_scale, gamma)
