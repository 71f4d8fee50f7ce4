"""Scenes: a seed becomes a spec, a spec becomes a picture and a caption."""

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor
from typing import Literal

import numpy as np
from jaxtyping import Bool
from PIL import Image

from calotype.data import layout
from calotype.data.captions import LARGE, PHRASES, SMALL, TEMPLATES, caption
from calotype.data.colours import COLOURS, shade
from calotype.data.held_out import is_held_out
from calotype.data.spec import Box, Object, Relation, Spec
from calotype.data.sprites import PAD, Pixels, Sprite, SpriteBank
from calotype.errors import CalotypeError

__all__ = ["Object", "Scene", "Spec", "Split", "World", "foreground", "render", "sample_spec"]

Split = Literal["train", "held_out", "any"]

COUNTS = (0.45, 0.40, 0.15)
"""The shares of scenes with one, two and three things."""

_TOLD_BY = 50
"""How many scenes one world is told from another by."""

# Whether a caption says where, how large, in which direction: often enough to learn from, seldom enough to stay free.
# Two things are mostly told with their places, or just joined, as people would ask for them.
_TEMPLATE_WEIGHTS = {"on a background": 8.0, "on": 2.0, "bare": 2.0}
_PHRASE_WEIGHTS = {"full": 6.0, "and": 4.0, "place": 3.0, "name": 2.0, "row": 2.0}
_ALIAS_RATE = 0.2

_ON_A_GRID = 54 / 128
"""The least extent of each of several things on a grid, before it is rounded down: to 48 pixels of 128, where it would
often be 32, too few for the autoencoder. Three in a row have room for no more than that."""


@dataclass(frozen=True, eq=False)
class Scene:
    """A picture uint8 (size, size, 3), its caption and the spec both were made from."""

    image: Pixels
    caption: str
    spec: Spec


@dataclass(frozen=True, eq=False)
class World:
    """All scenes of a bank at one canvas size; ``counts`` are the shares of scenes with one, two and three things.

    Below 96 pixels there is room for one thing only, 28 to 60 pixels of 64. With a ``grid`` things stand on multiples
    of so many pixels and come in a few sizes, two together in one: far fewer pictures to learn.
    """

    bank: SpriteBank
    size: int = 128
    counts: tuple[float, ...] = COUNTS
    grid: int = 0

    def __post_init__(self) -> None:
        if self.size < 32:
            raise CalotypeError(f"a scene of {self.size} pixels is too small to draw: ask for at least 32.")

    def __str__(self) -> str:
        """A name for it: its style, its size, and what departs from the usual."""
        counts = "" if self.counts == COUNTS else "-" + "-".join(f"{share:g}" for share in self.counts)
        return f"{self.bank.style}-{self.size}{counts}{f'-grid{self.grid}' if self.grid else ''}"

    def digest(self) -> str:
        """Of its first scenes' pictures: it changes with the art, and with how scenes are drawn and laid out."""
        total = hashlib.sha256()
        for seed in range(_TOLD_BY):
            total.update(self.scene(seed).image.tobytes())
        return total.hexdigest()[:8]

    def scene(self, seed: int, split: Split = "train") -> Scene:
        """The scene of a seed: the same bytes for the same seed, bank, size, counts, grid and split."""
        spec = self.spec(seed, split)
        return Scene(render(self.bank, spec), caption(spec), spec)

    def spec(self, seed: int, split: Split = "train") -> Spec:
        """The spec of a seed: ``scene`` without drawing it."""
        return sample_spec(self.bank, seed, split, self.size, self.counts if self.size >= 96 else (1.0,), self.grid)


def sample_spec(
    bank: SpriteBank,
    seed: int,
    split: Split = "train",
    size: int = 128,
    counts: Sequence[float] = COUNTS,
    grid: int = 0,
) -> Spec:
    """A spec drawn from the seed; draws again until the split fits. ``train`` holds no held-out combination."""
    rng = random.Random(seed)
    count = rng.choices(range(1, len(counts) + 1), counts)[0]
    while True:
        spec = _draw(bank, rng, size, count, grid)
        if split == "any" or is_held_out(spec) == (split == "held_out"):
            return spec


