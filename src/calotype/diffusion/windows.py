"""Large pictures in bounded memory: a network sees windows of them, and what it says is blended."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from calotype.diffusion.guidance import Predict

C = TypeVar("C")


@dataclass(frozen=True)
class Window:
    """A part of a picture of height x width: everything in latent pixels, or everything in picture pixels."""

    top: int
    left: int
    height: int
    width: int

    def of(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h2 w2"]:
        """What the window shows of a tensor."""
        return x[..., self.top : self.top + self.height, self.left : self.left + self.width]

    def times(self, scale: int) -> "Window":
        """The same window on a picture `scale` times as large."""
        return Window(self.top * scale, self.left * scale, self.height * scale, self.width * scale)


def windows(height: int, width: int, size: int, overlap: int) -> list[Window]:
    """Windows of at most size x size that cover height x width, evenly, neighbours sharing at least `overlap`."""
    rows, columns = _starts(height, size, overlap), _starts(width, size, overlap)
    return [Window(top, left, min(size, height), min(size, width)) for top, left in product(rows, columns)]


def blended(look: Callable[[Window], Tensor], windows: Sequence[Window], scale: int = 1) -> Tensor:
    """The picture put together from what is seen through each window, `scale` times as large as the window.

    Where windows overlap, each counts the less the nearer its edge is.
    """
    if len(windows) == 1:
        return look(windows[0])
    total = weights = torch.zeros(())
    height = max(window.top + window.height for window in windows) * scale
    width = max(window.left + window.width for window in windows) * scale
    for number, window in enumerate(windows):
        seen, place = look(window), window.times(scale)
        if number == 0:
            total = seen.new_zeros(*seen.shape[:2], height, width)
            weights = seen.new_zeros(1, 1, height, width)
        ramp = _ramp(place.height, seen)[:, None] * _ramp(place.width, seen)
        place.of(total).add_(seen * ramp)
        place.of(weights).add_(ramp)
    return total / weights


def windowed(predict: Predict[C], crop: Callable[[C, Window], C], size: int, overlap: int) -> Predict[C]:
    """`predict` asked window by window (MultiDiffusion, arXiv 2302.08113, eq. 5). `crop` shows a condition's part."""

    def predict_windows(x: Tensor, sigma: float, conditions: Sequence[C]) -> list[Tensor]:
        def look(window: Window) -> Tensor:
            return torch.cat(predict(window.of(x), sigma, [crop(condition, window) for condition in conditions]))

        height, width = x.shape[-2:]
        return list(torch.split(blended(look, windows(height, width, size, overlap)), 1))

    return predict_windows


def _starts(length: int, size: int, overlap: int) -> list[int]:
    if length <= size:
        return [0]
    count = -(-(length - overlap) // (size - overlap))
    return [round(number * (length - size) / (count - 1)) for number in range(count)]


def _ramp(length: int, like: Tensor) -> Tensor:
    """1, 2, 3, ..., 3, 2, 1: a window's weights along one side."""
    up = torch.arange(1, length + 1, device=like.device)
    return torch.minimum(up, up.flip(0)).to(like.dtype)
