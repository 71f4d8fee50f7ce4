"""AutoencoderKL: pictures to latents and back (arXiv 2112.10752)."""

from collections import OrderedDict
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from calotype.configs import VaeConfig
from calotype.nn.attention import PixelAttention
from calotype.nn.bands import in_bands
from calotype.nn.blocks import Downsample, ResnetBlock, Upsample

WHOLE = 4 * 2**30
"""Bytes of feature maps up to which a picture goes through at once (SD's: 1024 x 1024 in float32); others in bands."""


@dataclass(frozen=True)
class Gaussian:
    """A diagonal normal distribution over latents."""

    mean: Float[Tensor, "b c h w"]
    logvar: Float[Tensor, "b c h w"]

    @property
    def mode(self) -> Float[Tensor, "b c h w"]:
        """The likeliest latent."""
        return self.mean

    def sample(self, noise: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """The latent that standard normal ``noise`` picks."""
        return self.mean + (0.5 * self.logvar).exp() * noise

    def kl(self) -> Float[Tensor, "b"]:
        """Divergence from the standard normal, summed over each picture's latent (arXiv 1312.6114, appendix B)."""
        return 0.5 * (self.mean**2 + self.logvar.exp() - 1 - self.logvar).sum(dim=(1, 2, 3))


class Autoencoder(nn.Module):
    """Pictures in [-1, 1] to latents, ``config.downscale`` times smaller, and back. Applies no ``scaling_factor``."""

    def __init__(self, config: VaeConfig) -> None:
        super().__init__()
        self.config = config
        latent = config.latent_channels
        self.encoder = _encoder(config)
        self.quant_conv = nn.Conv2d(2 * latent, 2 * latent, 1)
        self.post_quant_conv = nn.Conv2d(latent, latent, 1)
        self.decoder = _decoder(config)

    def encode(self, images: Float[Tensor, "b c h w"]) -> Gaussian:
        """The distribution of the latents of ``images``, whose sides are multiples of ``config.downscale``."""
        moments = self._through(self.encoder, images, images.shape[-2] * images.shape[-1])
        mean, logvar = self.quant_conv(moments).chunk(2, dim=1)
        return Gaussian(mean, logvar.clamp(-30, 20))

    def decode(self, latents: Float[Tensor, "b z h w"]) -> Float[Tensor, "b c h8 w8"]:
        """The pictures of unscaled ``latents``; not clamped."""
        pixels = latents.shape[-2] * latents.shape[-1] * self.config.downscale**2
        return self._through(self.decoder, self.post_quant_conv(latents), pixels)

    def _through(self, network: nn.Sequential, x: Float[Tensor, "b c h w"], pixels: int) -> Float[Tensor, "b d h2 w2"]:
        # The finest maps are the largest by far, and about four of them are alive at once.
        needed = 4 * max(self.config.channels[:2]) * pixels * x.element_size()
        return in_bands(network, x) if needed > WHOLE and not torch.is_grad_enabled() else network(x)


def _encoder(config: VaeConfig) -> nn.Sequential:
    levels, width = [], config.channels[0]
    for level, channels in enumerate(config.channels):
        blocks: list[nn.Module] = []
        for _ in range(config.layers_per_block):
            blocks.append(_resnet(config, width, channels))
            width = channels
        if level < len(config.channels) - 1:
            # Padded on the right and bottom only, as in the paper's code: the latent grid sits half a pixel aside.
            blocks.append(Downsample(channels, padding=(0, 1, 0, 1)))
        levels.append(nn.Sequential(*blocks))
    return nn.Sequential(
        OrderedDict(
            stem=nn.Conv2d(config.image_channels, config.channels[0], 3, padding=1),
            down=nn.Sequential(*levels),
            middle=_middle(config),
            norm=nn.GroupNorm(config.norm_groups, width, eps=config.norm_eps),
            activation=nn.SiLU(),
            head=nn.Conv2d(width, 2 * config.latent_channels, 3, padding=1),
        )
    )


def _decoder(config: VaeConfig) -> nn.Sequential:
    levels, width = [], config.channels[-1]
    for level, channels in enumerate(reversed(config.channels)):
        blocks: list[nn.Module] = []
        for _ in range(config.layers_per_block + 1):
            blocks.append(_resnet(config, width, channels))
            width = channels
        if level < len(config.channels) - 1:
            blocks.append(Upsample(channels))
        levels.append(nn.Sequential(*blocks))
    return nn.Sequential(
        OrderedDict(
            stem=nn.Conv2d(config.latent_channels, config.channels[-1], 3, padding=1),
            middle=_middle(config),
            up=nn.Sequential(*levels),
            norm=nn.GroupNorm(config.norm_groups, width, eps=config.norm_eps),
            activation=nn.SiLU(),
            head=nn.Conv2d(width, config.image_channels, 3, padding=1),
        )
    )


def _middle(config: VaeConfig) -> nn.Sequential:
    width = config.channels[-1]
    modules: OrderedDict[str, nn.Module] = OrderedDict(first=_resnet(config, width, width))
    if config.mid_attention:
        modules["attention"] = PixelAttention(width, config.norm_groups, config.norm_eps)
    modules["last"] = _resnet(config, width, width)
    return nn.Sequential(modules)


def _resnet(config: VaeConfig, in_channels: int, out_channels: int) -> ResnetBlock:
    return ResnetBlock(in_channels, out_channels, config.norm_groups, config.norm_eps)


@torch.no_grad()
def fold_latent_statistics(vae: Autoencoder, mean: Float[Tensor, "z"], std: Float[Tensor, "z"]) -> None:
    """Fold the per-channel ``mean`` and ``std`` of the latents into the 1x1 convolutions on both sides of them.

    Latents that had these statistics have mean 0 and deviation 1 from now on, and decode to the same pictures. So
    ``scaling_factor`` can stay one scalar, which is all that Stable Diffusion pipelines know. Changes ``vae`` in place.
    """
    # In float64, so that folding rounds each number once; on the CPU, since not every GPU has it.
    mean, std = mean.cpu().double(), std.cpu().double()
    ones, zeros = torch.ones_like(std), torch.zeros_like(mean)
    quant, post = vae.quant_conv, vae.post_quant_conv
    scale, shift = torch.cat([std, ones]), torch.cat([mean, zeros])
    assert quant.bias is not None and post.bias is not None
    quant_bias = (quant.bias.cpu().double() - shift) / scale - torch.cat([zeros, 2 * std.log()])
    post_bias = post.bias.cpu().double() + post.weight.cpu().double()[:, :, 0, 0] @ mean
    quant.weight.copy_(quant.weight.cpu().double() / scale[:, None, None, None])
    quant.bias.copy_(quant_bias)
    post.weight.copy_(post.weight.cpu().double() * std[None, :, None, None])
    post.bias.copy_(post_bias)
