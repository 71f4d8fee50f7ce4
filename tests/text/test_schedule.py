import os
import subprocess
import sys

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
    "[a:b:1e999]": [(10, "a")],
    "[a:b:1.e999]": [(10, "a")],
    "[a:b:-1e999]": [(10, "b")],
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


# A1111's grammar has several readings of these, and takes another one from start to start of the program.
AMBIGUOUS = {
    "c d[a:b:3])": [(3, "c da)"), (10, "c db)")],
    "[a:b:3]]:": [(3, "a]:"), (10, "b]:")],
    "b[a:b:3](:3]": [(3, "ba(:3]"), (10, "bb(:3]")],
    "([a:b:3] [c::0.3](]": [(3, "(a c(]"), (10, "(b (]")],
    ":3](a:1.1)[a:b:3]:.5]": [(3, ":3](a:1.1)a:.5]"), (10, ":3](a:1.1)b:.5]")],
    "[x|y]3[a:b:3])": [(step, f"{'xy'[(step - 1) % 2]}3{'a' if step <= 3 else 'b'})") for step in range(1, 11)],
}


@pytest.mark.parametrize("text", AMBIGUOUS)
def test_what_is_whole_counts_beside_what_is_unbalanced(text: str) -> None:
    assert list(schedule(text, 10)) == AMBIGUOUS[text]


def test_the_reading_is_the_same_in_every_process() -> None:
    code = f"from calotype.text.schedule import schedule; print([schedule(text, 10) for text in {[*AMBIGUOUS]}])"
    read = {
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("0", "1", "2")
    }
    assert len(read) == 1


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
