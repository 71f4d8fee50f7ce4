"""Brackets: how deep they may nest."""

from itertools import accumulate

from calotype.errors import CalotypeError

DEEPEST = 100
"""Deeper ones no person wrote; the parsers of prompts are recursive."""
_STEPS = {"(": 1, "[": 1, ")": -1, "]": -1}


def check_depth(text: str) -> None:
    """Raise CalotypeError when brackets stand too deep in each other."""
    steps = (_STEPS.get(letter, 0) for letter in text)
    depth = max(accumulate(steps, lambda depth, step: max(depth + step, 0), initial=0))
    if depth > DEEPEST:
        raise CalotypeError(f"the prompt has {depth} brackets open at once: {DEEPEST} are the most that can be read.")
