"""What looks like a mistake in a prompt of A1111's language, which reads anything somehow."""

import re

_ESCAPED = re.compile(r"\\.", re.DOTALL)
_NUMBER = re.compile(r"\s*[-+]?(\d+\.?\d*|\.\d+)\s*")
_EXACT = re.compile(r":\s*([-+]?[.\d]+)\s*\)")
_TRAILING = re.compile(r":\s*[-+]?(\d+\.?|\d*\.\d+)\s*$")
_EMBEDDING = re.compile(r"\bembedding:[^\s,()\[\]:]")
_TOO_MUCH = 2.0

Mistake = tuple[int, str]
"""Where, as an index of the prompt, and what."""


def mistakes(prompt: str) -> list[Mistake]:
    """Likely mistakes, in the prompt's order."""
    text = _ESCAPED.sub("..", prompt)
    return sorted([*_brackets(text), *_weights(text), *_embeddings(text), *_trailing(text)])


def _brackets(text: str) -> list[Mistake]:
    found: list[Mistake] = []
    opened: list[tuple[str, int]] = []
    for place, letter in enumerate(text):
        if letter in "([":
            opened.append((letter, place))
        elif letter in ")]":
            if not opened or opened[-1][0] != {")": "(", "]": "["}[letter]:
                found.append((place, f"this {letter} closes nothing, and is read as text"))
                continue
            inside = text[opened.pop()[1] + 1 : place]
            when = inside.rpartition(":")[2]
            if letter == "]" and inside.count(":") == 2 and "[" not in inside and not _NUMBER.fullmatch(when):
                found.append((place - len(when), "this is no number: the brackets are not a schedule, but less weight"))
        elif letter == "|" and not any(bracket == "[" for bracket, _ in opened):
            found.append((place, "outside of [ ] this | stops all schedules of the prompt from being read"))
    found += [(place, f"this {letter} is not closed, and counts to the end") for letter, place in opened]
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
