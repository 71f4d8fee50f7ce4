import re
from pathlib import Path

import pytest

from calotype.data.captions import caption
from calotype.data.held_out import HELD_OUT_SYNONYMS, is_held_out
from calotype.data.scenes import World
from calotype.training.run_file import read
from data.words import by_word, nearest

HALF = 50_000
FEWER = 2_000
RUNS = Path(__file__).parents[2] / "runs" / "embedded"
TRAINED = sorted({phase.world for file in RUNS.glob("*.toml") for phase in read(file).phases})
SENTENCES = {"in front of": r" in front of an? ", "colour first": r"^\w+ background, ", "image": r"^an image of "}


def combinations(text, spec, reading, cell):
    """All that a scene combines, from its caption's words and its boxes; nothing of how it was drawn."""
    colour = nearest(spec.rgb)
    assert reading.colour in (None, colour), text
    assert sorted(reading.sprites) == sorted(thing.sprite for thing in spec.objects), text
    found = {("colour", sprite, colour) for sprite in reading.sprites}
    if len(reading.sprites) == 1:
        found.add(("cell", reading.sprites[0], cell))
    else:
        found |= {("company", word) for word in reading.words}
    for i, a in enumerate(spec.objects):
        for b in spec.objects[i + 1 :]:
            if a.sprite != b.sprite:
                upright = abs(a.center[1] - b.center[1]) > abs(a.center[0] - b.center[0])
                first, second = sorted((a, b), key=lambda thing: thing.center[upright])
                found.add(("pair", *sorted((a.sprite, b.sprite))))
                found.add(("direction", first.sprite, second.sprite))
    return found | {("sentence", name) for name, form in SENTENCES.items() if re.search(form, text)}


def combined(world, reading, cell_of, count):
    """What ``count`` training scenes combine, and what each of as many held-out scenes combines."""

    def seen(split):
        for seed in range(count):
            spec = world.spec(seed, split)
            text = caption(spec)
            yield combinations(text, spec, reading(text), cell_of(spec))

    return set().union(*seen("train")), list(seen("held_out"))


@pytest.fixture(scope="module", params=["bank", pytest.param("noto", marks=pytest.mark.slow)])
def worlds(request, reader, cell_of):
    """A bank, and what its world's scenes combine: training's, and each held-out one's."""
    bank = request.getfixturevalue(request.param)
    return bank, *combined(World(bank), reader(bank), cell_of, HALF)


def test_none_leaks_and_both_sides_are_there(worlds) -> None:
    _, train, held_out = worlds
    kinds = {kind for kind, *_ in train}
    assert kinds == {"colour", "cell", "company", "pair", "direction"}
    new = [combination - train for combination in held_out]
    assert all(new), "a held-out scene combines nothing that training has not shown"
    assert {kind for found in new for kind, *_ in found} == kinds | {"sentence"}


def test_the_shares_are_those_promised(worlds) -> None:
    bank, train, held_out = worlds
    n = len(bank.sprites)

    def missing(kind, total):
        return 1 - sum(combination[0] == kind for combination in train) / total

    assert 0.05 < missing("colour", n * 12) < 0.15
    assert 0.05 < missing("cell", n * 9) < 0.15
    assert 0.14 < missing("pair", n * (n - 1) / 2) < 0.26
    assert {("sentence", name) for name in SENTENCES} <= set().union(*held_out)


@pytest.mark.parametrize("worlds", ["bank"], indirect=True)
def test_a_tenth_of_the_pairs_stand_one_way_only(worlds) -> None:
    """Of the stand-ins: the art has too many pairs for each to come both ways in so many scenes."""
    _, train, _ = worlds
    pairs = {(a, b) for kind, a, b, *_ in (c for c in train if len(c) == 3) if kind == "pair"}
    one_way = [pair for pair in pairs if not {("direction", *pair), ("direction", *pair[::-1])} <= train]
    assert 0.05 < len(one_way) / len(pairs) < 0.15


def test_every_atom_is_in_training(worlds) -> None:
    bank, train, _ = worlds
    ids = {sprite.id for sprite in bank.sprites}
    for kind in ("colour", "cell"):
        assert {sprite for k, sprite, *_ in train if k == kind} == ids
    assert {sprite for kind, *pair in train if kind == "pair" for sprite in pair} == ids
    assert len({c for k, _, c in (t for t in train if len(t) == 3) if k == "colour"}) == 12
    words = set(by_word(bank))
    assert {
        word for kind, word in (c for c in train if len(c) == 2) if kind == "company"
    } == words - HELD_OUT_SYNONYMS.keys()


@pytest.mark.parametrize("settings", TRAINED, ids=str)
def test_none_leaks_from_the_worlds_that_are_trained_on(each_bank, reader, cell_of, settings) -> None:
    """``settings``: size, counts and grid."""
    world = World(each_bank, *settings)
    train, held_out = combined(world, reader(each_bank), cell_of, FEWER)
    assert {kind for kind, *_ in train} >= {"colour", "cell"}
    new = [combination - train for combination in held_out]
    assert all(new), "a held-out scene combines nothing that training has not shown"
    assert {kind for found in new for kind, *_ in found} >= {"colour", "cell", "sentence"}


def test_held_out_synonyms_are_seen_alone(bank) -> None:
    world = World(bank)
    alone = {thing.word for seed in range(6000) for thing in world.spec(seed, "train").objects}
    assert alone == set(by_word(bank))


def test_splits_agree_with_the_rule(each_bank) -> None:
    world = World(each_bank)
    for seed in range(2000):
        assert not is_held_out(world.spec(seed, "train"))
        assert is_held_out(world.spec(seed, "held_out"))
    assert {is_held_out(world.spec(seed, "any")) for seed in range(100)} == {True, False}


def test_the_everyday_name_is_never_held_out(noto) -> None:
    assert not {sprite.name for sprite in noto.sprites} & HELD_OUT_SYNONYMS.keys()
    things = by_word(noto)
    everyday = {name: things[name].name for name in HELD_OUT_SYNONYMS if name in things}
    assert everyday | {"disc": "circle"} == HELD_OUT_SYNONYMS
