import json
import re
from itertools import islice

import pytest

from calotype.api import EMBEDDED
from calotype.data.captions import PHRASES, PLACES, TEMPLATES, article, caption, plural
from calotype.data.colours import COLOURS
from calotype.data.scenes import Object, Spec, World, sample_spec
from calotype.data.spec import CELLS
from calotype.data.things import THINGS


@pytest.mark.parametrize(
    ("one", "many"),
    [
        ("cat", "cats"), ("box", "boxes"), ("strawberry", "strawberries"), ("key", "keys"), ("fish", "fish"),
        ("sheep", "sheep"), ("mouse", "mice"), ("octopus", "octopuses"), ("bus", "buses"), ("snowman", "snowmen"),
        ("volcano", "volcanoes"), ("avocado", "avocados"), ("ice cream", "ice creams"), ("palm tree", "palm trees"),
        ("cactus", "cacti"), ("crying face", "crying faces"), ("torch", "torches"), ("monkey", "monkeys"),
        ("trophy", "trophies"), ("butterfly", "butterflies"), ("circle outline", "circle outlines"),
    ],
)  # fmt: skip
def test_plural(one: str, many: str) -> None:
    assert plural(one) == many


@pytest.mark.parametrize(
    "phrase", ["a cat", "an apple", "a unicorn", "an octopus", "an umbrella", "an ice cream", "an owl", "a t-rex"]
)
def test_article(phrase: str) -> None:
    assert article(phrase.split(" ", 1)[1]) == phrase


def test_all_words_of_an_example() -> None:
    thing = Object("drawn-star", "apple", (8.0, 80.0, 48.0, 120.0))
    spec = Spec(128, "orange", COLOURS["orange"], (thing,), "alone", "place", "on a background")
    assert caption(spec) == "an apple at the bottom left on an orange background"


def test_counts_agree_with_their_verb() -> None:
    thing = Object("drawn-star", "star", (8.0, 8.0, 40.0, 40.0))
    spec = Spec(128, "red", COLOURS["red"], (thing, thing, thing), "group", "list", "there is")
    assert caption(spec) == "there are three stars on a red background"


def test_every_form_of_caption_is_reached_and_well_formed(bank) -> None:
    seen = set()
    for seed in range(6000):
        spec = sample_spec(bank, seed, "any")
        seen |= {(spec.relation, spec.phrase), spec.template, spec.cell}
        text = caption(spec)
        assert re.fullmatch(r"[a-z-]+(,? [a-z-]+)*", text), text
        for one, following in re.findall(r"\b(an?) (\w+)", text):
            assert (one == "an") == (following[0] in "aeiou"), text
        assert not re.search(r"\b(two|three) (\w+ )?an? ", text), text
    assert seen >= {(relation, phrase) for relation, phrases in PHRASES.items() for phrase in phrases}
    assert seen >= set(TEMPLATES) | set(CELLS)
    assert set(PLACES) == set(CELLS)


@pytest.mark.parametrize("size", [64, 128])
def test_captions_are_true(each_bank, reader, judge, size) -> None:
    read = reader(each_bank)
    world = World(each_bank, size)
    for seed in range(3000):
        spec = world.spec(seed, "any")
        text = caption(spec)
        assert judge(read(text), spec), (text, spec)


def test_the_judge_of_truth_can_say_no(bank, reader, judge) -> None:
    """A caption of one scene is seldom true of another: the reader above is not simply agreeing."""
    read = reader(bank)
    world = World(bank)
    specs = [world.spec(seed, "any") for seed in range(200)]
    wrong = sum(judge(read(caption(a)), b) for a, b in zip(specs, islice(specs, 1, None), strict=False))
    assert wrong <= 4


def test_names_are_told_apart() -> None:
    names = [name for group in THINGS.values() for names in group.values() for name in names]
    assert len(names) == len(set(names))
    assert not {word for name in names for word in name.split()} & set(COLOURS)


FIRST = """cat dog fish whale unicorn fox owl penguin butterfly octopus dinosaur apple banana strawberry pizza hamburger
cake guitar rocket car bicycle house castle tree flower sun moon star heart ball key book camera umbrella crown robot
ghost skull"""
TWELVE = "red orange yellow green blue purple pink brown black white gray cyan"


def test_what_people_type_first_is_there() -> None:
    names = {names[0] for group in THINGS.values() for names in group.values()}
    assert 96 <= len(names) <= 128
    assert names >= set(FIRST.split())
    assert list(COLOURS) == TWELVE.split()


def test_the_embedded_model_has_read_what_people_type_first() -> None:
    assert set(json.loads((EMBEDDED / "vocabulary.json").read_text())) >= {*FIRST.split(), *TWELVE.split()}
