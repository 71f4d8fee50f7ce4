from dataclasses import replace

import pytest

from calotype.text.chunks import Row, a1111_chunks, comfyui_chunks
from calotype.text.emphasis import a1111_sections, comfyui_sections
from calotype.text.tokenizer import Tokenizer


def _texts(text: str, tokenizer: Tokenizer) -> list[str]:
    """The chunks as strings of one letter for each token: words are single letters here."""
    letters = {tokenizer.tokens(letter)[0]: letter for letter in "abxyz,"}
    return ["".join(letters[token] for token, _ in chunk) for chunk in a1111_chunks(a1111_sections(text), tokenizer)]


def _words(letters: str) -> str:
    return " ".join(letters)


@pytest.mark.parametrize(
    ("prompt", "chunks"),
    [
        ("", [""]),
        ("x" * 75, ["x" * 75]),
        ("x" * 76, ["x" * 75, "x"]),
        ("x" * 60 + "," + "y" * 14, ["x" * 60 + "," + "y" * 14]),
        ("x" * 60 + "," + "y" * 15, ["x" * 60 + ",", "y" * 15]),
        ("x" * 55 + "," + "y" * 20, ["x" * 55 + ",", "y" * 20]),  # 20 back from the end of the chunk: just near enough
        ("x" * 54 + "," + "y" * 21, ["x" * 54 + "," + "y" * 20, "y"]),
        ("x" * 75 + ",y", ["x" * 75, ",y"]),
        ("x" * 70 + ",yyyy,", ["x" * 70 + ",yyyy", ","]),  # a comma is no reason to move what stands before it
        ("x" * 75 + "," + "y" * 75, ["x" * 75, "," + "y" * 74, "y"]),  # one that begins a chunk is no place to cut
    ],
)
def test_a_full_chunk_is_cut_after_a_near_comma(prompt: str, chunks: list[str], tokenizer: Tokenizer) -> None:
    assert _texts(_words(prompt), tokenizer) == chunks


def test_break_ends_a_chunk(tokenizer: Tokenizer) -> None:
    assert _texts("x BREAK y z", tokenizer) == ["x", "yz"]
    assert _texts("x BREAK", tokenizer) == ["x"]
    assert _texts("BREAK x BREAK BREAK y", tokenizer) == ["", "x", "", "y"]


def test_weights_go_with_their_tokens(tokenizer: Tokenizer) -> None:
    ((_, (_, weight), _),) = a1111_chunks(a1111_sections("x (y:1.5) z"), tokenizer)
    assert weight == 1.5


def test_a_row_is_what_the_tokenizer_encodes(tokenizer: Tokenizer) -> None:
    other = replace(tokenizer, pad=3)
    (chunk,) = a1111_chunks(a1111_sections("a (red:1.2) cat"), other)
    row = Row.of(chunk, other)
    assert row.tokens == other.encode("a red cat")[0].tolist()
    assert row.weights[:5] == [1, 1, 1.2, 1, 1]
    assert len(row.weights) == 77


def test_comfyui_moves_short_pieces_and_cuts_long_ones(tokenizer: Tokenizer) -> None:
    def lengths(text: str) -> list[int]:
        return [len(chunk) for chunk in comfyui_chunks(comfyui_sections(text), tokenizer)]

    full = _words("x" * 70)
    assert lengths(f"{full} (y y y y y y y:1.1)") == [70, 7]
    assert lengths(f"{full} (y y y y y y y y:1.1)") == [75, 3]
    assert lengths(_words("x" * 151)) == [75, 75, 1]
