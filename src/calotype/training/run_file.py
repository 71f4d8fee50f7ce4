"""Run: one stage of training as a value, read from a TOML file. Everything that decides the weights is in it."""

import tomllib
from itertools import accumulate
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveInt,
    ValidationError,
)

from calotype.configs import PRESETS, ModelConfig
from calotype.data.scenes import COUNTS
from calotype.errors import CalotypeError
from calotype.files import cache_dir, read_text

TaskName = Literal["tokenizer", "vae", "clip", "unet", "export"]
_Beta = Annotated[float, Field(ge=0, lt=1)]


def _not_all_zero(counts: tuple[float, ...]) -> tuple[float, ...]:
    if sum(counts) == 0:
        raise ValueError("not all shares can be 0")
    return counts


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Phase(_Value):
    """A stretch of steps on scenes of one size. The learning rate goes from the first to the second value, linearly."""

    size: int = Field(ge=32, multiple_of=16)
    """The scenes' side in pixels; the autoencoder's loss halves it four times."""
    batch: PositiveInt
    steps: PositiveInt
    lr: tuple[NonNegativeFloat, NonNegativeFloat]
    scenes: PositiveInt = 40_000
    """How many different ones the U-Net learns from, out of the latent cache; the other tasks draw ever new ones."""
    counts: Annotated[tuple[NonNegativeFloat, ...], AfterValidator(_not_all_zero)] = Field(
        COUNTS, max_length=len(COUNTS)
    )
    """The shares of scenes with one, two and three things. See `World`."""
    grid: NonNegativeInt = 0
    """Pixels of the grid that the things of the scenes stand on; 0: anywhere. See `World`."""
    median_time: float | None = Field(None, gt=0, lt=1)
    """Where the bell of the U-Net's times has its median, in shares of the schedule; None: they are spread evenly. Most
    are then spent where a thing takes its shape, few where the noise hides all of it or nothing (arXiv 2403.03206,
    eq. 19)."""
    clip: float | None = Field(None, gt=0)
    """The largest norm of the gradient; None: the optimizer's."""

    @property
    def world(self) -> tuple[int, tuple[float, ...], int]:
        """What the scenes' `World` is made with, next to its sprites."""
        return self.size, self.counts, self.grid


class OptimizerSettings(_Value):
    """AdamW (arXiv 1711.05101); matrices and kernels decay, norms and biases do not."""

    betas: tuple[_Beta, _Beta] = (0.9, 0.99)
    weight_decay: NonNegativeFloat = 0.01
    clip: float = Field(1.0, gt=0)
    """The largest norm of the gradient, in phases that do not say."""
    warmup: NonNegativeInt = 200
    """Steps over which the learning rate rises from zero."""


class Cadence(_Value):
    """When the consumer of the loop looks at the model. None of it changes what is learned."""

    evaluate: PositiveInt = 500
    sheet: PositiveInt = 500
    checkpoint_seconds: float = Field(45.0, gt=0)


