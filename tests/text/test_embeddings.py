"""Embeddings by name, as A1111 1.10.1 and ComfyUI 0.3 find them."""

import json
from pathlib import Path

import pytest

from calotype.api import load
from calotype.dialects import comfy
from calotype.errors import CalotypeError
from calotype.recipe import Recipe
from calotype.text.chunks import Chunk
from calotype.text.embeddings import Vector, name_of
from calotype.text.language import A1111, language_of
from calotype.text.tokenizer import Tokenizer

COMFYUI = language_of("comfyui", "Original")
KNOWN = {"red.pt": 2, "styles/red cat.safetensors": 3, "Apple-7.bin": 1, "no.extension": 1}


def _spelled(chunks: list[Chunk], tokenizer: Tokenizer) -> list[str]:
    """Chunks as words: a vector is its file's first letters and its index."""
    return [
        " ".join(
            f"{token.file[:3]}{token.index}" if isinstance(token, Vector) else tokenizer.spelling(token)
            for token, _ in chunk
        ).replace("</w>", "")
        for chunk in chunks
    ]


def test_what_a1111_calls_the_embedding_of_a_file() -> None:
    assert [name_of(file) for file in KNOWN] == ["red", "red cat", "Apple-7", "no.extension"]


@pytest.mark.parametrize(
    ("prompt", "read"),
    [
        ("a red apple", "a red0 red1 apple"),
        ("a RED, cat", "a red0 red1 , cat"),
        ("a red cat", "a sty0 sty1 sty2"),  # the longest name, not the first
        ("red red cat", "red0 red1 sty0 sty1 sty2"),
        ("redder", "re d d e r"),  # tokens are compared, not letters: this one does not end there
        ("apple-7,", "App0 ,"),
        ("apple", "apple"),
        ("the no.extension", "t h e no.0"),
        ("an unheard-of name", "a n u n h e a r d - o f n a m e"),
        ("embedding:red", "e m b e d d i n g : red0 red1"),
    ],
)
def test_a1111_knows_an_embedding_by_its_name_among_the_words(prompt: str, read: str, tokenizer: Tokenizer) -> None:
    (spelled,) = _spelled(A1111.read(prompt, tokenizer, KNOWN), tokenizer)
    assert spelled == read


def test_none_is_known_unless_told(tokenizer: Tokenizer) -> None:
    assert A1111.read("a red cat", tokenizer) == [[(token, 1.0) for token in tokenizer.tokens("a red cat")]]


def test_a_name_is_of_one_weight_and_its_vectors_have_it(tokenizer: Tokenizer) -> None:
    (chunk,) = A1111.read("(red:1.2) cat (red cat:0.5)", tokenizer, KNOWN)
    assert _spelled([chunk], tokenizer) == ["red0 red1 cat sty0 sty1 sty2"]
    assert [weight for _, weight in chunk] == [1.2, 1.2, 1.0, 0.5, 0.5, 0.5]


def test_vectors_stay_together_in_a_chunk(tokenizer: Tokenizer) -> None:
    known = {"red.pt": 6}

    def lengths(prompt: str) -> list[int]:
        return [len(chunk) for chunk in A1111.read(prompt, tokenizer, known)]

    assert lengths("x " * 69 + "red") == [75]
    assert lengths("x " * 70 + "red") == [70, 6]
    assert lengths("x " * 60 + ", " + "y " * 10 + "red") == [71, 6]  # no reason to go back to the comma: not full yet
    assert lengths("x " * 60 + ", " + "y " * 14 + "red") == [61, 14 + 6]
    assert lengths("x " * 60 + ", " + "y " * 8 + "red y") == [61, 6 + 8 + 1]


@pytest.mark.parametrize(
    ("prompt", "read"),
    [
        ("a embedding:red cat", "a red0 red1 cat"),
        ("a embedding:red.pt, cat", "a red0 red1 , cat"),
        ("embedding:styles/red", None),
        ("embedding:red.bin", None),
        ("embedding:Apple-7", "App0"),
        ("embedding:apple-7", None),
        ("embedding:no.extension", "no.0"),
        ("a,embedding:red", "a , e m b e d d i n g : red"),
        ("a red cat", "a red cat"),
        ("cat embedding: red", "cat e m b e d d i n g : red"),
        ("(embedding:red:1.2)\nembedding:red", "red0 red1 red0 red1"),
    ],
)
def test_comfyui_wants_embeddings_named_as_such(prompt: str, read: str | None, tokenizer: Tokenizer) -> None:
    """By their files' names, folder and all, from which only the extension may be left out."""
    if read is None:
        with pytest.raises(CalotypeError, match="which is not there: leave it out"):
            COMFYUI.read(prompt, tokenizer, KNOWN)
    else:
        assert _spelled(COMFYUI.read(prompt, tokenizer, KNOWN), tokenizer) == [read]


def test_comfyui_weighs_vectors_and_moves_or_cuts_them(tokenizer: Tokenizer) -> None:
    (chunk,) = COMFYUI.read("(embedding:red:1.3) cat", tokenizer, KNOWN)
    assert [weight for _, weight in chunk] == [1.3, 1.3, 1.0]
    short, long = (
        [len(chunk) for chunk in COMFYUI.read("x " * 72 + "embedding:red", tokenizer, {"red": n})] for n in (7, 8)
    )
    assert (short, long) == ([72, 7], [75, 5])


@pytest.mark.parametrize("field", ["prompt", "hr_prompt", "negative_prompt", "hr_negative_prompt"])
def test_no_picture_is_begun_with_an_embedding_that_is_not_there(field: str, tiny_folder: Path) -> None:
    recipe = Recipe(prompt_style="comfyui", hr_scale=1.5, **{field: "a embedding:red cat"})
    with pytest.raises(CalotypeError, match="asks for the embedding 'red'"):
        load(tiny_folder).check(recipe)


def test_those_of_a_comfyui_graph_are_named_and_left_out() -> None:
    def node(kind: str, **inputs: object) -> dict[str, object]:
        return {"class_type": kind, "inputs": inputs}

    graph = {
        "1": node("KSampler", seed=1, positive=["2", 0], negative=["3", 0]),
        "2": node("CLIPTextEncode", text="a cat, (embedding:good:1.2), red"),
        "3": node("CLIPTextEncode", text="embedding:bad.pt, blue"),
    }
    recipe, missed = comfy.recipe_of(json.dumps(graph))
    assert (recipe.prompt, recipe.negative_prompt) == ("a cat, , red", ", blue")
    assert {"(embedding:good:1.2) in the prompt", "embedding:bad.pt in the negative prompt"} <= set(missed)
