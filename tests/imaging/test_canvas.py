import numpy as np
import pytest
from PIL import Image, ImageFilter

from calotype.errors import CalotypeError
from calotype.imaging.canvas import Box, canvas, natural_size
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


@pytest.mark.parametrize(
    ("picture", "mask", "padding", "size", "box"),
    [
        ((512, 512), (100, 200, 228, 232), 0, (512, 512), (100, 152, 228, 280)),
        ((512, 768), (30, 300, 482, 500), 74, (512, 512), (0, 144, 512, 656)),
        ((512, 768), (100, 0, 400, 40), 10, (512, 512), (90, 0, 410, 320)),
        ((512, 768), (100, 100, 200, 700), 0, (512, 512), (0, 100, 512, 700)),
        ((640, 480), (301, 100, 400, 131), 1, (512, 768), (300, 40, 401, 191)),
    ],
)
def test_the_part_is_a1111s(picture: tuple[int, int], mask: Box, padding: int, size: tuple[int, int], box: Box) -> None:
    """A1111 1.10.1, `get_crop_region_v2` and `expand_crop_region`, worked out by hand."""
    white = Image.new("L", picture)
    white.paste(255, mask)
    fields = {"inpaint_area": "only masked", "masked_padding": padding, "keep_unmasked": False}
    scene = canvas(_recipe(width=size[0], height=size[1], **fields), Image.new("RGB", picture), white)
    assert scene.finish(Image.new("RGB", size, "white")).getbbox() == box


def test_a_circle_stays_one_where_the_part_cannot_have_the_shape_of_the_canvas() -> None:
    rows, columns = np.mgrid[:192, :64]
    circle = 255 * (23 / 6 - np.hypot(rows - 95.5, columns - 31.5) / 6).clip(0, 1)  # of radius 20, faded
    picture = Image.fromarray(np.stack([circle] * 3, axis=2).round().astype(np.uint8))
    mask = Image.new("L", picture.size)
    mask.paste(255, (10, 32, 54, 160))
    scene = canvas(_recipe(inpaint_area="only masked", masked_padding=0, width=256, height=256), picture, mask)
    left, top, right, bottom = scene.image.convert("L").point(lambda level: 255 * (level > 127)).getbbox() or [0] * 4
    assert (right - left, bottom - top) == (80, 80)
    back = np.asarray(scene.finish(scene.image), dtype=int)
    assert np.abs(back - np.asarray(picture, dtype=int)).max() <= 8


def test_a_very_narrow_picture_is_not_lost() -> None:
    narrow = Image.new("RGB", (4, 400), (10, 200, 30))
    for fields in ({"inpaint_area": "only masked"}, {"resize_mode": "resize and fill"}):
        scene = canvas(_recipe(**fields), narrow, Image.new("L", (4, 400), 255))
        assert np.abs(np.asarray(scene.image, dtype=int) - [10, 200, 30]).max() <= 1


@pytest.mark.parametrize(("area", "factor"), [("whole picture", 2), ("only masked", 1)])
def test_the_old_picture_fades_away_as_a1111s_does(area: str, factor: int) -> None:
    """Over the whole picture all that is inside a straight edge is new: A1111 1.10.1's `mask_for_overlay`."""
    black, mask = Image.new("RGB", (64, 48)), Image.new("L", (64, 48))
    mask.paste(255, (0, 0, 32, 48))
    scene = canvas(_recipe(mask_blur=4, inpaint_area=area, width=64, height=48), black, mask)
    faded = np.asarray(mask.filter(ImageFilter.GaussianBlur(4)), dtype=int)
    new = np.asarray(scene.finish(Image.new("RGB", (64, 48), "white")), dtype=int)[:, :, 0]
    assert np.array_equal(new, (factor * faded).clip(max=255))
    assert (new[:, :32] == 255).all() == (area == "whole picture")
    assert (new[:, 42:] == 0).all()
    assert scene.mask is not None and np.array_equal(np.asarray(scene.mask), faded)


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


@pytest.mark.parametrize("area", ["whole picture", "only masked"])
def test_only_original_shows_what_the_mask_covers(area: str) -> None:
    recipe = _recipe(inpaint_area=area, masked_padding=4)
    shown = {
        fill: canvas(recipe.but(inpainting_fill=fill), PICTURE, MASK).image.tobytes()
        for fill in ("original", "fill", "latent noise", "latent nothing")
    }
    assert shown["fill"] == shown["latent noise"] == shown["latent nothing"] != shown["original"]


def test_a_mask_that_reaches_the_side_reaches_what_is_added_there() -> None:
    mask = Image.new("L", (64, 48))
    mask.paste(255, (0, 0, 64, 24))
    scene = canvas(_recipe(resize_mode="resize and fill", width=64, height=96), PICTURE, mask)
    assert scene.mask is not None
    levels = np.asarray(scene.mask)
    assert (levels[:46] > 127).all() and (levels[50:] < 128).all()


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
