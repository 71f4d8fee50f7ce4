"""Canvas: what a pass paints on, where, and how the result goes back into the picture it came from."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageFilter, ImageOps

from calotype.errors import CalotypeError
from calotype.recipe import MAX_SIDE, Recipe

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
        return Canvas(_fitted(picture, size, recipe.resize_mode), None, lambda painted: painted)
    if mask.getbbox() is None:
        raise CalotypeError("the mask leaves nothing to paint: make it white where to paint, or use --mask-invert.")
    return (_whole_picture if recipe.inpaint_area == "whole picture" else _only_masked)(recipe, picture, mask, size)


def natural_size(recipe: Recipe, picture: Image.Image) -> tuple[int, int]:
    """The size of a picture with the recipe's new borders, in multiples of 8: what is painted without width or height.

    Raises CalotypeError for one that is too large to work on.
    """
    left, top, right, bottom = recipe.outpaint
    sides = (picture.width + left + right, picture.height + top + bottom)
    width, height = (max(side // 8 * 8, 16) for side in sides)
    if max(width, height) > MAX_SIDE:
        raise CalotypeError(f"a picture of {width}x{height} is too large to work on: give width and height.")
    return width, height


def _whole_picture(recipe: Recipe, picture: Image.Image, mask: Image.Image, size: tuple[int, int]) -> Canvas:
    """The whole picture. Twice the faded mask is what is new, as in A1111: it fades from the mask's edge outwards."""
    image, mask = (_fitted(each, size, recipe.resize_mode) for each in (picture, mask))
    new = mask.point(lambda level: min(2 * level, 255))

    def finish(painted: Image.Image) -> Image.Image:
        return Image.composite(painted, image, new) if recipe.keep_unmasked else painted

    return Canvas(_erased(recipe, image, mask), mask, finish)


def _only_masked(recipe: Recipe, picture: Image.Image, mask: Image.Image, size: tuple[int, int]) -> Canvas:
    """The mask's surroundings, enlarged. The faded mask itself is what is new, as in A1111."""
    box = _surroundings(mask, recipe.masked_padding, size)
    shape = (box[2] - box[0], box[3] - box[1])
    image, cropped = (_fitted(each.crop(box), size, "resize and fill") for each in (picture, mask))

    def finish(painted: Image.Image) -> Image.Image:
        whole = picture.copy()
        whole.paste(painted.crop(_within(shape, size)).resize(shape, _LANCZOS), box[:2])
        return Image.composite(whole, picture, mask) if recipe.keep_unmasked else whole

    return Canvas(_erased(recipe, image, cropped), cropped, finish)


def _erased(recipe: Recipe, image: Image.Image, mask: Image.Image) -> Image.Image:
    """Without what the mask covers, unless painting begins with it: the encoder would carry it into what is around."""
    return image if recipe.inpainting_fill == "original" else _filled(image, mask)


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
        inside = (left, top, left + picture.width, top + picture.height)
        size = (picture.width + left + right, picture.height + top + bottom)
        new = Image.new("L", size, 255)
        new.paste(mask or 0, inside)
        picture, mask = _laid(picture, inside, size), new
    if mask is not None and recipe.mask_blur:
        mask = mask.filter(ImageFilter.GaussianBlur(recipe.mask_blur))
    return picture, mask


def _fitted(image: Image.Image, size: tuple[int, int], mode: str) -> Image.Image:
    if image.size == size:
        return image
    if mode == "crop and resize":
        return ImageOps.fit(image, size, _LANCZOS)
    if mode == "resize and fill":
        left, top, right, bottom = inside = _within(image.size, size)
        return _laid(image.resize((right - left, bottom - top), _LANCZOS), inside, size)
    return image.resize(size, _LANCZOS)


def _within(shape: tuple[int, int], size: tuple[int, int]) -> Box:
    """Where in a picture of `size` one of `shape` lies: in the middle, as large as fits."""
    scale = min(size[0] / shape[0], size[1] / shape[1])
    width, height = (max(round(side * scale), 1) for side in shape)
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    return left, top, left + width, top + height


def _laid(image: Image.Image, inside: Box, size: tuple[int, int]) -> Image.Image:
    """A picture of `size` with the image inside, and around it its colours."""
    laid, hole = Image.new(image.mode, size), Image.new("L", size, 255)
    laid.paste(image, inside)
    hole.paste(0, inside)
    return _filled(laid, hole)


def _filled(image: Image.Image, hole: Image.Image) -> Image.Image:
    """The hole filled with the colours around it, coarser the farther they are."""
    colours = np.asarray(image, dtype=np.float64)
    known = 1 - np.asarray(hole, dtype=np.float64)[..., None] / 255
    filled = _spread(colours.reshape(*known.shape[:2], -1) * known, known)
    return Image.fromarray(filled.reshape(colours.shape).round().clip(0, 255).astype(np.uint8))


def _spread(colours: NDArray[np.float64], known: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pull and push: what is unknown (h, w, 1) is taken from a picture of half the size, which is filled the same way.

    ``colours`` (h, w, c) are multiplied by ``known``.
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
    """The mask's box and its padding, widened to the shape of `size`, as far as the picture goes."""
    found = mask.getbbox()
    assert found is not None
    left, top = max(found[0] - padding, 0), max(found[1] - padding, 0)
    right, bottom = min(found[2] + padding, mask.width), min(found[3] + padding, mask.height)
    width, height = right - left, bottom - top
    left, right = _widened(left, right, height * size[0] // size[1], mask.width)
    top, bottom = _widened(top, bottom, width * size[1] // size[0], mask.height)
    return left, top, right, bottom


def _widened(start: int, end: int, length: int, limit: int) -> tuple[int, int]:
    """A span made at least so long, around its middle where that lies within 0 and the limit."""
    length = min(max(length, end - start), limit)
    start = min(max(start - (length - (end - start)) // 2, 0), limit - length)
    return start, start + length
