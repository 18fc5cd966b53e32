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
# A time-stepping scheme for $\ddot y = F(y)$ is a short list of *drifts* $y \leftarrow y + a_s
# \varepsilon p$ and *kicks* $p \leftarrow p + b_s \varepsilon F(y)$. The list determines the order of the
# error, and whether areas in the phase plane are preserved. With $F = \sigma(Wy + b)$ the same list is a
# recurrent network.

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
# If the step is halved, the error of a scheme of order $p$ is divided by about $2^p$. The legend shows the
# slopes measured on the nonlinear Hénon–Heiles system. On the harmonic oscillator, which is linear, some
# schemes have a higher order than in general.

# %%
counts = (50, 100, 200) if FAST else (25, 50, 100, 200, 400)
schemes = ("symplectic_euler", "leapfrog", "yoshida4", "blanes_moan4", "kahan_li6", "kahan_li8")
found = convergence(henon_heiles(), schemes, [0.1, 0.2], [0.3, 0.1], time=10.0, n_steps=counts)
plot_convergence(found)

# %% [markdown]
# The same orders are also proved: the order conditions are decided from the coefficients that the code uses.

# %%
report = check("scheme_orders")
print(report.headline)
for step in report.steps[:4]:
    print(f"  {step.decision.outcome}: {step.step.claim}")

# %% [markdown]
# ## Phase-space area
#
# We start pendulums from all points of a small disc in the phase plane and run each of them. Explicit Euler
# makes the area of the disc grow. Symplectic Euler and leapfrog deform it, but its area stays the same, for
# every step size.

# %%
names, n_steps = ("explicit_euler", "symplectic_euler", "leapfrog"), 60 if FAST else 100
areas = [phase_area(pendulum(), name, 0.12, n_steps, centre=(1.0, 0.0), radius=0.5) for name in names]
plot_areas(areas)

# %% [markdown]
# ## The sensitivity ellipse
#
# $\partial(y_i, p_i)/\partial(y_0, p_0)$ maps a small circle of perturbations to an ellipse. Its longer
# half axis is the norm of the gradient, which this toolkit computes. Along the trajectory the ellipse turns
# and becomes longer and thinner: one direction is amplified and another is damped. Under leapfrog the product
# of the two half axes stays one.

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
# The order tells how small the error of one step is. Whether the scheme is symplectic tells how these errors
# add up. The energy error of leapfrog oscillates and does not drift. That of symplectic Euler is larger but
# also bounded. That of explicit Euler grows.

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
# for special W, but volume is preserved and the map is reversible for every W. Next: [3 Theorem 3.2 under
# the microscope](03_theorem_3_2.ipynb).
