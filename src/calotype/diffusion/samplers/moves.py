"""The moves most samplers are made of."""

import math
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from calotype.diffusion.noise import Noise
from calotype.diffusion.samplers.state import Denoiser, Plan, SamplerState

CHURN = {"s_churn": 0.0, "s_tmin": 0.0, "s_tmax": math.inf, "s_noise": 1.0}
"""Options of samplers that stir: how much noise in all, between which levels, and its size."""
SDE = {"eta": 1.0, "s_noise": 1.0}
"""Options of samplers that add fresh noise: how much of what was lost comes back, and its size."""


def euler_step(x0: Tensor, x: Tensor, ratio: float) -> Tensor:
    """Along the straight line from x to x0 while the noise level shrinks to `ratio` of itself; x0 itself at 0."""
    return x0 + (x - x0) * ratio


def slope_at(denoise: Denoiser, x: Tensor, sigma: float) -> Tensor:
    """dx / dsigma of the deterministic equation (arXiv 2206.00364, eq. 4): the noise that the denoiser sees in x."""
    return (x - denoise(x, sigma).x0) / sigma


def history(state: SamplerState, name: str, value: Tensor, count: int) -> Float[Tensor, "k *shape"]:
    """`value` and those before it that `state` remembers as `name`, the newest first: `count` at most."""
    return torch.cat([value[None], state.memory.get(name, value[None][:0])])[:count]


def ancestral(sigma: float, sigma_next: float, eta: float) -> tuple[float, float]:
    """(down, up) with down^2 + up^2 = sigma_next^2; eta 1 is DDPM's variance, 0 none (arXiv 2010.02502, eq. 16)."""
    up = min(sigma_next, eta * sigma_next / sigma * math.sqrt(sigma**2 - sigma_next**2))
    return math.sqrt(sigma_next**2 - up**2), up


def diffused(sigma: float, sigma_next: float, eta: float) -> float:
    """Deviation of the noise that the SDE of strength eta adds between two levels (arXiv 2211.01095)."""
    return sigma_next * math.sqrt(1 - (sigma_next / sigma) ** (2 * eta))


def add_noise(x: Tensor, up: float, plan: Plan, noise: Noise, draw: int) -> tuple[Tensor, int]:
    """x with fresh noise of size `up`, times the option s_noise, and the draws used: none where nothing is added."""
    size = up * plan.options.get("s_noise", 1.0)
    if size == 0:
        return x, 0
    return x + noise.normal(draw) * size, 1


def add_brownian(x: Tensor, up: float, plan: Plan, noise: Noise, sigma: float, sigma_next: float) -> Tensor:
    """x with the noise of the path between two levels, of size `up` times the option s_noise."""
    size = up * plan.options["s_noise"]
    return x + noise.brownian(sigma, sigma_next) * size if size > 0 else x


def phi_2(shrink: float) -> float:
    """How much of what x0 changes by on a step is felt in x, its noise shrinking to `shrink` = exp(-h) of itself.

    Exact for a change that is even over log sigma: h phi_2(-h) of exponential integrators (Hochbruck and Ostermann,
    Acta Numerica 2010, section 2).
    """
    return 1 + (1 - shrink) / math.log(shrink)


def midpoint(shrink: float) -> float:
    """As `phi_2`, for a change that is half done from the beginning."""
    return (1 - shrink) / 2


def churned(plan: Plan, noise: Noise, state: SamplerState) -> tuple[SamplerState, float]:
    """The state with fresh noise stirred in, and its higher level (arXiv 2206.00364, algorithm 2, lines 4 to 6)."""
    sigma, _ = plan.interval(state)
    share = min(plan.options["s_churn"] / len(plan.intervals), math.sqrt(2) - 1)
    if share == 0 or not plan.options["s_tmin"] <= sigma <= plan.options["s_tmax"]:
        return state, sigma
    higher = sigma * (1 + share)
    x, draws = add_noise(state.x, math.sqrt(higher**2 - sigma**2), plan, noise, state.draws)
    return replace(state, x=x, draws=state.draws + draws), higher
