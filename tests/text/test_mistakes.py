import pytest

from calotype.text.emphasis import a1111_sections
from calotype.text.mistakes import mistakes


@pytest.mark.parametrize(
    ("prompt", "places"),
    [
        ("a cat", []),
        ("a (cat:1.2) [on:by:0.5] [a|b] x AND y :1.2", []),
        (r"a smiling \(cat\) 16\:9", []),
        ("a cat # (unlike :3", []),
        ("a #(\n(cat", [5]),
        ("a cat :1.2 # much", [6]),
        ("[(a])", [3]),
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


def test_brackets_that_cross_are_closed_all_the_same() -> None:
    """Emphasis counts each kind of bracket for itself."""
    assert a1111_sections("[(a] b)") == [[("a", pytest.approx(1)), (" b", 1.1)]]
    ((_, message),) = mistakes("[(a] b)")
    assert message.startswith("this ] closes across the ( before it")


def test_without_emphasis_brackets_are_letters() -> None:
    assert mistakes("(a) [b:c:d] (on:12) (", emphasis=False) == []
    assert [place for place, _ in mistakes("a | b [c|d] :1.2", emphasis=False)] == [2, 12]
