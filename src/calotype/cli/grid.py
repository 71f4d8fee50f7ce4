"""``calotype grid PROMPT``: what a field does to a picture, side by side."""

import csv
from collections.abc import Iterator
from typing import Annotated

import typer

from calotype.cli.asking import FOLDER, GROUPS, Ask, asking
from calotype.cli.making import tell
from calotype.cli.plans import Planned, carry_out, laid_to
from calotype.errors import CalotypeError
from calotype.recipe import Recipe


@asking(*GROUPS, output=FOLDER, count=None)
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
    if columns[0][0] == rows[0][0]:
        raise CalotypeError(f"both axes vary {columns[0][0]}: give --y another field.")
    cells = [dict(cell for cell in (column, row) if cell[0]) for row in rows for column in columns]
    labels = [", ".join(f"{name} {value}" for name, value in cell.items()) for cell in cells]

    def recipes() -> Iterator[Planned]:
        first = Recipe(**ask.fields)
        fields = {**ask.fields, "seed": first.seed, "subseed": first.subseed, "prompt": prompt}
        for label, cell in zip(labels, cells, strict=True):
            with laid_to(label):
                yield label, Recipe(**{**fields, **cell})

    paths = carry_out(ask, {"prompt": prompt, "x": x, "y": y}, recipes)

    from calotype.files import written_whole
    from calotype.imaging.sheet import contact_sheet

    sheet = contact_sheet(paths, labels, columns=len(columns))
    path = ask.output / "grid.png"
    with written_whole(path) as temporary:
        sheet.save(temporary, "PNG")
    tell(ask, path, columns=len(columns), rows=len(rows))


def _axis(text: str) -> list[tuple[str, str]]:
    name, _, values = text.partition(":")
    field = name.strip().replace("-", "_").replace(" ", "_").lower()
    try:
        split = next(csv.reader([values.strip()], skipinitialspace=True))
    except csv.Error:
        split = []
    if not field or not split:
        raise CalotypeError(f'{text!r} is no axis: name a field and its values in a line, as in "cfg_scale: 2, 4, 8".')
    return [(field, value.strip()) for value in split]
