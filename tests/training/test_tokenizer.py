import json
from collections.abc import Callable
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers.pre_tokenizers import ByteLevel
from transformers import CLIPTokenizer

from calotype.data.banks import drawn_bank
from calotype.errors import CalotypeError
from calotype.text.tokenizer import END, START, Tokenizer
from calotype.training import tokenizer
from calotype.training.run_file import Run

ALPHABET = ByteLevel.alphabet()


@pytest.fixture(scope="module")
def learned() -> Tokenizer:
    vocabulary, merges = tokenizer.learn(tokenizer.captions(drawn_bank(), "any"), 1200)
    return Tokenizer.of(vocabulary, merges)


def test_bytes_first_and_specials_last() -> None:
    vocabulary, merges = tokenizer.learn(["a cat and a cat"], 600)
    tokens = sorted(vocabulary, key=vocabulary.__getitem__)
    assert list(vocabulary.values()) == list(range(600))
    assert set(tokens[:256]) == set(ALPHABET)
    assert tokens[256:512] == [f"{token}</w>" for token in tokens[:256]]
    assert tokens[-2:] == [START, END]
    assert tokens[512 : 512 + len(merges)] == ["".join(pair) for pair in merges]


def test_merges_stop_where_the_vocabulary_is_full() -> None:
    vocabulary, merges = tokenizer.learn(["some words that want more merges than there is room for"], 520)
    assert len(vocabulary) == 520
    assert len(merges) == 520 - 512 - 2


def test_too_small_a_vocabulary_is_refused() -> None:
    with pytest.raises(CalotypeError, match="514"):
        tokenizer.learn(["a"], 500)


def test_the_words_of_the_world_are_one_token_each(learned: Tokenizer) -> None:
    for text in islice(tokenizer.captions(drawn_bank(), "any"), 300):
        assert len(learned.tokens(text)) == len(text.replace(",", " ,").replace("-", " - ").split())


@settings(deadline=None, max_examples=300)
@given(text=st.text())
def test_any_text_keeps_all_its_bytes(learned: Tokenizer, text: str) -> None:
    """Without unknown tokens: the tokens spell exactly the bytes of the normalised words."""
    normal = learned.backend.normalizer.normalize_str(text)
    spelled = "".join(str(learned.backend.id_to_token(number)).removesuffix("</w>") for number in learned.tokens(text))
    assert learned.end not in learned.tokens(text)
    words = [word for word, _ in learned.backend.pre_tokenizer.pre_tokenize_str(normal)]
    assert spelled == "".join(words)


def test_files_open_in_transformers_with_the_same_numbers(make_run: Callable[..., Run]) -> None:
    folder = tokenizer.train(make_run(task="tokenizer", phases=()))
    theirs = CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=77)
    ours = Tokenizer.read(folder)
    assert len(json.loads((folder / "vocab.json").read_text())) == 700
    for text in ("a cat on a blue background", "Three  TREES, 7 é and 日本 ☃!", "", "don't", "x" * 90):
        assert theirs(text, padding="max_length", truncation=True).input_ids == ours.encode(text)[0].tolist()


def test_learning_twice_gives_the_same() -> None:
    texts = list(islice(tokenizer.captions(drawn_bank(), "any"), 1000))
    assert tokenizer.learn(texts, 900) == tokenizer.learn(texts, 900)
