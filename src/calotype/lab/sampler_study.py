"""A study of samplers: how far each is from the exact solution, after how many steps and at what cost."""

import csv
import itertools
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from calotype.diffusion import driver
from calotype.diffusion.driver import DenoiserAt, latent
from calotype.diffusion.guidance import classifier_free, guided
from calotype.diffusion.ladder import ladder
from calotype.diffusion.noise import SeededNoise
from calotype.diffusion.samplers import SAMPLERS, Sampler
from calotype.errors import CalotypeError
from calotype.files import written_whole
from calotype.imaging.pixels import to_image
from calotype.lab.bootstrap import Estimate, estimate
from calotype.model import Model

PROMPTS = (
    "a cat on a blue background",
    "an apple to the left of a banana on a yellow background",
    "three stars on a purple background",
    "a rocket above a house on a black background",
)
"""What is asked when no prompts are given, in words that the embedded model knows and any other understands."""


@dataclass(frozen=True)
class StudyPlan:
    """What is tried: every sampler with every number of steps, for every prompt and seed."""

    prompts: tuple[str, ...]
    samplers: tuple[str, ...]
    steps: tuple[int, ...]
    seeds: tuple[int, ...]
    cfg_scale: float = 4.0
    scheduler: str = "automatic"
    reference_steps: int = 256
    """Of Heun's method, for the solution to compare with: its error should be far below what is measured."""


@dataclass(frozen=True)
class Trial:
    """One run, a line of the table."""

    prompt: str
    seed: int
    sampler: str
    steps: int
    calls: int
    """Network evaluations it took."""
    error: float
    """Root mean square of the latent's difference from the exact solution's, which has a spread of about 1."""


@torch.inference_mode()
def trials(model: Model, plan: StudyPlan, folder: Path) -> Iterator[Trial]:
    """Every trial of the plan, those in the folder's study.csv first; each new one is added to it.

    Pictures of the first prompt and seed are put beside it. Raises CalotypeError for the table of a study of another
    model or with other settings, and for steps that a sampler refuses.
    """
    table = folder / "study.csv"
    _check_settings(model, plan, folder / "settings.json")
    done = read(table) if table.exists() else []
    yield from done
    known = {(trial.prompt, trial.seed, trial.sampler, trial.steps) for trial in done}
    for number, (prompt, seed) in enumerate(itertools.product(plan.prompts, plan.seeds)):
        asked = [
            (name, steps)
            for name, steps in itertools.product(plan.samplers, plan.steps)
            if (prompt, seed, name, steps) not in known
        ]
        if asked:
            problem = _Problem(model, plan, prompt, seed)
            for name, steps in asked:
                found, trial = problem.trial(SAMPLERS[name], steps)
                if number == 0:
                    place = picture(folder, name, steps)
                    place.parent.mkdir(parents=True, exist_ok=True)
                    with written_whole(place) as temporary:
                        to_image(model.decode(found)).save(temporary, "PNG")
                done.append(trial)
                _write(table, done)
                yield trial


def picture(folder: Path, sampler: str, steps: int) -> Path:
    """Where a trial's picture is kept."""
    return folder / "pictures" / f"{sampler}-{steps}.png"


def read(table: Path) -> list[Trial]:
    """The trials in a table. Raises CalotypeError for a file that is none."""
    try:
        with table.open(encoding="utf-8", newline="") as file:
            return [
                Trial(
                    row["prompt"], int(row["seed"]), row["sampler"], int(row["steps"]), int(row["calls"]),
                    float(row["error"]),
                )
                for row in csv.DictReader(file)
            ]  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CalotypeError(f"{table} is no table of a study: remove it, or choose another folder.") from error


def errors(done: Sequence[Trial], sampler: str, steps: int) -> Estimate:
    """The geometric mean of the error over prompts and seeds, and its 95 % interval."""
    own = [trial for trial in done if (trial.sampler, trial.steps) == (sampler, steps)]
    found = _by_prompt([(trial.prompt, math.log(max(trial.error, 1e-12))) for trial in own])
    return Estimate(math.exp(found.value), math.exp(found.low), math.exp(found.high), found.count)


