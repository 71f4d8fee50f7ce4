"""Large feature maps, band by band: an autoencoder's result without an autoencoder's memory.

`Rows` is a lazy feature map: asked for rows top to bottom, it asks the map it is computed from for just the rows those
depend on. Nothing is approximate: a convolution sees the rows around a band, and a group norm goes through the whole
map first, for its statistics. So what lies before a norm is computed twice, back to the last map that is held whole,
and which maps are held is all there is to choose. Here it is each resnet block's result, in place of what it was made
from: one map of the finest level, beside a few bands. Holding the maps within the blocks, too, would save a third of
the time and take twice the memory; holding none of the finest level would compute it six times (SD's has seven norms).
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from calotype.nn.blocks import Downsample, ResnetBlock, Upsample

BAND = 32
"""Rows in a band, at least 2. More take more memory and less time: each brings the rows around it."""


@dataclass(frozen=True, eq=False)
class Rows:
    """A feature map of one picture that is known by rows."""

    height: int
    of: Callable[[int, int], Float[Tensor, "1 c rows w"]]
    """The rows from the first number to before the second."""
    held: Float[Tensor, "1 c h w"] | None = None
    """The whole map, if it is in memory."""


@torch.no_grad()
def in_bands(network: nn.Sequential, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h2 w2"]:
    """What ``network`` says of ``x``; attention alone sees a whole map."""
    x = x.contiguous(memory_format=torch.channels_last)  # a band is one piece of memory then
    return torch.cat([_whole(_through(network, _held(one))) for one in torch.split(x, 1)])


def _through(module: nn.Module, x: Rows) -> Rows:
    match module:
        case nn.Sequential():
            for part in module:
                x = _through(part, x)
            return x
        case ResnetBlock():
            return _resnet(module, x)
        case Upsample():
            return _convolved(_doubled(x), module.conv, (1, 1, 1, 1))
        case Downsample():
            return _held(_whole(_convolved(x, module.conv, module.padding)))
        case nn.Conv2d():
            above, left = (side // 2 for side in module.kernel_size)
            return _convolved(x, module, (left, left, above, above))
        case nn.GroupNorm():
            return _normed(x, module)
        case nn.SiLU():
            return Rows(x.height, lambda top, bottom: F.silu(x.of(top, bottom)))
        case _:
            return _held(module(_whole(x)))


def _resnet(block: ResnetBlock, x: Rows) -> Rows:
    x = x if x.held is not None else _remembered(x)
    y = x
    for norm, conv in ((block.norm1, block.conv1), (block.norm2, block.conv2)):
        y = _through(nn.Sequential(norm, nn.SiLU(), conv), y)
    straight, beside = y, x if isinstance(block.shortcut, nn.Identity) else _through(block.shortcut, x)
    total = Rows(x.height, lambda top, bottom: straight.of(top, bottom) + beside.of(top, bottom))
    return _held(_whole(total, x.held if beside is x else None))


def _convolved(x: Rows, conv: nn.Conv2d, padding: tuple[int, int, int, int]) -> Rows:
    left, right, above, below = padding
    size, stride = conv.kernel_size[0], conv.stride[0]

    def of(top: int, bottom: int) -> Tensor:
        first, last = top * stride - above, (bottom - 1) * stride - above + size
        seen = x.of(max(first, 0), min(last, x.height))
        seen = F.pad(seen, (left, right, max(-first, 0), max(last - x.height, 0)))
        return F.conv2d(seen, conv.weight, conv.bias, conv.stride)

    return Rows((x.height + above + below - size) // stride + 1, of)


def _doubled(x: Rows) -> Rows:
    def of(top: int, bottom: int) -> Tensor:
        twice = F.interpolate(x.of(top // 2, -(-bottom // 2)), scale_factor=2.0, mode="nearest")
        return twice[:, :, top % 2 : top % 2 + bottom - top]

    return Rows(2 * x.height, of)


def _normed(x: Rows, norm: nn.GroupNorm) -> Rows:
    weight, bias = norm.weight.float(), norm.bias.float()
    sums, count = torch.zeros(2, norm.num_groups, dtype=torch.float64), 0
    for top, bottom in _bands(x.height):
        rows = x.of(top, bottom).float()
        both = torch.stack([rows.sum((0, 2, 3)), rows.square().sum((0, 2, 3))])
        sums += both.cpu().double().reshape(2, norm.num_groups, -1).sum(2)
        count += rows.numel() // norm.num_groups
    mean, square = (sums / count).repeat_interleave(norm.num_channels // norm.num_groups, dim=1)
    known = (mean.to(weight), (square - mean**2).to(weight), weight, bias)
    # With its statistics known, a group norm is what a batch norm is after training.
    return Rows(x.height, lambda top, bottom: F.batch_norm(x.of(top, bottom), *known, eps=norm.eps))


def _whole(x: Rows, into: Tensor | None = None) -> Tensor:
    """The whole map. ``into`` may be what ``x`` is computed from: a band is written when the next has been computed."""
    (top, bottom), *following = _bands(x.height)
    rows = x.of(top, bottom)
    if into is None:
        shape = (*rows.shape[:2], x.height, rows.shape[3])
        into = torch.empty(shape, dtype=rows.dtype, device=rows.device, memory_format=torch.channels_last)
    for after in following:
        rows_after = x.of(*after)
        into[:, :, top:bottom] = rows
        (top, bottom), rows = after, rows_after
    into[:, :, top:bottom] = rows
    return into


def _held(x: Tensor) -> Rows:
    return Rows(x.shape[2], lambda top, bottom: x[:, :, top:bottom], x)


def _remembered(x: Rows) -> Rows:
    """``x``, and the last rows of it: a block asks for a band and its surroundings, then its shortcut for the band."""
    first, rows = 0, torch.empty(0, 0, 0)

    def of(top: int, bottom: int) -> Tensor:
        nonlocal first, rows
        if not first <= top < bottom <= first + rows.shape[2]:
            first, rows = top, x.of(top, bottom)
        return rows[:, :, top - first : bottom - first]

    return Rows(x.height, of)


def _bands(height: int) -> list[tuple[int, int]]:
    return [(top, min(top + BAND, height)) for top in range(0, height, BAND)]
