import numpy as np
import pytest
from PIL import Image

from calotype.errors import CalotypeError
from calotype.imaging.canvas import canvas, natural_size
from calotype.recipe import Recipe

PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8))
MASK = Image.new("L", (64, 48))
MASK.paste(255, (8, 8, 16, 24))
WHITE = Image.new("RGB", (32, 32), "white")


def _recipe(**fields: object) -> Recipe:
    return Recipe(**{"init_image": "a.png", "mask": "b.png", "mask_blur": 0, "width": 32, "height": 32, **fields})


def test_without_a_mask_the_whole_picture_is_resized() -> None:
    scene = canvas(_recipe(), PICTURE, None)
    assert scene.image.size == (32, 32)
    assert scene.mask is None
    assert scene.finish(WHITE) is WHITE


def test_only_the_masked_part_is_enlarged_and_goes_back() -> None:
    scene = canvas(_recipe(inpaint_area="only masked", masked_padding=2), PICTURE, MASK)
    assert scene.image.size == (32, 32)
    assert scene.mask is not None and scene.mask.size == (32, 32)
    finished = np.asarray(scene.finish(WHITE))
    inside = np.asarray(MASK) == 255
    assert (finished[inside] == 255).all()
    assert (finished == np.asarray(PICTURE))[~inside].all()


def test_a_mask_of_another_size_is_fitted() -> None:
    one = canvas(_recipe(width=64, height=48), PICTURE, MASK.resize((128, 96), Image.Resampling.NEAREST))
    assert one.mask is not None
    assert np.array_equal(np.asarray(one.mask), np.asarray(MASK))


def test_a_mask_can_be_inverted_and_blurred() -> None:
    size = {"width": 64, "height": 48}
    inverted = canvas(_recipe(mask_invert=True, **size), PICTURE, MASK).mask
    assert inverted is not None
    assert np.array_equal(np.asarray(inverted), 255 - np.asarray(MASK))
    blurred = canvas(_recipe(mask_blur=3, **size), PICTURE, MASK).mask
    assert blurred is not None
    assert len(np.unique(np.asarray(blurred))) > 20


@pytest.mark.parametrize("mode", ["just resize", "crop and resize", "resize and fill"])
def test_every_way_to_resize_gives_the_size(mode: str) -> None:
    flat = Image.new("RGB", (64, 48), (10, 200, 30))
    scene = canvas(_recipe(resize_mode=mode, width=32, height=40), flat, None)
    assert scene.image.size == (32, 40)
    assert np.abs(np.asarray(scene.image, dtype=int) - [10, 200, 30]).max() <= 1


def test_fill_covers_the_hole_with_the_colours_around_it() -> None:
    picture = Image.new("RGB", (64, 48), (10, 200, 30))
    picture.paste("white", (8, 8, 16, 24))
    filled = canvas(_recipe(inpainting_fill="fill", width=64, height=48), picture, MASK).image
    assert np.abs(np.asarray(filled, dtype=int) - [10, 200, 30]).max() <= 1


def test_borders_are_masked_and_the_picture_is_not() -> None:
    recipe = _recipe(mask=None, outpaint=(16, 0, 8, 24), width=None, height=None)
    width, height = natural_size(recipe, PICTURE)
    assert (width, height) == (88, 72)
    scene = canvas(recipe.but(width=width, height=height), PICTURE, None)
    assert scene.mask is not None
    expected = np.full((72, 88), 255)
    expected[0:48, 16:80] = 0
    assert np.array_equal(np.asarray(scene.mask), expected)
    assert scene.image.crop((16, 0, 80, 48)).tobytes() == PICTURE.tobytes()


def test_an_empty_mask_and_a_huge_picture_are_told() -> None:
    with pytest.raises(CalotypeError, match="leaves nothing to paint"):
        canvas(_recipe(), PICTURE, Image.new("L", (64, 48)))
    with pytest.raises(CalotypeError, match="too large to work on"):
        natural_size(_recipe(), Image.new("L", (5000, 16)))
