"""Questions: the prompts of all categories, seen and held out, and how the pictures that answer them are graded."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import get_args

import numpy as np

from calotype.data.prompts import Category, prompts, validation_prompts
from calotype.data.scenes import Split
from calotype.data.spec import Spec
from calotype.data.sprites import SpriteBank
from calotype.lab.bootstrap import exact, share, share_of
from calotype.lab.detection import Judge, Pictures
from calotype.lab.matching import background
from calotype.lab.scoring import SCORES, named_colour, present
from calotype.lab.table import Figure, Source

CATEGORIES: tuple[Category, ...] = get_args(Category)
SPLITS: dict[Split, str] = {"train": "seen", "held_out": "held out"}
TITLES: dict[Category, str] = {
    "single": "G1 single",
    "two": "G2 two",
    "position": "G3 position",
    "colour": "G4 background",
    "counting": "G6 counting",
}


@dataclass(frozen=True)
class Question:
    """The prompts of one category and split, each with a true scene."""

    category: Category
    split: Split
    prompts: tuple[str, ...] = field(repr=False)
    specs: tuple[Spec, ...] = field(repr=False)

    @property
    def name(self) -> str:
        """A name for folders."""
        return f"{self.category}-{self.split}"


def questions(bank: SpriteBank, count: int, seed: int) -> list[Question]:
    """``count`` prompts for each category, of seen and of held-out combinations.

    Those of seed 0 are the test's. Of other seeds none is among these, so that there may be fewer, and where there are
    none, no question.
    """
    draw = validation_prompts if seed else prompts
    asked = []
    for category in CATEGORIES:
        for split in SPLITS:
            if drawn := draw(bank, category, split, count, seed):
                texts, specs = zip(*drawn, strict=True)
                asked.append(Question(category, split, texts, specs))
    return asked


def grade(question: Question, pictures: Pictures, judges: Mapping[str, Judge], source: Source) -> list[Figure]:
    """The figures of pictures (prompts * k, h, w, 3), k for each prompt in the prompts' order.

    For the model also those of the same pictures judged by other prompts: each by the next one's.
    """
    split, title = SPLITS[question.split], TITLES[question.category]
    copies = len(pictures) // len(question.specs)
    specs = [spec for spec in question.specs for _ in range(copies)]
    others = specs[copies:] + specs[:copies]
    asked: list[tuple[Source, list[Spec]]] = [(source, specs)]
    if source == "model":
        asked.append(("shuffled", others))
    figures = []
    if question.category == "colour":
        names = [named_colour(background(picture)) for picture in pictures]
        for whose, wanted in asked:
            right = [name == spec.background for name, spec in zip(names, wanted, strict=True)]
            figures.append(Figure(title, whose, share(shares(right, copies)), split=split))
        return figures
    score = SCORES[question.category]
    for judge, found in ((name, judge(pictures)) for name, judge in judges.items()):
        for whose, wanted in asked:
            right = [score(spec, seen) for spec, seen in zip(wanted, found, strict=True)]
            figures.append(Figure(title, whose, share(shares(right, copies)), judge, split))
            there = [present(spec, seen) for spec, seen in zip(wanted, found, strict=True)]
            if question.category == "position" and (placed := share_of(shares(right, copies), shares(there, copies))):
                figures.append(Figure(f"{title}, both there", whose, placed, judge, split))
    return figures


def shares(right: Sequence[bool], copies: int) -> list[float]:
    """For each prompt the share of its ``copies`` pictures, which follow each other, that are right."""
    found: list[float] = np.reshape(right, (-1, copies)).mean(1).tolist()
    return found


def summaries(figures: Sequence[Figure]) -> Iterator[Figure]:
    """G8, held-out combinations over seen ones, and D3, what the model's score loses by shuffling the prompts.

    Both from the mean of G1, G2, G3, G4 and G6; the background, which no judge names, counts for each judge.
    """
    means: dict[tuple[str, Source, str], list[float]] = {}
    judges = dict.fromkeys(figure.judge for figure in figures if figure.judge)
    for judge in judges:
        for figure in figures:
            if figure.judge in ("", judge) and figure.metric in TITLES.values():
                means.setdefault((judge, figure.source, figure.split), []).append(figure.estimate.value)
    mean = {key: float(np.mean(values)) for key, values in means.items() if len(values) == len(TITLES)}
    for judge, source, split in mean:
        if split == "held out" and mean.get((judge, source, "seen")) and source != "shuffled":
            ratio = mean[judge, source, split] / mean[judge, source, "seen"]
            yield Figure("G8 held-out / seen", source, exact(ratio), judge)
        if source == "model" and (judge, "shuffled", split) in mean:
            yield Figure(
                "D3 lost by shuffling",
                source,
                exact(mean[judge, source, split] - mean[judge, "shuffled", split]),
                judge,
                split,
            )
