"""CLIP: the text encoder of Stable Diffusion, and a small image tower to train it against (arXiv 2103.00020)."""

from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from calotype.configs import ImageConfig, TextConfig
from calotype.nn.attention import Attention


@dataclass(frozen=True)
class TextOutput:
    """What a prompt says: one vector per token for cross-attention, and one for the whole."""

    context: Float[Tensor, "b n d"]
    pooled: Float[Tensor, "b p"]


def first_end(tokens: Int[Tensor, "b n"], end: int) -> Int[Tensor, "b"]:
    """Where each text ends: at the first of the tokens ``end``, since it is padding, too."""
    return (tokens == end).int().argmax(dim=-1)


class TextEncoder(nn.Module):
    """A causal transformer over tokens."""

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.config = config
        self.tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.positions = nn.Embedding(config.max_positions, config.hidden_size)
        self.layers = nn.ModuleList(TextLayer(config) for _ in range(config.num_layers))
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.norm_eps)
        self.projection: nn.Module = nn.Identity()
        if config.projection_dim is not None:
            self.projection = nn.Linear(config.hidden_size, config.projection_dim, bias=False)

    def forward(self, tokens: Int[Tensor, "b n"], skip: int | None = None) -> TextOutput:
        """Encode ``tokens`` (n at most ``config.max_positions``).

        ``skip`` overrides how many of the last layers the context leaves out: 0 is none, ``num_layers`` all of them.
        The pooled vector is always the last layer's, normed, at the first end-of-text token, which is the vocabulary's
        last entry.
        """
        skip = self.config.skip if skip is None else skip
        x = self.tokens(tokens) + self.positions.weight[: tokens.shape[1]]
        states = [x]
        for layer in self.layers:
            states.append(layer(states[-1]))
        context = states[-1 - skip]
        ends = first_end(tokens, self.config.vocab_size - 1)
        pooled = self.norm(states[-1][torch.arange(len(tokens), device=tokens.device), ends])
        return TextOutput(self.norm(context) if self.config.final_norm else context, self.projection(pooled))

    def init_weights(self) -> None:
        """Draw the weights as CLIP does (arXiv 2103.00020, its code): torch's embeddings start far too large."""
        width, depth = self.config.hidden_size, self.config.num_layers
        nn.init.normal_(self.tokens.weight, std=0.02)
        nn.init.normal_(self.positions.weight, std=0.01)
        for layer in self.layers:
            assert isinstance(layer, TextLayer)
            attention = layer.self_attention
            for linear in (attention.query, attention.key, attention.value):
                nn.init.normal_(linear.weight, std=width**-0.5)
            nn.init.normal_(layer.expand.weight, std=(2 * width) ** -0.5)
            for linear in (attention.out, layer.contract):  # these end a residual branch: the sum over depth stays 1
                nn.init.normal_(linear.weight, std=(2 * depth * width) ** -0.5)


class TextLayer(nn.Module):
    """Causal self-attention and a feed-forward layer; each a pre-normed residual."""

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.quick = config.activation == "quick_gelu"
        self.norm_self = nn.LayerNorm(config.hidden_size, eps=config.norm_eps)
        self.self_attention = Attention(config.hidden_size, config.num_heads, qkv_bias=True, causal=True)
        self.norm_feed = nn.LayerNorm(config.hidden_size, eps=config.norm_eps)
        self.expand = nn.Linear(config.hidden_size, config.intermediate_size)
        self.contract = nn.Linear(config.intermediate_size, config.hidden_size)

    def forward(self, x: Float[Tensor, "b n d"]) -> Float[Tensor, "b n d"]:
        """Tokens in, tokens out."""
        x = x + self.self_attention(self.norm_self(x))
        hidden = self.expand(self.norm_feed(x))
        hidden = hidden * torch.sigmoid(1.702 * hidden) if self.quick else F.gelu(hidden)
        return x + self.contract(hidden)


class ImageEncoder(nn.Module):
    """A small convolutional tower: a picture as one vector of the text's space. Used in contrastive training only."""

    def __init__(self, config: ImageConfig) -> None:
        super().__init__()
        self.config = config
        widths = (3, *config.channels)
        self.stages = nn.Sequential(*(ImageStage(a, b) for a, b in pairwise(widths)))
        self.norm = nn.GroupNorm(_groups(widths[-1]), widths[-1])
        # Pooled to a coarse grid, not to a point: captions say "left of" and "above".
        self.pool = nn.AdaptiveAvgPool2d(4)
        self.projection = nn.Linear(16 * widths[-1], config.projection_dim)

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b p"]:
        """Encode ``images`` in [-1, 1], of any side from 32 pixels up; the vectors are not normalised."""
        return self.projection(self.pool(F.silu(self.norm(self.stages(images)))).flatten(1))


class ImageStage(nn.Module):
    """Half the size by a convolution, then a residual convolution."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        groups = _groups(out_channels)
        self.down = nn.Conv2d(in_channels, out_channels, 3, stride=2, padding=1)
        self.norm1 = nn.GroupNorm(groups, out_channels)
        self.conv1 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.norm2 = nn.GroupNorm(groups, out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h2 w2"]:
        """Half the size."""
        x = self.down(x)
        y = self.conv1(F.silu(self.norm1(x)))
        return x + self.conv2(F.silu(self.norm2(y)))


def _groups(channels: int) -> int:
    return max(1, channels // 16)
