"""The conditional U-Net: what noise there is in a latent, at a time, given a text (arXiv 2112.10752, 2307.01952)."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from calotype.configs import UNetConfig
from calotype.nn.attention import SpatialTransformer, TransformerBlock
from calotype.nn.blocks import Downsample, Embedding, ResnetBlock, Upsample, sinusoids


@dataclass(frozen=True)
class Added:
    """SDXL's further conditions (arXiv 2307.01952, 2.2)."""

    pooled: Float[Tensor, "b p"]
    micro_conditions: Float[Tensor, "b s"]
    """Original height and width, top and left of the crop, then target height and width, in pixels; for the refiner an
    aesthetic score (0 to 10) in place of the target."""


class Layer(nn.Module):
    """One row of the U-Net's table: a resnet block, and a transformer where the level has one."""

    def __init__(self, config: UNetConfig, in_channels: int, out_channels: int, heads: int, depth: int) -> None:
        super().__init__()
        self.resnet = ResnetBlock(
            in_channels, out_channels, config.norm_groups, config.norm_eps, time_dim=4 * config.channels[0]
        )
        self.transformer = _transformer(config, out_channels, heads, depth) if depth else None

    def forward(
        self, x: Float[Tensor, "b c h w"], time: Float[Tensor, "b t"], context: Float[Tensor, "b n e"]
    ) -> Float[Tensor, "b d h w"]:
        """The size stays."""
        x = self.resnet(x, time)
        return x if self.transformer is None else self.transformer(x, context)


class UNet(nn.Module):
    """``decode(encode(embed(...)))``: every layer down leaves a skip, which a layer up takes."""

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        finest, time_dim = config.channels[0], 4 * config.channels[0]
        self.time = Embedding(finest, time_dim)
        self.added = None if config.added_dim is None else Embedding(config.added_dim, time_dim)
        self.stem = nn.Conv2d(config.in_channels, finest, 3, padding=1)
        self.down, skips = _down(config)
        self.middle = _middle(config)
        self.up = _up(config, skips)
        self.norm = nn.GroupNorm(config.norm_groups, finest, eps=config.norm_eps)
        self.head = nn.Conv2d(finest, config.out_channels, 3, padding=1)

    def forward(
        self,
        x: Float[Tensor, "b c h w"],
        t: Float[Tensor, "b"],
        context: Float[Tensor, "b n e"],
        added: Added | None = None,
    ) -> Float[Tensor, "b o h w"]:
        """The network's prediction for latents ``x`` of any size, at timesteps ``t``, given the text's ``context``."""
        time = self.embed(t, added)
        x, skips = self.encode(x, time, context)
        return self.decode(x, skips, time, context)

    def embed(self, t: Float[Tensor, "b"], added: Added | None = None) -> Float[Tensor, "b t"]:
        """The vector that every resnet block adds: time, and what SDXL knows besides."""
        time = self.time(sinusoids(t, self.config.channels[0]))
        if self.added is None:
            return time
        assert added is not None and self.config.added_time_dim is not None, "this network was trained to be told sizes"
        micro = sinusoids(added.micro_conditions.flatten(), self.config.added_time_dim).reshape(len(added.pooled), -1)
        return time + self.added(torch.cat([added.pooled, micro.to(added.pooled.dtype)], dim=-1))

    def encode(
        self, x: Float[Tensor, "b c h w"], time: Float[Tensor, "b t"], context: Float[Tensor, "b n e"]
    ) -> tuple[Float[Tensor, "b d h2 w2"], list[Tensor]]:
        """Down and through the middle: the coarsest map, and the skips, finest first."""
        x = self.stem(x)
        skips = [x]
        for layer in self.down:
            x = layer(x) if isinstance(layer, Downsample) else layer(x, time, context)
            skips.append(x)
        for layer in self.middle:
            x = layer(x, time, context)
        return x, skips

    def decode(
        self,
        x: Float[Tensor, "b d h2 w2"],
        skips: Sequence[Float[Tensor, "b _ _ _"]],
        time: Float[Tensor, "b t"],
        context: Float[Tensor, "b n e"],
    ) -> Float[Tensor, "b o h w"]:
        """Up again, past the skips, last one first."""
        remaining = list(skips)
        for layer in self.up:
            if isinstance(layer, Upsample):
                x = layer(x, size=remaining[-1].shape[-2:])
            else:
                x = layer(torch.cat([x, remaining.pop()], dim=1), time, context)
        return self.head(F.silu(self.norm(x)))

    def init_weights(self) -> None:
        """Zero the head, and let the text in at the size it comes in.

        An untrained network then predicts 0, the mean: its first steps learn the data instead of unlearning noise. Its
        residual branches stay open, where arXiv 2006.11239's code closes them, and cross-attention's matrices keep the
        size of what they read (Glorot and Bengio, 2010, eq. 16).
        """
        for module in self.modules():
            if isinstance(module, TransformerBlock):
                attention = module.cross_attention
                for layer in (attention.query, attention.key, attention.value, attention.out):
                    nn.init.xavier_uniform_(layer.weight)
        for parameter in self.head.parameters():
            nn.init.zeros_(parameter)


def _down(config: UNetConfig) -> tuple[nn.ModuleList, list[int]]:
    """The layers down, and the channels of each skip."""
    layers: list[nn.Module] = []
    skips = [config.channels[0]]
    for level, channels in enumerate(config.channels):
        for _ in range(config.layers_per_block):
            layers.append(Layer(config, skips[-1], channels, config.num_heads[level], config.transformer_depth[level]))
            skips.append(channels)
        if level < len(config.channels) - 1:
            layers.append(Downsample(channels, padding=(1, 1, 1, 1)))
            skips.append(channels)
    return nn.ModuleList(layers), skips


def _middle(config: UNetConfig) -> nn.ModuleList:
    """The coarsest layers: a transformer between two resnet blocks."""
    width, heads = config.channels[-1], config.num_heads[-1]
    return nn.ModuleList([Layer(config, width, width, heads, depth) for depth in (config.mid_depth, 0)])


def _up(config: UNetConfig, skips: list[int]) -> nn.ModuleList:
    """The layers up: one more per level than down, since each Downsample left a skip, too."""
    layers: list[nn.Module] = []
    remaining, width = list(skips), config.channels[-1]
    for level, channels in reversed(list(enumerate(config.channels))):
        heads, depth = config.num_heads[level], config.transformer_depth[level]
        for _ in range(config.layers_per_block + 1):
            layers.append(Layer(config, width + remaining.pop(), channels, heads, depth))
            width = channels
        if level > 0:
            layers.append(Upsample(channels))
    return nn.ModuleList(layers)


def _transformer(config: UNetConfig, channels: int, heads: int, depth: int) -> SpatialTransformer:
    return SpatialTransformer(
        channels, heads, depth, config.context_dim, config.linear_projection, config.norm_groups,
        config.transformer_norm_eps,
    )  # fmt: skip
