"""``calotype batch FILE``: pictures from a file of prompts."""

import csv
import json
import shlex
from collections.abc import Callable, Iterator
from functools import partial
from io import StringIO
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import typer

from calotype.cli.asking import FOLDER, GROUPS, Ask, asking
from calotype.cli.plans import Planned, carry_out, laid_to
from calotype.errors import CalotypeError
from calotype.files import read_text
from calotype.recipe import PROMPTS, Recipe

_A1111 = {"sampler_name": "sampler"}
"""What A1111 calls a field of a recipe that has another name here."""


@asking(*GROUPS, output=FOLDER)
def batch(
    file: Annotated[Path, typer.Argument(help="Prompts: a line each, or .csv or .jsonl with a recipe's fields.")],
    ask: Ask,
    wildcards: Annotated[Path | None, typer.Option(help="The folder of the lists that `__name__` draws from.")] = None,
    matrix: Annotated[bool, typer.Option("--matrix", help='Every selection of the parts of "a|b|c".')] = False,
) -> None:
    """Make pictures of all prompts in a file. Run again after an interruption, it makes those that are missing.

    A .csv file's first line names fields of a recipe (prompt, seed, steps, ...), and so do the objects of a .jsonl
    file; what they leave out is taken from the options.

    Example: calotype batch prompts.txt --seed 7 --steps 20 -o batch/
    """
    lines = list(rows(file))
    if not lines:
        raise CalotypeError(f"{file} holds no prompts: write one on each line.")
    asked = {"rows": [row for _, row in lines], "matrix": matrix, "wildcards": str(wildcards) if wildcards else None}

    def recipes() -> Iterator[Planned]:
        for line, row in lines:
            place = f"{file}, line {line}"
            with laid_to(place):
                made = list(_recipes(ask, row, wildcards, matrix))
            yield from ((place, recipe) for recipe in made)

    carry_out(ask, asked, recipes)


def _recipes(ask: Ask, row: dict[str, Any], wildcards: Path | None, matrix: bool) -> Iterator[Recipe]:
    from calotype.text.prompt import COMMENT
    from calotype.text.wildcards import drawn
    from calotype.text.wildcards import matrix as selections

    first = Recipe(**{**ask.fields, **row})
    if "prompt" not in row:
        raise CalotypeError("there is no prompt.")
    if (matrix or wildcards) and first.prompt_style == "a1111":  # nothing of a comment is drawn or chosen
        first = _reworded(first, partial(COMMENT.sub, ""))
    for prompt in selections(first.prompt) if matrix else [first.prompt]:
        for number in range(ask.count):
            recipe = first.but(prompt=prompt).later(number)
            yield _reworded(recipe, partial(drawn, folder=wildcards, seed=recipe.seed)) if wildcards else recipe


def _reworded(recipe: Recipe, change: Callable[[str], str]) -> Recipe:
    """Each of its prompts changed by itself: a second pass draws what the same words in the first one do."""
    texts = {name: getattr(recipe, name) for name in PROMPTS}
    return recipe.but(**{name: change(text) for name, text in texts.items() if text})


def rows(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The fields of each recipe, and the line they stand in."""
    text = read_text(file, "file of prompts")
    if file.suffix.lower() == ".csv":
        yield from _csv_rows(file, text)
        return
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip() and file.suffix.lower() == ".jsonl":
            with laid_to(f"{file}, line {number}"):
                yield number, _object(line)
        elif line.lstrip().startswith("--"):
            with laid_to(f"{file}, line {number}"):
                yield number, _options(line)
        elif line.strip() and not line.lstrip().startswith("#"):
            yield number, {"prompt": line.strip()}


def _csv_rows(file: Path, text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    reader = csv.reader(StringIO(text), strict=True, skipinitialspace=True)
    names: list[str] = []
    while True:
        line = reader.line_num + 1
        with laid_to(f"{file}, line {line}"):
            try:
                fields = next(reader, None)
            except csv.Error as error:
                raise CalotypeError(f"{error}.") from error
            if fields is None:
                return
            if len(fields) < 2 and not "".join(fields).strip():
                continue
            if not names:
                names = _names(fields)
            elif len(fields) != len(names):
                raise CalotypeError("more or fewer fields than the first line names.")
            else:
                row = zip(names, fields, strict=True)
                yield line, {name: value for name, value in row if value or name == "prompt"}


def _names(fields: list[str]) -> list[str]:
    names = [name.strip() for name in fields]
    if "" in names:
        raise CalotypeError("a field has no name.")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise CalotypeError(f"{' and '.join(twice)} is named twice.")
    return names


def _options(line: str) -> dict[str, str]:
    """``--prompt "a cat" --steps 5``, as A1111's "prompts from file" reads it: a value goes on to the next option."""
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise CalotypeError(f"{error}.") from error
    starts = [place for place, word in enumerate(words) if word.startswith("--")]
    names = [words[start].removeprefix("--").replace("-", "_") for start in starts]
    values = [" ".join(words[start + 1 : end]) for start, end in pairwise([*starts, len(words)])]
    return {_A1111.get(name, name): value for name, value in zip(names, values, strict=True)}


def _object(line: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise CalotypeError(f"{error.msg} at column {error.colno}.") from error
    except (ValueError, RecursionError) as error:
        raise CalotypeError("a number is too long, or brackets nest too deeply.") from error
    if not isinstance(row, dict):
        raise CalotypeError("not an object with a recipe's fields.")
    return row
