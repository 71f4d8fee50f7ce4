"""Randomness as a function of the seed: one source per picture, never a global generator."""

import hashlib
import math
import struct
from functools import lru_cache
from typing import Protocol

import torch
from torch import Tensor

_LOWEST, _HIGHEST = 2.0**-12, 2.0**13
"""Noise levels between which Brownian motion is bisected; every schedule's sigmas above 0 lie inside."""
_BISECTIONS = 16
"""They leave cells whose ends differ by a factor of 1.00026."""


class Noise(Protocol):
    """What a sampler may ask of randomness."""

    def normal(self, draw: int) -> Tensor:
        """The given one of a sequence of independent standard normal tensors."""
        ...

    def brownian(self, a: float, b: float) -> Tensor:
        """The increment of Brownian motion between two noise levels, scaled to unit variance."""
        ...


class SeededNoise:
    """The noise of one picture: made on the CPU in float32, so that it is the same for every device.

    `normal(k)` is the (k + 1)-th torch.randn(shape) of a CPU generator with this seed, which is what diffusers draws
    with a generator per picture and A1111 in its CPU mode.

    `brownian(a, b)` is (W(b) - W(a)) / sqrt(|b - a|) for a Brownian motion W over the noise level that depends on the
    seed alone: not on the ladder, the order of questions, or other pictures. W is a virtual tree (arXiv 2001.01328,
    section 4): halving (in log sigma) the cell in which a level lies, each midpoint drawn from a generator of its own.
    Increments add up exactly. They have the exact distribution unless both levels are in one cell, closer than 0.03 %.
    """

    def __init__(
        self, seed: int, shape: tuple[int, ...], device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
    ) -> None:
        self.seed, self.shape, self.device, self.dtype = seed, shape, device, dtype
        self._generator, self._position = torch.Generator().manual_seed(seed), 0
        self._motion = lru_cache(maxsize=4)(self._brownian_motion)

    def normal(self, draw: int) -> Tensor:
        """Draw number `draw` (from 0), of `shape`. Draws in rising order cost one draw each."""
        if draw < self._position:
            self._generator, self._position = torch.Generator().manual_seed(self.seed), 0
        while self._position < draw:
            torch.randn(self.shape, generator=self._generator)
            self._position += 1
        self._position += 1
        return torch.randn(self.shape, generator=self._generator).to(self.device, self.dtype)

    def brownian(self, a: float, b: float) -> Tensor:
        """The unit-variance increment from noise level a to b, of `shape`; a and b in [0, 8192] and different."""
        increment = (self._motion(b) - self._motion(a)) / math.sqrt(abs(b - a))
        return increment.to(self.device, self.dtype)

    def _brownian_motion(self, level: float) -> Tensor:
        """W(level) in float64, with W(0) = 0."""
        low, high = 0.0, _HIGHEST
        below, above = torch.zeros(self.shape, dtype=torch.float64), self._normal_at(high) * math.sqrt(high)
        for _ in range(1 + _BISECTIONS):
            middle = max(math.sqrt(low * high), _LOWEST)
            between = self._bridge(low, below, high, above, middle)
            if level > middle:
                low, below = middle, between
            else:
                high, above = middle, between
        return self._bridge(low, below, high, above, level)

    def _bridge(self, low: float, below: Tensor, high: float, above: Tensor, level: float) -> Tensor:
        """W(level) given W(low) and W(high): a Brownian bridge."""
        share = (level - low) / (high - low)
        return torch.lerp(below, above, share) + self._normal_at(level) * math.sqrt(share * (high - level))

    def _normal_at(self, level: float) -> Tensor:
        """The standard normal tensor that belongs to one noise level, in float64."""
        key = hashlib.blake2b(struct.pack("<Qd", self.seed, level), digest_size=8).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(key, "little"))
        return torch.randn(self.shape, generator=generator, dtype=torch.float64)
