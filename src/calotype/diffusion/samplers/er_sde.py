"""ER-SDE-Solver (arXiv 2309.06169): an SDE whose noise is chosen freely, level by level, solved with memory."""

import math

import numpy as np

from calotype.diffusion.noise import Noise
from calotype.diffusion.samplers.moves import add_noise, euler_step
from calotype.diffusion.samplers.state import Denoiser, Plan, Sampler, SamplerState

_POINTS = 200
"""Of the sums that stand for the integrals, as with the authors and in ComfyUI."""


def er_sde(denoise: Denoiser, plan: Plan, noise: Noise, state: SamplerState) -> SamplerState:
    """VE ER-SDE-Solver-3 of arXiv 2309.06169, lower orders to begin with; a step to 0 is Euler's.

    Its third stage takes mean differences for derivatives, which keeps the order at 2.
    """
    sigma, sigma_next = plan.interval(state)
    x0 = denoise(state.x, sigma).x0
    if sigma_next == 0:
        return state.after(x0, x0)
    step, memory = sigma_next - sigma, {"previous": x0}
    shrink = (_scale(sigma_next) / _scale(sigma)).item()
    x = euler_step(x0, state.x, shrink)
    if state.index > 0:
        first, second = _sums(sigma, sigma_next)
        slope = (x0 - state.memory["previous"]) / (sigma - plan.intervals[state.index - 1][0])
        x, memory["slope"] = x + slope * (step + first), slope
    if state.index > 1:
        curve = (slope - state.memory["slope"]) / ((sigma - plan.intervals[state.index - 2][0]) / 2)
        x = x + curve * (step**2 / 2 + second)
    up = math.sqrt(max(0.0, sigma_next**2 - (sigma * shrink) ** 2))
    x, draws = add_noise(x, up, plan, noise, state.draws)
    return state.after(x, x0, draws, **memory)


def _scale(sigma: float | np.ndarray) -> np.ndarray:
    """The authors' choice of the noise scale function phi; phi = sigma would be the ODE, sigma^2 the reverse SDE."""
    return np.asarray(sigma * (np.exp(sigma**0.3) + 10))


def _sums(sigma: float, sigma_next: float) -> tuple[float, float]:
    """phi(sigma_next) times the integrals of 1 / phi and (level - sigma) / phi between the two levels."""
    width = (sigma - sigma_next) / _POINTS
    levels = sigma_next + width * np.arange(_POINTS)
    parts = _scale(sigma_next) / _scale(levels) * width
    return parts.sum().item(), ((levels - sigma) * parts).sum().item()


ROWS = (
    Sampler(
        "ER SDE", er_sde, "arXiv 2309.06169", order=2, noise="normal", options={"s_noise": 1.0}, scheduler="karras",
        aliases=("er_sde",),
        use="stochastic detail in 10 to 20 steps at Euler's cost",
        equals="ComfyUI sample_er_sde",
    ),
)  # fmt: skip
