"""``calotype grid PROMPT``: what a field does to a picture, side by side."""

import csv
from typing import Annotated, Any

import typer

from calotype.cli.asking import GROUPS, Ask, asking
from calotype.cli.plans import carry_out
from calotype.errors import CalotypeError
from calotype.recipe import Recipe


@asking(*(group for group in GROUPS if group != "The mask"))
def grid(
    prompt: Annotated[str, typer.Argument(help="What the pictures show.")],
    x: Annotated[str, typer.Option(help="A field and its values from left to right: cfg_scale: 2, 4, 8")],
    ask: Ask,
    y: Annotated[str | None, typer.Option(help="A field and its values from top to bottom.")] = None,
) -> None:
    """Make a picture for each pair of values of two fields of a recipe, and a labelled sheet of them, grid.png.

    Run again after an interruption, it makes those that are missing.

    Example: calotype grid "a cat" --x "cfg_scale: 1, 4, 8" --y "sampler: Euler, DDIM" --seed 7 --steps 10 -o grid/
    """
    columns, rows = _axis(x), [("", "")] if y is None else _axis(y)
    cells = [dict(cell for cell in (column, row) if cell[0]) for row in rows for column in columns]

    def recipes() -> list[Recipe]:
        seed = Recipe(**ask.fields).seed
        fields = {**ask.fields, "seed": seed, "prompt": prompt}
        return [Recipe(**{**fields, **cell}) for cell in cells]

    paths = carry_out(ask, {"prompt": prompt, "x": x, "y": y}, recipes)

    from calotype.imaging.sheet import contact_sheet

    labels = [", ".join(f"{name} {value}" for name, value in cell.items()) for cell in cells]
    sheet = contact_sheet(paths, labels, columns=len(columns))
    _save(sheet, ask)


def _save(sheet: Any, ask: Ask) -> None:
    from calotype.files import written_whole

    path = ask.output / "grid.png"
    with written_whole(path) as temporary:
        sheet.save(temporary, "PNG")
    typer.echo(path)


def _axis(text: str) -> list[tuple[str, str]]:
    name, colon, values = text.partition(":")
    field = name.strip().replace("-", "_").replace(" ", "_").lower()
    if not colon or not values.strip():
        raise CalotypeError(f'{text!r} is no axis: name a field and its values, as in "cfg_scale: 2, 4, 8".')
    (split,) = csv.reader([values.strip()], skipinitialspace=True)
    return [(field, value.strip()) for value in split]
