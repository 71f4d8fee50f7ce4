"""Grids of pictures, to look at while training."""

from collections.abc import Sequence

import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor


def grid(rows: Sequence[UInt8[Tensor, "n 3 h w"]]) -> Image.Image:
    """Rows of equally many pictures of one size, as one picture."""
    pixels = torch.cat([torch.cat(list(row), dim=2) for row in rows], dim=1)
    return Image.fromarray(pixels.permute(1, 2, 0).cpu().numpy())
