"""Abilities: does a picture keep to the one it began with, to an emphasis, to a mask? Told by the judges.

Every case is a prompt for a thing on a background, tried at every setting of a dial with the same seed, so that a
trend is a mean over cases of what the dial does to one picture.
"""

import re
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float
from PIL import Image

from calotype.api import Studio
from calotype.data.prompts import Category, prompts
from calotype.data.scenes import render
from calotype.data.spec import Box, Spec
from calotype.data.sprites import Pixels, SpriteBank
from calotype.files import written_whole
from calotype.imaging.reading import inline
from calotype.lab import detector
from calotype.lab.abilities_page import Painted, heading, painted_lines, trend_lines
from calotype.lab.bootstrap import ratio, share
from calotype.lab.detection import Detection, Judge, Pictures
from calotype.lab.matching import SIZE, Matcher, background
from calotype.lab.metrics import ssim
from calotype.lab.progress import Progress
from calotype.lab.samples import developed
from calotype.lab.scoring import named_colour, present
from calotype.lab.trend import Trend, trend
from calotype.recipe import Recipe

Ability = Literal["img2img", "emphasis", "inpainting"]
ABILITIES: tuple[Ability, ...] = get_args(Ability)

STRENGTHS = (0.3, 0.6, 0.9)
WEIGHTS = (0.5, 1.0, 1.5)
_GRID, _MARGIN, _SMALLEST = 8, 8, 64
"""Masks cover whole cells of the latent: the thing's box with a margin, and at least a square of so many pixels."""
AREAS: tuple[Literal["whole picture", "only masked"], ...] = ("whole picture", "only masked")
_PADDING = 8
"""Pixels around a mask that are enlarged with it where only that is painted: chosen of 0, 8, 16 by other prompts."""
_POOL = 24
"""Among how many scenes, at least, another one is looked for."""


@dataclass(frozen=True)
class Bench:
    """What all studies share."""

    studio: Studio
    bank: SpriteBank
    judges: Mapping[str, Judge]
    recipe: Recipe
    """Of every picture, but for its prompt, its seed and what is studied."""
    cases: int
    folder: Path
    """Where all pictures are kept."""


Trends = Generator[Progress, None, list[Trend]]


def measure(
    studio: Studio, bank: SpriteBank, recipe: Recipe, cases: int, asked: Sequence[Ability], command: str, folder: Path
) -> Iterator[Progress]:
    """Measure what is ``asked``, yielding on the way; writes abilities.md and all pictures into ``folder``.

    Begun again, it makes no picture twice. ``command`` is put on the page.
    """
    learned = yield from detector.trained(bank)
    sized = recipe.but(width=SIZE, height=SIZE)
    bench = Bench(studio, bank, {"J1": Matcher(bank), "J2": learned}, sized, cases, folder)
    lines = heading(studio, cases, command)
    for ability in asked:
        if ability == "inpainting":
            lines += painted_lines((yield from inpainting(bench)))
        elif ability == "emphasis":
            lines += trend_lines("Emphasis, by the weight", (yield from emphasis(bench)))
        else:
            lines += trend_lines("Image-to-image, by the denoising strength", (yield from image_to_image(bench)))
        with written_whole(folder / "abilities.md") as temporary:
            temporary.write_text("\n".join(lines), encoding="utf-8")


