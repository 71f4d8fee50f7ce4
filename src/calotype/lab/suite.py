"""The suite: everything that is measured of a model, in one table with its oracle, its memoriser and its shuffle."""

from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from calotype.api import Studio
from calotype.data.captions import caption
from calotype.data.prompts import TEST, prompts
from calotype.data.scenes import COUNTS, World, render
from calotype.data.sprites import Pixels, SpriteBank
from calotype.errors import CalotypeError
from calotype.lab import detector, table
from calotype.lab.bootstrap import exact
from calotype.lab.detection import Judge
from calotype.lab.matching import SIZE, Matcher
from calotype.lab.measurements import Measurement, autoencoder_measurement, round_trip, text_measurement
from calotype.lab.memoriser import Memoriser
from calotype.lab.progress import Progress
from calotype.lab.questions import CATEGORIES, SPLITS, Question, grade, questions, summaries
from calotype.lab.samples import developed, saving
from calotype.lab.table import Absence, Figure, Source
from calotype.lab.towers import towers
from calotype.lab.variety import VARIANTS, distances, diversity, true_variants
from calotype.recipe import Recipe

PartName = Literal["vae", "text", "oracle", "pictures"]
PARTS: tuple[PartName, ...] = get_args(PartName)
MEMORY: tuple[tuple[tuple[float, ...], int, int], ...] = (
    (COUNTS, 0, 60_000),
    ((0.2, 0.5, 0.3), 0, 160_000),
    ((0.3, 0.5, 0.2), 8, 180_000),
)
"""Of the whole scenes that the embedded U-Net learned from (runs/embedded/anew.toml): the shares of one, two and three
things, the grid they stand on, and how many scenes. The memoriser knows them all, by the captions they have now."""


@dataclass(frozen=True)
class EvaluationPlan:
    """How much is measured, and how the pictures are made."""

    recipe: Recipe
    """Of every picture, but for its prompt, its seed and its size, which is the judges'."""
    parts: tuple[PartName, ...] = PARTS
    scenes: int = 200
    """Scenes through the autoencoder."""
    prompts: int = 50
    """Prompts of each category, of seen and again of held-out combinations."""
    copies: int = 1
    """Pictures of each prompt."""
    varied: int = 12
    """Prompts whose variety is measured."""
    distances: bool = False
    """Whether the pictures' cloud is compared with the true one's; that takes many pictures."""
    prompt_seed: int = 0
    """0: the test prompts. Others ask none of these, for choosing settings by."""

    @classmethod
    def full(cls, recipe: Recipe, parts: tuple[PartName, ...], prompt_seed: int) -> "EvaluationPlan":
        """The long one: four pictures of a hundred prompts per category and split, a thousand scenes."""
        return cls(recipe, parts, 1000, TEST, 4, 40, True, prompt_seed)


@dataclass(frozen=True)
class Evaluation:
    """What all parts share."""

    studio: Studio
    plan: EvaluationPlan
    bank: SpriteBank
    judges: Mapping[str, Judge]
    learned: detector.Detector
    """J2 again, for its features."""
    folder: Path

    @cached_property
    def asked(self) -> list[Question]:
        """The plan's questions."""
        return questions(self.bank, self.plan.prompts, self.plan.prompt_seed)


def evaluate(studio: Studio, plan: EvaluationPlan, bank: SpriteBank, folder: Path) -> Iterator[Progress]:
    """Measure a model, yielding on the way; writes table.md, table.json and all pictures into ``folder``.

    Stopped and begun again, it makes no picture twice.
    """
    learned = yield from detector.trained(bank)
    judges: dict[str, Judge] = {"J1": Matcher(bank), "J2": learned}
    sized = replace(plan, recipe=plan.recipe.but(width=SIZE, height=SIZE))
    evaluation = Evaluation(studio, sized, bank, judges, learned, folder)
    figures: list[Figure] = []
    absences = list(_fewer(evaluation))
    for part in plan.parts:
        try:
            measured = _MEASURES[part](evaluation)
        except CalotypeError as error:
            absences.append(Absence(part, str(error)))
            continue
        figures += yield from measured
        table.write(figures, absences, _heading(evaluation), folder)
    figures += summaries(figures)
    table.write(figures, absences, _heading(evaluation), folder)


def _fewer(evaluation: Evaluation) -> Iterator[Absence]:
    """The questions that have fewer prompts than planned."""
    plan = evaluation.plan
    if {"oracle", "pictures"}.isdisjoint(plan.parts):
        return
    asked = {question.name: len(question.prompts) for question in evaluation.asked}
    for name in (f"{category}-{split}" for category in CATEGORIES for split in SPLITS):
        if (count := asked.get(name, 0)) < plan.prompts:
            missing = plan.prompts - count
            yield Absence(name, f"{missing} of {plan.prompts} prompts: no more than {count} are none of the test's.")


