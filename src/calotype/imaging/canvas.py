"""Canvas: what a pass paints on, where, and how the result goes back into the picture it came from."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageFilter, ImageOps

from calotype.errors import CalotypeError
from calotype.recipe import Recipe

Box = tuple[int, int, int, int]
"""Left, top, right, bottom."""
_LANCZOS = Image.Resampling.LANCZOS
_GREY = 127.5


@dataclass(frozen=True)
class Canvas:
    """A picture of the recipe's size, and what of it is to be painted."""

    image: Image.Image
    mask: Image.Image | None
    """White where to paint; None for everywhere."""
    finish: Callable[[Image.Image], Image.Image]
    """The painted canvas -> the finished picture."""


def canvas(recipe: Recipe, picture: Image.Image, mask: Image.Image | None) -> Canvas:
    """The canvas of a recipe whose width and height are settled, a picture and a mask of any sizes.

    Raises CalotypeError for a mask that leaves nothing to paint.
    """
    picture, mask = _extended(recipe, picture, mask)
    size = (recipe.width or picture.width, recipe.height or picture.height)
    if mask is None:
        return Canvas(_fitted(recipe, picture, size), None, lambda painted: painted)
    if mask.getbbox() is None:
        raise CalotypeError("the mask leaves nothing to paint: make it white where to paint, or use --mask-invert.")
    if recipe.inpaint_area == "whole picture":
        image, mask = _fitted(recipe, picture, size), _fitted(recipe, mask, size)
        return _masked(recipe, image, mask, image, mask, None)
    box = _surroundings(mask, recipe.masked_padding, size)
    image, part = (each.crop(box).resize(size, _LANCZOS) for each in (picture, mask))
    return _masked(recipe, image, part, picture, mask, box)


def natural_size(recipe: Recipe, picture: Image.Image) -> tuple[int, int]:
    """The size of a picture with the recipe's new borders, in multiples of 8: what is painted without width or height.

    Raises CalotypeError for one that is too large or too small to work on.
    """
    left, top, right, bottom = recipe.outpaint
    sides = (picture.width + left + right, picture.height + top + bottom)
    width, height = (max(side // 8 * 8, 16) for side in sides)
    if max(width, height) > 4096:
        raise CalotypeError(f"a picture of {width}x{height} is too large to work on: give width and height.")
    return width, height


def _masked(
    recipe: Recipe, image: Image.Image, mask: Image.Image, whole: Image.Image, fading: Image.Image, box: Box | None
) -> Canvas:
    def finish(painted: Image.Image) -> Image.Image:
        fade = fading if recipe.keep_unmasked else Image.new("L", whole.size, 255)
        if box is None:
            return Image.composite(painted, whole, fade)
        layer = whole.copy()
        layer.paste(painted.resize((box[2] - box[0], box[3] - box[1]), _LANCZOS), box[:2])
        return Image.composite(layer, whole, fade)

    filled = _filled(image, mask) if recipe.inpainting_fill == "fill" else image
    return Canvas(filled, mask, finish)


def _extended(recipe: Recipe, picture: Image.Image, mask: Image.Image | None) -> tuple[Image.Image, Image.Image | None]:
    """The picture with its new borders, and the mask, faded, that covers them too."""
    if mask is not None:
        mask = mask if mask.size == picture.size else mask.resize(picture.size, Image.Resampling.BILINEAR)
        if recipe.mask_round:
            mask = mask.point(lambda level: 255 if level > 127 else 0)
        if recipe.mask_invert:
            mask = ImageChops.invert(mask)
    left, top, right, bottom = recipe.outpaint
    if any(recipe.outpaint):
        inside = (left, top)
        size = (picture.width + left + right, picture.height + top + bottom)
        new = Image.new("L", size, 255)
        new.paste(mask or Image.new("L", picture.size, 0), inside)
        extended = Image.new("RGB", size)
        extended.paste(picture, inside)
        hole = Image.new("L", size, 255)
        hole.paste(0, (left, top, left + picture.width, top + picture.height))
        picture, mask = _filled(extended, hole), new
    if mask is not None and recipe.mask_blur:
        mask = mask.filter(ImageFilter.GaussianBlur(recipe.mask_blur))
    return picture, mask


def _fitted(recipe: Recipe, image: Image.Image, size: tuple[int, int]) -> Image.Image:
    if image.size == size:
        return image
    if recipe.resize_mode == "crop and resize":
        return ImageOps.fit(image, size, _LANCZOS)
    if recipe.resize_mode == "resize and fill":
        inside = ImageOps.contain(image, size, _LANCZOS)
        place = ((size[0] - inside.width) // 2, (size[1] - inside.height) // 2)
        around = Image.new(image.mode, size)
        around.paste(inside, place)
        hole = Image.new("L", size, 255)
        hole.paste(0, (*place, place[0] + inside.width, place[1] + inside.height))
        return around if image.mode == "L" else _filled(around, hole)
    return image.resize(size, _LANCZOS)


def _filled(image: Image.Image, hole: Image.Image) -> Image.Image:
    """The hole filled with the colours around it, coarser the farther they are."""
    known = 1 - np.asarray(hole, dtype=np.float64)[..., None] / 255
    filled = _spread(np.asarray(image, dtype=np.float64) * known, known)
    return Image.fromarray(filled.round().clip(0, 255).astype(np.uint8))


def _spread(colours: NDArray[np.float64], known: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pull and push: what is unknown (h, w, 1) is taken from a picture of half the size, which is filled the same way.

    ``colours`` (h, w, 3) are multiplied by ``known``.
    """
    if known.min() == 1:
        return colours
    if known.shape[:2] == (1, 1):
        return colours + (1 - known) * _GREY
    even = [(0, side % 2) for side in known.shape[:2]]
    sums, counts = (
        padded[::2, ::2] + padded[1::2, ::2] + padded[::2, 1::2] + padded[1::2, 1::2]
        for padded in (np.pad(each, (*even, (0, 0))) for each in (colours, known))
    )
    weights = counts.clip(max=1)
    coarse = _spread(sums * np.divide(weights, counts, out=np.zeros_like(counts), where=counts > 0), weights)
    larger = coarse.repeat(2, axis=0).repeat(2, axis=1)[: known.shape[0], : known.shape[1]]
    return colours + (1 - known) * larger


def _surroundings(mask: Image.Image, padding: int, size: tuple[int, int]) -> Box:
    """The mask's box and its padding, widened to the shape of `size` as far as the picture goes."""
    found = mask.getbbox()
    assert found is not None
    spans = []
    wanted = (found[2] - found[0] + 2 * padding, found[3] - found[1] + 2 * padding)
    scale = max(wanted[0] / size[0], wanted[1] / size[1])
    for axis in (0, 1):
        length = min(round(size[axis] * scale), mask.size[axis])
        middle = (found[axis] + found[axis + 2]) / 2
        start = min(max(round(middle - length / 2), 0), mask.size[axis] - length)
        spans.append((start, start + length))
    return spans[0][0], spans[1][0], spans[0][1], spans[1][1]
