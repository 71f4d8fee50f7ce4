"""Whitening: contexts in coordinates of equal variances while a U-Net is trained, and the way back.

A contrastively trained encoder puts what it was rewarded for most, such as colours, into a few directions of great
variance, and what tells one thing from another into many of almost none. The weights that read those are learned last,
if at all. Centred and scaled along the eigenvectors (arXiv 1512.00809, eq. 4) directions are learned more alike. The
change is linear, so that cross-attention takes it back into its weights: keys and values multiply it away, the mean
moves the keys of all tokens alike, which no softmax sees, and what it adds to the values joins the output's bias.
"""

from copy import deepcopy
from dataclasses import dataclass
from typing import Self

import torch
from jaxtyping import Float
from torch import Tensor

from calotype.nn.attention import Attention, TransformerBlock
from calotype.nn.unet import UNet

FLOOR = 0.001
"""Added to each variance: directions below are no knowledge, but rounding."""


@dataclass(frozen=True)
class Whitening:
    """``(context - mean) @ matrix``: centred, of mean square 1, its principal variances level above the floor.

    Half of the embedded model's names have another one within 0.26 of a token's length; so whitened, within 0.76.
    """

    mean: Float[Tensor, "d"]
    matrix: Float[Tensor, "d d"]

    @classmethod
    def of(cls, contexts: Float[Tensor, "n d"]) -> Self:
        """The one that fits ``contexts``, which should be those of spoken tokens: most of a row is padding."""
        rows = contexts.double()
        mean = rows.mean(0)
        variances, directions = torch.linalg.eigh(torch.cov(rows.T, correction=0))
        scales = (variances.clamp(min=0) + FLOOR).rsqrt()
        scales *= (len(scales) / (variances * scales**2).sum()).sqrt()
        return cls(mean, directions * scales @ directions.T)

    def __call__(self, contexts: Float[Tensor, "n tokens d"]) -> Float[Tensor, "n tokens d"]:
        """The contexts in the new coordinates."""
        return ((contexts.double() - self.mean) @ self.matrix).to(contexts.dtype)

    @torch.no_grad()
    def enter(self, unet: UNet) -> None:
        """Change ``unet`` so that it makes of whitened contexts what it made of plain ones."""
        inverse = torch.linalg.inv(self.matrix)
        for attention in _readers(unet):
            _add(attention, attention.value.weight.cpu().double() @ self.mean)
            _multiply(attention, inverse)

    @torch.no_grad()
    def left(self, unet: UNet) -> UNet:
        """A copy of ``unet`` that makes of plain contexts what ``unet`` makes of whitened ones."""
        plain = deepcopy(unet)
        for attention in _readers(plain):
            _multiply(attention, self.matrix)
            _add(attention, -attention.value.weight.cpu().double() @ self.mean)
        return plain


def _readers(unet: UNet) -> list[Attention]:
    return [module.cross_attention for module in unet.modules() if isinstance(module, TransformerBlock)]


def _multiply(attention: Attention, matrix: Float[Tensor, "d d"]) -> None:
    for layer in (attention.key, attention.value):
        layer.weight.copy_(layer.weight.cpu().double() @ matrix)


def _add(attention: Attention, values: Float[Tensor, "c"]) -> None:
    """Add to what the attention says at every place, as if each value were greater by ``values``."""
    attention.out.bias.add_((attention.out.weight.cpu().double() @ values).to(attention.out.bias))
