import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import CLIPTokenizer

from calotype.errors import CalotypeError
from calotype.text.tokenizer import END, MAX_CHUNKS, START, Tokenizer

TEXTS = st.one_of(
    st.text(max_size=80),
    st.lists(
        st.sampled_from(
            [
                "cat",
                "CAT",
                "cats",
                "it's",
                "I'll",
                "  ",
                "\n",
                "7",
                "42",
                "é",
                "e\u0301",
                "ﬁ",
                "中文",
                "🦄",
                "don't!",
                "...",
                START,
                END,
            ]
        ),
        max_size=20,
    ).map("".join),
)


@pytest.fixture(scope="module")
def reference(vocab: dict[str, int], merges: list[tuple[str, str]]) -> CLIPTokenizer:
    return CLIPTokenizer(vocab=vocab, merges=merges)


@pytest.fixture
def folder(tmp_path: Path, vocab: dict[str, int], merges: list[tuple[str, str]]) -> Path:
    (tmp_path / "vocab.json").write_text(json.dumps(vocab))
    (tmp_path / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges))
    return tmp_path


@settings(max_examples=300, deadline=None)
@given(text=TEXTS)
def test_tokens_equal_transformers(text: str, tokenizer: Tokenizer, reference: CLIPTokenizer) -> None:
    ids = reference(text)["input_ids"]
    assert [tokenizer.start, *tokenizer.tokens(text), tokenizer.end] == ids


@settings(max_examples=50, deadline=None)
@given(text=TEXTS)
def test_padded_row_equals_transformers(text: str, tokenizer: Tokenizer, reference: CLIPTokenizer) -> None:
    if len(tokenizer.tokens(text)) <= 75:
        ids = reference(text, padding="max_length", max_length=77)["input_ids"]
        assert tokenizer.encode(text).tolist() == [ids]


@settings(max_examples=100, deadline=None)
@given(text=st.text(min_size=1, max_size=40))
def test_any_text_encodes_without_an_unknown_token(text: str, tokenizer: Tokenizer) -> None:
    if END not in text:
        assert tokenizer.end not in tokenizer.tokens(text)


def test_other_padding_fills_rows_and_is_a_word_in_prompts(
    vocab: dict[str, int], merges: list[tuple[str, str]], reference: CLIPTokenizer
) -> None:
    """As open_clip, A1111 and ComfyUI fill SD 2's rows with "!"; only transformers reads one in a prompt as padding."""
    ours = Tokenizer.of(vocab, merges, pad_token="!")
    theirs = CLIPTokenizer(vocab=vocab, merges=merges, pad_token="!")
    text = "a cat, wow"
    assert ours.encode(text).tolist() == [theirs(text, padding="max_length", max_length=77)["input_ids"]]
    text = "a cat! wow!!"
    assert [ours.start, *ours.tokens(text), ours.end] == reference(text)["input_ids"]
    assert ours.tokens("cat!") == [vocab["cat</w>"], vocab["!</w>"]]


def test_merges_are_used(tokenizer: Tokenizer, vocab: dict[str, int]) -> None:
    assert tokenizer.tokens("Red  APPLE\tcat") == [vocab["red</w>"], vocab["apple</w>"], vocab["cat</w>"]]


def test_empty_prompt_is_one_chunk(tokenizer: Tokenizer) -> None:
    assert tokenizer.encode("").tolist() == [[tokenizer.start] + [tokenizer.end] * 76]


def test_a_long_prompt_is_cut_into_chunks_and_each_ends(tokenizer: Tokenizer) -> None:
    rows = tokenizer.encode("cat " * 200)
    assert rows.shape == (3, 77)
    assert (rows[:, 0] == tokenizer.start).all()
    assert (rows[:2, -1] == tokenizer.end).all()
    assert rows[2, 51] == tokenizer.end
    assert [t for row in rows.tolist() for t in row if t not in (tokenizer.start, tokenizer.end)] == tokenizer.tokens(
        "cat " * 200
    )


def test_too_long_a_prompt_is_refused_in_one_line(tokenizer: Tokenizer) -> None:
    assert tokenizer.encode("cat " * 75 * MAX_CHUNKS).shape == (MAX_CHUNKS, 77)
    with pytest.raises(CalotypeError, match=r"10000 tokens .* 2400 .*shorten") as error:
        tokenizer.encode("cat " * 10_000)
    assert "\n" not in str(error.value)


def test_read_from_vocab_and_merges(folder: Path, tokenizer: Tokenizer) -> None:
    (folder / "tokenizer_config.json").write_text(json.dumps({"pad_token": {"content": "!"}}))
    read = Tokenizer.read(folder, length=20)
    assert read.tokens("a red cat") == tokenizer.tokens("a red cat")
    assert read.encode("cat").shape == (1, 20)
    assert read.pad == 0


def test_read_from_what_transformers_writes(tmp_path: Path, reference: CLIPTokenizer, tokenizer: Tokenizer) -> None:
    reference.save_pretrained(tmp_path)
    assert not (tmp_path / "vocab.json").exists()
    assert Tokenizer.read(tmp_path).encode("a red cat").equal(tokenizer.encode("a red cat"))


def test_transformers_reads_the_same_folder(folder: Path) -> None:
    assert CLIPTokenizer.from_pretrained(folder)("a red apple")["input_ids"][1:-1] == Tokenizer.read(folder).tokens(
        "a red apple"
    )


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("vocab.json", "{"), ("vocab.json", "[]"), ("vocab.json", "{}"), ("vocab.json", "[" * 5000),
        ("merges.txt", "a b c\n"), ("merges.txt", None), ("merges.txt", "cat dog\n"),
        ("tokenizer_config.json", '{"pad_token": {"x": 1}}'), ("tokenizer_config.json", '{"pad_token": ["!"]}'),
    ],
)  # fmt: skip
def test_damaged_files_are_named(folder: Path, name: str, content: str | None) -> None:
    if content is None:
        (folder / name).unlink()
    else:
        (folder / name).write_text(content)
    with pytest.raises(CalotypeError) as error:
        Tokenizer.read(folder)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("number", ["1", 1.5, None, -1, 1 << 40])
def test_numbers_of_tokens_are_whole(folder: Path, vocab: dict[str, int], number: Any) -> None:
    (folder / "vocab.json").write_text(json.dumps(vocab | {"more": number}))
    with pytest.raises(CalotypeError, match="vocabulary and merges do not belong together"):
        Tokenizer.read(folder)


@pytest.mark.parametrize("model", [5, {}, {"vocab": []}, {"vocab": {}, "merges": 5}, {"vocab": {}, "merges": [[1, 2]]}])
def test_damaged_files_of_transformers(tmp_path: Path, model: Any) -> None:
    (tmp_path / "tokenizer.json").write_text(json.dumps({"model": model}))
    with pytest.raises(CalotypeError, match="damaged"):
        Tokenizer.read(tmp_path)
