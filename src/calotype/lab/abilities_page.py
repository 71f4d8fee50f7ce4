"""What a study of abilities found, as a page of tables."""

from collections.abc import Sequence
from dataclasses import dataclass

from calotype.lab.bootstrap import Estimate
from calotype.lab.detection import JUDGES
from calotype.lab.trend import Trend
from calotype.markdown import table
from calotype.model import Model

GATE = 0.9
"""Of the model's score for a thing alone, that inpainting has to reach."""


@dataclass(frozen=True)
class Painted:
    """Inpainting by one judge: how often the thing asked for stands in the mask, against a picture of its own."""

    judge: str
    area: str
    """What is painted at the model's resolution: the whole picture, or the mask and a little around it, enlarged."""
    inside: Estimate
    alone: Estimate
    ratio: Estimate | None
    """None where the model never shows the thing alone."""
    unchanged: int
    """In how many pictures every byte outside of the mask is as it was."""


def heading(model: Model, cases: int, command: str) -> list[str]:
    """What was measured, and how."""
    return [
        f"# Abilities of {model.config.name} {model.hash[:10]}",
        "",
        f"`{command}`. Each of {cases} cases is tried at every setting with the same seed. "
        "Slopes are by one unit of the dial: the mean of each case's, with the interval of a bootstrap by case. "
        f"{JUDGES}",
        "",
    ]


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


def _trend_row(row: Trend) -> list[str]:
    return [row.figure, row.judge, *(f"{mean:.2f}" for mean in row.means), _shown(row.slope), row.wanted, row.verdict]


def _painted_row(row: Painted) -> list[str]:
    verdict = "" if row.ratio is None else "pass" if row.ratio.value >= GATE else "MISS"
    ratio = "none: it never shows the thing alone" if row.ratio is None else _shown(row.ratio)
    kept = f"{row.unchanged} of {row.inside.count}"
    return [row.area, row.judge, _shown(row.inside), _shown(row.alone), ratio, f"≥ {GATE:g}", verdict, kept]


def _shown(figure: Estimate) -> str:
    return f"{figure.value:.2f} ({figure.low:.2f} to {figure.high:.2f})"
