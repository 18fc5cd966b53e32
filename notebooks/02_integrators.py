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
# *Difficulty: easy. Time: 30 minutes, and 25 more for the exercises. You need: ordinary differential
# equations.*
#
# **What you will learn**
#
# - how a time-stepping scheme becomes a recurrent network;
# - what the order of a scheme is, and how it is measured and proved;
# - why a symplectic scheme preserves areas in the phase plane, and what this means for gradients;
# - why energy errors of a symplectic scheme do not add up.
#
# A time-stepping scheme for $\ddot y = F(y)$ is a short list of *drifts* $y \leftarrow y + a_s
# \varepsilon p$ and *kicks* $p \leftarrow p + b_s \varepsilon F(y)$. With $F = \sigma(Wy + b)$ the same list
# is a recurrent network. Write down your answer to each **question** before you run the cell below it.

# %%
import os

import matplotlib.pyplot as plt
import numpy as np

import leapgrad as lg

FAST = os.environ.get("LEAPGRAD_FAST") == "1"
plt.rcParams.update({"figure.figsize": (7.2, 3.8), "figure.constrained_layout.use": True, "axes.grid": True})
for name in ("symplectic_euler", "leapfrog", "yoshida4"):
    scheme = lg.get_scheme(name)
    print(f"{name:18s} order {scheme.order}, drifts {scheme.drift.round(4)}, kicks {scheme.kick.round(4)}")
print(f"{len(lg.SCHEMES)} schemes in all: {', '.join(lg.SCHEMES)}")

# %% [markdown]
# ## Order: claimed, measured, proved
#
# > **Question.** If the step is halved, the error of a scheme of order $p$ is divided by about $2^p$. Which
# > slope has the line of `yoshida4` on logarithmic axes?
#
# The nonlinear Hénon–Heiles system is integrated to the time 10. The legend shows the measured slopes.

# %%
counts = (50, 100, 200) if FAST else (25, 50, 100, 200, 400)
schemes = ("symplectic_euler", "leapfrog", "yoshida4", "blanes_moan4", "kahan_li6", "kahan_li8")
found = lg.convergence(lg.henon_heiles(), schemes, [0.1, 0.2], [0.3, 0.1], time=10.0, n_steps=counts)
for one, line in zip(found, ("o-", "s--", "D-.", "v:", "^-", "<--"), strict=True):
    plt.loglog(one.step, one.error, line, label=f"{one.scheme.name}: {one.order:.2f}")
plt.xlabel(r"step $\varepsilon$ (dimensionless)")
plt.ylabel("error of $(y, p)$ at $t = 10$")
plt.title("Hénon–Heiles system")
plt.xticks(found[0].step, [f"{step:g}" for step in found[0].step])
plt.minorticks_off()
plt.legend(title="measured order", fontsize="small", loc="center left", bbox_to_anchor=(1.0, 0.5))
plt.show()

# %% [markdown]
# The lowest lines end where round-off is as large as the error. The same orders are also proved: the order
# conditions are decided from the coefficients that the code uses.

# %%
report = lg.check("scheme_orders")
print(report.headline)
for step in report.steps[:4]:
    print(f"  {step.decision.outcome}: {step.step.claim}")

# %% [markdown]
# ## Phase-space area
#
# We start pendulums from all points of a small circle in the phase plane and run each of them.
#
# > **Question.** What happens to the area inside the circle under explicit Euler, under symplectic Euler, and
# > under leapfrog? The step, 0.12, is small.

# %%
names, n_steps = ("explicit_euler", "symplectic_euler", "leapfrog"), 60 if FAST else 100
angle = np.linspace(0.0, 2.0 * np.pi, 361)[:-1]
starts = np.stack([1.0 + 0.5 * np.cos(angle), 0.5 * np.sin(angle)], axis=1)
figure, panels = plt.subplots(1, 3, figsize=(9.6, 3.6), sharex=True, sharey=True)
for name, panel in zip(names, panels, strict=True):
    runs = [lg.integrate(lg.pendulum(), name, [y], [p], 0.12, n_steps) for y, p in starts]
    y, p = np.array([run.y[:, 0] for run in runs]), np.array([run.p[:, 0] for run in runs])
    area = 0.5 * np.abs(np.sum(y * np.roll(p, -1, axis=0) - np.roll(y, -1, axis=0) * p, axis=0))
    for i in np.linspace(0, n_steps, 6).astype(int):
        panel.fill(y[:, i], p[:, i], alpha=0.3 + 0.5 * i / n_steps, color="tab:blue")
    panel.set(title=f"{name}: area × {area[-1] / area[0]:.3f}", xlabel="angle $y$ (rad)", aspect="equal")
panels[0].set_ylabel("velocity $p$ (rad per unit time)")
plt.show()

# %% [markdown]
# Explicit Euler makes the area of the disc grow. Symplectic Euler and leapfrog deform it, but its area stays
# the same, for every step size.
#
# ## The sensitivity ellipse
#
# The Jacobian $J_i = \partial(y_i, p_i)/\partial(y_0, p_0)$ maps a small circle of perturbations to an
# ellipse. Its longer half axis is the norm of the gradient, which this toolkit computes.
#
# > **Question.** $\det J_i = 1$ for leapfrog. If one half axis is 5, how long is the other one? Can the
# > gradient explode although the area is preserved?

