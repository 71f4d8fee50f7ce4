"""Chunks: a prompt's tokens in rows as long as the text encoder reads."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from calotype.text.embeddings import NONE, Group, Known, Vector, a1111_groups, comfyui_groups
from calotype.text.emphasis import Section
from calotype.text.tokenizer import MAX_CHUNKS, Tokenizer

BACKTRACK = 20
"""How many tokens after a comma may move to the next chunk, so that a phrase stays whole (A1111's default)."""
_WORD = 8
"""From so many tokens on, ComfyUI cuts a piece at the end of a chunk; a shorter one moves on whole."""

Token = tuple[int | Vector, float]
"""A token's number, or a vector of an embedding, and its weight."""
Chunk = list[Token]
"""At most ``room`` tokens, without start, end and padding."""
Grouped = Callable[[str, Tokenizer, Known], Iterator[Group]]
"""How a text falls into what stays together."""


@dataclass(frozen=True)
class Row:
    """A chunk as the encoder reads it."""

    tokens: list[int]
    weights: list[float]

    @classmethod
    def of(cls, chunk: Chunk, tokenizer: Tokenizer) -> "Row":
        """A chunk between start and end, and padding, all of weight 1."""
        numbers = [token for token, _ in chunk if isinstance(token, int)]
        assert len(numbers) == len(chunk), "embeddings are found in prompts, but none can be loaded yet"
        rest = tokenizer.room - len(chunk)
        return cls(tokenizer.row(numbers), [1.0, *(weight for _, weight in chunk), 1.0, *[1.0] * rest])


def a1111_chunks(sections: Sequence[Section], tokenizer: Tokenizer, known: Known = NONE) -> list[Chunk]:
    """Each section begins a chunk. A full one is cut after its last comma, if that is at most BACKTRACK tokens back.

    An embedding is never cut: where its vectors do not fit, they begin the next chunk.
    """
    room, comma = tokenizer.room, tokenizer.comma
    chunks: list[Chunk] = []
    for section in sections:
        chunk: Chunk = []
        after_comma: int | None = None
        for piece in _pieces(section, a1111_groups, tokenizer, known):
            full, is_comma = len(chunk) == room, piece[0][0] == comma
            if full:
                cut = room
                if not is_comma and after_comma is not None and room - after_comma < BACKTRACK:
                    cut = after_comma
                chunks.append(chunk[:cut])
                chunk, after_comma = chunk[cut:], None
            if len(chunk) + len(piece) > room:
                chunks.append(chunk)
                chunk, after_comma = [], None
            chunk += piece
            if is_comma and not full:
                after_comma = len(chunk)
        chunks.append(chunk)
    if not chunks[-1] and chunks[:-1]:
        chunks.pop()
    return _checked(chunks, tokenizer)


def comfyui_chunks(sections: Sequence[Section], tokenizer: Tokenizer, known: Known = NONE) -> list[Chunk]:
    """Pieces follow each other; one that does not fit is cut if it is long, and else begins the next chunk.

    Embeddings are pieces of their own. Raises CalotypeError for one that is not known.
    """
    chunks: list[Chunk] = [[]]
    for section in sections:
        for piece in _pieces(section, comfyui_groups, tokenizer, known):
            long = len(piece) >= _WORD
            while len(chunks[-1]) + len(piece) > tokenizer.room:
                cut = tokenizer.room - len(chunks[-1]) if long or not chunks[-1] else 0
                chunks[-1] += piece[:cut]
                chunks.append([])
                piece = piece[cut:]
            chunks[-1] += piece
    return _checked(chunks, tokenizer)


def _pieces(section: Section, grouped: Grouped, tokenizer: Tokenizer, known: Known) -> Iterator[Chunk]:
    """What stays together, each with its weight."""
    for text, weight in section:
        for group in grouped(text, tokenizer, known):
            yield [(token, weight) for token in group]


def _checked(chunks: list[Chunk], tokenizer: Tokenizer) -> list[Chunk]:
    if len(chunks) > MAX_CHUNKS:
        raise tokenizer.too_long(sum(len(chunk) for chunk in chunks))
    return chunks
