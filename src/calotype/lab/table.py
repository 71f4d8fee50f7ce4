"""The table: every figure of an evaluation, as Markdown for people and JSON for programs."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from calotype.files import written_whole
from calotype.lab.bootstrap import Estimate
from calotype.lab.detection import JUDGES
from calotype.lab.gates import GATES
from calotype.markdown import table

Source = Literal["true", "oracle", "model", "memoriser", "shuffled"]
"""Whose pictures: true scenes; these through the autoencoder; the model's; those of the nearest training captions; and
the model's judged by other prompts.
"""
SOURCES: tuple[Source, ...] = ("true", "oracle", "model", "memoriser", "shuffled")


@dataclass(frozen=True)
class Figure:
    """One number of the table. ``judge`` and ``split`` are empty where there is only one."""

    metric: str
    source: Source
    estimate: Estimate
    judge: str = ""
    split: str = ""


@dataclass(frozen=True)
class Absence:
    """What was not measured, and why."""

    part: str
    reason: str


def write(figures: Sequence[Figure], absences: Sequence[Absence], heading: str, folder: Path) -> None:
    """Write table.md and table.json."""
    with written_whole(folder / "table.md") as path:
        path.write_text(markdown(figures, absences, heading), encoding="utf-8")
    rows = [asdict(figure) for figure in figures]
    content = {"heading": heading, "figures": rows, "not_measured": [asdict(absence) for absence in absences]}
    with written_whole(folder / "table.json") as path:
        path.write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8")


def markdown(figures: Sequence[Figure], absences: Sequence[Absence], heading: str) -> str:
    """The figures as a Markdown table: a line for each metric, judge and split, a column for each source there is."""
    sources = [source for source in SOURCES if any(figure.source == source for figure in figures)]
    titles = ("metric", "judge", "split", *sources, "model / oracle", "gate", "")
    keys = dict.fromkeys((figure.metric, figure.judge, figure.split) for figure in figures)
    rows = []
    for key in keys:
        found = {f.source: f.estimate for f in figures if (f.metric, f.judge, f.split) == key}
        rows.append((*key, *(_shown(found.get(source)) for source in sources), *_verdict(key[0], found)))
    lines = [heading, "", *table(titles, rows)]
    if absences:
        lines += ["", *(f"Not measured: {absence.part}: {absence.reason}" for absence in absences)]
    return "\n".join([*lines, "", _REMARK, ""])


def _verdict(metric: str, found: dict[Source, Estimate]) -> tuple[str, str, str]:
    """Model / oracle, the gate, and whether it was passed: by the model, and for the autoencoder by the oracle."""
    model, oracle = found.get("model"), found.get("oracle")
    ratio = f"{model.value / oracle.value:.2f}" if model and oracle and oracle.value else ""
    gate, judged = GATES.get(metric), model or oracle
    if gate is None or judged is None:
        return ratio, "", ""
    about_the_oracle = metric.startswith("V")
    if model is None and not about_the_oracle:
        return ratio, f"{gate.threshold:.3g}", ""
    gate = gate.against(oracle.value if oracle and not about_the_oracle else None)
    sign = "≥" if gate.at_least else "≤"
    return ratio, f"{sign} {gate.threshold:.3g}", "pass" if gate.passed_by(judged.value) else "MISS"


def _shown(estimate: Estimate | None) -> str:
    if estimate is None:
        return ""
    digits = 1 if abs(estimate.value) >= 10 else 3
    low, value, high = (f"{number:.{digits}f}" for number in (estimate.low, estimate.value, estimate.high))
    return f"{value} ({low}–{high})" if estimate.count > 1 else value


_REMARK = (
    "A synthetic, closed world: these figures are not comparable with published FID or GenEval scores. In brackets the "
    "95 % interval of a bootstrap by prompt, or Wilson's where all prompts fare alike. true: the scene itself, so that "
    "what is lacking to 1 is the judge's own error; oracle: the scene through the autoencoder; memoriser: the picture "
    f"of the nearest training caption; shuffled: the model's pictures judged by other prompts. {JUDGES}"
)
