"""Pictures near another one: noise between two seeds."""

import torch
from torch import Tensor

from calotype.diffusion.noise import Noise


class Variation:
    """The noise of a picture whose first draw lies between two seeds' on a great circle; all others are the first's.

    As A1111's variation seed: 0 is `noise`, 1 begins with `other`.
    """

    def __init__(self, noise: Noise, other: Noise, strength: float) -> None:
        self.noise, self.other, self.strength = noise, other, strength

    def normal(self, draw: int) -> Tensor:
        """Draw number `draw`, from 0."""
        if draw:
            return self.noise.normal(draw)
        return slerp(self.noise.normal(0), self.other.normal(0), self.strength)

    def brownian(self, a: float, b: float) -> Tensor:
        """The increment of the first seed's Brownian motion."""
        return self.noise.brownian(a, b)


def slerp(a: Tensor, b: Tensor, share: float) -> Tensor:
    """From a (share 0) to b (share 1), column by column of (1, c, h, w), on great circles as A1111 turns them."""
    if share in (0, 1):
        return b if share else a
    cosine = torch.cosine_similarity(a, b, dim=-2).unsqueeze(-2)
    if cosine.mean() > 0.9995:
        return torch.lerp(a, b, share)
    angle = cosine.acos()
    return (((1 - share) * angle).sin() * a + (share * angle).sin() * b) / angle.sin()
