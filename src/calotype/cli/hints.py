"""What a person may want to know before pictures are made: nothing here stops them."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from calotype.recipe import Recipe

if TYPE_CHECKING:
    from calotype.api import Studio

FAR = 2
"""How many times larger or smaller than in training a side may not be without a hint."""


def hints(studio: "Studio", recipes: Iterable[Recipe]) -> Iterator[str]:
    """Words that the model has never seen, and sizes far from those that it was trained on."""
    recipes = list(recipes)
    yield from _words(studio, recipes)
    yield from _sizes(studio, recipes)


def _words(studio: "Studio", recipes: Iterable[Recipe]) -> Iterator[str]:
    from calotype.text.language import language
    from calotype.text.words import unknown_words

    text = ""
    for recipe in recipes:
        words = language(recipe.prompt_style, recipe.emphasis)
        asked = (
            words.prompt(recipe.prompt, recipe.steps, None),
            words.negative(recipe.negative_prompt, recipe.steps, None),
        )
        text += " ".join(map(words.plain, asked)) + " "
    for word, near in unknown_words(text, studio.words).items():
        nearest = f"; the nearest it knows: {', '.join(near)}" if near else ""
        yield f'the model has never seen the word "{word}"{nearest}'


def _sizes(studio: "Studio", recipes: Iterable[Recipe]) -> Iterator[str]:
    """Of first passes: a second one is meant to be larger. The network sees no more than a tile."""
    from calotype.pipeline import settle

    own = studio.config.vae.sample_size
    told = set()
    for recipe in dict.fromkeys(recipe.but(prompt="", negative_prompt="", seed=0) for recipe in recipes):
        settled = settle(studio, recipe)
        assert settled.width is not None and settled.height is not None
        size = (settled.width, settled.height)
        seen = [min(side, recipe.tile_size or side) for side in size]
        if size not in told and not all(own / FAR < side < own * FAR for side in seen):
            told.add(size)
            yield (
                f"the model was trained on {own}x{own} pixels: at {seen[0]}x{seen[1]} it may repeat things or lose "
                "them; for larger pictures there are --hr-scale and --tile-size"
            )
