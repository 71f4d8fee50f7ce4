"""Inputs: the pictures that a recipe begins with, read once."""

from dataclasses import dataclass
from functools import cached_property

from PIL import Image

from calotype.imaging.reading import fingerprint, read_mask, read_picture
from calotype.recipe import Recipe


@dataclass(frozen=True, eq=False)
class Inputs:
    """The pictures of a recipe. Each is read when it is first asked for, and stays what it was then.

    Raises CalotypeError, as `read_picture` does, where one cannot be read.
    """

    recipe: Recipe

    @cached_property
    def picture(self) -> Image.Image | None:
        """The picture to begin with, in RGB."""
        return None if self.recipe.init_image is None else read_picture(self.recipe.init_image)

    @cached_property
    def mask(self) -> Image.Image | None:
        """What is white where to paint, in grey."""
        return None if self.recipe.mask is None else read_mask(self.recipe.mask)

    @cached_property
    def fingerprints(self) -> dict[str, str]:
        """The `fingerprint` of each, by the recipe's field."""
        given = {"init_image": self.picture, "mask": self.mask}
        return {name: fingerprint(image) for name, image in given.items() if image is not None}
