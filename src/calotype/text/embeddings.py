"""Embeddings in a prompt: learned vectors in the place of words (textual inversion, arXiv 2208.01618), by their names.

Which embeddings there are is told to whoever reads the prompt. Their vectors are not read here: a `Vector` says which
one of them is to stand where.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from calotype.errors import CalotypeError
from calotype.text.tokenizer import Tokenizer

EXTENSIONS = (".safetensors", ".pt", ".bin")
"""How embeddings' files end, in the order in which ComfyUI tries them."""

Known = Mapping[str, int]
"""The embeddings there are: the files' names below their folder, each with its number of vectors, at most a chunk's."""
NONE: Known = MappingProxyType({})
"""No embeddings."""

_NAMED = re.compile(r"(?:^|(?<=[ \n]))embedding:(\S+)")


@dataclass(frozen=True)
class Vector:
    """One vector of an embedding, where a token's number would stand."""

    file: str
    index: int


Group = list[int | Vector]
"""What stays together: a token, the tokens of a text, or all vectors of an embedding."""


def name_of(file: str) -> str:
    """What A1111 calls the embedding in a file: the file's name without its folder and its extension."""
    name = file.rpartition("/")[2]
    return next((name.removesuffix(end) for end in EXTENSIONS if name.endswith(end)), name)


def a1111_groups(text: str, tokenizer: Tokenizer, known: Known) -> Iterator[Group]:
    """The text's tokens, each alone; where they are an embedding's name, its vectors. A name not known is just words.

    Of several names that begin at one token the longest counts.
    """
    names = [(tokenizer.tokens(name_of(file)), file) for file in known]
    names.sort(key=lambda each: len(each[0]), reverse=True)
    tokens, start = tokenizer.tokens(text), 0
    while start < len(tokens):
        for name, file in names:
            if name and tokens[start : start + len(name)] == name:
                yield _vectors(file, known)
                start += len(name)
                break
        else:
            yield [tokens[start]]
            start += 1


def comfyui_groups(text: str, tokenizer: Tokenizer, known: Known) -> Iterator[Group]:
    """The tokens of the texts around each ``embedding:name``, and its vectors in between.

    The name is a file's, or lacks one of `EXTENSIONS`; commas behind it are text. ComfyUI leaves out a name that it
    does not know, and goes on: here that is a CalotypeError.
    """
    start = 0
    for match in _NAMED.finditer(text):
        name = match[1] if _file(match[1], known) else match[1].rstrip(",")
        file = _file(name, known)
        if file is None:
            raise CalotypeError(f"the prompt asks for the embedding {name!r}, which is not there: leave it out.")
        yield list(tokenizer.tokens(text[start : match.start()]))
        yield _vectors(file, known)
        start = match.start(1) + len(name)
    yield list(tokenizer.tokens(text[start:]))


def _file(name: str, known: Known) -> str | None:
    return next((file for file in (name, *(name + end for end in EXTENSIONS)) if file in known), None)


def _vectors(file: str, known: Known) -> Group:
    return [Vector(file, index) for index in range(known[file])]
