"""J1, the judge that learns nothing: which known sprites, where, leave the least of a picture unexplained.

A picture is taken to be a flat background with sprites laid over it. A sprite of premultiplied colours P and opacity a,
drawn on background b, changes the picture by T = P - a b; with D the picture minus its background, drawing it explains
|D|^2 - |D - T|^2 = 2 <D, T> - |T|^2 of the squared error. Look and outline count alike: where the sprite is
transparent T is nothing, and what lies there stays unexplained. J1 looks for the few sprites that explain most:

1. Background: the commonest colour, pixels at the border counting more.
2. Everywhere: 2 <D, T> - |T|^2 for every sprite at every second size and every fourth pixel, by Fourier correlation
   at a quarter of the resolution. The best places are kept, with the best few sprites at each.
3. Near by: each of these at half the resolution, over neighbouring sizes and pixels.
4. Together: of all sets of up to three refined candidates the one that explains most, overlaps counted against it.

A detection's score is the share of the squared error in its own box that it explains: 1 for a perfect match.
"""

# torch leaves some methods of tensors untyped.
# mypy: disable-error-code="no-untyped-call"

from itertools import combinations

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from calotype.data.sprites import Pixels, SpriteBank
from calotype.lab.detection import Detection, Pictures

SIZE = 128
"""Sides of the pictures J1 knows."""
EXTENTS = tuple(float(extent) for extent in np.geomspace(26, 112, 25))
"""The longer sides of a sprite that are tried, in pixels: neighbours differ by 6 %. The search takes every second."""
BANDS = (slice(0, 5), slice(5, 9), slice(9, 13))
"""Small, middling and large sizes have places of their own: one large sprite across three small ones hides none."""
PLACES, RIVALS, FINALISTS = 4, 4, 2
"""How many places a band keeps, how many sprites at each, and how many of these join the sets once refined."""
ACCEPT = 0.4
"""The least score of a detection."""

_REACH = 1
"""How far the refinement moves, in pixels of half the resolution."""
_CANVAS = 60
"""Side of the templates at half the resolution."""


