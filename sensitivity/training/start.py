"""Initial weights of a network."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from integrators.naming import nearest

from .network import Network

__all__ = ["STARTS", "Start"]

Float = NDArray[np.float64]

STARTS = ("uniform", "paper", "oscillators", "thresholds", "chrono")


@dataclass(frozen=True)
class Start:
    """How W, V, b and the readout begin.

    Attributes
    ----------
    kind : {"uniform", "paper", "oscillators", "thresholds", "chrono"}
        uniform: all on ±1/√d. paper: W, V, b on (0, 1/d), as in Examples 1 and 2. oscillators:
        W = −diag(u) + noise on ±coupling/√d, so that every unit starts as an oscillator of its own: it turns
        by Nε√u radians along the sequence. thresholds: W = w (I + noise on ±coupling/√d), w > 0, so that rest
        is unstable: the first inputs decide to which side a unit falls, and once it is far out σ is flat,
        later inputs no longer count, and the sign of y_N says on which side of a threshold they were.
        chrono: uniform, but an LSTM's gates begin with b_f = −b_i = ln T, T uniform on (1, N − 1): unit by
        unit they forget after T steps (C. Tallec, Y. Ollivier, ICLR 2018, section 3).
    weight_scale : float
        Factor on W: s of theorem G.
    input_scale : float
        V is uniform on ± (or between 0 and) this, where it is given, instead of the kind's own limit.
    readout_scale : float
        Factor on R, which is uniform on ±1/√d.
    turns : pair of float
        oscillators: Nε√u is log-uniform between these, in radians.
    coupling : float
        oscillators, thresholds: the noise on W.
    growth : float
        thresholds: near rest a lone unit grows by e^growth a step, whatever ε: wε² = 4 sinh²(growth/2), from
        λ + 1/λ = 2 + wε² for leapfrog (11).
    bias_scale : float, optional
        b is uniform on ± this, where it is given, as `input_scale` says for V.
    rows, harmonics : int
        oscillators, for images read row by row: unit i turns harmonics · i // d times faster than once a row,
        give or take the turns above, and sees where in a row something is; rows is the number of rows.
    """

    kind: str = "uniform"
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

        Raises
        ------
        ValueError
            If the network has no W (d, d) of its own, which oscillators and thresholds need, or, for chrono,
            is no LSTM.
        """
        step = network.step or 0.0
        span = network.n_steps * step
        own = self.kind in ("oscillators", "thresholds")
        if own and not (step and network.shapes["W"] == (network.d, network.d)):
            raise ValueError(f'start "{self.kind}" needs a step ε and a full W; take "uniform".')
        if self.kind == "chrono" and not (network.describe().get("cell") == "lstm" and network.n_steps > 2):
            raise ValueError('start "chrono" is for model lstm on three steps or more; take "uniform".')
        rng = np.random.default_rng(seed)
        d, theta = network.d, np.empty(network.n_parameters)
        asked = {"V": self.input_scale, "b": self.bias_scale}
        given = {name: scale for name, scale in asked.items() if scale is not None}
        for name, view in network.named(theta).items():
            limit = 1.0 / d if self.kind == "paper" and name in "WVb" else 1.0 / math.sqrt(d)
            limit = given.get(name, limit)
            low = 0.0 if self.kind == "paper" and name in "WVb" else -limit
            view[...] = rng.uniform(low, limit, view.shape)
            if name == "W":
                if own:
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
            elif name in ("R", "R_out"):
                view *= self.readout_scale
            elif name in ("r", "r_out"):
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
