"""What looks like a mistake in a prompt of A1111's language, which reads anything somehow."""

import re

from calotype.text.prompt import COMMENT

_ESCAPED = re.compile(r"\\.", re.DOTALL)
_NUMBER = re.compile(r"\s*[-+]?(\d+\.?\d*|\.\d+)\s*")
_EXACT = re.compile(r":\s*([-+]?[.\d]+)\s*\)")
_TRAILING = re.compile(r":\s*[-+]?(\d+\.?|\d*\.\d+)\s*$")
_EMBEDDING = re.compile(r"\bembedding:[^\s,()\[\]:]")
_TOO_MUCH = 2.0

Mistake = tuple[int, str]
"""Where, as an index of the prompt, and what."""


def mistakes(prompt: str, emphasis: bool = True) -> list[Mistake]:
    """Likely mistakes, in the prompt's order; without ``emphasis`` brackets that are no schedule are letters."""
    text = COMMENT.sub(lambda comment: " " * len(comment[0]), prompt)
    text = _ESCAPED.sub("..", text)
    of_emphasis = [*_brackets(text), *_weights(text)] if emphasis else []
    return sorted([*of_emphasis, *_bars(text), *_embeddings(text), *_trailing(text)])


def _brackets(text: str) -> list[Mistake]:
    """Brackets are read as `emphasis.a1111_sections` does: each kind for itself."""
    found: list[Mistake] = []
    opened: list[tuple[str, int]] = []
    for place, letter in enumerate(text):
        if letter in "([":
            opened.append((letter, place))
        elif letter in ")]":
            partners = [pair for pair in opened if pair[0] == {")": "(", "]": "["}[letter]]
            if not partners:
                found.append((place, f"this {letter} closes nothing, and is read as text"))
                continue
            if partners[-1] != opened[-1]:
                found.append((place, f"this {letter} closes across the {opened[-1][0]} before it, which is open still"))
            elif letter == "]":
                found += _schedule(text, partners[-1][1] + 1, place)
            opened.remove(partners[-1])
    found += [(place, f"this {letter} is not closed, and counts to the end") for letter, place in opened]
    return found


def _schedule(text: str, start: int, end: int) -> list[Mistake]:
    inside = text[start:end]
    when = inside.rpartition(":")[2]
    if inside.count(":") != 2 or "[" in inside or _NUMBER.fullmatch(when):
        return []
    return [(end - len(when), "this is no number: the brackets are not a schedule, but less weight")]


def _bars(text: str) -> list[Mistake]:
    found, depth = [], 0
    for place, letter in enumerate(text):
        depth = max(depth + {"[": 1, "]": -1}.get(letter, 0), 0)
        if letter == "|" and not depth:
            found.append((place, "outside of [ ] this | stops all schedules of the prompt from being read"))
    return found


def _weights(text: str) -> list[Mistake]:
    found = []
    for match in _EXACT.finditer(text):
        try:
            weight = float(match[1])
        except ValueError:
            found.append((match.start(1), "this is no number"))
            continue
        if abs(weight) > _TOO_MUCH:
            found.append((match.start(1), f"a weight beyond {_TOO_MUCH:g} spoils most pictures"))
    return found


def _embeddings(text: str) -> list[Mistake]:
    said = "this is ComfyUI's way to name an embedding: in A1111's language the name alone stands for it"
    return [(match.start(), said) for match in _EMBEDDING.finditer(text)]


def _trailing(text: str) -> list[Mistake]:
    match = _TRAILING.search(text)
    if match is None or re.search(r"\bAND\b", text):
        return []
    return [(match.start(), "a number at the end is the weight of the whole prompt, as it is for a part of an AND")]
