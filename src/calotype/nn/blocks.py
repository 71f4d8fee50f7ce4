"""The convolutional blocks that the autoencoder and the U-Net share, and the embedding of time."""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class ResnetBlock(nn.Module):
    """Two convolutions beside a shortcut; the time embedding, if there is one, is added between them."""

    def __init__(
        self, in_channels: int, out_channels: int, norm_groups: int, norm_eps: float, time_dim: int | None = None
    ) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(norm_groups, in_channels, eps=norm_eps)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.time = None if time_dim is None else nn.Linear(time_dim, out_channels)
        self.norm2 = nn.GroupNorm(norm_groups, out_channels, eps=norm_eps)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.shortcut = nn.Identity() if in_channels == out_channels else nn.Conv2d(in_channels, out_channels, 1)

    def forward(
        self, x: Float[Tensor, "b c h w"], time: Float[Tensor, "b t"] | None = None
    ) -> Float[Tensor, "b d h w"]:
        """The size stays, the channels may change."""
        y = self.conv1(F.silu(self.norm1(x)))
        if self.time is not None:
            assert time is not None, "this block was built to be told the time"
            y = y + self.time(F.silu(time))[:, :, None, None]
        return self.shortcut(x) + self.conv2(F.silu(self.norm2(y)))


class Downsample(nn.Module):
    """A convolution of stride 2. ``padding`` is (left, right, top, bottom)."""

    def __init__(self, channels: int, padding: tuple[int, int, int, int]) -> None:
        super().__init__()
        self.padding = padding
        self.conv = nn.Conv2d(channels, channels, 3, stride=2)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h2 w2"]:
        """Half the size."""
        return self.conv(F.pad(x, self.padding))


class Upsample(nn.Module):
    """Nearest-neighbour enlargement, then a convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Float[Tensor, "b c h w"], size: tuple[int, int] | None = None) -> Float[Tensor, "b c h2 w2"]:
        """Twice the size, or the ``size`` given: a side of 9 halves to 5, and 5 must become 9 again, not 10."""
        height, width = (2 * side for side in x.shape[-2:]) if size is None else size
        if torch.compiler.is_compiling():
            # By torch 2.13, on a CPU, a network that interpolates twice gets no gradient behind the second time.
            return self.conv(x.repeat_interleave(2, -2).repeat_interleave(2, -1)[..., :height, :width])
        return self.conv(F.interpolate(x, size=(height, width), mode="nearest"))


def sinusoids(t: Float[Tensor, "b"], dim: int) -> Float[Tensor, "b dim"]:
    """``dim / 2`` cosines, then sines, of ``t`` at frequencies from 1 down to 1/10000 (arXiv 1706.03762, 3.5).

    Always float32: in half precision neighbouring timesteps would be one and the same.
    """
    half = dim // 2
    frequencies = torch.exp(-math.log(10000) / half * torch.arange(half, dtype=torch.float32, device=t.device))
    angles = t.float()[:, None] * frequencies
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


class Embedding(nn.Module):
    """Two linear layers that make a vector of conditions of a raw embedding."""

    def __init__(self, in_dim: int, out_dim: int) -> None:
        super().__init__()
        self.linear1 = nn.Linear(in_dim, out_dim)
        self.linear2 = nn.Linear(out_dim, out_dim)

    def forward(self, x: Float[Tensor, "b c"]) -> Float[Tensor, "b d"]:
        """Computed in the weights' precision even under autocast: it costs nothing, and time needs its digits."""
        with torch.autocast(x.device.type, enabled=False):
            x = self.linear1(x.to(self.linear1.weight.dtype))
            return self.linear2(F.silu(x))
