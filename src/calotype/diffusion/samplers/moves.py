"""The two moves most samplers are made of."""

import math

from torch import Tensor


def towards(x0: Tensor, x: Tensor, ratio: float) -> Tensor:
    """What is left of the way from x0 to x when the noise level shrinks to `ratio` of itself; x0 itself at 0."""
    return x0 + (x - x0) * ratio


def ancestral(sigma: float, following: float, eta: float) -> tuple[float, float]:
    """(down, up) with down^2 + up^2 = following^2; eta 1 is DDPM's variance, 0 none (arXiv 2010.02502, eq. 16)."""
    up = min(following, eta * following / sigma * math.sqrt(sigma**2 - following**2))
    return math.sqrt(following**2 - up**2), up
