from typing import get_args

import pytest

from calotype.data.captions import caption
from calotype.data.held_out import is_held_out
from calotype.data.prompts import TEST, Category, prompts, validation_prompts
from calotype.errors import CalotypeError


@pytest.mark.parametrize("category", get_args(Category))
@pytest.mark.parametrize("split", ["train", "held_out"])
def test_prompts_are_true_different_and_of_their_split(each_bank, reader, judge, category, split) -> None:
    read = reader(each_bank)
    asked = prompts(each_bank, category, split, 20, seed=1)
    assert asked == prompts(each_bank, category, split, 20, seed=1) != prompts(each_bank, category, split, 20, seed=2)
    assert len({text for text, _ in asked}) == 20
    for text, spec in asked:
        said = read(text)
        assert text == caption(spec)
        assert judge(said, spec)
        assert said.colour == spec.background
        assert is_held_out(spec) == (split == "held_out")
        assert set(said.words) <= {sprite.name for sprite in each_bank.sprites}
        if category in ("two", "position"):
            assert len(set(said.sprites)) == 2
            assert (said.direction in ("left", "right", "above", "below")) == (category == "position")
        else:
            assert len(set(said.sprites)) == 1


def test_held_out_prompts_put_the_combination_into_words(bank, reader) -> None:
    """Among 20,000 training scenes none combines what the prompt names."""
    from calotype.data.scenes import World

    specs = [World(bank).spec(seed) for seed in range(20_000)]
    colours = {(thing.sprite, spec.background) for spec in specs for thing in spec.objects}
    pairs = {
        frozenset(thing.sprite for thing in spec.objects) for spec in specs if spec.relation not in ("row", "group")
    }
    read = reader(bank)
    for text, _ in prompts(bank, "single", "held_out", 15):
        assert (read(text).sprites[0], read(text).colour) not in colours
    for text, _ in prompts(bank, "two", "held_out", 15):
        assert frozenset(read(text).sprites) not in pairs


def test_counting_asks_for_one_two_and_three(bank, reader) -> None:
    amounts = [len(reader(bank)(text).sprites) for text, _ in prompts(bank, "counting", "train", 30)]
    assert amounts == [1, 2, 3] * 10


@pytest.mark.parametrize("category", get_args(Category))
def test_validation_asks_nothing_of_the_test(bank, category) -> None:
    test = {text for text, _ in prompts(bank, category, "train", TEST)}
    others = validation_prompts(bank, category, "train", 50)
    assert len(dict(others)) == 50
    assert test.isdisjoint(dict(others))


def test_validation_asks_what_is_left(bank) -> None:
    """Of 24 things on 12 backgrounds 30 are held out: the test may ask them all."""
    assert validation_prompts(bank, "single", "held_out", 5) == []


def test_too_many_are_refused(bank) -> None:
    with pytest.raises(CalotypeError, match="ask for fewer"):
        prompts(bank, "single", "held_out", 200)
