"""Emphasis: ``(more)``, ``[less]``, ``(exactly:1.3)``, and what such a weight does to a token's vector.

As A1111 1.10.1 has it, and as ComfyUI 0.3 has it.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from calotype.text.brackets import check_depth

Weighted = tuple[str, float]
"""A piece of a prompt and its weight."""
Section = list[Weighted]
"""What stands between two BREAKs."""

_MARK = re.compile(r"\\[()\[\]\\]|\\|[()\[\]]|:\s*[+-]?[.\d]+\s*\)|[^\\()\[\]:]+|:")
_BREAK = re.compile(r"\s*\bBREAK\b\s*")
_CLOSING = {")": "(", "]": "["}
_FACTOR = {"(": 1.1, "[": 1 / 1.1}


@dataclass
class _Piece:
    text: str
    weight: float = 1.0
    breaks: bool = False


def a1111_sections(text: str) -> list[Section]:
    r"""The sections of a prompt and their weighted pieces. An opening bracket without its partner counts to the end.

    A closing one without its partner is text. A backslash goes; a bracket or a backslash after it is text.

    >>> a1111_sections("a (hill:0.5), [sky]")
    [[('a ', 1.0), ('hill', 0.5), (', ', 1.0), ('sky', 0.9090909090909091)]]
    >>> a1111_sections(r"a) \(b\) \c")
    [[('a) (b) c', 1.0)]]
    """
    pieces: list[_Piece] = []
    opened: dict[str, list[int]] = {"(": [], "[": []}

    def weigh(start: int, factor: float) -> None:
        for piece in pieces[start:]:
            piece.weight *= factor

    for match in _MARK.finditer(text):
        mark = match[0]
        opening = "(" if mark[0] == ":" and mark[-1] == ")" else _CLOSING.get(mark, "")
        if mark in opened:
            opened[mark].append(len(pieces))
        elif opening and opened[opening]:
            exact = _number(mark[1:-1])
            weigh(opened[opening].pop(), _FACTOR[opening] if exact is None else exact)
        elif mark[0] == "\\":
            pieces.append(_Piece(mark[1:]))
        else:
            first, *others = _BREAK.split(mark)
            pieces += [_Piece(first), *(_Piece(part, breaks=True) for part in others)]
    for opening, starts in opened.items():
        for start in starts:
            weigh(start, _FACTOR[opening])
    return _merged(pieces)


def comfyui_sections(text: str) -> list[Section]:
    r"""The one section of a prompt: ``(x)`` is 1.1 times its surroundings, ``(x:1.2)`` exactly 1.2.

    ``\\(`` and ``\\)`` are text, as is a bracket without its partner.

    >>> comfyui_sections("a ((red:0.5) cat)")
    [[('a ', 1.0), ('red', 0.5), (' cat', 1.1)]]
    """
    check_depth(text)
    pieces = _nested(text.replace("\\)", "\0").replace("\\(", "\1"), 1.0)
    return [[(piece.replace("\0", ")").replace("\1", "("), weight) for piece, weight in pieces] or [("", 1.0)]]


def _nested(text: str, weight: float) -> Section:
    section: Section = []
    for part in _outermost(text):
        if len(part) < 2 or part[0] != "(" or part[-1] != ")":
            section.append((part, weight))
            continue
        inside, _, number = part[1:-1].rpartition(":")
        exact = _number(number) if inside else None
        section += _nested(part[1:-1], weight * 1.1) if exact is None else _nested(inside, exact)
    return section


def _outermost(text: str) -> list[str]:
    parts, start, depth = [], 0, 0
    for position, letter in enumerate(text):
        if letter == "(":
            if depth == 0 and position > start:
                parts.append(text[start:position])
                start = position
            depth += 1
        elif letter == ")":
            depth -= 1
            if depth == 0:
                parts.append(text[start : position + 1])
                start = position + 1
    return [*parts, text[start:]] if start < len(text) else parts


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _merged(pieces: list[_Piece]) -> list[Section]:
    sections: list[Section] = [[]]
    for piece in pieces:
        if piece.breaks:
            sections.append([])
        section = sections[-1]
        if section and section[-1][1] == piece.weight:
            section[-1] = (section[-1][0] + piece.text, piece.weight)
        else:
            section.append((piece.text, piece.weight))
    return [section or [("", 1.0)] for section in sections]


Weigh = Callable[[Float[Tensor, "texts n d"], Float[Tensor, "texts n"], Float[Tensor, "n d"]], Tensor]
"""(each text's vectors in a chunk, their tokens' weights, the vectors of an empty prompt) -> the vectors, weighted."""


def times(vectors: Tensor, weights: Tensor, empty: Tensor) -> Tensor:
    """Vectors times weights (A1111's "No norm")."""
    return vectors * weights[..., None]


def times_with_mean(vectors: Tensor, weights: Tensor, empty: Tensor) -> Tensor:
    """Vectors times weights, and then the mean of all texts as it was (A1111's "Original")."""
    weighted = times(vectors, weights, empty)
    return weighted * (vectors.mean() / weighted.mean())


def from_empty(vectors: Tensor, weights: Tensor, empty: Tensor) -> Tensor:
    """Away from the vectors of the empty prompt, which weight 0 leaves (ComfyUI)."""
    return empty + (vectors - empty) * weights[..., None]
