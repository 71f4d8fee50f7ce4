"""Prompts: what the judges ask for, with the true scene of each."""

import random
from collections.abc import Collection, Iterator
from dataclasses import replace
from itertools import islice
from typing import Literal

from calotype.data.captions import TEMPLATES, caption
from calotype.data.held_out import Reason, held_out
from calotype.data.scenes import Split, sample_spec
from calotype.data.spec import Spec
from calotype.data.sprites import SpriteBank
from calotype.errors import CalotypeError

Category = Literal["single", "two", "position", "colour", "counting"]

# For each category: the numbers of things to ask for, and the held-out combinations that its prompts put into words.
_CATEGORIES: dict[Category, tuple[tuple[int, ...], frozenset[Reason]]] = {
    "single": ((1,), frozenset({"colour"})),
    "two": ((2,), frozenset({"pair"})),
    "position": ((2,), frozenset({"pair", "direction"})),
    "colour": ((1,), frozenset({"colour"})),
    "counting": ((1, 2, 3), frozenset({"colour"})),
}
"""single: a thing on a background. two: two things, no direction. position: two things and how they stand. colour: a
thing on a background, in any wording. counting: one, two or three of a kind."""

TEST = 100
"""How many prompts of seed 0 the test asks, at most, of a category and split."""
_PATIENCE = 10_000
"""After how many drawn scenes without a new prompt there are taken to be no more."""


def prompts(bank: SpriteBank, category: Category, split: Split, count: int, seed: int = 0) -> list[tuple[str, Spec]]:
    """``count`` different captions of a category, each with a true scene (128 pixels): the same for the same seed.

    ``train``: no held-out combination. ``held_out``: each caption speaks of one. Everyday names only. Raises
    CalotypeError when the bank is too small for so many.
    """
    found = list(islice(_different(bank, category, split, seed), count))
    if len(found) < count:
        raise CalotypeError(f"there are hardly more than {len(found)} {category} prompts: ask for fewer.")
    return found


def validation_prompts(
    bank: SpriteBank, category: Category, split: Split, count: int, seed: int = 1
) -> list[tuple[str, Spec]]:
    """As `prompts`, but none that the test asks, for choosing settings by: fewer where so many are not left."""
    test = {text for text, _ in islice(_different(bank, category, split, 0), TEST)}
    return list(islice(_different(bank, category, split, seed, without=test), count))


def _different(
    bank: SpriteBank, category: Category, split: Split, seed: int, without: Collection[str] = ()
) -> Iterator[tuple[str, Spec]]:
    amounts, reasons = _CATEGORIES[category]
    rng = random.Random(f"{category} {seed}")
    found: set[str] = set()
    fruitless = 0
    while fruitless < _PATIENCE:
        amount = amounts[len(found) % len(amounts)]
        spec = _asked(bank, category, amount, rng.getrandbits(62))
        if spec is None or not _fits(spec, split, reasons) or (text := caption(spec)) in found or text in without:
            fruitless += 1
            continue
        found.add(text)
        fruitless = 0
        yield text, spec


def _asked(bank: SpriteBank, category: Category, amount: int, seed: int) -> Spec | None:
    """A scene in the words of the category, or None where the seed's scene or sentence is of another kind."""
    spec = sample_spec(bank, seed, "any", counts=[float(n == amount) for n in (1, 2, 3)])
    template = spec.template if category == "colour" else "on a background"
    if spec.alike != (category not in ("two", "position")) or "{colour}" not in TEMPLATES[template]:
        return None
    objects = tuple(replace(thing, word=bank.by_id[thing.sprite].name) for thing in spec.objects)
    phrase = {"two": "and", "position": "full"}.get(category, "name" if amount == 1 else "list")
    return replace(spec, objects=objects, phrase=phrase, template=template)


def _fits(spec: Spec, split: Split, reasons: frozenset[Reason]) -> bool:
    held = held_out(spec)
    if split == "any" or "template" in held:
        return split == "any"
    return bool(held & reasons) if split == "held_out" else not held
