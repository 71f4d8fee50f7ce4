"""Enlarging between two passes: the latent itself, or the picture."""

from collections.abc import Callable

import torch.nn.functional as F
from jaxtyping import Float
from PIL import Image
from torch import Tensor

_LATENT = {
    "Latent": ("bilinear", False),
    "Latent (antialiased)": ("bilinear", True),
    "Latent (bicubic)": ("bicubic", False),
    "Latent (bicubic antialiased)": ("bicubic", True),
    "Latent (nearest)": ("nearest", False),
    "Latent (nearest-exact)": ("nearest-exact", False),
}
_PIXELS = {"Lanczos": Image.Resampling.LANCZOS, "Nearest": Image.Resampling.NEAREST}
UPSCALERS = (*_LATENT, *_PIXELS)
"""A1111's names."""


def enlarged(
    latent: Float[Tensor, "1 c h w"],
    size: tuple[int, int],
    upscaler: str,
    decode: Callable[[Tensor], Image.Image],
    encode: Callable[[Image.Image], Tensor],
    downscale: int,
) -> Float[Tensor, "1 c h2 w2"]:
    """A latent as large as a picture of ``size`` (width, height) needs it. ``decode`` and ``encode``: the model's."""
    width, height = size
    if upscaler in _PIXELS:
        return encode(decode(latent).resize(size, _PIXELS[upscaler]))
    mode, antialias = _LATENT[upscaler]
    return F.interpolate(latent, (height // downscale, width // downscale), mode=mode, antialias=antialias)
