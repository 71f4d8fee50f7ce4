import pytest

from calotype.dialects.infotext import parse


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("", {"Prompt": "", "Negative prompt": ""}),
        ("a: 1, b: 2", {"Prompt": "a: 1, b: 2", "Negative prompt": ""}),
        ("x\nab: 1, bc: 2, cd: 3", {"Prompt": "x", "Negative prompt": "", "ab": "1", "bc": "2", "cd": "3"}),
        ("  a  \n b \nNegative prompt:c", {"Prompt": "a\nb", "Negative prompt": "c"}),
        ('aa: "x, \\"y\\": z", bb: "\\q", cc:, dd: 1x2', {
            "Prompt": "", "Negative prompt": "", "aa": 'x, "y": z', "bb": '"\\q"', "dd-1": "1", "dd-2": "2",
        }),
    ],
)  # fmt: skip
def test_the_corners_of_its_reader(text: str, pairs: dict[str, str]) -> None:
    assert parse(text) == pairs
