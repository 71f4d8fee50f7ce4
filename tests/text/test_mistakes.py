import pytest

from calotype.text.mistakes import mistakes


@pytest.mark.parametrize(
    ("prompt", "places"),
    [
        ("a cat", []),
        ("a (cat:1.2) [on:by:0.5] [a|b] x AND y :1.2", []),
        (r"a smiling \(cat\) 16\:9", []),
        ("a (cat", [2]),
        ("a cat)", [5]),
        ("a (cat]", [2, 6]),
        ("[a:b:c]", [5]),
        ("a | b", [2]),
        ("a (cat:12)", [7]),
        ("a (cat:1.2.3)", [7]),
        ("a (cat: 12 )", [8]),
        ("wide, 16:9", [8]),
        ("a cat, embedding:red", [7]),
        ("(embedding:red.pt:1.2)", [1]),
    ],
)
def test_where_mistakes_are_seen(prompt: str, places: list[int]) -> None:
    assert [place for place, _ in mistakes(prompt)] == places
