# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 2 Integrators: order, symplecticity, and the shape of sensitivity
#
# A time-stepping scheme for $\ddot y = F(y)$ is a short list of *drifts* $y \leftarrow y + a_s \varepsilon
# p$ and *kicks* $p \leftarrow p + b_s \varepsilon F(y)$. The list decides the order of the error, and
# whether areas of the phase plane survive. With $F = \sigma(Wy + b)$ the same list is a recurrent network.

# %%
# %matplotlib inline
import os
import tempfile
from pathlib import Path

from IPython.display import Image

from integrators import SCHEMES, get_scheme, henon_heiles, integrate, pendulum
from proofs import check
from sensitivity.analysis.convergence import convergence, energy_error
from sensitivity.figures.analysis import plot_convergence
from sensitivity.figures.phase_plane import ellipse_film, plot_areas, plot_ellipses
from sensitivity.figures.plots import plot_curves
from sensitivity.papers.hamiltonian.portraits import phase_area, sensitivity_ellipses

FAST = os.environ.get("LEAPGRAD_FAST") == "1"
for name in ("symplectic_euler", "leapfrog", "yoshida4"):
    scheme = get_scheme(name)
    print(f"{name:18s} order {scheme.order}, drifts {scheme.drift.round(4)}, kicks {scheme.kick.round(4)}")
print(f"{len(SCHEMES)} schemes in all: {', '.join(SCHEMES)}")

# %% [markdown]
# ## Order: claimed, measured, proved
#
# Halve the step, and the error of a scheme of order $p$ falls by $2^p$. The legend shows the measured
# slopes on the nonlinear Hénon–Heiles system; the harmonic oscillator would flatter some of them.

# %%
counts = (50, 100, 200) if FAST else (25, 50, 100, 200, 400)
schemes = ("symplectic_euler", "leapfrog", "yoshida4", "blanes_moan4", "kahan_li6", "kahan_li8")
found = convergence(henon_heiles(), schemes, [0.1, 0.2], [0.3, 0.1], time=10.0, n_steps=counts)
plot_convergence(found)

# %% [markdown]
# The same orders as a theorem: the order conditions are decided from the very coefficients that run.

# %%
report = check("scheme_orders")
print(report.headline)
for step in report.steps[:4]:
    print(f"  {step.decision.outcome}: {step.step.claim}")

# %% [markdown]
# ## Phase-space area
#
# Take a disc of pendulums with slightly different starts and let all of them run. Explicit Euler inflates
# the disc; symplectic Euler and leapfrog shear and bend it, but its area stays, for every step size.

# %%
names, n_steps = ("explicit_euler", "symplectic_euler", "leapfrog"), 60 if FAST else 100
areas = [phase_area(pendulum(), name, 0.12, n_steps, centre=(1.0, 0.0), radius=0.5) for name in names]
plot_areas(areas)

# %% [markdown]
# ## The sensitivity ellipse
#
# $\partial(y_i, p_i)/\partial(y_0, p_0)$ maps a small circle of perturbations to an ellipse. Its longer
# half axis is the norm of the gradient, the quantity of this whole toolkit. Along the trajectory the
# ellipse turns and stretches: one direction is amplified, another is forgotten, and under leapfrog their
# product stays exactly one.

# %%
runs = [
    sensitivity_ellipses(pendulum(), name, 0.1, 120, y0=[1.6], p0=[0.0], frames=31 if FAST else 121)
    for name in ("explicit_euler", "leapfrog")
]
plot_ellipses(runs)

# %%
film = ellipse_film(
    sensitivity_ellipses(pendulum(), "leapfrog", 0.1, 120, [1.6], [0.0], frames=6 if FAST else 24)
)
with tempfile.TemporaryDirectory() as folder:
    target = Path(folder) / "ellipse.gif"  # or "ellipse.html": with buttons to stop and step
    film.save(target)
    picture = Image(data=target.read_bytes())
picture

# %% [markdown]
# ## Energy over a long time
#
# Order says how small one step's error is; symplecticity says what becomes of it. Leapfrog's energy error
# oscillates and does not drift, symplectic Euler's is larger but bounded as well; explicit Euler's grows.

# %%
n = 300 if FAST else 500
errors = {
    name: energy_error(pendulum(), integrate(pendulum(), name, [1.0], [0.0], 0.1, n))
    for name in ("symplectic_euler", "leapfrog", "yoshida4")
}
time = integrate(pendulum(), "leapfrog", [1.0], [0.0], 0.1, n).t
plot_curves(
    time,
    list(errors.items()),
    xlabel="time $t$",
    ylabel=r"$(H - H_0)/|H_0|$",
    title="Relative energy error, ε = 0.1",
)

# %%
print(check("scheme_symplecticity").headline, "·", check("volume_and_reversibility").headline)
print(check("hamiltonian").headline)

# %% [markdown]
# The last line matters for networks: for d ≥ 2 the system $\ddot y = \sigma(Wy + b)$ is Hamiltonian only
# for special W, but volume and reversibility survive for every W. Next: [3 Theorem 3.2 under the
# microscope](03_theorem_3_2.ipynb).
