"""The latent cache: scenes encoded once, in parts that are written whole, so that an interruption loses one part."""

from math import ceil
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float16
from rich.progress import track
from safetensors.torch import load_file, save_file
from torch import Tensor

from calotype.data.scenes import World
from calotype.files import cache_dir, damage_told, written_whole
from calotype.hardware import half_precision
from calotype.imaging.pixels import to_unit
from calotype.nn.vae import Autoencoder
from calotype.training import scenes
from calotype.training.checkpoint import weights_hash

PART = 2_000
"""Scenes in one file."""


def cached(vae: Autoencoder, world: World, count: int) -> Float16[Tensor, "n c h w"]:
    """The likeliest latents of the training scenes with the seeds 0, 1, ... ``count`` - 1.

    They depend on the autoencoder's weights and on the world's pictures, and are kept in the cache under these, not in
    the U-Net's scale. Raises CalotypeError when a file there is damaged.
    """
    folder = cache_dir("latents", f"{weights_hash(vae)[:12]}-{world}-{world.digest()}")
    paths = [folder / f"{index:04d}.safetensors" for index in range(ceil(count / PART))]
    missing = [index for index, path in enumerate(paths) if not path.exists()]
    for index in track(missing, f"encoding scenes of {world.size} px", disable=not missing):
        _write(paths[index], vae, world, range(index * PART, (index + 1) * PART))
    return torch.cat([_read(path) for path in paths])[:count]


def _read(path: Path) -> Float16[Tensor, "n c h w"]:
    with damage_told(path, "remove it, and its scenes are encoded anew"):
        part: Tensor = load_file(path)["latents"]
    return part


@torch.no_grad()
def _write(path: Path, vae: Autoencoder, world: World, seeds: range) -> None:
    device = vae.quant_conv.weight.device
    latents = []
    for start in range(0, len(seeds), 50):
        pixels = scenes.images([world.scene(seed, "train") for seed in seeds[start : start + 50]]).to(device)
        with half_precision(device):
            latents.append(vae.encode(to_unit(pixels)).mode.to("cpu", torch.float16))
    with written_whole(path) as temporary:
        save_file({"latents": torch.cat(latents), "seeds": torch.from_numpy(np.array(seeds))}, temporary)
