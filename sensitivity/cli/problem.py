"""The arguments that say which network is run, how, and from where; shared by several commands."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from integrators import NeuralField, Scheme

__all__ = [
    "DEFAULT_D",
    "Problem",
    "add_arguments",
    "build",
    "load_inputs",
    "parse_steps",
    "refuse_with_weights",
    "vector",
]

DEFAULT_D, MOST_STEP_SIZES = 10, 1_000_000


def add_arguments(parser: argparse.ArgumentParser, steps: str) -> None:
    """Add them; `steps` is the default of ``--step``."""
    network = parser.add_argument_group("network ÿ = σ(W y + V x + b)")
    network.add_argument("--d", type=int, metavar="D", help=f"hidden dimension (default {DEFAULT_D})")
    network.add_argument("--seed", type=int, metavar="S", help="of W_ij, b_i ~ U(0, 1/d) (default 0)")
    network.add_argument(
        "--weights", metavar="FILE.npz", help="your own W (d, d), b (d,) and, if driven, V (d, inputs)"
    )
    network.add_argument("--activation", default="tanh", metavar="NAME", help="σ (default tanh)")
    network.add_argument(
        "--gamma", type=float, metavar="G", help="antisymmetric network: W − Wᵀ − G·I in place of W"
    )
    run = parser.add_argument_group("run")
    run.add_argument(
        "--scheme", default="leapfrog", metavar="NAME", help="see leapgrad schemes (default leapfrog)"
    )
    run.add_argument(
        "--step",
        default=steps,
        metavar="E",
        help=f"ε: a number, a comma list, or low:high:count, log-spaced (default {steps})",
    )
    run.add_argument("--n-steps", type=int, default=1000, metavar="N", help="length N (default 1000)")
    vector = "one number for all components, a comma list (--y0=-1,2), or FILE.npy (default 0)"
    run.add_argument("--y0", metavar="Y", help=f"initial value: {vector}")
    run.add_argument("--p0", metavar="P", help="initial velocity ẏ(0), likewise")
    run.add_argument(
        "--inputs", metavar="FILE.npy", help="x of shape (N, inputs); without --weights, V is drawn too"
    )


@dataclass(frozen=True)
class Problem:
    """What the arguments describe.

    Attributes
    ----------
    step : float or ndarray, shape (n,)
        A float where one number was given.
    parameters : dict
        What was asked for, in words for JSON.
    """

    field: NeuralField
    scheme: Scheme
    step: float | NDArray[np.float64]
    n_steps: int
    y0: NDArray[np.float64] | None
    p0: NDArray[np.float64] | None
    inputs: NDArray[np.float64] | None
    parameters: dict[str, Any]

    @property
    def steps(self) -> NDArray[np.float64]:
        """Step sizes, shape (n,)."""
        import numpy as np

        return np.atleast_1d(np.asarray(self.step, dtype=np.float64))

    def describe(self) -> str:
        """One line that heads a table."""
        gamma = self.parameters["gamma"]
        kind = "" if gamma is None else f"antisymmetric with γ = {gamma:g}, "
        return (
            f"{kind}{self.field.activation.name}, d = {self.field.dim}, ‖DF‖ ≤ {self.field.lipschitz:.6g}; "
            f"{self.scheme.name}, N = {self.n_steps}"
        )


def build(args: argparse.Namespace) -> Problem:
    """The problem that the arguments describe.

    Raises
    ------
    ValueError, TypeError, OSError
        With a message that names the argument or the file.
    """
    from integrators import NeuralField, get_scheme

    scheme, step = get_scheme(args.scheme), parse_steps(args.step)
    inputs = load_inputs(args)
    if args.weights is None:
        d, seed = DEFAULT_D if args.d is None else args.d, args.seed or 0
        n_inputs = 0 if inputs is None else inputs.shape[-1]
        field = NeuralField.random(d, seed, inputs=n_inputs, activation=args.activation)
        source = f"random, seed {seed}"
    else:
        refuse_with_weights(args)
        W, b, V = _load_weights(args.weights)
        field = NeuralField(W, b, V, args.activation)
        source = Path(args.weights).name
        if inputs is not None and V is None:
            raise ValueError(f"--inputs needs V, the input weights, but {args.weights} holds none.")
    if args.gamma is not None:
        V = field.V if field.n_inputs else None
        field = NeuralField.antisymmetric(field.W, field.b, args.gamma, V, args.activation)
    return Problem(
        field,
        scheme,
        step,
        args.n_steps,
        vector(args.y0, "--y0", field.dim),
        vector(args.p0, "--p0", field.dim),
        inputs,
        {
            "weights": source,
            "d": field.dim,
            "activation": field.activation.name,
            "gamma": args.gamma,
            "lipschitz": field.lipschitz,
            "scheme": scheme.name,
            "n_steps": args.n_steps,
            "inputs": field.n_inputs,
        },
    )


def parse_steps(text: str) -> float | NDArray[np.float64]:
    """Step sizes from "0.1", "0.1,0.2" or "1e-3:1:100", the last log-spaced with both ends."""
    import numpy as np

    try:
        if ":" in text:
            low, high, count = text.split(":")
            ends, number = (float(low), float(high)), int(count)
        else:
            values = [float(part) for part in text.split(",")]
            return values[0] if "," not in text else np.array(values)
    except ValueError:
        raise ValueError(
            f"--step {text!r} is not a number, a comma list like 0.1,0.2, or low:high:count like 1e-3:1:100."
        ) from None
    if not all(0.0 < end < float("inf") for end in ends):
        raise ValueError(f"--step {text!r} is log-spaced: low and high must be positive and finite.")
    if not 1 <= number <= MOST_STEP_SIZES:
        raise ValueError(f"--step {text!r} asks for {number} step sizes; take 1 to {MOST_STEP_SIZES}.")
    return np.geomspace(*ends, number)


def refuse_with_weights(args: argparse.Namespace) -> None:
    """Weights from a file leave nothing to draw."""
    for option, value in (("--d", args.d), ("--seed", args.seed)):
        if value is not None:
            raise ValueError(f"{option} cannot go with --weights, which brings W and b; leave one out.")


def load_inputs(args: argparse.Namespace) -> NDArray[np.float64] | None:
    """What ``--inputs`` names, shape (N, inputs)."""
    inputs = None if args.inputs is None else _load(args.inputs, "--inputs")
    return inputs[:, None] if inputs is not None and inputs.ndim == 1 else inputs


def vector(text: str | None, option: str, dim: int) -> NDArray[np.float64] | None:
    """A vector from one number for all components, a comma list, or a .npy file."""
    import numpy as np

    if text is None:
        return None
    if text.endswith(".npy"):
        return _load(text, option)
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        raise ValueError(f"{option} {text!r} is not a number, a comma list, or a .npy file.") from None
    return np.full(dim, values[0]) if "," not in text else np.array(values)


def _load(path: str, option: str) -> NDArray[np.float64]:
    """The array of a .npy file."""
    import numpy as np

    loaded = _read(path, option, "a .npy file")
    if not isinstance(loaded, np.ndarray):
        loaded.close()
        raise ValueError(f"{option}: {path} is an .npz archive; give a .npy file, which holds one array.")
    return loaded


def _load_weights(path: str) -> tuple[Any, Any, Any]:
    """W, b and V (or None) from an .npz file."""
    import numpy as np

    from sensitivity.weights.conversion import LINES, refuse_format

    if Path(path).suffix.lower() in LINES and Path(path).suffix != ".npy":
        refuse_format(Path(path))
    archive = _read(path, "--weights", "an .npz file")
    if isinstance(archive, np.ndarray):
        raise ValueError(
            f"--weights: {path} holds one array; save W and b by name, with numpy.savez(FILE, W=W, b=b)."
        )
    with archive:
        if archive.zip is not None and archive.zip.comment.startswith(b"leapgrad "):
            raise ValueError(
                f"--weights: {path} holds a recurrent cell and no field; leapgrad norm and leapgrad compare "
                "read it."
            )
        missing = [name for name in ("W", "b") if name not in archive.files]
        if missing:
            held = ", ".join(archive.files) or "nothing"
            cell = any("weight_hh" in name or "recurrent_kernel" in name for name in archive.files)
            hint = " These are weights of a cell: name it, as in --model lstm." if cell else ""
            raise ValueError(f"--weights: {path} holds {held}, but no {' and no '.join(missing)}.{hint}")
        unknown = next((name for name in archive.files if name not in ("W", "b", "V")), None)
        if unknown is not None:
            raise ValueError(
                f"--weights: {path} holds {unknown} beside W and b; a field has W, b and V, so leave it out."
            )
        return tuple(
            _member(archive, name, path) if name in archive.files else None for name in ("W", "b", "V")
        )  # type: ignore[return-value]


def _read(path: str, option: str, kind: str) -> Any:
    """`numpy.load` without pickles, with an error that says which file is wrong."""
    import io
    import zipfile

    import numpy as np

    from sensitivity.files import read_bytes
    from sensitivity.weights.array_files import check_archive

    try:
        content = read_bytes(path)
    except OSError as error:
        raise OSError(error.errno, f"{option}: {error.strerror}", str(path)) from None
    except ValueError as error:
        raise ValueError(f"{option}: {error}") from None
    check_archive(content, f"{option}: {path}")
    try:
        return np.load(io.BytesIO(content), allow_pickle=False)
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{option}: {path} cannot be read as {kind} ({_reason(error)}).") from None


def _member(archive: Any, name: str, path: str) -> Any:
    import zipfile
    import zlib

    try:
        return archive[name]
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"--weights: {name} in {path} cannot be read ({_reason(error)}).") from None


def _reason(error: Exception) -> str:
    text = str(error)
    if "pickle" in text:
        return "it holds Python objects or is no NumPy file"
    return text.rstrip(".") or "it is empty or cut short"
