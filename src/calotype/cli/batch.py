"""``calotype batch FILE``: pictures from a file of prompts."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from calotype.cli.asking import GROUPS, Ask, asking
from calotype.cli.plans import carry_out
from calotype.errors import CalotypeError
from calotype.recipe import Recipe


@asking(*(group for group in GROUPS if group != "The mask"))
def batch(
    file: Annotated[Path, typer.Argument(help="Prompts: a line each, or .csv or .jsonl with a recipe's fields.")],
    ask: Ask,
    wildcards: Annotated[Path | None, typer.Option(help="The folder of the lists that `__name__` draws from.")] = None,
    matrix: Annotated[bool, typer.Option("--matrix", help='Every selection of the parts of "a|b|c".')] = False,
) -> None:
    """Make pictures of all prompts in a file. Run again after an interruption, it makes those that are missing.

    A .csv file's first line names fields of a recipe (prompt, seed, steps, ...), and so do the objects of a .jsonl
    file; what they leave out is taken from the options.

    Example: calotype batch prompts.txt --seed 7 --steps 20 -o out/
    """
    rows = list(_rows(file))
    if not rows:
        raise CalotypeError(f"{file} holds no prompts: write one on each line.")
    asked = {"rows": [row for _, row in rows], "matrix": matrix, "wildcards": str(wildcards) if wildcards else None}

    def recipes() -> list[Recipe]:
        return [recipe for line, row in rows for recipe in _located(file, line, _recipes(ask, row, wildcards, matrix))]

    carry_out(ask, asked, recipes)


def _located(file: Path, line: int, recipes: Iterator[Recipe]) -> Iterator[Recipe]:
    """``recipes``, with what is wrong with them laid to the line of ``file`` they come from."""
    try:
        yield from recipes
    except CalotypeError as error:
        raise CalotypeError(f"{file}, line {line}: {error}") from error


def _recipes(ask: Ask, row: dict[str, Any], wildcards: Path | None, matrix: bool) -> Iterator[Recipe]:
    from calotype.text import wildcards as expansion

    fields = {**ask.fields, **row}
    first = Recipe(**fields)
    if "prompt" not in row:
        raise CalotypeError("there is no prompt.")
    for prompt in expansion.matrix(first.prompt) if matrix else [first.prompt]:
        for number in range(ask.count):
            seed = first.seed + number
            text = prompt if wildcards is None else expansion.drawn(prompt, wildcards, seed)
            yield first.but(prompt=text, seed=seed)


def _rows(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The fields of each recipe, and the line they stand in."""
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CalotypeError(f"cannot read the prompts in {file}: it should be a text file in UTF-8.") from error
    if file.suffix.lower() == ".csv":
        yield from _csv_rows(file, lines)
        return
    for number, line in enumerate(lines, 1):
        if line.strip() and file.suffix.lower() == ".jsonl":
            yield number, _object(file, number, line)
        elif line.strip():
            yield number, {"prompt": line.strip()}


def _csv_rows(file: Path, lines: list[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    reader = csv.DictReader(lines, strict=True)
    try:
        names = [name.strip() for name in reader.fieldnames or ()]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise CalotypeError(f"{file}, line 1: {' and '.join(twice)} is named twice.")
        reader.fieldnames = names
        for row in reader:
            if None in row or None in row.values():
                raise CalotypeError(f"{file}, line {reader.line_num}: more or fewer fields than the first line names.")
            yield reader.line_num, {name: value for name, value in row.items() if value or name == "prompt"}
    except csv.Error as error:
        raise CalotypeError(f"{file}, line {reader.line_num}: {error}.") from error


def _object(file: Path, number: int, line: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise CalotypeError(f"{file}, line {number}: {error.msg} at column {error.colno}.") from error
    if not isinstance(row, dict):
        raise CalotypeError(f"{file}, line {number}: not an object with a recipe's fields.")
    return row
