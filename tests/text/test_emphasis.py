import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from calotype.text.emphasis import a1111_sections, comfyui_sections, from_empty, times, times_with_mean

A1111 = {
    "normal text": [("normal text", 1.0)],
    "": [("", 1.0)],
    "an (important) word": [("an ", 1.0), ("important", 1.1), (" word", 1.0)],
    "(unbalanced": [("unbalanced", 1.1)],
    "un)balanced]": [("un)balanced]", 1.0)],
    r"\(literal\]": [("(literal]", 1.0)],
    r"a\\b\c": [("a\\bc", 1.0)],
    "(unnecessary)(parens)": [("unnecessaryparens", 1.1)],
    "[less]": [("less", 1 / 1.1)],
    "(a:-0.5)": [("a", -0.5)],
    "(a: 1.3) (b:.5\n) c: 1.2 )": [("a", 1.3), (" ", 1.0), ("b", 0.5), (" c: 1.2 )", 1.0)],
    "16:9": [("16:9", 1.0)],
    "a:1.2) b": [("a:1.2) b", 1.0)],
    "a (((house:1.3)) [on] a (hill:0.5), sun, (((sky))).": [
        ("a ", 1.0), ("house", 1.573), (" ", 1.1), ("on", 1.0), (" a ", 1.1), ("hill", 0.55), (", sun, ", 1.1),
        ("sky", 1.4641), (".", 1.1),
    ],
}  # fmt: skip
COMFYUI = {
    "a (red) cat": [("a ", 1.0), ("red", 1.1), (" cat", 1.0)],
    "((a))": [("a", pytest.approx(1.21))],
    "((a:0.5) b:2)": [("a", 0.5), (" b", 2.0)],
    "[a]": [("[a]", 1.0)],
    r"\(a\)": [("(a)", 1.0)],
    "(a": [("(a", 1.0)],
    "a) (b)": [("a) (b)", 1.0)],
    "(:2)": [(":2", 1.1)],
    "(a:b)": [("a:b", 1.1)],
    "": [("", 1.0)],
}


@pytest.mark.parametrize("text", A1111)
def test_a1111(text: str) -> None:
    (section,) = a1111_sections(text)
    assert section == [(piece, pytest.approx(weight)) for piece, weight in A1111[text]]


@pytest.mark.parametrize("text", COMFYUI)
def test_comfyui(text: str) -> None:
    assert comfyui_sections(text) == [COMFYUI[text]]


def test_break_begins_a_section_inside_brackets_too() -> None:
    assert a1111_sections("a BREAK (b BREAK\n c:2) BREAKS") == [
        [("a", 1.0)],
        [("", 1.0), ("b", 2.0)],
        [("c", 2.0), (" BREAKS", 1.0)],
    ]


@given(st.text("ab()[]:|\\.1 ", max_size=40))
def test_any_text_can_be_read_and_plain_letters_are_kept(text: str) -> None:
    for sections in (a1111_sections(text), comfyui_sections(text)):
        kept = "".join(piece for section in sections for piece, _ in section)
        assert [letter for letter in kept if letter in "ab|"] == [letter for letter in text if letter in "ab|"]


def test_what_weights_do_to_vectors() -> None:
    vectors, weights, empty = torch.randn(4, 6) + 1, torch.tensor([1.0, 1.3, 0.0, 1.0]), torch.randn(4, 6)
    assert times(vectors, weights, empty)[2].count_nonzero() == 0
    original = times_with_mean(vectors, weights, empty)
    torch.testing.assert_close(original.mean(), vectors.mean())
    torch.testing.assert_close(original[1] / original[0], 1.3 * vectors[1] / vectors[0])
    comfyui = from_empty(vectors, weights, empty)
    assert comfyui[2].equal(empty[2])
    torch.testing.assert_close(comfyui[0], vectors[0])
    torch.testing.assert_close(comfyui[1], empty[1] + 1.3 * (vectors[1] - empty[1]))
