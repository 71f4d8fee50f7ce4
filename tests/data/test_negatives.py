import re

import pytest

from calotype.data.captions import caption
from calotype.data.held_out import HELD_OUT_SYNONYMS
from calotype.data.negatives import negatives
from calotype.data.scenes import World


@pytest.mark.parametrize("split", ["train", "held_out"])
def test_negatives_are_false(each_bank, reader, judge, split) -> None:
    """Read by their words, they contradict the boxes; the true caption, read the same way, does not."""
    world, read = World(each_bank), reader(each_bank)
    for seed in range(2000):
        spec = world.spec(seed, split)
        found = negatives(spec, seed)
        assert found
        assert len(set(found)) == len(found)
        assert judge(read(caption(spec)), spec)
        for text in found:
            assert not judge(read(text), spec), (caption(spec), text)


def test_each_kind_is_made(bank, reader) -> None:
    read, kinds = reader(bank), set()
    for seed in range(1000):
        spec = World(bank).spec(seed)
        truth = read(caption(spec))
        for said in map(read, negatives(spec, seed)):
            kinds |= {name for name in ("colour", "place", "direction") if getattr(said, name) != getattr(truth, name)}
            if said.sprites == truth.sprites[::-1] != truth.sprites:
                kinds.add("order")
            if len(said.sprites) != len(truth.sprites):
                kinds.add("count")
    assert kinds == {"colour", "place", "direction", "order", "count"}


def test_negatives_are_grammatical(bank) -> None:
    for seed in range(1000):
        for text in negatives(World(bank).spec(seed, "any"), seed):
            for one, following in re.findall(r"\b(an?) (\w+)", text):
                assert (one == "an") == (following[0] in "aeiou"), text


def test_training_is_not_told_that_held_out_combinations_are_false(bank, reader) -> None:
    """No negative of a training scene names a colour with a thing that training never shows on it."""
    read, world = reader(bank), World(bank)
    specs = [world.spec(seed) for seed in range(20_000)]
    shown = {(thing.sprite, spec.background) for spec in specs for thing in spec.objects}
    for seed, spec in enumerate(specs[:4000]):
        for said in map(read, negatives(spec, seed)):
            assert said.colour is None or all((sprite, said.colour) in shown for sprite in said.sprites)


def test_training_is_not_told_that_held_out_names_are_false(bank) -> None:
    """A thing alone may be called by a name that training shows in no company: its negatives do not show it there."""
    alone = [spec for spec in map(World(bank).spec, range(4000)) if spec.objects[0].word in HELD_OUT_SYNONYMS]
    assert alone
    for seed, spec in enumerate(alone):
        stem = spec.objects[0].word.rstrip("y")  # two bunnies
        assert not any(re.search(rf"\b(two|three) {stem}", text) for text in negatives(spec, seed))


def test_the_same_seed_gives_the_same(bank) -> None:
    spec = World(bank).spec(3)
    assert negatives(spec, 5) == negatives(spec, 5)
