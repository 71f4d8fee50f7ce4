import numpy as np
import pytest

from calotype.data.banks import drawn_bank
from calotype.data.scenes import Scene, World
from calotype.data.sprites import SpriteBank
from calotype.lab.matching import Matcher


@pytest.fixture(scope="session")
def bank() -> SpriteBank:
    return drawn_bank()


@pytest.fixture(scope="session")
def matcher(bank: SpriteBank) -> Matcher:
    return Matcher(bank)


@pytest.fixture(scope="session")
def singles(bank: SpriteBank) -> list[Scene]:
    world = World(bank, counts=(1.0,))
    return [world.scene(seed, "any") for seed in range(40)]


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)
