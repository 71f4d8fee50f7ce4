"""Many prompts from one: wildcards drawn from lists, and every selection of a prompt's parts."""

import random
import re
from functools import cache, partial
from itertools import compress, product
from pathlib import Path

from calotype.errors import CalotypeError

_WILDCARD = re.compile(r"__([\w./-]+?)__")
_DEEPEST, _MOST = 8, 1000
"""How deep lists may hold each other, and how many lines one prompt may take, or prompts be made of it: ten lists of
ten each, eight deep, are 10^8 lines, and thirty parts 5 * 10^8 prompts."""


def drawn(prompt: str, folder: Path, seed: int) -> str:
    """``prompt`` with each ``__name__`` replaced by a line of folder/name.txt, which may hold wildcards itself.

    Which lines is a function of the seed. Empty lines and those that begin with # are left out. Raises CalotypeError
    for a list that is missing or empty, and for lists that hold each other without end.
    """
    chooser, lines, text, count = random.Random(seed), cache(partial(_lines, folder)), prompt, 0
    for _ in range(_DEEPEST + 1):
        found = len(_WILDCARD.findall(text))
        if not found:
            return text
        count += found
        if count > _MOST:
            break
        text = _WILDCARD.sub(lambda match: chooser.choice(lines(match[1])), text)
    raise CalotypeError(
        f"the wildcards of {prompt!r} hold each other more than {_DEEPEST} deep, or are more than {_MOST}: "
        "untangle the lists."
    )


def matrix(prompt: str) -> list[str]:
    """ "a|b|c" as "a", "a, b", "a, c" and "a, b, c": the first part with every selection of the others (A1111's).

    Commas around the others go. Every bar counts, those of ``[a|b]``, too. Raises CalotypeError for more parts than
    anybody has pictures made of.
    """
    first, *others = (part.strip() for part in prompt.split("|"))
    others = [part.strip(",") for part in others]
    if 2 ** len(others) > _MOST:
        raise CalotypeError(f"{len(others) + 1} parts have more than {_MOST} selections: leave out some of the bars.")
    selections = (reversed(chosen) for chosen in product((False, True), repeat=len(others)))
    return [", ".join([first, *compress(others, chosen)]) for chosen in selections]


def _lines(folder: Path, name: str) -> list[str]:
    path = folder / f"{name}.txt"
    if not path.resolve().is_relative_to(folder.resolve()):
        raise CalotypeError(f"the wildcard __{name}__ lies outside of {folder}.")
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").split("\n")]
    except (OSError, UnicodeDecodeError) as error:
        raise CalotypeError(f"there is no list for the wildcard __{name}__: {path} cannot be read.") from error
    lines = [line for line in lines if line and not line.startswith("#")]
    if not lines:
        raise CalotypeError(f"the list for the wildcard __{name}__, {path}, is empty.")
    return lines
