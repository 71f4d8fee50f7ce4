"""Scenes of the world as tensors."""

from collections.abc import Sequence
from functools import cache

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from calotype.data import scenes as data
from calotype.data.banks import load_bank
from calotype.data.scenes import Scene, World
from calotype.data.spec import Spec
from calotype.data.sprites import SpriteBank

FIXED = 20_000_000
"""Where the seeds of the fixed scenes begin that evaluations and sheets show."""


@cache
def bank(style: str) -> SpriteBank:
    """The sprites of a run's world."""
    return load_bank(style)


def draw(world: World, rng: np.random.Generator, count: int) -> list[Scene]:
    """``count`` training scenes that ``rng`` picks."""
    return [world.scene(int(seed), "train") for seed in rng.integers(2**62, size=count)]


def held_out(world: World, count: int) -> list[Scene]:
    """The first ``count`` held-out scenes: the same ones in every evaluation."""
    return [world.scene(FIXED + index, "held_out") for index in range(count)]


def images(scenes: Sequence[Scene]) -> UInt8[Tensor, "b 3 h w"]:
    """The pictures of ``scenes``, which are of one size."""
    return torch.from_numpy(np.stack([scene.image for scene in scenes])).permute(0, 3, 1, 2).contiguous()


def foreground(specs: Sequence[Spec]) -> Float[Tensor, "b 1 h w"]:
    """1 inside the objects' boxes, 0 outside."""
    return torch.from_numpy(np.stack([data.foreground(spec) for spec in specs])[:, None]).float()
