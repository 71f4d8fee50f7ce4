"""Pictures as tensors and back."""

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor


def to_image(pixels: Float[Tensor, "1 3 h w"]) -> Image.Image:
    """One picture, [-1, 1] (what lies outside is clamped), as a PIL image."""
    return Image.fromarray(to_levels(pixels[0]).cpu().permute(1, 2, 0).contiguous().numpy())


def to_pixels(image: Image.Image) -> Float[Tensor, "1 c h w"]:
    """A PIL image of 8 bits, RGB or grey, in [-1, 1]."""
    levels = torch.from_numpy(np.array(image))
    return to_unit(levels.reshape(image.height, image.width, -1).permute(2, 0, 1)[None])


def to_unit(levels: UInt8[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """Levels of 8 bits to [-1, 1]."""
    return levels.float() / 127.5 - 1


def to_levels(values: Float[Tensor, "*n"]) -> UInt8[Tensor, "*n"]:
    """[-1, 1] to levels of 8 bits, clamped and rounded."""
    return ((values.float() + 1) * 127.5).clamp(0, 255).round().byte()
