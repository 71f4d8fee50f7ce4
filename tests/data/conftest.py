import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import pytest

from calotype.data import art
from calotype.data.banks import drawn_bank, load_bank
from calotype.data.captions import plural
from calotype.data.colours import COLOURS
from calotype.data.scenes import Spec
from calotype.data.sprites import SpriteBank
from data.fetched import here
from data.words import by_word

NUMBERS = {"two": 2, "three": 3}
DIRECTIONS = {
    r"to the left of|left of": "left",
    r"to the right of|right of": "right",
    r"above|over": "above",
    r"below|under": "below",
    r"next to|beside": "beside",
    r"in a row|from left to right": "row",
    r"side by side": "row",
}
PLACES = {
    r"in the (?:top left) corner|at the top left": "top left",
    r"in the (?:top right) corner|at the top right": "top right",
    r"in the (?:bottom left) corner|at the bottom left": "bottom left",
    r"in the (?:bottom right) corner|at the bottom right": "bottom right",
    r"at the top in the middle|at the top": "top",
    r"at the bottom in the middle|at the bottom": "bottom",
    r"on the left(?: side)?": "left",
    r"on the right(?: side)?": "right",
    r"in the center|in the middle": "center",
}


@dataclass(frozen=True)
class Reading:
    """What a caption says, found by its words alone; None or empty where it says nothing."""

    sprites: tuple[str, ...]
    words: tuple[str, ...]
    colour: str | None
    direction: str | None
    place: str | None
    size: str | None


class Reader:
    """Reads captions about a bank's things."""

    def __init__(self, bank: SpriteBank) -> None:
        self.things = {
            noun: (word, sprite.id) for word, sprite in by_word(bank).items() for noun in (word, plural(word))
        }
        self.singular = set(by_word(bank))
        longest_first = sorted(self.things, key=len, reverse=True)
        self.noun = re.compile(rf"\b(?:(two|three) )?(?:an? )?(?:(large|small) )?({'|'.join(longest_first)})\b")
        self.colour = re.compile(rf"\b({'|'.join(COLOURS)})\b")
        self.directions = re.compile("|".join(rf"(\b(?:{words})\b)" for words in DIRECTIONS))
        self.places = re.compile("|".join(rf"({words})" for words in PLACES))

    def __call__(self, text: str) -> Reading:
        sprites: list[str] = []
        words: list[str] = []
        size = None
        for number, large, noun in self.noun.findall(text):
            word, sprite = self.things[noun]
            assert bool(number) == (noun not in self.singular) or plural(noun) == noun, text
            sprites += [sprite] * NUMBERS.get(number, 1)
            words.append(word)
            size = large or size
        colours = self.colour.findall(text)
        assert len(colours) <= 1, text
        direction, place = self.directions.search(text), self.places.search(text)
        return Reading(
            tuple(sprites),
            tuple(words),
            colours[0] if colours else None,
            list(DIRECTIONS.values())[direction.lastindex - 1] if direction else None,
            list(PLACES.values())[place.lastindex - 1] if place and not direction else None,
            size,
        )


def thirds(spec: Spec) -> str:
    """The cell of the first thing, from its box: the words for the row and the column of its centre."""
    x0, y0, x1, y1 = spec.objects[0].box
    row = ("top", "", "bottom")[int((y0 + y1) / 2 // (spec.size / 3))]
    column = ("left", "", "right")[int((x0 + x1) / 2 // (spec.size / 3))]
    return f"{row} {column}".strip() or "center"


def offsets(spec: Spec) -> tuple[float, float]:
    """How far the first thing's centre lies to the right of and below the second's, less a tenth of their sides, as
    GenEval judges positions."""
    (ax0, ay0, ax1, ay1), (bx0, by0, bx1, by1) = (thing.box for thing in spec.objects[:2])
    dx, dy = (ax0 + ax1 - bx0 - bx1) / 2, (ay0 + ay1 - by0 - by1) / 2
    slack_x, slack_y = 0.1 * (ax1 - ax0 + bx1 - bx0), 0.1 * (ay1 - ay0 + by1 - by0)
    return _shrunk(dx, slack_x), _shrunk(dy, slack_y)


def _shrunk(distance: float, slack: float) -> float:
    return max(abs(distance) - slack, 0) * (1 if distance > 0 else -1)


def is_true(reading: Reading, spec: Spec) -> bool:
    """Whether what the caption says holds for the spec's boxes and colour."""
    shown = Counter(thing.sprite for thing in spec.objects)
    share = max(b - a for a, b in zip(spec.objects[0].box[:2], spec.objects[0].box[2:], strict=True)) / spec.size
    said = [
        Counter(reading.sprites) == shown,
        reading.colour in (None, spec.background),
        reading.place in (None, thirds(spec)),
        {"large": share >= 0.6, "small": share <= 0.3, None: True}[reading.size],
    ]
    if reading.direction in ("left", "right", "above", "below", "beside") and said[0]:
        dx, dy = offsets(spec)
        if reading.sprites != tuple(thing.sprite for thing in spec.objects):
            dx, dy = -dx, -dy
        sideways = abs(dx) > 2 * abs(dy)
        upright = abs(dy) > 2 * abs(dx)
        said.append(
            {
                "left": sideways and dx < 0,
                "right": sideways and dx > 0,
                "above": upright and dy < 0,
                "below": upright and dy > 0,
                "beside": sideways,
            }[reading.direction]
        )
    if reading.direction == "row" and said[0]:
        lefts = [thing.box for thing in spec.objects]
        said.append(all(a[2] <= b[0] for a, b in pairwise(lefts)))
        said.append(max(b[1] for b in lefts) < min(b[3] for b in lefts))
        said.append(reading.sprites == tuple(thing.sprite for thing in spec.objects))
    return all(said)


@pytest.fixture(scope="session")
def bank() -> SpriteBank:
    return drawn_bank()


@pytest.fixture(scope="session")
def noto() -> SpriteBank:
    here(art.noto_font)
    return load_bank("noto")


@pytest.fixture(scope="session")
def read(bank: SpriteBank) -> Reader:
    return Reader(bank)


@pytest.fixture(scope="session")
def judge() -> Callable[[Reading, Spec], bool]:
    return is_true


@pytest.fixture(scope="session", params=["drawn", "noto"])
def each_bank(request: pytest.FixtureRequest) -> SpriteBank:
    """The stand-ins, and the art where it is here."""
    bank: SpriteBank = request.getfixturevalue("bank" if request.param == "drawn" else "noto")
    return bank


@pytest.fixture(scope="session")
def reader() -> type[Reader]:
    return Reader


@pytest.fixture(scope="session")
def cell_of() -> Callable[[Spec], str]:
    return thirds
