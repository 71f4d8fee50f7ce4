"""Chunks: a prompt's tokens in rows as long as the text encoder reads."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from calotype.errors import CalotypeError
from calotype.text.emphasis import Section
from calotype.text.tokenizer import MAX_CHUNKS, Tokenizer

BACKTRACK = 20
"""How many tokens after a comma may move to the next chunk, so that a phrase stays whole (A1111's default)."""
_WORD = 8
"""From so many tokens on, ComfyUI cuts a piece at the end of a chunk; a shorter one moves on whole."""

Token = tuple[int, float]
"""A token's number and its weight."""
Chunk = list[Token]
"""At most ``length - 2`` tokens, without start, end and padding."""


@dataclass(frozen=True)
class Row:
    """A chunk as the encoder reads it."""

    tokens: list[int]
    weights: list[float]

    @classmethod
    def of(cls, chunk: Chunk, tokenizer: Tokenizer) -> "Row":
        """A chunk between start and end, and padding, all of weight 1."""
        padding = tokenizer.length - 2 - len(chunk)
        return cls(
            [tokenizer.start, *(token for token, _ in chunk), tokenizer.end, *[tokenizer.pad] * padding],
            [1.0, *(weight for _, weight in chunk), 1.0, *[1.0] * padding],
        )


def a1111_chunks(sections: Sequence[Section], tokenizer: Tokenizer) -> list[Chunk]:
    """Each section begins a chunk. A full one is cut after its last comma, if that is at most BACKTRACK tokens back."""
    room, comma = tokenizer.length - 2, tokenizer.comma
    chunks: list[Chunk] = []
    for section in sections:
        chunk: Chunk = []
        after_comma: int | None = None
        for token, weight in _tokens(section, tokenizer):
            full = len(chunk) == room
            if full:
                cut = room
                if token != comma and after_comma is not None and room - after_comma < BACKTRACK:
                    cut = after_comma
                chunks.append(chunk[:cut])
                chunk, after_comma = chunk[cut:], None
            chunk.append((token, weight))
            if token == comma and not full:
                after_comma = len(chunk)
        chunks.append(chunk)
    if not chunks[-1] and chunks[:-1]:
        chunks.pop()
    return _checked(chunks, tokenizer)


def comfyui_chunks(sections: Sequence[Section], tokenizer: Tokenizer) -> list[Chunk]:
    """Pieces follow each other; one that does not fit is cut if it is long, and else begins the next chunk."""
    room = tokenizer.length - 2
    chunks: list[Chunk] = [[]]
    for section in sections:
        for text, weight in section:
            piece = [(token, weight) for token in tokenizer.tokens(text)]
            long = len(piece) >= _WORD
            while len(chunks[-1]) + len(piece) > room:
                cut = room - len(chunks[-1]) if long or not chunks[-1] else 0
                chunks[-1] += piece[:cut]
                chunks.append([])
                piece = piece[cut:]
            chunks[-1] += piece
    return _checked(chunks, tokenizer)


def _tokens(section: Section, tokenizer: Tokenizer) -> Iterator[Token]:
    for text, weight in section:
        yield from ((token, weight) for token in tokenizer.tokens(text))


def _checked(chunks: list[Chunk], tokenizer: Tokenizer) -> list[Chunk]:
    if len(chunks) <= MAX_CHUNKS:
        return chunks
    count = sum(len(chunk) for chunk in chunks)
    room = MAX_CHUNKS * (tokenizer.length - 2)
    raise CalotypeError(f"the prompt is {count} tokens long, of which {room} can be read: shorten it.")