def _vae(evaluation: Evaluation) -> Measurement:
    plan = evaluation.plan
    return autoencoder_measurement(
        evaluation.studio.vae, evaluation.bank, evaluation.judges, evaluation.learned, plan.scenes
    )


def _text(evaluation: Evaluation) -> Measurement:
    studio = evaluation.studio
    return text_measurement(towers(studio), studio.tokenizers[0], evaluation.bank)


def _oracle(evaluation: Evaluation) -> Measurement:
    """What the judges say of true scenes, of these through the autoencoder, and of the memoriser's answers."""
    figures = []
    bank = evaluation.bank
    worlds = [(World(bank, counts=counts, grid=grid), range(number)) for counts, grid, number in MEMORY]
    specs = [world.spec(seed, "train") for world, seeds in worlds for seed in seeds]
    memoriser = Memoriser([caption(spec) for spec in specs])
    for index, question in enumerate(evaluation.asked):
        true = np.stack([render(bank, spec) for spec in question.specs])
        nearest = memoriser.nearest(question.prompts)
        answers: dict[Source, Iterator[Pixels]] = {
            "true": iter(true),
            "oracle": (copy for copy, _ in round_trip(evaluation.studio.vae, true)),
            "memoriser": (render(bank, specs[number]) for number in nearest),
        }
        for number, (source, pictures) in enumerate(answers.items()):
            yield Progress("true scenes", len(answers) * index + number, len(answers) * len(evaluation.asked))
            folder = evaluation.folder / source / question.name
            figures += grade(question, np.stack(list(saving(pictures, folder))), evaluation.judges, source)
    return figures


def _pictures(evaluation: Evaluation) -> Measurement:
    """G1 to G6 of the model and of its shuffled prompts, D2, and D1 where it is asked for."""
    plan, figures, clouds = evaluation.plan, [], []
    for question in evaluation.asked:
        recipes = [
            plan.recipe.but(prompt=prompt, seed=plan.copies * index + copy)
            for index, prompt in enumerate(question.prompts)
            for copy in range(plan.copies)
        ]
        pictures = yield from developed(evaluation.studio, recipes, evaluation.folder / "model" / question.name)
        figures += grade(question, pictures, evaluation.judges, "model")
        clouds.append(pictures)
    figures.append((yield from _diversity(evaluation, evaluation.asked[0])))
    if plan.distances:
        figures += _distances(evaluation, np.concatenate(clouds))
    return figures


def _diversity(evaluation: Evaluation, question: Question) -> Generator[Progress, None, Figure]:
    """D2 on the first prompts of one thing."""
    number, recipe = evaluation.plan.varied, evaluation.plan.recipe
    recipes = [recipe.but(prompt=prompt, seed=seed) for prompt in question.prompts[:number] for seed in range(VARIANTS)]
    pictures = yield from developed(evaluation.studio, recipes, evaluation.folder / "model" / "diversity")
    true = [true_variants(evaluation.bank, spec, VARIANTS) for spec in question.specs[:number]]
    made = pictures.reshape(len(true), VARIANTS, *pictures.shape[1:])
    return Figure("D2 diversity", "model", diversity(evaluation.learned, list(made), true), "J2", "seen")


def _distances(evaluation: Evaluation, pictures: np.ndarray) -> Iterator[Figure]:
    """D1: of all pictures, and of the true scenes of their prompts, from true scenes of other prompts."""
    plan, bank = evaluation.plan, evaluation.bank
    true = np.stack([render(bank, spec) for question in evaluation.asked for spec in question.specs])
    others = (
        spec
        for category in CATEGORIES
        for split in SPLITS
        for _, spec in prompts(bank, category, split, plan.prompts, plan.prompt_seed + 1000)
    )
    other_true = np.stack([render(bank, spec) for spec in others])
    values = distances(evaluation.learned, pictures[:: plan.copies], true, other_true)
    return (Figure(name, "model", exact(value), "J2") for name, value in values.items())


def _heading(evaluation: Evaluation) -> str:
    recipe, plan, studio = evaluation.plan.recipe, evaluation.plan, evaluation.studio
    kind = "test" if plan.prompt_seed == 0 else "validation"
    return (
        f"# {studio.config.name} {studio.hash[:10]}\n\n"
        f"{recipe.sampler}, {recipe.steps} steps, scale {recipe.cfg_scale:g}, rescale {recipe.cfg_rescale:g}; "
        f"{plan.prompts} {kind} prompts per category and split, {plan.copies} picture(s) each."
    )


_MEASURES: Mapping[PartName, Callable[[Evaluation], Measurement]] = {
    "vae": _vae,
    "text": _text,
    "oracle": _oracle,
    "pictures": _pictures,
}
