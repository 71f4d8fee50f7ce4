"""The words of a prompt that a model of a small world has never seen, and the nearest that it has."""

import re
from collections.abc import Collection
from difflib import get_close_matches

_WORD = re.compile(r"(?<![^\W_])[^\W\d_]+(?:['’][^\W\d_]+)*")


def words(text: str) -> list[str]:
    """The different words of a text, in lower case and in its order; numbers, and letters behind them, are none."""
    return list(dict.fromkeys(_WORD.findall(text.lower())))


def unknown_words(prompt: str, vocabulary: Collection[str]) -> dict[str, list[str]]:
    """Each unknown word, in the prompt's order, with the known one spelled most like it, if one is at all.

    ``vocabulary`` holds what `words` gives; an empty one stands for a model whose words are not known, and knows all.
    """
    if not vocabulary:
        return {}
    return {word: get_close_matches(word, vocabulary, n=1) for word in words(prompt) if word not in vocabulary}
