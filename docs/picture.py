"""The picture of the architecture page: the data through one norm, hop by hop.

``python docs/picture.py`` draws it.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

__all__ = ["HOPS", "draw"]

HERE = Path(__file__).resolve().parent

# File, what happens there, and what is handed on to the next hop.
HOPS = (
    ("sensitivity/analysis/jacobians.py", "jacobian_norm: the question", "field, scheme, ε (m values), N"),
    (
        "integrators/run/recurrence.py",
        "as_recurrence: everything is checked once",
        "θ, s₀, step sizes, inputs, named blocks",
    ),
    (
        "integrators/engine/program.py",
        "Program: the scheme unrolled to drifts and kicks",
        "operations (stage, weight, input row)",
    ),
    (
        "integrators/run/forward.py",
        "forward: tangent columns I, batch cut into blocks",
        "state (D, m), columns (D, k, m)",
    ),
    (
        "integrators/engine/blocks.py",
        "blocks of batch members on threads; Ctrl-C",
        "one block, a chunk of steps",
    ),
    (
        "integrators/engine/drivers.py",
        "the forward driver: for each operation, push",
        "state, columns, weight · ε, xᵢ",
    ),
    (
        "integrators/fields/neural.py",
        "the stage: kick and drift with all tangents",
        "new state, new columns",
    ),
    (
        "integrators/engine/column_scale.py",
        "J = values · 2^exponent, one exponent a column",
        "scaled matrix (m, d, d)",
    ),
    (
        "integrators/singular_values.py",
        "the largest singular value of every matrix",
        "σ₁ and a power of two: ‖∂y_N/∂y₀‖",
    ),
)


def draw() -> Figure:
    """One box a hop, from top to bottom; beside each arrow what is handed on."""
    figure = Figure(figsize=(6.4, 1.0 * len(HOPS) + 0.2))
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set(xlim=(0.0, 6.4), ylim=(-1.0 * len(HOPS), 0.2))
    axes.axis("off")
    for number, (file, what, handed) in enumerate(HOPS):
        top = -1.0 * number
        box = FancyBboxPatch(
            (0.2, top - 0.5), 6.0, 0.5, boxstyle="round,pad=0.04", facecolor="#eef3f8", edgecolor="#30577a"
        )
        axes.add_patch(box)
        axes.text(3.2, top - 0.17, what, ha="center", va="center", fontsize=11.5, color="black")
        axes.text(3.2, top - 0.39, file, ha="center", va="center", fontsize=8.5, color="#30577a")
        arrow = {"arrowstyle": "-|>", "color": "#30577a", "lw": 1.5}
        axes.annotate("", (1.2, top - 0.94), (1.2, top - 0.56), arrowprops=arrow)
        axes.text(1.4, top - 0.75, handed, ha="left", va="center", fontsize=10, color="#404040")
    return figure


def main() -> None:
    matplotlib.rcParams["svg.hashsalt"] = "leapgrad"
    target = HERE / "images" / "norm.svg"
    draw().savefig(target, format="svg", facecolor="white", metadata={"Date": None})
    lines = target.read_text(encoding="utf-8").splitlines()
    target.write_text("\n".join(line.rstrip() for line in lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
