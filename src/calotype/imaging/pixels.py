"""Pictures as tensors and back."""

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image


def to_image(pixels: Float[torch.Tensor, "1 3 h w"]) -> Image.Image:
    """One picture, [-1, 1] (what lies outside is clamped), as a PIL image."""
    levels = ((pixels[0] + 1) * 127.5).clamp(0, 255).round().to("cpu", torch.uint8)
    return Image.fromarray(levels.permute(1, 2, 0).contiguous().numpy())


def to_pixels(image: Image.Image) -> Float[torch.Tensor, "1 c h w"]:
    """A PIL image of 8 bits, RGB or grey, in [-1, 1]."""
    levels = torch.from_numpy(np.array(image))
    return levels.reshape(image.height, image.width, -1).permute(2, 0, 1)[None].float() / 127.5 - 1