def image_to_image(bench: Bench) -> Trends:
    """With the denoising strength the likeness to the input falls, and the agreement with the prompt rises.

    A prompt is a thing and a background: each is told, and both together. The input is the true scene of another case:
    another thing on a background of another colour.
    """
    asked = _cases(bench, "single")
    specs = [spec for _, spec in asked]
    inputs = [render(bench.bank, other) for other in _others(bench, specs)]
    recipes = [
        bench.recipe.but(prompt=prompt, seed=index, init_image=_inlined(inputs[index]), denoising_strength=strength)
        for index, (prompt, _) in enumerate(asked)
        for strength in STRENGTHS
    ]
    pictures = yield from developed(bench.studio, recipes, bench.folder / "img2img")
    likeness = [ssim(picture, inputs[index // len(STRENGTHS)]) for index, picture in enumerate(pictures)]
    trends = [trend("likeness to the input (SSIM)", "", STRENGTHS, _by_case(likeness, STRENGTHS), "falls")]
    wanted = [spec for spec in specs for _ in STRENGTHS]
    colours = [named_colour(background(picture)) for picture in pictures]
    right = [colour == spec.background for colour, spec in zip(colours, wanted, strict=True)]
    trends.append(trend("background asked for", "", STRENGTHS, _by_case(right, STRENGTHS), "rises"))
    for judge, found in _judged(bench, pictures):
        there = [present(spec, seen) for spec, seen in zip(wanted, found, strict=True)]
        both = [thing and colour for thing, colour in zip(there, right, strict=True)]
        for figure, agreed in (("thing asked for", there), ("thing and background", both)):
            trends.append(trend(figure, judge, STRENGTHS, _by_case(agreed, STRENGTHS), "rises"))
    return trends


def emphasis(bench: Bench) -> Trends:
    """With its weight the presence of the first thing of the prompt rises, alone or beside another."""
    halves: tuple[Category, ...] = ("single", "two")
    asked = [case for category in halves for case in _cases(bench, category)[: -(-bench.cases // 2)]][: bench.cases]
    recipes = [
        bench.recipe.but(prompt=emphasised(prompt, spec.objects[0].word, weight), seed=index)
        for index, (prompt, spec) in enumerate(asked)
        for weight in WEIGHTS
    ]
    pictures = yield from developed(bench.studio, recipes, bench.folder / "emphasis")
    wanted = [spec.objects[0].sprite for _, spec in asked for _ in WEIGHTS]
    trends = []
    for judge, found in _judged(bench, pictures):
        there = [any(seen.sprite == sprite for seen in some) for sprite, some in zip(wanted, found, strict=True)]
        trends.append(trend("emphasised thing", judge, WEIGHTS, _by_case(there, WEIGHTS), "rises"))
    return trends


def inpainting(bench: Bench) -> Generator[Progress, None, list[Painted]]:
    """The thing asked for in the mask, where another one stood, against the same prompts and seeds without a mask.

    Painted in the whole picture, and in the mask alone, enlarged: a mask is as small as a quarter of the picture, and
    what fits into it is smaller than most things the model draws unasked.
    """
    asked = _cases(bench, "single")
    specs = [spec for _, spec in asked]
    others = _others(bench, specs)
    masks = [mask_of(other.objects[0].box) for other in others]
    inputs = [
        render(bench.bank, replace(other, background=spec.background, rgb=spec.rgb))
        for spec, other in zip(specs, others, strict=True)
    ]
    alone = [bench.recipe.but(prompt=prompt, seed=index) for index, (prompt, _) in enumerate(asked)]
    painted = [
        recipe.but(
            init_image=_inlined(picture),
            mask=_inlined(mask),
            mask_blur=0,
            masked_padding=_PADDING,
            denoising_strength=1,
        )
        for recipe, picture, mask in zip(alone, inputs, masks, strict=True)
    ]
    own = yield from developed(bench.studio, alone, bench.folder / "inpainting-alone")
    there = {
        judge: [float(present(spec, seen)) for spec, seen in zip(specs, found, strict=True)]
        for judge, found in _judged(bench, own)
    }
    figures = []
    for area in AREAS:
        recipes = [recipe.but(inpaint_area=area) for recipe in painted]
        pictures = yield from developed(bench.studio, recipes, bench.folder / f"inpainting {area}".replace(" ", "-"))
        triples = zip(pictures, inputs, masks, strict=True)
        unchanged = sum(np.array_equal(picture[mask == 0], before[mask == 0]) for picture, before, mask in triples)
        for judge, found in _judged(bench, pictures):
            inside = [float(_stands_in(*case)) for case in zip(specs, found, masks, strict=True)]
            alone_too = share(there[judge]), ratio(inside, there[judge])
            figures.append(Painted(judge, area, share(inside), *alone_too, unchanged))
    return figures


def emphasised(prompt: str, word: str, weight: float) -> str:
    """The prompt with the first ``word`` of it at another weight.

    >>> emphasised("a cat and a dog", "cat", 1.5)
    'a (cat:1.5) and a dog'
    """
    return re.sub(rf"\b{re.escape(word)}\b", f"({word}:{weight:g})", prompt, count=1)


def mask_of(box: Box) -> Pixels:
    """A mask (SIZE, SIZE), 255 over the box and around it, 0 elsewhere."""
    mask = np.zeros((SIZE, SIZE), np.uint8)
    spans = []
    for axis in (0, 1):
        middle, side = (box[axis] + box[axis + 2]) / 2, box[axis + 2] - box[axis]
        half = max(side / 2 + _MARGIN, _SMALLEST / 2)
        first = max(0, round((middle - half) / _GRID))
        spans.append(slice(first * _GRID, min(SIZE, max(round((middle + half) / _GRID), first + 1) * _GRID)))
    mask[spans[1], spans[0]] = 255
    return mask


def _cases(bench: Bench, category: Category) -> list[tuple[str, Spec]]:
    return prompts(bench.bank, category, "train", bench.cases)


def _others(bench: Bench, specs: Sequence[Spec]) -> list[Spec]:
    """For each case the next scene whose thing and background are others."""
    pool = [spec for _, spec in prompts(bench.bank, "single", "train", max(bench.cases, _POOL))]
    return [
        next(
            other
            for other in [*pool[index + 1 :], *pool[:index]]
            if other.objects[0].sprite != spec.objects[0].sprite and other.background != spec.background
        )
        for index, spec in enumerate(specs)
    ]


def _inlined(picture: Pixels) -> str:
    return inline(Image.fromarray(picture))


def _judged(bench: Bench, pictures: Pictures) -> Iterator[tuple[str, list[list[Detection]]]]:
    return ((name, judge(pictures)) for name, judge in bench.judges.items())


def _stands_in(spec: Spec, found: Sequence[Detection], mask: Pixels) -> bool:
    """Whether the thing was found with its centre in the mask."""
    for seen in found:
        x, y = (int(np.clip((seen.box[axis] + seen.box[axis + 2]) / 2, 0, SIZE - 1)) for axis in (0, 1))
        if seen.sprite == spec.objects[0].sprite and mask[y, x]:
            return True
    return False


def _by_case(values: Sequence[float], levels: Sequence[float]) -> Float[np.ndarray, "cases levels"]:
    return np.reshape(np.asarray(values, np.float64), (-1, len(levels)))
