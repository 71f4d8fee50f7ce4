"""What a person may want to know before pictures are made: nothing here stops them."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING

from calotype.recipe import Recipe

if TYPE_CHECKING:
    from calotype.api import Studio

FAR = 2
"""How many times larger or smaller than in training a side may not be without a hint."""


def hints(studio: "Studio", settled: Sequence[Recipe]) -> Iterator[str]:
    """Of settled recipes: a line of all words the model has never seen, sizes far from those of its training, and what
    its publisher's choice of a sampler asks for in vain.
    """
    yield from _words(studio, settled)
    yield from _sizes(studio, settled)
    yield from _publishers_choice(studio, settled)


def _words(studio: "Studio", settled: Iterable[Recipe]) -> Iterator[str]:
    from calotype.model import WORDS
    from calotype.pipeline import passes
    from calotype.pipeline.words import read_prompts
    from calotype.text.words import unknown_words

    texts: dict[str, None] = {}
    for pass_ in chain.from_iterable(map(passes, settled)):
        language, *prompts = read_prompts(pass_)
        texts |= dict.fromkeys(map(language.plain, prompts))
    told = [
        f'"{word}"' + (f" (the nearest it knows: {', '.join(near)})" if near else "")
        for word, near in unknown_words(" ".join(texts), studio.words).items()
    ]
    if told:
        yield f"the model has never seen {', '.join(told)}; its words are listed in {studio.files[0] / WORDS}"


def _sizes(studio: "Studio", settled: Iterable[Recipe]) -> Iterator[str]:
    """Of first passes: a second one is meant to be larger. The network sees no more than a tile."""
    own = studio.config.side
    for width, height, tile in dict.fromkeys((recipe.width, recipe.height, recipe.tile_size) for recipe in settled):
        assert width is not None and height is not None
        seen = [min(side, tile or side) for side in (width, height)]
        if not all(own / FAR < side < own * FAR for side in seen):
            yield (
                f"the model was trained on {own}x{own} pixels: at {seen[0]}x{seen[1]} it may repeat things or lose "
                "them; for larger pictures there are --hr-scale and --tile-size"
            )


def _publishers_choice(studio: "Studio", settled: Iterable[Recipe]) -> Iterator[str]:
    """Of runs by the sampler that the model's publisher chose, on its scheduler."""
    own = (studio.sampler, studio.scheduler)
    if studio.not_honoured and any((recipe.sampler, recipe.scheduler) == own for recipe in settled):
        yield f"the model's scheduler_config.json asks for what is not honoured: {', '.join(studio.not_honoured)}"
