"""The latent cache: what is in it, that it grows, and where it lies."""

from pathlib import Path

import pytest
import torch

from calotype.configs import ModelConfig
from calotype.data.banks import drawn_bank
from calotype.data.scenes import World
from calotype.errors import CalotypeError
from calotype.imaging.pixels import to_unit
from calotype.nn.vae import Autoencoder
from calotype.training import latents, scenes
from training.bases import PHASE


def test_cached_latents_are_those_of_the_scenes(config: ModelConfig) -> None:
    vae, world = Autoencoder(config.vae), World(drawn_bank(), 64)
    found = latents.cached(vae, world, 6)
    pixels = to_unit(scenes.images([world.scene(seed, "train") for seed in range(6)]))
    with torch.no_grad():
        expected = vae.encode(pixels).mode
    assert found.shape == (6, 4, 8, 8)
    assert (found - expected).norm() / expected.norm() < 0.02  # half precision


def test_the_cache_grows_and_is_not_made_twice(
    config: ModelConfig, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vae, world = Autoencoder(config.vae), World(drawn_bank(), 64)
    first = latents.cached(vae, world, 3)
    parts = sorted((cache / "latents").glob("*/*.safetensors"))
    times = [part.stat().st_mtime_ns for part in parts]
    more = latents.cached(vae, world, 6)
    assert torch.equal(more[:3], first)
    assert [part.stat().st_mtime_ns for part in parts] == times
    assert len(list((cache / "latents").glob("*/*.safetensors"))) == 3
    latents.cached(Autoencoder(config.vae), world, 2)  # another autoencoder: another place
    assert len(list((cache / "latents").iterdir())) == 2
    monkeypatch.setattr("calotype.data.scenes.shade", lambda name, rng: (1, 2, 3))  # and so for other pictures
    assert not torch.equal(latents.cached(vae, world, 2), first[:2])


def test_a_damaged_part_of_the_cache_is_named(config: ModelConfig, cache: Path) -> None:
    vae, world = Autoencoder(config.vae), World(drawn_bank(), 64)
    latents.cached(vae, world, 2)
    (part,) = (cache / "latents").glob("*/*.safetensors")
    part.write_bytes(part.read_bytes()[:-10])
    with pytest.raises(CalotypeError, match=r"0000\.safetensors is damaged or of another kind: remove it"):
        latents.cached(vae, world, 2)


def test_worlds_of_other_counts_have_latents_of_their_own(config: ModelConfig, cache: Path) -> None:
    alone = PHASE.model_copy(update={"size": 128, "counts": (1.0,), "scenes": 2})
    latents.cached(Autoencoder(config.vae), World(drawn_bank(), *alone.world), 2)
    (folder,) = (cache / "latents").iterdir()
    assert folder.name.split("-", 1)[1].startswith("drawn-128-1-")
