"""The autoencoder's task: whole scenes through the latent and back, without a pretrained network in the loss.

The first phases see small whole scenes rather than crops of large ones: group norm's statistics are global, and crops
have no borders. Small scenes are also where the small sprites are.
"""

import copy

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from calotype.configs import VaeConfig
from calotype.data.scenes import World
from calotype.data.sprites import SpriteBank
from calotype.imaging.pixels import to_levels, to_unit
from calotype.nn.vae import Autoencoder, fold_latent_statistics
from calotype.training import scenes
from calotype.training.loop import Batch
from calotype.training.run_file import Phase, Run
from calotype.training.sheets import grid

LAPLACIAN, SOBEL, KL = 0.5, 0.25, 1e-6
"""Weights of the parts beside L1's 1, set by judgement: no comparison with others is on record. The divergence is a
mean per latent number: almost a plain autoencoder, as those of arXiv 2112.10752 are."""
FOREGROUND = 3.0
"""What a pixel inside an object's box counts for, where the background's counts 1: flat colour is trivial. Set by
judgement, too."""

MEASURED = 256
"""Scenes over which the latents' mean and deviation are taken."""


class VaeTask:
    """L1, Laplacian pyramid and gradients of the error, all in float32, and a whisper of the divergence."""

    frozen = measured = ()

    def __init__(self, config: VaeConfig, bank: SpriteBank, device: torch.device, evaluated: int = 48) -> None:
        self.module = Autoencoder(config).to(device)
        self.bank, self.device, self.evaluated = bank, device, evaluated

    def batch(self, phase: Phase, rng: np.random.Generator) -> Batch:
        """Pictures as bytes and their foreground."""
        drawn = scenes.draw(World(self.bank, *phase.world), rng, phase.batch)
        return {"images": scenes.images(drawn), "foreground": scenes.foreground([scene.spec for scene in drawn])}

    def loss(self, batch: Batch, rng: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Reconstruction of a posterior sample, and the divergence."""
        images = to_unit(batch["images"])
        posterior = self.module.encode(images)
        noise = torch.randn(posterior.mean.shape, generator=rng).to(images.device)
        error = self.module.decode(posterior.sample(noise)).float() - images
        with torch.autocast(images.device.type, enabled=False):
            reconstruction = reconstruction_loss(error, 1 + (FOREGROUND - 1) * batch["foreground"])
            divergence = posterior.kl().float().mean() / posterior.mean[0].numel()
        squared = error.detach().square().mean()
        return reconstruction + KL * divergence, {"psnr": 10 * (4 / squared).log10(), "kl": divergence.detach()}

    @torch.no_grad()
    def evaluate(self, phase: Phase) -> dict[str, float]:
        """Mean PSNR in dB of the mode's reconstructions of held-out scenes: whole pictures, and object boxes alone."""
        held_out = scenes.held_out(World(self.bank, phase.size), self.evaluated)
        inside = scenes.foreground([scene.spec for scene in held_out]).to(self.device)
        originals = scenes.images(held_out).to(self.device)
        squared = torch.cat(
            [
                (self._round_trip(some).float() - some.float()).square().mean(1, keepdim=True)
                for some in torch.split(originals, 8)
            ]
        )
        whole, boxes = squared.mean((1, 2, 3)), (squared * inside).sum((1, 2, 3)) / inside.sum((1, 2, 3))
        return {"psnr_held_out": _decibels(whole), "psnr_boxes": _decibels(boxes)}

    def sheet(self, phase: Phase) -> Image.Image:
        """Held-out scenes, each row over the row of its reconstructions."""
        originals = scenes.images(scenes.held_out(World(self.bank, phase.size), 16)).to(self.device)
        return grid([row for some in torch.split(originals, 8) for row in (some, self._round_trip(some))])

    @torch.no_grad()
    def product(self) -> Autoencoder:
        """The autoencoder with its latents' statistics over training scenes folded in: mean 0, deviation 1."""
        vae = copy.deepcopy(self.module)
        world = World(self.bank, vae.config.sample_size)
        drawn = scenes.images(scenes.draw(world, np.random.default_rng(0), MEASURED))
        latents = torch.cat([vae.encode(to_unit(some.to(self.device))).mode for some in torch.split(drawn, 8)])
        std, mean = torch.std_mean(latents, dim=(0, 2, 3))
        fold_latent_statistics(vae, mean, std)
        return vae

    @torch.no_grad()
    def _round_trip(self, pixels: Tensor) -> Tensor:
        return to_levels(self.module.decode(self.module.encode(to_unit(pixels)).mode))


def task(run: Run, device: torch.device) -> VaeTask:
    """The task that ``run`` describes."""
    return VaeTask(run.config.vae, scenes.bank(run.style), device)


def reconstruction_loss(error: Float[Tensor, "b c h w"], weight: Float[Tensor, "b 1 h w"]) -> Tensor:
    """L1 of the error, of its Laplacian pyramid and of its gradients; ``weight`` says what each pixel counts for.

    The pyramid, a loss of arXiv 1707.05776, has four levels that weigh alike, each what halving by means and bilinear
    enlargement lose. The gradients are by Sobel's kernels.

    All three transforms are linear, so each is taken of the difference of the pictures, once.
    """
    loss = _weighted(error, weight) + SOBEL * _weighted(_sobel(error), weight)
    rest, scale = error, weight
    for _ in range(4):
        smaller = F.avg_pool2d(rest, 2)
        up = F.interpolate(smaller, scale_factor=2, mode="bilinear")
        loss = loss + LAPLACIAN * _weighted(rest - up, scale)
        rest, scale = smaller, F.avg_pool2d(scale, 2)
    return loss


def _weighted(error: Tensor, weight: Tensor) -> Tensor:
    return (error.abs() * weight).mean() / weight.mean()


def _sobel(pictures: Tensor) -> Tensor:
    kernel = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]], device=pictures.device) / 4
    flat = F.pad(pictures.flatten(0, 1)[:, None], (1, 1, 1, 1), mode="replicate")
    both = F.conv2d(flat, torch.stack([kernel, kernel.T])[:, None])
    return both.abs().sum(1).view_as(pictures)


def _decibels(squared: Tensor) -> float:
    return float((10 * (255**2 / squared.clamp(min=1e-3)).log10()).mean())
