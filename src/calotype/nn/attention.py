"""Attention, and the transformer that a U-Net's feature map passes through (arXiv 1706.03762, 2112.10752)."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


def attend(
    q: Float[Tensor, "b heads n d"],
    k: Float[Tensor, "b heads m d"],
    v: Float[Tensor, "b heads m d"],
    causal: bool = False,
) -> Float[Tensor, "b heads n d"]:
    """softmax(q kᵀ / √d) v (arXiv 1706.03762, eq. 1); if ``causal``, token i sees tokens 0..i only."""
    if torch.is_grad_enabled() and q.device.type == "cpu":
        # On CPUs the fused kernel's backward pass costs more than this whole expression's.
        scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)
        if causal:
            future = torch.ones(scores.shape[-2:], dtype=torch.bool, device=q.device).triu(1)
            scores = scores.masked_fill(future, float("-inf"))
        return scores.softmax(dim=-1) @ v
    return F.scaled_dot_product_attention(q, k, v, is_causal=causal)


class Attention(nn.Module):
    """Multi-head attention of ``x`` to a context, or to itself.

    ``self.attend`` is the function of this one site: replace it to observe or alter the attention there.
    """

    def __init__(
        self, dim: int, heads: int, context_dim: int | None = None, qkv_bias: bool = False, causal: bool = False
    ) -> None:
        super().__init__()
        context_dim = dim if context_dim is None else context_dim
        self.heads = heads
        self.causal = causal
        self.query = nn.Linear(dim, dim, bias=qkv_bias)
        self.key = nn.Linear(context_dim, dim, bias=qkv_bias)
        self.value = nn.Linear(context_dim, dim, bias=qkv_bias)
        self.out = nn.Linear(dim, dim)
        self.attend: Callable[..., Tensor] = attend

    def forward(
        self, x: Float[Tensor, "b n d"], context: Float[Tensor, "b m e"] | None = None
    ) -> Float[Tensor, "b n d"]:
        """Attend from ``x`` to ``context``; None means ``x`` itself."""
        context = x if context is None else context
        q, k, v = (self._split(y) for y in (self.query(x), self.key(context), self.value(context)))
        return self.out(self.attend(q, k, v, causal=self.causal).transpose(1, 2).flatten(2))

    def _split(self, x: Tensor) -> Tensor:
        return x.reshape(*x.shape[:2], self.heads, -1).transpose(1, 2)


class Halves(nn.Linear):
    """A linear layer that returns its output in two halves, by two matrix products.

    Chunks of one product are not contiguous, which costs a CPU more than it saves; and for large maps the single output
    is so big that malloc fetches it from the system anew at every call.
    """

    def forward(self, x: Float[Tensor, "b n d"]) -> tuple[Float[Tensor, "b n e"], Float[Tensor, "b n e"]]:  # type: ignore[override]
        """The products with the first half of the weights' rows, and with the second."""
        (first, second), (here, there) = self.weight.chunk(2), self.bias.chunk(2)
        return F.linear(x, first, here), F.linear(x, second, there)


class FeedForward(nn.Module):
    """A GEGLU feed-forward layer, four times as wide inside (arXiv 2002.05202)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.expand = Halves(dim, 8 * dim)
        self.contract = nn.Linear(4 * dim, dim)

    def forward(self, x: Float[Tensor, "b n d"]) -> Float[Tensor, "b n d"]:
        """Half of the expansion gates the other half."""
        hidden, gate = self.expand(x)
        return self.contract(hidden * F.gelu(gate))


class TransformerBlock(nn.Module):
    """Self-attention, cross-attention to the text, feed-forward; each a pre-normed residual."""

    def __init__(self, dim: int, heads: int, context_dim: int) -> None:
        super().__init__()
        self.norm_self = nn.LayerNorm(dim)
        self.self_attention = Attention(dim, heads)
        self.norm_cross = nn.LayerNorm(dim)
        self.cross_attention = Attention(dim, heads, context_dim)
        self.norm_feed = nn.LayerNorm(dim)
        self.feed_forward = FeedForward(dim)

    def forward(self, x: Float[Tensor, "b n d"], context: Float[Tensor, "b m e"]) -> Float[Tensor, "b n d"]:
        """Tokens in, tokens out."""
        x = x + self.self_attention(self.norm_self(x))
        x = x + self.cross_attention(self.norm_cross(x), context)
        return x + self.feed_forward(self.norm_feed(x))


class SpatialTransformer(nn.Module):
    """A feature map read as a sequence of pixels, through ``depth`` transformer blocks, and back."""

    def __init__(
        self, channels: int, heads: int, depth: int, context_dim: int, linear: bool, norm_groups: int, norm_eps: float
    ) -> None:
        super().__init__()
        self.linear = linear
        self.norm = nn.GroupNorm(norm_groups, channels, eps=norm_eps)
        # The two projections say the same thing; SD 1.x stores it as a convolution, later models as a matrix.
        self.proj_in = nn.Linear(channels, channels) if linear else nn.Conv2d(channels, channels, 1)
        self.blocks = nn.ModuleList(TransformerBlock(channels, heads, context_dim) for _ in range(depth))
        self.proj_out = nn.Linear(channels, channels) if linear else nn.Conv2d(channels, channels, 1)

    def forward(self, x: Float[Tensor, "b c h w"], context: Float[Tensor, "b m e"]) -> Float[Tensor, "b c h w"]:
        """The map plus what its pixels learn from each other and from the context."""
        size = x.shape[-2:]
        y = self.norm(x)
        y = self.proj_in(_tokens(y)) if self.linear else _tokens(self.proj_in(y))
        for block in self.blocks:
            y = block(y, context)
        return x + (_map(self.proj_out(y), size) if self.linear else self.proj_out(_map(y, size)))


class PixelAttention(nn.Module):
    """Single-head self-attention over all pixels of a map: the autoencoder's middle (arXiv 2112.10752)."""

    def __init__(self, channels: int, norm_groups: int, norm_eps: float) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(norm_groups, channels, eps=norm_eps)
        self.attention = Attention(channels, heads=1, qkv_bias=True)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """The map plus what its pixels learn from each other."""
        return x + _map(self.attention(_tokens(self.norm(x))), x.shape[-2:])


def _tokens(x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b h*w c"]:
    return x.flatten(2).transpose(1, 2)


def _map(x: Float[Tensor, "b h*w c"], size: torch.Size) -> Float[Tensor, "b c h w"]:
    return x.transpose(1, 2).reshape(x.shape[0], x.shape[2], *size)