def observed_order(done: Sequence[Trial], sampler: str) -> Estimate | None:
    """By which power of the steps the error falls, over prompts and seeds; None for fewer than two numbers of steps."""
    slopes = []
    own = [trial for trial in done if trial.sampler == sampler]
    for prompt, seed in dict.fromkeys((trial.prompt, trial.seed) for trial in own):
        run = [trial for trial in own if (trial.prompt, trial.seed) == (prompt, seed)]
        if len({trial.steps for trial in run}) < 2:
            return None
        logs = np.log([[trial.steps, max(trial.error, 1e-12)] for trial in run])
        slopes.append((prompt, -float(np.polyfit(logs[:, 0], logs[:, 1], 1)[0])))
    return _by_prompt(slopes) if slopes else None


def converges(sampler: str) -> bool:
    """Whether more steps lead to the exact solution: fresh noise leads elsewhere, and CFG++ solves another equation."""
    return not SAMPLERS[sampler].stochastic and not SAMPLERS[sampler].reads_uncond


class _Problem:
    """One prompt and seed, and the exact solutions found for it."""

    def __init__(self, model: Model, plan: StudyPlan, prompt: str, seed: int) -> None:
        self.model, self.plan, self.prompt, self.seed = model, plan, prompt, seed
        side = model.config.unet.sample_size
        shape = (1, model.config.vae.latent_channels, side, side)
        self.noise = SeededNoise(seed, shape, model.device)
        positive, negative = model.conditions([prompt, ""])
        guide = classifier_free(plan.cfg_scale) if plan.cfg_scale != 1 else None
        denoiser = guided(model.predict, [(positive, 1.0)], negative, guide)
        self.denoiser_at: DenoiserAt = lambda moment: denoiser
        self.references: dict[tuple[float, float, bool], Tensor] = {}

    def trial(self, sampler: Sampler, steps: int) -> tuple[Tensor, Trial]:
        """The latent that a run ends with, and the run's line."""
        schedule = self.model.schedule
        sigmas = ladder(sampler, schedule, steps, self.plan.scheduler)
        *_, last = driver.sample(sampler, self.denoiser_at, sigmas, self.noise, schedule=schedule)
        found = latent(last.x, float(sigmas[-1]))
        error = (found - self._reference(sampler, float(sigmas[0]), float(sigmas[-1]))).square().mean().sqrt().item()
        return found, Trial(self.prompt, self.seed, sampler.name, steps, last.calls, error)

    def _reference(self, sampler: Sampler, highest: float, lowest: float) -> Tensor:
        """The solution from the same start to the same end, by many steps of Heun's method, even in log sigma."""
        key = (highest, lowest, sampler.variance_preserving)
        if key not in self.references:
            start = driver.pure_noise(sampler, highest, self.noise)
            bottom = lowest or float(self.model.schedule.sigmas[0])
            levels = torch.linspace(math.log(highest), math.log(bottom), self.plan.reference_steps + 1).double().exp()
            if lowest == 0:
                levels = torch.cat([levels, levels.new_zeros(1)])
            *_, last = driver.sample(SAMPLERS["Heun"], self.denoiser_at, levels, self.noise, start)
            self.references[key] = latent(last.x, lowest)
        return self.references[key]


def _by_prompt(figures: Sequence[tuple[str, float]]) -> Estimate:
    """The mean of each prompt's mean over its seeds, which are alike; where there is one prompt, over the seeds."""
    prompts = dict.fromkeys(prompt for prompt, _ in figures)
    found = [[figure for whose, figure in figures if whose == prompt] for prompt in prompts]
    return estimate([sum(seeds) / len(seeds) for seeds in found] if len(found) > 1 else found[0])


def _write(table: Path, done: Sequence[Trial]) -> None:
    with written_whole(table) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([field.name for field in fields(Trial)])
        writer.writerows(astuple(trial) for trial in done)


def _check_settings(model: Model, plan: StudyPlan, path: Path) -> None:
    """Two studies may share a table only if a trial means the same in both, and each row is over the same trials."""
    settings = {
        "model": model.hash, "cfg_scale": plan.cfg_scale, "scheduler": plan.scheduler,
        "reference_steps": plan.reference_steps, "prompts": plan.prompts, "seeds": plan.seeds,
    }  # fmt: skip
    if not path.exists():
        with written_whole(path) as temporary:
            temporary.write_text(json.dumps(settings), encoding="utf-8")
    elif path.read_text(encoding="utf-8") != json.dumps(settings):
        raise CalotypeError(f"{path.parent} holds a study of another model or other settings: choose another folder.")
