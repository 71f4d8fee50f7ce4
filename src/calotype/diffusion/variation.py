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


class Centred:
    """The noise of a picture whose first draw has another size's in its middle; all others are its own.

    As A1111's seed resize: a picture of another shape keeps what was in the middle.
    """

    def __init__(self, noise: Noise, middle: Noise) -> None:
        self.noise, self.middle = noise, middle

    def normal(self, draw: int) -> Tensor:
        """Draw number `draw`, from 0."""
        whole = self.noise.normal(draw)
        if draw:
            return whole
        middle = self.middle.normal(0)
        (top, from_top, height), (left, from_left, width) = map(_overlap, whole.shape[-2:], middle.shape[-2:])
        whole[..., top : top + height, left : left + width] = middle[
            ..., from_top : from_top + height, from_left : from_left + width
        ]
        return whole

    def brownian(self, a: float, b: float) -> Tensor:
        """The increment of the picture's own Brownian motion."""
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


def _overlap(whole: int, middle: int) -> tuple[int, int, int]:
    """Where the middle begins in the whole, where in itself, and how long it is there. An odd rest is on the right."""
    before = (whole - middle) // 2
    return max(before, 0), max(-before, 0), min(whole, middle + 2 * min(before, 0))
