import itertools

import pytest
from tokenizers.pre_tokenizers import ByteLevel

from calotype.text.tokenizer import END, START, Tokenizer

MERGES = [
    ("c", "a"),
    ("ca", "t</w>"),
    ("a", "p"),
    ("ap", "p"),
    ("l", "e</w>"),
    ("app", "le</w>"),
    ("r", "e"),
    ("re", "d</w>"),
]


@pytest.fixture(scope="session")
def vocab() -> dict[str, int]:
    alphabet = sorted(ByteLevel.alphabet())
    tokens = itertools.chain(alphabet, (a + "</w>" for a in alphabet), map("".join, MERGES), (START, END))
    return {token: number for number, token in enumerate(tokens)}


@pytest.fixture(scope="session")
def tokenizer(vocab: dict[str, int]) -> Tokenizer:
    return Tokenizer.of(vocab, MERGES)


@pytest.fixture(scope="session")
def merges() -> list[tuple[str, str]]:
    return MERGES
