import hashlib
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calotype.data.banks import drawn_bank
from calotype.data.colours import COLOURS, shade
from calotype.data.scenes import Object, Spec, World, render
from calotype.data.sprites import Sprite, SpriteBank
from calotype.errors import CalotypeError
from data.words import by_word, nearest

BANK = drawn_bank()


def one(pixels, box, rgb=(200, 100, 50), size=64):
    """The picture of a single sprite."""
    sprite = Sprite("s", "sprite", (), pixels)
    spec = Spec(size, "orange", rgb, (Object("s", "sprite", box),), "alone", "name", "bare")
    return render(SpriteBank("test", (sprite,)), spec).astype(int)


def solid(colour, alpha, side=64):
    return np.full((side, side, 4), (*colour, alpha), np.uint8)


@pytest.mark.parametrize("alpha", [0, 51, 128, 255])
def test_composition_is_over(alpha: int) -> None:
    """Porter and Duff's over: C = a F + (1 - a) B, wherever the sprite is even; B outside its box."""
    picture = one(solid((20, 220, 120), alpha), (8.0, 16.0, 40.0, 48.0))
    expected = np.array([200, 100, 50]) * (1 - alpha / 255) + np.array([20, 220, 120]) * alpha / 255
    assert np.abs(picture[20:44, 12:36] - expected).max() <= 1.5
    outside = np.ones((64, 64), bool)
    outside[15:49, 7:41] = False
    assert (picture[outside] == [200, 100, 50]).all()


def test_invisible_colours_do_not_bleed() -> None:
    """Premultiplied alpha: what a transparent pixel is coloured makes no difference."""
    pixels = solid((20, 220, 120), 255)
    pixels[:, 32:] = (255, 0, 255, 0)
    other = pixels.copy()
    other[:, 32:, :3] = 0
    assert (one(pixels, (8.3, 16.1, 40.3, 48.1)) == one(other, (8.3, 16.1, 40.3, 48.1))).all()


@pytest.mark.parametrize("shift", [0.25, 0.5, 0.75])
@pytest.mark.parametrize("side", [48, 128])
def test_positions_are_sub_pixel(shift: float, side: int) -> None:
    """The centre of mass of what a sprite adds is the centre of its box, at whole and at half size."""
    picture = one(solid((255, 255, 255), 255, side), (8 + shift, 16.0, 40 + shift, 48.0), rgb=(0, 0, 0))
    mass = picture.sum(2)
    x = (mass.sum(0) * (np.arange(64) + 0.5)).sum() / mass.sum()
    y = (mass.sum(1) * (np.arange(64) + 0.5)).sum() / mass.sum()
    assert x == pytest.approx(24 + shift, abs=0.04)
    assert y == pytest.approx(32, abs=0.04)
    assert mass.sum() / (3 * 255) == pytest.approx(32 * 32, rel=0.01)


def test_half_size_gives_the_same_picture() -> None:
    """Where a thing shrinks to less than half it is resized from a half-size copy: to the eye the same."""
    sprite = by_word(BANK)["star"]
    height, width, _ = sprite.pixels.shape
    small = one(sprite.pixels, (10.0, 10.0, 10 + width * 0.45, 10 + height * 0.45), size=80)
    upscaled = np.repeat(np.repeat(sprite.pixels, 4, 0), 4, 1)
    exact = one(upscaled, (10.0, 10.0, 10 + width * 0.45, 10 + height * 0.45), size=80)
    assert np.sqrt(((small - exact) ** 2).mean()) < 3


@settings(deadline=None)
@given(st.integers(0, 2**62), st.sampled_from([64, 96, 128, 160]), st.sampled_from(["train", "held_out", "any"]))
def test_things_are_whole_and_apart(seed: int, size: int, split: str) -> None:
    spec = World(BANK, size).spec(seed, split)
    boxes = [thing.box for thing in spec.objects]
    for x0, y0, x1, y1 in boxes:
        assert 0 < x0 < x1 < size
        assert 0 < y0 < y1 < size
    for i, (ax0, ay0, ax1, ay1) in enumerate(boxes):
        for bx0, by0, bx1, by1 in boxes[i + 1 :]:
            assert ax1 < bx0 or bx1 < ax0 or ay1 < by0 or by1 < ay0
    for thing in spec.objects:
        height, width, _ = BANK.by_id[thing.sprite].pixels.shape
        x0, y0, x1, y1 = thing.box
        assert (x1 - x0) / (y1 - y0) == pytest.approx(width / height)
        assert 27 / 128 <= thing.extent / size <= 60 / 64 + 1e-9


def test_scenes_are_functions_of_the_seed() -> None:
    """The same bytes in every process and on every machine: pictures, captions and specs of the first scenes."""
    digest, again = hashlib.sha256(), drawn_bank()
    for seed in range(40):
        scene = World(again).scene(seed)
        digest.update(scene.caption.encode() + scene.spec.to_json().encode())
        assert (scene.image == World(BANK).scene(seed).image).all()
    assert len({World(BANK).scene(seed).image.tobytes() for seed in range(40)}) == 40
    assert digest.hexdigest()[:16] == "331c2ff929ec354e"


def test_counts_of_things_are_as_asked() -> None:
    counts = np.bincount([len(World(BANK).spec(seed, "train").objects) for seed in range(4000)], minlength=4)[1:] / 4000
    assert counts == pytest.approx([0.45, 0.40, 0.15], abs=0.03)
    assert all(len(World(BANK, 64).spec(seed).objects) == 1 for seed in range(200))
    assert all(len(World(BANK, counts=(0, 1)).spec(seed).objects) == 2 for seed in range(200))


def test_pictures_show_their_background() -> None:
    for seed in range(100):
        scene = World(BANK, 64).scene(seed)
        assert scene.image.shape == (64, 64, 3)
        assert scene.image.dtype == np.uint8
        counted: dict[tuple[int, ...], int] = {}
        for pixel in scene.image[[0, -1]].reshape(-1, 3):
            counted[tuple(pixel.tolist())] = counted.get(tuple(pixel.tolist()), 0) + 1
        assert max(counted, key=counted.__getitem__) == scene.spec.rgb


@settings(deadline=None)
@given(st.sampled_from(list(COLOURS)), st.randoms(use_true_random=False))
def test_shades_stay_with_their_anchor(name: str, rng: random.Random) -> None:
    assert nearest(shade(name, rng)) == name


@given(st.integers(0, 10_000))
def test_on_a_grid_things_begin_on_its_lines_and_come_in_few_sizes(seed: int) -> None:
    spec = World(drawn_bank(), 128, grid=8).spec(seed)
    for thing in spec.objects:
        x0, y0, x1, y1 = thing.box
        assert 0 <= x0 < x1 <= 128 + 1e-6
        assert 0 <= y0 < y1 <= 128 + 1e-6
        assert x0 % 8 == pytest.approx(0, abs=1e-6)
        assert y0 % 8 == pytest.approx(0, abs=1e-6)
        assert min(abs(thing.extent - size) for size in (32, 48, 64, 80, 96)) < 1e-6
    if len(spec.objects) == 2:
        assert [thing.extent for thing in spec.objects] == pytest.approx([48, 48])


def test_a_tiny_canvas_is_refused() -> None:
    with pytest.raises(CalotypeError, match="too small"):
        World(BANK, 16)
