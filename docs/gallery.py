"""The gallery: every kind of figure that leapgrad draws, each made by the command that stands beside it."""

from __future__ import annotations

import contextlib
import io
import os
from dataclasses import dataclass
from pathlib import Path

from sensitivity.cli import main as leapgrad
from sensitivity.papers.hamiltonian.pictures import PICTURES

__all__ = ["SHOWN", "draw", "page"]


@dataclass(frozen=True)
class Shown:
    """A command with the pictures that it leaves, and a sentence on each."""

    command: str
    pictures: dict[str, str]


SHOWN = (
    Shown("leapgrad demo", {"leapgrad-demo.png": "Two networks and their proved bounds."}),
    Shown(
        "leapgrad reproduce figures --quick --out paper",
        {
            "paper/figure_1.png": "Figure 1: the Hamiltonian network, with bound B and local slope.",
            "paper/figure_2.png": "Figure 2: the Euler network, which saturates.",
            "paper/figure_3.png": "Figure 3: the antisymmetric network for several γ.",
        },
    ),
    *(
        Shown(
            f"leapgrad reproduce pictures {name} --out pictures",
            {f"pictures/{name}{picture.suffixes[0]}": picture.about},
        )
        for name, picture in PICTURES.items()
    ),
    Shown(
        "leapgrad norm --d 10 --step 1e-3:1:60 --n-steps 1000 --plot norm.png",
        {"norm.png": "Norms of a network of your choice, with the sharpest bound."},
    ),
    Shown(
        "leapgrad profile --d 10 --step 0.003,0.01,0.03 --n-steps 400 --plot profile.png",
        {"profile.png": "How much every earlier state still moves the last one."},
    ),
    Shown(
        "leapgrad growth --d 10 --step 0.1 --n-steps 4000 --plot growth.png",
        {"growth.png": "Lyapunov exponents with their standard errors, and how they converged."},
    ),
    Shown(
        "leapgrad compare lstm gru cornn unicornn hamiltonian --d 16 --n-steps 300 --plot compare.png",
        {"compare.png": "Many recurrent models side by side: norms, profiles and growth exponents."},
    ),
    Shown(
        "leapgrad compare linoss_im linoss_imex dlinoss lru s6 mingru mlstm h2 --d 16 --n-steps 1000 "
        "--plot statespace.png",
        {"statespace.png": "State-space models, gated linear cells and Hamiltonian layers at their start."},
    ),
    Shown(
        "leapgrad heuristic --quick --seeds 2 --out heuristic",
        {"heuristic/figure_4.png": "Figure 4 with controls: does the best step follow 1/N?"},
    ),
)


def draw(folder: Path) -> None:
    """Run every command in this folder."""
    folder.mkdir(parents=True, exist_ok=True)
    before = Path.cwd()
    os.chdir(folder)
    try:
        for shown in SHOWN:
            with contextlib.redirect_stdout(io.StringIO()):
                status = leapgrad(shown.command.split()[1:])
            missing = [name for name in shown.pictures if not Path(name).exists()]
            if status or missing:
                raise RuntimeError(f"{shown.command}: status {status}, missing {missing}")
    finally:
        os.chdir(before)


def page() -> str:
    """The gallery as Markdown."""
    lines = ["# Gallery", "", "Each picture was drawn by the command below it when this page was built.", ""]
    for shown in SHOWN:
        for name, sentence in shown.pictures.items():
            lines += [f"```{{figure}} {name}", f":alt: {sentence}", ":width: 100%", "", sentence, "```", ""]
            film = Path(name).with_suffix(".html")
            if name.endswith(".gif"):
                lines += [f"With buttons: {{download}}`{film.name} <{film}>`.", ""]
        lines += ["```sh", shown.command, "```", ""]
    lines += ["Figures 6 and 7 take minutes to hours and are not drawn here:", ""]
    lines += ["```sh", "leapgrad reproduce tables --quick", "```", ""]
    return "\n".join(lines)
