"""Runge-Kutta methods on dx / dsigma = (x - x0) / sigma, as in k-diffusion: two network calls a step, or three."""

import math

from torch import Tensor

from calotype.diffusion.noise import Noise
from calotype.diffusion.samplers.moves import CHURN, SDE, add_noise, ancestral, churned, euler_step, slope_at
from calotype.diffusion.samplers.state import Denoiser, Plan, Sampler, SamplerState


def heun(denoise: Denoiser, plan: Plan, noise: Noise, state: SamplerState) -> SamplerState:
    """Algorithm 2 of arXiv 2206.00364: the mean of the slopes at both ends."""
    _, sigma_next = plan.interval(state)
    state, sigma = churned(plan, noise, state)
    x0 = denoise(state.x, sigma).x0
    x = euler_step(x0, state.x, sigma_next / sigma)
    if sigma_next > 0:
        slope = (state.x - x0) / sigma
        slope_there = slope_at(denoise, x, sigma_next)
        x = state.x + (slope + slope_there) * ((sigma_next - sigma) / 2)
    return state.after(x, x0)


def heunpp2(denoise: Denoiser, plan: Plan, noise: Noise, state: SamplerState) -> SamplerState:
    """Heun++ of Carzit's sd-webui-samplers-scheduler: a mean of the slopes here and at the next two levels.

    Each level ahead has a weight of its sigma by the highest one, so that late steps trust the slope here.
    """
    _, sigma_next = plan.interval(state)
    state, sigma = churned(plan, noise, state)
    x0 = denoise(state.x, sigma).x0
    slope = (state.x - x0) / sigma
    ahead = [end for _, end in plan.intervals[state.index : -1][:2]]
    whole = (1 + len(ahead)) * plan.intervals[0][0]
    mean, x, reached = slope * (1 - sum(ahead) / whole), state.x, sigma
    for level in ahead:
        x, reached = x + slope * (level - reached), level
        slope = slope_at(denoise, x, level)
        mean = mean + slope * (level / whole)
    return state.after(state.x + mean * (sigma_next - sigma), x0)


def dpm2(denoise: Denoiser, plan: Plan, noise: Noise, state: SamplerState) -> SamplerState:
    """The slope at the geometric mean of both levels: DPM-Solver-2 (arXiv 2206.00927) with a midpoint rule in sigma."""
    _, sigma_next = plan.interval(state)
    state, sigma = churned(plan, noise, state)
    x0 = denoise(state.x, sigma).x0
    return state.after(_by_midpoint(denoise, state, x0, sigma, sigma_next), x0)


def dpm2_ancestral(denoise: Denoiser, plan: Plan, noise: Noise, state: SamplerState) -> SamplerState:
    """DPM2 down below the next level and up to it with fresh noise."""
    sigma, sigma_next = plan.interval(state)
    x0 = denoise(state.x, sigma).x0
    down, up = ancestral(sigma, sigma_next, plan.options["eta"])
    x = _by_midpoint(denoise, state, x0, sigma, down)
    x, draws = add_noise(x, up, plan, noise, state.draws)
    return state.after(x, x0, draws)


def _by_midpoint(denoise: Denoiser, state: SamplerState, x0: Tensor, sigma: float, sigma_next: float) -> Tensor:
    if sigma_next == 0:
        return x0
    middle = math.sqrt(sigma * sigma_next)
    halfway = euler_step(x0, state.x, middle / sigma)
    return state.x + (halfway - denoise(halfway, middle).x0) * ((sigma_next - sigma) / middle)


ROWS = (
    Sampler(
        "Heun", heun, "arXiv 2206.00364", order=2, calls=lambda steps: 2 * steps - 1, options=CHURN,
        aliases=("k_heun", "heun", "HeunDiscreteScheduler"),
        scheduler="normal",
        use="twice the cost of Euler for second order: accurate with 15 steps or more",
        equals="k-diffusion sample_heun, diffusers HeunDiscreteScheduler",
    ),
    Sampler(
        "HeunPP2", heunpp2, "Carzit's Heun++", order=1, calls=lambda steps: max(1, 3 * steps - 3), options=CHURN,
        aliases=("heunpp2", "heunpp"),
        scheduler="normal",
        use="old recipes; three times Euler's cost for first order",
        equals="ComfyUI sample_heunpp2",
    ),
    Sampler(
        "DPM2", dpm2, "arXiv 2206.00927", order=2, calls=lambda steps: 2 * steps - 1, options=CHURN,
        aliases=("k_dpm_2", "dpm_2", "KDPM2DiscreteScheduler"),
        scheduler="karras", discards_penultimate=True,
        use="second order at Heun's cost; DPM++ 2M is as exact at half of it",
        equals="k-diffusion sample_dpm_2",
    ),
    Sampler(
        "DPM2 a", dpm2_ancestral, "arXiv 2206.00927", order=2, calls=lambda steps: 2 * steps - 1,
        aliases=("k_dpm_2_a", "dpm_2_a", "dpm_2_ancestral", "k_dpm_2_ancestral", "KDPM2AncestralDiscreteScheduler"),
        noise="normal", options=SDE, scheduler="karras", discards_penultimate=True,
        use="DPM2 with fresh noise, for old recipes",
        equals="k-diffusion sample_dpm_2_ancestral",
    ),
)  # fmt: skip
