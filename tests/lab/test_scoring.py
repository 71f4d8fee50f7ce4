import numpy as np
import pytest

from calotype.data.colours import COLOURS
from calotype.data.spec import Object, Spec
from calotype.lab.detection import Detection
from calotype.lab.scoring import counted, directions, named_colour, placed, present


def spec(*sprites, relation="alone"):
    boxes = [(10.0, 40.0, 50.0, 80.0), (70.0, 40.0, 110.0, 80.0), (50.0, 90.0, 80.0, 120.0)]
    objects = tuple(Object(sprite, sprite, box) for sprite, box in zip(sprites, boxes, strict=False))
    return Spec(128, "red", COLOURS["red"], objects, relation, "name", "on a background")


def seen(*sprites):
    return [Detection(sprite, (30.0 * i, 40.0, 30.0 * i + 25, 70.0), 0.9 - 0.1 * i) for i, sprite in enumerate(sprites)]


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((0, 0, 10, 10), {"left", "above"}),  # as far left as above: both are said
        ((0, 50, 10, 60), {"left"}),
        ((100, 50, 110, 60), {"right"}),
        ((50, 0, 60, 10), {"above"}),
        ((50, 100, 60, 110), {"below"}),
        ((51, 50, 61, 60), set()),  # off by less than a tenth of the sizes
        (
            (0, 30, 10, 40),
            {"left"},
        ),  # the offset is (-50, -20): less the slack (-48, -18) / 53.9, only x exceeds a half
    ],
)
def test_directions_by_genevals_rule(box, expected):
    assert directions(box, (50, 50, 60, 60)) == expected


def test_the_slack_is_a_tenth_of_both_sizes():
    wide = (0.0, 0.0, 40.0, 10.0)
    assert directions((8.5, 0.0, 48.5, 10.0), wide) == set()  # 8.5 - 8 = 0.5, of 8.5
    assert directions((17.0, 0.0, 57.0, 10.0), wide) == {"right"}  # 17 - 8 = 9, more than half of 17
    assert directions((15.0, 0.0, 55.0, 10.0), wide) == set()  # 15 - 8 = 7, less than half of 15


def test_present_wants_everything_and_forgives_more():
    assert present(spec("cat", "dog"), seen("dog", "cat", "fox"))
    assert not present(spec("cat", "dog"), seen("cat"))
    assert not present(spec("cat", "cat"), seen("cat", "dog"))


def test_counted_wants_the_number():
    assert counted(spec("cat", "cat"), seen("cat", "cat"))
    assert not counted(spec("cat", "cat"), seen("cat", "cat", "cat"))
    assert not counted(spec("cat"), [])
    assert counted(spec("cat"), seen("cat", "dog"))


def test_placed():
    found = seen("cat", "dog")
    assert placed(spec("cat", "dog", relation="left"), found)
    assert not placed(spec("cat", "dog", relation="right"), found)
    assert not placed(spec("cat", "dog", relation="above"), found)
    assert placed(spec("dog", "cat", relation="right"), found)
    assert not placed(spec("cat", "fox", relation="left"), found)


def test_named_colour():
    assert [named_colour(rgb) for rgb in COLOURS.values()] == list(COLOURS)
    assert named_colour(np.array([255, 0, 0])) == "red"
