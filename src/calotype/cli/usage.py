"""What the command line's library finds wrong with what was typed, told in words for a person."""

from typing import Any

import typer
from pydantic import ValidationError

from calotype.recipe import Recipe, allowed

_BOUNDS = {
    "int_parsing": "a whole number", "float_parsing": "a number",
    "greater_than_equal": "at least {ge}", "less_than_equal": "at most {le}",
}  # fmt: skip
"""What a value must be, by pydantic's name for the mistake."""


def in_words(error: typer.TyperException) -> str:
    """One line: what is wrong, and what to type."""
    if isinstance(error, typer.BadParameter) and isinstance(error.__cause__, ValidationError):
        return _refused(error.param, error.__cause__)
    return error.format_message()


def _refused(option: Any, error: ValidationError) -> str:
    mistake, name = error.errors()[0], max(option.opts, key=len)
    if option.name in Recipe.model_fields:
        return f"{name} is {mistake['input']!r}, but must be {allowed(option.name)}."
    if mistake["type"] in _BOUNDS:
        bound = _BOUNDS[mistake["type"]].format(**mistake.get("ctx", {}))
        return f"{name} is {mistake['input']!r}, but must be {bound}."
    return f"{name}: {mistake['msg'].removeprefix('Value error, ')}"
