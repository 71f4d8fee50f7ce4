"""Negatives: captions that are nearly right and certainly false, so that a text encoder must read the word order."""

import random
from collections.abc import Iterator
from dataclasses import replace

from calotype.data.captions import PHRASES, TEMPLATES, caption
from calotype.data.colours import COLOURS
from calotype.data.held_out import HELD_OUT_SYNONYMS, held_out
from calotype.data.spec import CELLS, Cell, Object, Relation, Spec

_OPPOSITES: dict[Relation, Relation] = {"left": "right", "right": "left", "above": "below", "below": "above"}
_TURNS: dict[Relation, Relation] = {"left": "above", "right": "below", "above": "left", "below": "right"}


def negatives(spec: Spec, seed: int) -> list[str]:
    """False captions for the scene of ``spec``, in random order, one for each thing its own caption says that can be
    changed: the count, the background, the direction, the order of the things, the place. Never empty.

    None speaks of a held-out combination that the scene itself does not hold: training must not learn that it is false.
    """
    rng = random.Random(seed)
    chosen = [rng.choice(_recounted(spec))]
    for changed in _changes(spec):
        if fair := [variant for variant in changed if held_out(variant) <= held_out(spec)]:
            chosen.append(rng.choice(fair))
    rng.shuffle(chosen)
    return list(dict.fromkeys(caption(variant) for variant in chosen))


def _changes(spec: Spec) -> Iterator[list[Spec]]:
    if "{colour}" in TEMPLATES[spec.template]:
        yield [replace(spec, background=name) for name in COLOURS if name != spec.background]
    directed = spec.relation in _OPPOSITES and spec.phrase in ("full", "short")
    if directed:
        yield [replace(spec, relation=_OPPOSITES[spec.relation])]
        yield [replace(spec, relation=_TURNS[spec.relation])]
    if directed or spec.phrase == "left to right":
        yield [replace(spec, objects=spec.objects[::-1])]
    if any(slot in PHRASES[spec.relation][spec.phrase] for slot in ("{place}", "{corner}")):
        yield [_moved(spec, cell) for cell in CELLS if _excludes(cell, spec.cell)]


def _recounted(spec: Spec) -> list[Spec]:
    """Two or three of the first thing, as it is not: in the same words where there are several already."""
    count = len(spec.objects)
    if count > 1 and spec.alike:
        return [replace(spec, objects=spec.objects[:1] * (5 - count))]
    thing = replace(spec.objects[0], word=HELD_OUT_SYNONYMS.get(spec.objects[0].word, spec.objects[0].word))
    return [replace(spec, objects=(thing,) * n, relation="group", phrase="list") for n in (2, 3)]


def _moved(spec: Spec, cell: Cell) -> Spec:
    """The first thing moved to the middle of another cell."""
    row, column = divmod(CELLS.index(cell), 3)
    thing, *others = spec.objects
    x, y = thing.center
    dx, dy = (column + 0.5) * spec.size / 3 - x, (row + 0.5) * spec.size / 3 - y
    x0, y0, x1, y1 = thing.box
    return replace(spec, objects=(Object(thing.sprite, thing.word, (x0 + dx, y0 + dy, x1 + dx, y1 + dy)), *others))


def _excludes(cell: Cell, other: Cell) -> bool:
    """Whether no one could call the one cell the other, as a thing at the top left is also at the top."""
    words, others = set(cell.split()), set(other.split())
    return not words <= others and not others <= words
