"""Philox 4x32-10, the counter-based generator behind torch.randn on NVIDIA's GPUs, on any machine.

Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (SC 2011), section 3.3; constants from its Random123.
"""

import math

import numpy as np
import torch
from jaxtyping import UInt32
from torch import Tensor

_ROUNDS = 10
_MULTIPLIERS = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_WEYL = np.uint32(0x9E3779B9), np.uint32(0xBB67AE85)
"""What the key grows by after each round: the golden ratio and sqrt(3) - 1."""
_TURN = np.float64(np.float32(2.0**-32 * 2 * math.pi))
"""cuRAND's angle of one unit, a float32."""

Words = UInt32[np.ndarray, "words n"]


def philox(counter: Words, key: Words) -> Words:
    """Four words for each counter of four words and key of two: a bijection of the counters for every key."""
    a, b, c, d = counter
    first, second = key
    for _ in range(_ROUNDS):
        high_a, low_a = _product(_MULTIPLIERS[0], a)
        high_c, low_c = _product(_MULTIPLIERS[1], c)
        a, b, c, d = high_c ^ b ^ first, low_c, high_a ^ d ^ second, low_a
        first, second = first + _WEYL[0], second + _WEYL[1]
    return np.stack([a, b, c, d])


def randn(seed: int, draw: int, shape: tuple[int, ...]) -> Tensor:
    """Call number ``draw`` (from 0) of torch.randn(shape) on a GPU seeded with ``seed`` < 2^64, as float32.

    It is A1111's "NV", and its "GPU" within float32's rounding, for tensors of no more numbers than the GPU runs
    threads at once (65,536 on small ones: all latents up to 1024 x 1024). Each number has a thread, a counter and
    Box-Muller's sine of its own.
    """
    count = math.prod(shape)
    counter = np.zeros((4, count), np.uint32)
    counter[0], counter[2] = draw, np.arange(count)
    key = np.array([[seed & 0xFFFFFFFF], [seed >> 32]], np.uint32).repeat(count, 1)
    radius, angle, _, _ = philox(counter, key).astype(np.float64)
    normal = np.sqrt(-2 * np.log((radius + 0.5) * 2.0**-32)) * np.sin((angle + 0.5) * _TURN)
    return torch.from_numpy(normal.astype(np.float32)).reshape(shape)


def _product(multiplier: np.uint64, word: UInt32[np.ndarray, "n"]) -> tuple[np.ndarray, np.ndarray]:
    """The upper and the lower half of a product of two words."""
    product = multiplier * word.astype(np.uint64)
    return (product >> np.uint64(32)).astype(np.uint32), product.astype(np.uint32)