class Matcher:
    """J1 for one bank of sprites: call it with pictures uint8 (b, 128, 128, 3)."""

    def __init__(self, bank: SpriteBank) -> None:
        self.ids = [sprite.id for sprite in bank.sprites]
        sides = torch.tensor([sprite.pixels.shape[1::-1] for sprite in bank.sprites])  # (n, 2): width, height
        sides = sides / sides.amax(1, keepdim=True)
        self.boxes = sides[:, None] * torch.tensor(EXTENTS)[:, None]  # (n, e, 2)
        inner = slice((SIZE // 2 - _CANVAS) // 2, (SIZE // 2 + _CANVAS) // 2)
        coarse, fine = [], []
        for sprite in bank.sprites:
            layers = torch.stack([_layer(sprite.pixels, extent) for extent in EXTENTS])
            coarse.append(F.avg_pool2d(layers[::2], 4))
            fine.append(F.avg_pool2d(layers, 2)[..., inner, inner].half())
        self.fine = torch.stack(fine)  # (n, e, 4, 60, 60)
        self.fine_energies = torch.stack([_energies(templates.float()) for templates in fine])
        searched = torch.cat(coarse)
        self.coarse_energies = _energies(searched)
        centred = torch.roll(searched * torch.tensor([2.0, 2.0, 2.0, -2.0])[:, None, None], (-16, -16), (-2, -1))
        self.spectra = torch.fft.rfft2(centred).conj().flatten(2).permute(2, 1, 0).contiguous()  # (f, 4, n e)
        centres = 4 * torch.arange(32)
        room = torch.minimum(centres, SIZE - centres) + 2
        fits = room >= self.boxes[:, ::2].flatten(0, 1)[:, :, None] / 2  # (n e, 2, 32)
        self.outside = ~(fits[:, 1, :, None] & fits[:, 0, None, :])  # (n e, 32, 32)

    @torch.inference_mode()
    def __call__(self, pictures: Pictures) -> list[list[Detection]]:
        """The detections in each picture, best explained first."""
        found = []
        for chunk in torch.from_numpy(pictures).split(8):
            backgrounds = torch.stack([torch.from_numpy(background(picture.numpy())) for picture in chunk])
            departures = chunk.permute(0, 3, 1, 2) / 255 - backgrounds[:, :, None, None] / 255
            places = self._search(departures, backgrounds / 255)
            half = F.avg_pool2d(departures, 2)
            found += [self._agree(d, b / 255, *p) for d, b, *p in zip(half, backgrounds, *places, strict=True)]
        return found

    def _search(self, departures: Tensor, backgrounds: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Step 2: the sprite, the size (b, p, r) and the place (b, p) of promising candidates."""
        coarse = F.avg_pool2d(_planes(departures, backgrounds), 4)
        spectrum = torch.fft.rfft2(coarse).flatten(2).permute(2, 0, 1)  # (f, b, 4)
        product = (spectrum @ self.spectra).permute(1, 2, 0).unflatten(2, (32, 17))
        gain = torch.fft.irfft2(product).sub_(_norms(self.coarse_energies, backgrounds)[..., None, None])
        gain = gain.masked_fill_(self.outside, -torch.inf).unflatten(1, (len(self.ids), -1))  # (b, n, e, 32, 32)
        found = [self._peaks(gain[:, :, band], band.start) for band in BANDS]
        sprite, size, place = (torch.cat(parts, 1) for parts in zip(*found, strict=True))
        return sprite, size, place

    def _peaks(self, gain: Tensor, first: int) -> tuple[Tensor, Tensor, Tensor]:
        """The best places (b, p) of gains (b, n, e, 32, 32), with the best sprites and sizes (b, p, r) at each."""
        gain, size = gain.max(2)
        best = gain.amax(1)
        peaks = best.where(best == F.max_pool2d(best, 7, 1, 3), -torch.inf)
        place = peaks.flatten(1).topk(PLACES).indices
        at = place[:, None].expand(-1, len(self.ids), -1)
        sprite = gain.flatten(2).gather(2, at).topk(RIVALS, 1).indices.transpose(1, 2)
        return sprite, 2 * (first + size.flatten(2).gather(2, at).transpose(1, 2).gather(2, sprite)), place

    def _agree(self, departure: Tensor, rgb: Tensor, sprite: Tensor, size: Tensor, place: Tensor) -> list[Detection]:
        """Steps 3 and 4 for one picture at half the resolution."""
        sprite, size = sprite.flatten(), size.flatten()
        centre = 2 * torch.stack([place // 32, place % 32], -1).repeat_interleave(RIVALS, 0)
        gain, size, centre = self._refine(departure, rgb, sprite, size, centre)
        order = _distinct(gain, sprite, centre)
        sprite, size, centre = sprite[order], size[order], centre[order]
        changes = self._changes(rgb, sprite, size, centre)
        kept = _best_set(departure, changes)
        left = departure - changes[kept].sum(0)
        found = []
        for index in kept:
            width, height = self.boxes[sprite[index], size[index]].tolist()
            y, x = (2.0 * centre[index]).tolist()
            box = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
            rows = slice(max(0, round(box[1] / 2)), max(1, round(box[3] / 2)))
            columns = slice(max(0, round(box[0] / 2)), max(1, round(box[2] / 2)))
            share = 1 - left[:, rows, columns].square().sum() / departure[:, rows, columns].square().sum()
            if share >= ACCEPT:
                found.append(Detection(self.ids[sprite[index]], box, float(share)))
        return sorted(found, key=lambda detection: -detection.score)

    def _refine(
        self, departure: Tensor, rgb: Tensor, sprite: Tensor, size: Tensor, centre: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Step 3: the best of three sizes and 5 x 5 centres around each candidate."""
        near = (size[:, None] + torch.tensor([-1, 0, 1])).clamp(0, len(EXTENTS) - 1)  # (c, 3)
        templates = self.fine[sprite[:, None], near].float()  # (c, 3, 4, 60, 60)
        norms = _norms(self.fine_energies[sprite[:, None], near], rgb[None])[0]
        kernels = templates.flatten(0, 1) * torch.tensor([1.0, 1.0, 1.0, -1.0])[:, None, None]
        margin = _CANVAS // 2 + _REACH
        padded = F.pad(_planes(departure[None], rgb[None])[0], (margin,) * 4)
        windows = torch.stack([padded[:, y : y + 2 * margin, x : x + 2 * margin] for y, x in centre.tolist()])
        product = F.conv2d(windows.flatten(0, 1)[None], kernels, groups=len(sprite))[0].unflatten(0, near.shape)
        gain, best = (2 * product - norms[..., None, None]).flatten(1).max(1)
        across = 2 * _REACH + 1
        shift = torch.stack([best // across % across, best % across], -1) - _REACH
        return gain, near.gather(1, (best // across**2)[:, None])[:, 0], (centre + shift).clamp(0, SIZE // 2)

    def _changes(self, rgb: Tensor, sprite: Tensor, size: Tensor, centre: Tensor) -> Tensor:
        """What drawing each candidate changes in the picture: (c, 3, 64, 64)."""
        templates = self.fine[sprite, size].float()
        change = templates[:, :3] - templates[:, 3:] * rgb[:, None, None]
        half, margin = SIZE // 2, _CANVAS // 2
        canvas = change.new_zeros(len(change), 3, half + 2 * margin, half + 2 * margin)
        for layer, drawn, (y, x) in zip(canvas, change, centre.tolist(), strict=True):
            layer[:, y : y + _CANVAS, x : x + _CANVAS] = drawn
        return canvas[..., margin:-margin, margin:-margin]


def background(picture: Pixels) -> Float[np.ndarray, "3"]:
    """The commonest colour of a picture uint8 (h, w, 3): the median of the fullest of 16^3 boxes and its neighbours.

    A pixel at the border counts four times: sprites reach it seldom.
    """
    border = np.concatenate(
        [picture[:4], picture[-4:], picture[:, :4].swapaxes(0, 1), picture[:, -4:].swapaxes(0, 1)], 1
    )
    pixels = np.concatenate([picture.reshape(-1, 3), np.tile(border.reshape(-1, 3), (3, 1))])
    boxes = pixels // 16
    fullest = np.bincount(boxes.astype(np.int64) @ (256, 16, 1)).argmax()
    middle = 16 * np.array([fullest // 256, fullest // 16 % 16, fullest % 16]) + 8
    alike = (np.abs(pixels.astype(np.int16) - middle) <= 16).all(1)
    colour: NDArray[np.float32] = np.median(pixels[alike], axis=0).astype(np.float32)
    return colour


def _layer(pixels: Pixels, extent: float) -> Tensor:
    """A sprite with its longer side ``extent``, in the middle of an empty picture: premultiplied RGBA (4, 128, 128)."""
    height, width = (max(2, 2 * round(side * extent / max(pixels.shape[:2]) / 2)) for side in pixels.shape[:2])
    small = np.asarray(Image.fromarray(pixels).convert("RGBa").resize((width, height), Image.Resampling.LANCZOS))
    layer = np.zeros((SIZE, SIZE, 4), np.float32)
    top, left = (SIZE - height) // 2, (SIZE - width) // 2
    layer[top : top + height, left : left + width] = small / np.float32(255)
    return torch.from_numpy(layer).permute(2, 0, 1)


def _planes(departures: Tensor, backgrounds: Tensor) -> Tensor:
    """D and <D, b>, whose correlations with P and -a sum to <D, P - a b>: (b, 4, h, w)."""
    return torch.cat([departures, torch.einsum("bchw,bc->bhw", departures, backgrounds)[:, None]], 1)


def _energies(layers: Tensor) -> Tensor:
    """|P|^2, <P, a> per colour and |a|^2 of templates (..., 4, h, w): (..., 5)."""
    colours, opacity = layers[..., :3, :, :], layers[..., 3:, :, :]
    sums = (colours.square().sum(-3, keepdim=True), colours * opacity, opacity.square())
    return torch.cat([part.sum((-2, -1)) for part in sums], -1)


def _norms(energies: Tensor, backgrounds: Tensor) -> Tensor:
    """|P - a b|^2 of templates (..., 5) on backgrounds (b, 3): (b, ...)."""
    ones = torch.ones_like(backgrounds[:, :1])
    weights = torch.cat([ones, -2 * backgrounds, backgrounds.square().sum(1, keepdim=True)], 1)
    return torch.einsum("...k,bk->b...", energies, weights)


def _distinct(gain: Tensor, sprite: Tensor, centre: Tensor) -> list[int]:
    """The finalists of each place, without those of the same sprite within 8 pixels of a better one."""
    near = (centre[:, None] - centre).abs().amax(-1) <= 4
    twin = (near & (sprite[:, None] == sprite)).numpy()
    leaders = gain.unflatten(0, (-1, RIVALS)).topk(FINALISTS, 1).indices
    leaders = (leaders + RIVALS * torch.arange(len(leaders))[:, None]).flatten()
    kept: list[int] = []
    for index in leaders[gain[leaders].argsort(descending=True)].tolist():
        if not twin[index, kept].any():
            kept.append(index)
    return kept


def _best_set(departure: Tensor, changes: Tensor) -> list[int]:
    """Step 4: the set of up to three of ``changes`` (c, 3, h, w) whose sum leaves least of the departure unexplained.

    Sprites cover one another rather than add up, so an overlap never counts in favour; and each must explain at least
    a two-hundredth of the picture.
    """
    flat = changes.flatten(1)
    total = departure.square().sum()
    gain = 2 * flat @ departure.flatten() - flat.square().sum(1) - total / 200
    overlap = 2 * flat.abs() @ flat.abs().T
    best, chosen = torch.tensor(0.0), ()
    for number in (1, 2, 3):
        sets = torch.tensor(list(combinations(range(len(flat)), number)))
        score = gain[sets].sum(1)
        for i, j in combinations(range(number), 2):
            score = score - overlap[sets[:, i], sets[:, j]]
        if score.max() > best:
            best, chosen = score.max(), tuple(sets[score.argmax()].tolist())
    return list(chosen)
