"""Held-out combinations: what training never shows, so that composing can be told from remembering.

Every atom (a thing, a colour, a place) is in training; only combinations are new, and a few words that only held-out
sentences have: "image", "front", and the plurals of some other names. A combination is held out by the hash of its
parts, the same on every machine.
"""

from functools import cache
from hashlib import blake2b
from itertools import combinations
from typing import Literal

from calotype.data.spec import Spec

Reason = Literal["colour", "cell", "pair", "direction", "template", "synonym"]

HELD_OUT_TEMPLATES = frozenset({"in front of", "background only first", "image against"})

HELD_OUT_SYNONYMS = {
    "kitty": "cat",
    "bunny": "rabbit",
    "ladybird": "ladybug",
    "burger": "hamburger",
    "aubergine": "eggplant",
    "bike": "bicycle",
    "boat": "sailboat",
    "blossom": "flower",
    "phone": "telephone",
    "padlock": "lock",
    "present": "gift",
    "disc": "circle",
}
"""Other names, which training shows only on a thing alone, and the everyday names of the same things."""


def is_held_out(spec: Spec) -> bool:
    """Whether the spec holds at least one held-out combination."""
    return bool(held_out(spec))


def held_out(spec: Spec) -> frozenset[Reason]:
    """Which kinds of held-out combination the spec holds.

    colour: a tenth of (thing, background). cell: a tenth of (thing, cell), for a thing alone. pair: a fifth of the
    unordered pairs of things. direction: a tenth of the pairs are seen in one order only, left to right and top to
    bottom. template: three sentences. synonym: some aliases are seen in training only on a thing alone.
    """
    reasons: set[Reason] = set()
    sprites = [o.sprite for o in spec.objects]
    if any(_drawn("colour", sprite, spec.background) < 0.1 for sprite in sprites):
        reasons.add("colour")
    if spec.relation == "alone" and _drawn("cell", sprites[0], spec.cell) < 0.1:
        reasons.add("cell")
    for first, second in combinations(reading_order(spec), 2):
        reasons |= _pair(first, second)
    if spec.template in HELD_OUT_TEMPLATES:
        reasons.add("template")
    if spec.relation != "alone" and any(o.word in HELD_OUT_SYNONYMS for o in spec.objects):
        reasons.add("synonym")
    return frozenset(reasons)


def reading_order(spec: Spec) -> list[str]:
    """The sprites from left to right, or from top to bottom where one stands above the other."""
    sprites = [o.sprite for o in spec.objects]
    return sprites[::-1] if spec.relation in ("right", "below") else sprites


def _pair(first: str, second: str) -> frozenset[Reason]:
    if first == second:
        return frozenset()
    low, high = sorted((first, second))
    if _drawn("pair", low, high) < 0.2:
        return frozenset({"pair"})
    if _drawn("one way", low, high) < 0.1 and (first == low) == (_drawn("way", low, high) < 0.5):
        return frozenset({"direction"})
    return frozenset()


@cache
def _drawn(*parts: str) -> float:
    """A number in [0, 1) that depends on the words alone."""
    return int.from_bytes(blake2b("|".join(parts).encode(), digest_size=8).digest(), "big") / 2**64