def render(bank: SpriteBank, spec: Spec) -> Pixels:
    """The picture of a spec, uint8 (size, size, 3): sprites resized with premultiplied alpha, placed sub-pixel."""
    canvas = np.array(Image.new("RGB", (spec.size, spec.size), spec.rgb))
    for thing in spec.objects:
        x, y, patch = _resized(bank, thing)
        height, width, _ = patch.shape
        under = canvas[y : y + height, x : x + width]
        over = under.astype(np.uint16) * (255 - patch[..., 3:].astype(np.uint16))
        under[:] = np.minimum((over + 127) // 255 + patch[..., :3], 255)
    return canvas


def foreground(spec: Spec) -> Bool[np.ndarray, "size size"]:
    """Where the things' boxes are."""
    mask = np.zeros((spec.size, spec.size), dtype=np.bool_)
    for thing in spec.objects:
        x0, y0, x1, y1 = thing.box
        mask[max(0, floor(y0)) : ceil(y1), max(0, floor(x0)) : ceil(x1)] = True
    return mask


def _resized(bank: SpriteBank, thing: Object) -> tuple[int, int, Pixels]:
    """The premultiplied RGBA patch on whole pixels that holds the thing's box, and where it goes."""
    x0, y0, x1, y1 = thing.box
    left, top, right, bottom = floor(x0), floor(y0), ceil(x1), ceil(y1)
    height, width, _ = bank.by_id[thing.sprite].pixels.shape
    across, down = width / (x1 - x0), height / (y1 - y0)
    source = (
        PAD - (x0 - left) * across,
        PAD - (y0 - top) * down,
        PAD + width + (right - x1) * across,
        PAD + height + (bottom - y1) * down,
    )
    whole, half = bank.premultiplied[thing.sprite]
    if across < 2:
        patch = whole.resize((right - left, bottom - top), Image.Resampling.LANCZOS, source)
    else:  # from half the size: the same picture for a third of the time
        x, y, u, v = (length / 2 for length in source)
        patch = half.resize((right - left, bottom - top), Image.Resampling.LANCZOS, (x, y, u, v))
    return left, top, np.asarray(patch)


def _draw(bank: SpriteBank, rng: random.Random, size: int, count: int, grid: int) -> Spec:
    same = count > 1 and rng.random() < (0.2 if count == 2 else 0.65)
    things = [rng.choice(bank.sprites)] * count if same else rng.sample(bank.sprites, count)
    relation = _relation(rng, count, same)
    aspects = [_aspect(thing) for thing in things]
    boxes = _boxes(rng, aspects, relation, size, _ON_A_GRID if grid else 0)
    if grid:
        boxes = [layout.aligned(box, grid / size) for box in boxes]
    words = [_word(rng, thing) for thing in things]
    objects = tuple(
        Object(thing.id, words[0] if same else word, (x0 * size, y0 * size, x1 * size, y1 * size))
        for thing, word, (x0, y0, x1, y1) in zip(things, words, boxes, strict=True)
    )
    background = rng.choice(list(COLOURS))
    phrase = _weighted(rng, _phrases(objects, relation, size), _PHRASE_WEIGHTS)
    template = _weighted(rng, list(TEMPLATES), _TEMPLATE_WEIGHTS)
    return Spec(size, background, shade(background, rng), objects, relation, phrase, template)


def _relation(rng: random.Random, count: int, same: bool) -> Relation:
    if count == 1:
        return "alone"
    if same:
        return rng.choice(("row", "group"))
    return rng.choice(("left", "right", "above", "below")) if count == 2 else "row"


def _boxes(rng: random.Random, aspects: list[float], relation: Relation, size: int, least: float) -> list[Box]:
    """One box for each thing; the extents of several are at least ``least``, as far as there is room."""
    if relation == "alone":
        return [layout.place_one(rng, aspects[0], layout.ALONE if size >= 96 else (28 / 64, 60 / 64))]
    if relation == "group":
        return layout.place_group(rng, aspects[0], (max(least, 32 / 128), 60 / 128), len(aspects))
    if relation == "row":
        return layout.place_row(rng, aspects, (max(least, 28 / 128), 60 / 128))
    return layout.place_two(rng, aspects, (max(least, 36 / 128), 62 / 128), relation)


def _phrases(objects: tuple[Object, ...], relation: Relation, size: int) -> list[str]:
    phrases = dict(PHRASES[relation])
    if relation == "alone" and SMALL < objects[0].extent / size < LARGE:
        del phrases["size"], phrases["size place"]
    if relation == "row":
        different = len({o.sprite for o in objects}) > 1
        del phrases["side by side" if different else "left to right"]
        if len(objects) == 2:
            del phrases["row"]
    return list(phrases)


def _word(rng: random.Random, thing: Sprite) -> str:
    alias = thing.aliases and rng.random() < _ALIAS_RATE
    return rng.choice(thing.aliases) if alias else thing.name


def _aspect(thing: Sprite) -> float:
    height, width, _ = thing.pixels.shape
    return float(width / height)


def _weighted(rng: random.Random, options: list[str], weights: dict[str, float]) -> str:
    return rng.choices(options, [weights.get(option, 1.0) for option in options])[0]
