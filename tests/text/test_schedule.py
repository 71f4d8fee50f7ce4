import pytest

from calotype.text.schedule import schedule, text_at

# What A1111 1.10.1 says of these prompts over 10 steps.
FACTS = {
    "test": [(10, "test")],
    "a [b:3]": [(3, "a "), (10, "a b")],
    "a [b: 3 ]": [(3, "a "), (10, "a b")],
    "a [[[b]]:2]": [(2, "a "), (10, "a [[b]]")],
    "[(a:2):3]": [(3, ""), (10, "(a:2)")],
    "a [b : c : 1] d": [(1, "a b  d"), (10, "a  c  d")],
    "a[b:[c:d:2]:1]e": [(1, "abe"), (2, "ace"), (10, "ade")],
    "a [unbalanced": [(10, "a [unbalanced")],
    "a [b:.5] c": [(5, "a  c"), (10, "a b c")],
    "a [b::.5] c": [(5, "a b c"), (10, "a  c")],
    "a [b:99] c": [(10, "a  c")],
    "a [b:0] c": [(10, "a b c")],
    "a [b:1e0] c": [(1, "a  c"), (10, "a b c")],
    "a [b:c] d": [(10, "a [b:c] d")],
    "a [{b|d{:.5] c": [(10, "a [{b|d{:.5] c")],
    "a | [b:3]": [(10, "a | [b:3]")],
    "((a][:b:c [d:3]": [(3, "((a][:b:c "), (10, "((a][:b:c d")],
    r"\[a:b:3] [c:3]": [(3, r"\[a:b:3] "), (10, r"\[a:b:3] c")],
    "[a:3] ends in \\": [(10, "[a:3] ends in \\")],
    "[a|(b:1.1)]": [(step, "(b:1.1)" if step % 2 == 0 else "a") for step in range(1, 11)],
    "[fe|]male": [(step, "male" if step % 2 == 0 else "female") for step in range(1, 11)],
}


@pytest.mark.parametrize("text", FACTS)
def test_a_prompt_over_ten_steps(text: str) -> None:
    assert list(schedule(text, 10)) == FACTS[text]


@pytest.mark.parametrize(
    ("text", "second_pass"),
    [
        ("a [b:.5] c", [(10, "a b c")]),
        ("a [b:1.5] c", [(5, "a  c"), (10, "a b c")]),
        ("a [b:12] c", [(2, "a  c"), (10, "a b c")]),
        ("a [b:3] c", [(10, "a b c")]),
    ],
)
def test_a_second_pass_counts_on(text: str, second_pass: list[tuple[int, str]]) -> None:
    assert list(schedule(text, 10, passed=10)) == second_pass


def test_steps_are_counted_as_in_a1111() -> None:
    """A1111 compares a step counted from 0 with ends counted from 1: the first text lasts one step longer."""
    texts = schedule("[a:b:3]", 10)
    assert "".join(text_at(texts, step) for step in range(10)) == "aaaabbbbbb"
    assert text_at(texts, 11) == "b"
