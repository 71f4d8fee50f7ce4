"""A study of abilities: what it finds is put on a page of tables, one after the other."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, get_args

from calotype.api import Studio
from calotype.data.sprites import SpriteBank
from calotype.files import written_whole
from calotype.lab import detector
from calotype.lab.abilities import Bench, Painted, emphasis, image_to_image, inpainting
from calotype.lab.bootstrap import Estimate
from calotype.lab.detection import JUDGES
from calotype.lab.markdown import table
from calotype.lab.matching import SIZE, Matcher
from calotype.lab.progress import Progress
from calotype.lab.trend import Trend
from calotype.recipe import Recipe

Ability = Literal["img2img", "emphasis", "inpainting"]
ABILITIES: tuple[Ability, ...] = get_args(Ability)

GATE = 0.9
"""Of the model's score for a thing alone, that inpainting has to reach."""


def study(
    studio: Studio, bank: SpriteBank, recipe: Recipe, cases: int, asked: Sequence[Ability], command: str, folder: Path
) -> Iterator[Progress]:
    """Measure what is ``asked``, yielding on the way; writes abilities.md and all pictures into ``folder``.

    Begun again, it makes no picture twice. ``command`` is put on the page.
    """
    learned = yield from detector.trained(bank)
    sized = recipe.but(width=SIZE, height=SIZE)
    bench = Bench(studio, bank, {"J1": Matcher(bank), "J2": learned}, sized, cases, folder)
    lines = [*_heading(bench, command), ""]
    for ability in asked:
        if ability == "inpainting":
            lines += painted_lines((yield from inpainting(bench)))
        elif ability == "emphasis":
            lines += trend_lines("Emphasis, by the weight", (yield from emphasis(bench)))
        else:
            lines += trend_lines("Image-to-image, by the denoising strength", (yield from image_to_image(bench)))
        with written_whole(folder / "abilities.md") as temporary:
            temporary.write_text("\n".join(lines), encoding="utf-8")


def trend_lines(title: str, trends: Sequence[Trend]) -> list[str]:
    """The trends of one dial, as a table with a heading."""
    levels = [f"{level:g}" for level in trends[0].levels]
    titles = ("figure", "judge", *levels, "slope (95 % interval)", "wanted", "found")
    return [f"## {title}", "", *table(titles, map(_trend_row, trends)), ""]


def painted_lines(painted: Sequence[Painted]) -> list[str]:
    """What inpainting reached, as a table with a heading."""
    titles = ("painted", "judge", "thing asked for in the mask", "alone, without a mask", "ratio (95 % interval)")
    kept = "Kept: in how many pictures every byte outside of the mask is as it was."
    return ["## Inpainting", "", *table((*titles, "gate", "", "kept"), map(_painted_row, painted)), "", kept, ""]


def _heading(bench: Bench, command: str) -> list[str]:
    model = bench.studio
    return [
        f"# Abilities of {model.config.name} {model.hash[:10]}",
        "",
        f"`{command}`. Each of {bench.cases} cases is tried at every setting with the same seed. "
        "Slopes are by one unit of the dial: the mean of each case's, with the interval of a bootstrap by case. "
        f"{JUDGES}",
    ]


def _trend_row(row: Trend) -> list[str]:
    return [row.figure, row.judge, *(f"{mean:.2f}" for mean in row.means), _shown(row.slope), row.wanted, row.verdict]


def _painted_row(row: Painted) -> list[str]:
    verdict = "" if row.ratio is None else "pass" if row.ratio.value >= GATE else "MISS"
    ratio = "none: it never shows the thing alone" if row.ratio is None else _shown(row.ratio)
    kept = f"{row.unchanged} of {row.inside.count}"
    return [row.area, row.judge, _shown(row.inside), _shown(row.alone), ratio, f"≥ {GATE:g}", verdict, kept]


def _shown(figure: Estimate) -> str:
    return f"{figure.value:.2f} ({figure.low:.2f} to {figure.high:.2f})"
