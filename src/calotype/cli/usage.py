"""What a person is told who types something wrong, or too little, in place of what the command line's library says."""

import re
from typing import Any

import typer
from pydantic import ValidationError

from calotype.recipe import Recipe, allowed

_BOUNDS = {
    "int_parsing": "a whole number", "float_parsing": "a number",
    "greater_than_equal": "at least {ge}", "less_than_equal": "at most {le}",
}  # fmt: skip
"""What a value must be, by pydantic's name for the mistake."""
_ELSEWHERE = {
    **dict.fromkeys(("-n", "--count"), ("x", "a grid has a picture for each pair of values, and seed can be an axis")),
    "--prompt": ("prompt", "the prompt needs no option before it, only quotes"),
    "--batch-count": ("count", "-n says how many pictures"),
    "--batch-size": ("count", "-n says how many pictures"),
    "--size": ("width", "--width and --height say the size"),
}
"""Options that people look for: the parameter of ours that each is, and what to say where a command has that."""
_SURPLUS = re.compile(r"Got unexpected extra argument\(s\) \((.*)\)", re.DOTALL)
_EXAMPLE = re.compile(r"^Examples?: (.*?)(?:\n\n|\Z)", re.DOTALL | re.MULTILINE)


def help_alone(context: typer.Context) -> None:
    """Show the help of a group of commands where none of them is named."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def in_words(error: typer.TyperException) -> str:
    """One line: what is wrong, and what to type."""
    told: Any = error  # typer exports no type of most of what it raises
    if isinstance(told.__cause__, ValidationError):
        return _refused(told.param, told.__cause__)
    if hasattr(told, "param_type"):
        return f"{_missing(told.param)}{_example(told.cmd)}"
    taken = {parameter.name for parameter in getattr(getattr(told, "cmd", None), "params", ())}
    ours, remedy = _ELSEWHERE.get(getattr(told, "option_name", ""), ("", ""))
    if ours in taken:
        return f"there is no {told.option_name}: {remedy}.{_example(told.cmd)}"
    if surplus := _SURPLUS.fullmatch(told.message):
        if "prompt" in taken:
            return f'the prompt stands in quotes: "{told.ctx.params["prompt"]} {surplus[1]}".'
        return f"{surplus[1]} is more than {told.cmd.name} takes.{_example(told.cmd)}"
    return error.format_message()


def _refused(option: Any, error: ValidationError) -> str:
    mistake, name = error.errors()[0], max(option.opts, key=len)
    if option.name in Recipe.model_fields:
        return f"{name} is {mistake['input']!r}, but must be {allowed(option.name)}."
    if mistake["type"] in _BOUNDS:
        bound = _BOUNDS[mistake["type"]].format(**mistake.get("ctx", {}))
        return f"{name} is {mistake['input']!r}, but must be {bound}."
    return f"{name}: {mistake['msg'].removeprefix('Value error, ')}"


def _missing(parameter: Any) -> str:
    name = parameter.metavar or max(parameter.opts, key=len)
    return f"{name} is missing: {parameter.help[0].lower()}{parameter.help[1:].rstrip('.')}."


def _example(command: Any) -> str:
    """The first one of its help, after a sentence."""
    found = _EXAMPLE.search(command.help or "")
    return f" Example: {found[1]}" if found else ""
