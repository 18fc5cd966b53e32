"""Initial weights of a network."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from integrators.naming import nearest

from .networks.network import Network
from .units import InUnits

__all__ = ["STARTS", "Start"]

Float = NDArray[np.float64]

STARTS = ("published", "uniform", "paper", "oscillators", "thresholds", "chrono")


@dataclass(frozen=True)
class Start:
    """How W, V, b and the readout begin.

    Attributes
    ----------
    kind : {"published", "uniform", "paper", "oscillators", "thresholds", "chrono"}
        published: a network made by `make_network` begins where the publication of its cell says, drawn anew
        from the seed; a `CellNetwork` of a cell of yours with the cell's own parameters, such as weights that
        were read from a file; either with R on ±1/√d. For the Hamiltonian, Euler and antisymmetric networks,
        whose publications differ, it is uniform; so it is for LSTM and vanilla networks, by PyTorch's rule.
        uniform: all on ±1/√d. paper: W, V, b on (0, 1/d), as in Examples 1 and 2. oscillators:
        W = −diag(u) + noise on ±coupling/√d, so that every unit starts as an oscillator of its own: it turns
        by Nε√u radians along the sequence. thresholds: W = w (I + noise on ±coupling/√d), w > 0, so that rest
        is unstable: the first inputs decide to which side a unit falls, and once it is far out σ is flat,
        later inputs no longer count, and the sign of y_N says on which side of a threshold they were.
        chrono: uniform, but an LSTM's gates begin with b_f = −b_i = ln T, T uniform on (1, N − 1): unit by
        unit they forget after T steps (C. Tallec, Y. Ollivier, ICLR 2018, section 3).
    weight_scale : float
        Factor on W: s of theorem G. A structured W, such as an orthogonal one, has no scale.
    input_scale : float
        V is uniform on ± (or between 0 and) this, where it is given, instead of the kind's own limit.
    readout_scale : float
        Factor on R, which is uniform on ±1/√d.
    turns : pair of float
        oscillators: Nε√u is log-uniform between these, in radians.
    coupling : float
        oscillators, thresholds: the noise on W.
    growth : float
        thresholds: near rest a unit without input grows by e^growth in a step, for every ε. For this
        wε² = 4 sinh²(growth/2), by λ + 1/λ = 2 + wε² for leapfrog (11).
    bias_scale : float, optional
        b is uniform on ± this, where it is given, as `input_scale` says for V.
    rows, harmonics : int
        oscillators, for images read row by row: unit i turns harmonics · i // d times faster than once a row,
        give or take the turns above, and sees where in a row something is; rows is the number of rows.
    """

    kind: str = "published"
    weight_scale: float = 1.0
    input_scale: float | None = None
    readout_scale: float = 1.0
    turns: tuple[float, float] = (10.0, 40.0)
    coupling: float = 0.1
    rows: int = 1
    harmonics: int = 1
    growth: float = 0.3
    bias_scale: float | None = None

    def __post_init__(self) -> None:
        if self.kind not in STARTS:
            raise nearest("start", self.kind, STARTS)

    def draw(self, network: Network, seed: int) -> Float:
        """θ for a network; the same seed gives the same bits.

        Of a network `InUnits` it is measured in these; the scale of R multiplies its unit.

        Raises
        ------
        ValueError
            If the network has no W (d, d) of its own, which oscillators and thresholds need, or no W at all,
            which a weight_scale needs; or, for chrono, is no LSTM.
        """
        if isinstance(network, InUnits):
            own = replace(self, readout_scale=self.readout_scale * network.given.get("R", 1.0))
            return own.draw(network.network, seed) / network.units
        step = network.step or 0.0
        span = network.n_steps * step
        apart = self.kind in ("oscillators", "thresholds")
        if apart and not (step and network.shapes.get("W") == (network.d, network.d)):
            raise ValueError(f'start "{self.kind}" needs a step ε and a full W; take "uniform".')
        if self.kind == "chrono" and not (network.describe().get("cell") == "lstm" and network.n_steps > 2):
            raise ValueError('start "chrono" is for model lstm on three steps or more; take "uniform".')
        if self.weight_scale != 1.0 and "W" not in map(network.plain, network.shapes):
            raise ValueError(
                f"weight_scale = {self.weight_scale:g} needs a network with a W of its own; this one has "
                f"{', '.join(network.shapes)}: take 1."
            )
        rng = np.random.default_rng(seed)
        d, theta = network.d, np.empty(network.n_parameters)
        published = network.start(rng) if self.kind == "published" else None
        if published is not None:
            theta[: published.size] = published
        asked = {"V": self.input_scale, "b": self.bias_scale}
        given = {name: scale for name, scale in asked.items() if scale is not None}
        for full_name, view in network.named(theta).items():
            name = network.plain(full_name)
            in_paper = self.kind == "paper" and name in ("W", "V", "b")
            limit = given.get(name, 1.0 / d if in_paper else 1.0 / math.sqrt(d))
            if published is None or name in given or name in network.readout:
                view[...] = rng.uniform(0.0 if in_paper else -limit, limit, view.shape)
            if name == "W":
                if apart:
                    view *= self.coupling
                if self.kind == "oscillators":
                    view[np.diag_indices(d)] -= (self._turns(rng, d) / span) ** 2
                if self.kind == "thresholds":
                    view[np.diag_indices(d)] += 1.0
                    view *= (2.0 * math.sinh(0.5 * self.growth) / step) ** 2
                view *= self.weight_scale
            elif name == "b" and self.kind == "chrono":
                view[d : 2 * d] = np.log(rng.uniform(1.0, network.n_steps - 1.0, d))
                view[:d] = -view[d : 2 * d]
            elif name == network.readout[0]:
                view *= self.readout_scale
            elif name == network.readout[1]:
                view[...] = 0.0
        return theta

    def _turns(self, rng: np.random.Generator, d: int) -> Float:
        """Nε√u of each unit: above 2π · rows · k, or below it for half of the units of a harmonic k > 0."""
        low, high = np.log(self.turns)
        slow: Float = np.exp(rng.uniform(low, high, d))
        harmonic = self.harmonics * np.arange(d) // d
        if self.harmonics > 1:
            slow = slow * np.where((harmonic > 0) & (rng.uniform(size=d) < 0.5), -1.0, 1.0)
        return np.add(2.0 * math.pi * self.rows * harmonic, slow, dtype=np.float64)