class Run(_Value):
    """One stage of training. ``phases`` may grow while a run goes on; everything else is settled when it starts."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    task: TaskName
    seed: NonNegativeInt = 0
    preset: str = "embedded"
    style: str = "noto"
    """The sprites' style, or "drawn" for the stand-ins that need no art."""
    phases: tuple[Phase, ...] = ()
    optimizer: OptimizerSettings = OptimizerSettings()
    ema: float = Field(0.999, ge=0, lt=1)
    earlier: dict[TaskName, str] = {}
    """Which runs of the cache the earlier stages come from."""
    base: str | None = None
    """The model that the U-Net goes on from: "embedded", or what ``--model`` takes. Its other networks serve as they
    are; no earlier stages are needed."""
    anew: bool = False
    """Whether the U-Net does not go on from the base's, but begins with random weights."""
    compiled: bool = False
    """Whether the U-Net's steps run through torch.compile: minutes at the first start, a sixth faster from then on. On
    a CPU that takes a C++ compiler and Python's headers."""
    folder: Path | None = None
    """Where the export puts the model."""
    cadence: Cadence = Cadence()

    @property
    def config(self) -> ModelConfig:
        """The preset's networks."""
        if self.preset not in PRESETS:
            raise CalotypeError(
                f"unknown preset {self.preset!r} in run {self.name!r}: choose one of {', '.join(PRESETS)}."
            )
        return PRESETS[self.preset]

    def needs(self, stage: TaskName) -> str:
        """The name of the run that made the earlier ``stage``. Raises CalotypeError when the run file does not say."""
        if stage not in self.earlier:
            raise CalotypeError(
                f"run {self.name!r} does not say where its {stage} comes from: give it earlier.{stage}."
            )
        return self.earlier[stage]

    @property
    def steps(self) -> int:
        """Optimizer steps in all phases."""
        return sum(phase.steps for phase in self.phases)

    def phase(self, step: int) -> tuple[Phase, float]:
        """The phase that ``step`` falls in, and how far through it the step is, in [0, 1)."""
        for phase, end in zip(self.phases, accumulate(phase.steps for phase in self.phases), strict=True):
            if step < end:
                return phase, (step - end + phase.steps) / phase.steps
        raise IndexError(f"step {step} of a run of {self.steps}")

    def lr(self, step: int) -> float:
        """The learning rate of ``step``: the phase's line, times the warm-up's."""
        phase, done = self.phase(step)
        start, end = phase.lr
        return (start + (end - start) * done) * min(1.0, (step + 1) / max(1, self.optimizer.warmup))

    def clip(self, step: int) -> float:
        """The largest norm of the gradient of ``step``."""
        phase, _ = self.phase(step)
        return phase.clip or self.optimizer.clip

    def samples(self, step: int) -> int:
        """Examples seen before ``step``."""
        seen = 0
        for phase in self.phases:
            seen += min(step, phase.steps) * phase.batch
            step = max(0, step - phase.steps)
        return seen

    def check_continues(self, earlier: Self, step: int) -> None:
        """Raise CalotypeError unless this run agrees with ``earlier`` on what decided its first ``step`` steps.

        Phases that have not begun may change, phases may be added, and the one under way may grow longer when its
        learning rate is constant (its line would otherwise have been another).
        """
        fixed = {"phases", "cadence"}
        before, now = earlier.model_dump(exclude=fixed), self.model_dump(exclude=fixed)
        changed = [name for name in now if now[name] != before[name]]
        if changed:
            raise CalotypeError(
                f"run {self.name!r} was started with another {', '.join(changed)}: "
                "restore the run file, or start afresh under a new name (or with --fresh)."
            )
        start = 0
        for index, phase in enumerate(earlier.phases):
            if start >= step:
                break
            start += phase.steps
            mine = self.phases[index] if index < len(self.phases) else None
            constant = phase.lr[0] == phase.lr[1] and start >= step
            longer = mine is not None and mine.steps >= phase.steps - max(0, start - step)
            if mine is None or mine != phase.model_copy(update={"steps": mine.steps} if constant and longer else {}):
                raise CalotypeError(
                    f"run {self.name!r} has trained {step} steps by another phase {index + 1}: "
                    "only phases that have not begun may change; restore it, or start afresh under a new name."
                )


def run_dir(name: str) -> Path:
    """Where the run ``name`` keeps its checkpoint, log, sheets and product."""
    return cache_dir("runs", name)


def read(path: Path) -> Run:
    """The run in a TOML file. Raises CalotypeError, in one line, for anything that is wrong with it."""
    try:
        text = read_text(path, "run file", "the project's own are in runs/embedded")
        return Run.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise CalotypeError(f"cannot read run file {path}: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise CalotypeError(
            f"run file {path}: {where}: {first['msg'].removeprefix('Value error, ')}. See docs/training.md."
        ) from error
