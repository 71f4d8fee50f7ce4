"""The moves most samplers are made of."""

import math
from dataclasses import replace

from torch import Tensor

from calotype.diffusion.noise import Noise
from calotype.diffusion.samplers.state import Plan, SamplerState

CHURN = {"s_churn": 0.0, "s_noise": 1.0}
"""Options of samplers that stir: how much noise in all, and its size; (s_tmin, s_tmax) is left at (0, infinity)."""


def towards(x0: Tensor, x: Tensor, ratio: float) -> Tensor:
    """What is left of the way from x0 to x when the noise level shrinks to `ratio` of itself; x0 itself at 0."""
    return x0 + (x - x0) * ratio


def ancestral(sigma: float, following: float, eta: float) -> tuple[float, float]:
    """(down, up) with down^2 + up^2 = following^2; eta 1 is DDPM's variance, 0 none (arXiv 2010.02502, eq. 16)."""
    up = min(following, eta * following / sigma * math.sqrt(sigma**2 - following**2))
    return math.sqrt(following**2 - up**2), up


def churned(plan: Plan, noise: Noise, state: SamplerState) -> tuple[SamplerState, float]:
    """The state with fresh noise stirred in, and its higher level (arXiv 2206.00364, algorithm 2, lines 4 to 6)."""
    sigma, _ = plan.interval(state)
    share = min(plan.options["s_churn"] / len(plan.intervals), math.sqrt(2) - 1)
    if share == 0:
        return state, sigma
    higher = sigma * (1 + share)
    kick = noise.normal(state.draws) * (plan.options["s_noise"] * math.sqrt(higher**2 - sigma**2))
    return replace(state, x=state.x + kick, draws=state.draws + 1), higher