# %%
circle = np.stack([np.cos(angle), np.sin(angle)])
figure, panels = plt.subplots(1, 2, figsize=(9.6, 4.0), sharex=True, sharey=True)
for name, panel in zip(("explicit_euler", "leapfrog"), panels, strict=True):
    run = lg.integrate(lg.pendulum(), name, [1.6], [0.0], 0.1, 120)
    panel.plot(run.y[:, 0], run.p[:, 0], color="grey", linewidth=0.8)
    for i in range(0, 121, 15):
        J = lg.jacobian(lg.pendulum(), name, 0.1, i, [1.6], [0.0], block="phase")
        panel.fill(*(np.array([run.y[i], run.p[i]]) + 0.15 * J @ circle), alpha=0.5, color="tab:red")
    norm = lg.jacobian_norm(lg.pendulum(), name, 0.1, 120, [1.6], [0.0], block="phase")
    panel.set(title=f"{name}: longer half axis × {norm:.2f}", xlabel="angle $y$ (rad)", aspect="equal")
panels[0].set_ylabel("velocity $p$ (rad per unit time)")
plt.show()

# %% [markdown]
# Along the trajectory the ellipse turns and becomes longer and thinner: one direction is amplified and
# another is damped. Under leapfrog the product of the two half axes stays one.
#
# **Try it.** Move the step ε and the number of steps N. When is the
# ellipse a needle, and what is its area then? (`leapgrad reproduce pictures ellipse` makes a film of it.)

# %%
lg.explore(
    lambda step, n_steps: (
        plt.plot(*circle, "--", color="grey", label="circle of perturbations"),
        plt.plot(
            *(lg.jacobian(lg.pendulum(), "leapfrog", step, n_steps, [1.6], [0.0], block="phase") @ circle),
            color="tab:red",
            label=rf"its image, $\varepsilon = {step:g}$, $N = {n_steps}$",
        ),
        plt.axis("equal"),
        plt.xlabel(r"$\delta y$ (rad)"),
        plt.ylabel(r"$\delta p$ (rad per unit time)"),
        plt.legend(loc="upper left"),
    ),
    step=[0.01, 0.05, 0.1, 0.2, 0.5, 1.0, 1.5],
    n_steps=[0, 5, 10, 20, 40, 80, 160],
)

# %% [markdown]
# ## Energy over a long time
#
# > **Question.** The order tells how small the error of one step is. Do the errors of 500 steps add up?

# %%
n = 300 if FAST else 500
for name, line in (("symplectic_euler", ":"), ("leapfrog", "-"), ("yoshida4", "--")):
    run = lg.integrate(lg.pendulum(), name, [1.0], [0.0], 0.1, n)
    plt.plot(run.t, lg.energy_error(lg.pendulum(), run), line, label=name)
plt.xlabel("time $t$ (dimensionless)")
plt.ylabel(r"relative energy error $(H - H_0)/|H_0|$")
plt.title(r"Pendulum, $\varepsilon = 0.1$")
plt.ylim(-0.055, 0.075)
plt.legend(loc="upper center", ncols=3)
plt.show()

# %% [markdown]
# Whether the scheme is symplectic tells how the errors of single steps add up. The energy error of leapfrog
# oscillates and does not drift. That of symplectic Euler is larger but also bounded. That of explicit Euler
# grows: exercise 1.

# %%
for name in ("scheme_symplecticity", "volume_and_reversibility", "hamiltonian"):
    print(lg.check(name).headline)

# %% [markdown]
# The last line matters for networks: for d ≥ 2 the system $\ddot y = \sigma(Wy + b)$ is Hamiltonian only
# for special W, but volume is preserved and the map is reversible for every W.
#
# ## Exercises
#
# ### Exercise 1 · easy, 5 minutes
#
# Add `explicit_euler` to the energies. How large is its relative error after 500 steps? Does it help to halve
# the step and to double the number of steps?

# %% jupyter={"source_hidden": true} tags=["hide-cell", "solution"]
for step, n_steps in ((0.1, 500), (0.05, 1000)):
    run = lg.integrate(lg.pendulum(), "explicit_euler", [1.0], [0.0], step, n_steps)
    print(f"ε = {step}: relative error {lg.energy_error(lg.pendulum(), run)[-1]:.3f} at t = 50")

# %% [markdown]
# ### Exercise 2 · medium, 10 minutes
#
# On the harmonic oscillator $\ddot y = -y$, a step of leapfrog is a matrix with determinant 1 and trace $2 -
# \varepsilon^2$. For which ε do its powers stay bounded? Test your answer with the norm after 1000 steps.

# %% jupyter={"source_hidden": true} tags=["hide-cell", "solution"]
print("The eigenvalues lie on the unit circle if |2 − ε²| < 2, so for ε < 2.")
for step in (1.9, 1.99, 2.01, 2.1):
    log = float(lg.log_jacobian_norm(lg.harmonic(), "leapfrog", step, 1000, block="phase"))
    print(f"ε = {step}: ln of the norm after 1000 steps {log:.2f}")

# %% [markdown]
# ### Exercise 3 · medium, 10 minutes
#
# An error of size δ in the velocity of the pendulum at $t = 0$: how large is it at $t = 12$ under leapfrog
# with $\varepsilon = 0.1$, from the Jacobian? Compare with two runs whose start differs by $\delta =
# 10^{-6}$.

# %% jupyter={"source_hidden": true} tags=["hide-cell", "solution"]
J = lg.jacobian(lg.pendulum(), "leapfrog", 0.1, 120, [1.6], [0.0], block="phase")
one, two = (lg.integrate(lg.pendulum(), "leapfrog", [1.6], [p], 0.1, 120) for p in (0.0, 1e-6))
print("Jacobian:", J[:, 1].round(5), " two runs:", ((two.y[-1] - one.y[-1]) / 1e-6).round(5),
      ((two.p[-1] - one.p[-1]) / 1e-6).round(5))  # fmt: skip

# %% [markdown]
# Next: [3 Theorem 3.2 under the microscope](03_theorem_3_2.ipynb).
