"""Randomness as a function of the seed: one source per picture, never a global generator."""

import hashlib
import math
import struct
from functools import lru_cache
from typing import Protocol

import torch
from torch import Tensor

from calotype.diffusion import philox

_LOWEST, _HIGHEST = 2.0**-12, 2.0**13
"""Noise levels between which Brownian motion is known; every schedule's sigmas above 0 lie inside."""
_HALVINGS = 20
"""Of the levels between, in log sigma. They leave cells whose ends differ by a factor of 1.000017."""


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

    `normal(k)` is the (k + 1)-th torch.randn(shape) of a generator with this seed: torch's for CPUs, which is what
    diffusers draws with a generator per picture and A1111 in its CPU mode.

    `brownian(a, b)` is (W(b) - W(a)) / sqrt(|b - a|) for a Brownian motion W over the noise level that depends on the
    seed alone: not on the ladder, the order of questions, or other pictures. W is a virtual tree (arXiv 2001.01328,
    section 4): the cell in which a level lies is halved in log sigma, each middle drawn from a generator of its own,
    and the smallest cell is crossed in a straight line, so that a rounding error in a level stays one in the noise.
    Increments add up exactly; over steps of more than 0.2 % their variance is 1 within 1 %.
    """

    def __init__(
        self, seed: int, shape: tuple[int, ...], device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
    ) -> None:
        self.seed, self.shape, self.device, self.dtype = seed, shape, device, dtype
        self._generator, self._position = torch.Generator().manual_seed(seed), 0
        self._motion = lru_cache(maxsize=4)(self._brownian_motion)
        self._normal_at = lru_cache(maxsize=32)(self._drawn_at)

    def normal(self, draw: int) -> Tensor:
        """Draw number `draw` (from 0), of `shape`. Draws in rising order cost one draw each."""
        if draw < self._position:
            self._generator, self._position = torch.Generator().manual_seed(self.seed), 0
        while self._position < draw:
            torch.randn(self.shape, generator=self._generator, dtype=torch.float32)
            self._position += 1
        self._position += 1
        return torch.randn(self.shape, generator=self._generator, dtype=torch.float32).to(self.device, self.dtype)

    def brownian(self, a: float, b: float) -> Tensor:
        """The unit-variance increment from noise level a to b != a, of `shape`. ValueError outside [1 / 4096, 8192]."""
        increment = (self._motion(b) - self._motion(a)) / math.sqrt(abs(b - a))
        return increment.to(self.device, self.dtype)

    def _brownian_motion(self, level: float) -> Tensor:
        """W(level) in float64, with W(_LOWEST) = 0."""
        if not _LOWEST <= level <= _HIGHEST:
            raise ValueError(f"Brownian noise is known between sigma {_LOWEST} and {_HIGHEST}, not at {level}")
        low, high = _LOWEST, _HIGHEST
        below = torch.zeros(self.shape, dtype=torch.float64)
        above = self._normal_at(high) * math.sqrt(high - low)
        for _ in range(_HALVINGS):
            middle = math.sqrt(low * high)
            share = (middle - low) / (high - low)
            bridge = torch.lerp(below, above, share) + self._normal_at(middle) * math.sqrt(share * (high - middle))
            if level < middle:
                high, above = middle, bridge
            else:
                low, below = middle, bridge
        return torch.lerp(below, above, (level - low) / (high - low))

    def _drawn_at(self, level: float) -> Tensor:
        """The standard normal tensor that belongs to one noise level."""
        key = hashlib.blake2b(struct.pack("<Qd", self.seed, level), digest_size=8).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(key, "little"))
        return torch.randn(self.shape, generator=generator, dtype=torch.float32).double()


class PhiloxNoise(SeededNoise):
    """The same with the normal draws of torch's generator for NVIDIA's GPUs, on any machine: A1111's "GPU" and "NV"."""

    def normal(self, draw: int) -> Tensor:
        """Draw number `draw` (from 0), of `shape`."""
        return philox.randn(self.seed, draw, self.shape).to(self.device, self.dtype)


NOISES = {"cpu": SeededNoise, "philox": PhiloxNoise}
"""The kinds of noise by name."""


class Delayed:
    """Noise whose draws after the first are another's from its beginning, as A1111's eta noise seed delta has them."""

    def __init__(self, first: Noise, later: Noise) -> None:
        self.first, self.later = first, later

    def normal(self, draw: int) -> Tensor:
        """Draw number `draw`, from 0."""
        return self.later.normal(draw - 1) if draw else self.first.normal(0)

    def brownian(self, a: float, b: float) -> Tensor:
        """The increment of the first one's Brownian motion: the delta does not touch it."""
        return self.first.brownian(a, b)
