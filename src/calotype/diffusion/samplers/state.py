"""The values a sampler is made of: a row of the registry, a plan, a state, and what a denoiser answers."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Literal, Protocol

import torch
from jaxtyping import Float
from torch import Tensor

from calotype.diffusion.noise import Noise
from calotype.diffusion.schedules import Schedule
from calotype.errors import CalotypeError

Intervals = tuple[tuple[float, float], ...]


@dataclass(frozen=True, eq=False)
class Denoised:
    """The picture a denoiser sees behind the noise, shaped as x; `uncond` is the one seen without the prompt."""

    x0: Float[Tensor, "b *shape"]
    uncond: Float[Tensor, "b *shape"] | None = None
    """None without guidance; read by CFG++ samplers only."""

    @property
    def unconditional(self) -> Float[Tensor, "b *shape"]:
        """The picture seen without the prompt; where nothing guides, the only one there is."""
        return self.x0 if self.uncond is None else self.uncond


class Denoiser(Protocol):
    """All that a sampler knows of a network: (x (b, ...) = x0 + sigma * noise, sigma > 0) -> Denoised."""

    def __call__(self, x: Tensor, sigma: float) -> Denoised:
        """Ask once."""
        ...


@dataclass(frozen=True, eq=False)
class SamplerState:
    """All that the rest of a run depends on, between two steps. Every field is a number or tensors: it can be saved."""

    x: Float[Tensor, "b *shape"]
    """The noisy picture in sigma coordinates, x0 + sigma * noise."""
    x0: Float[Tensor, "b *shape"]
    """The latest prediction of the clean picture: the preview."""
    index: int = 0
    """The interval of the plan that comes next."""
    calls: int = 0
    """How often the denoiser has been asked; counted by the driver."""
    draws: int = 1
    """The next unused draw of the noise; draw 0 made the first x."""
    memory: Mapping[str, Tensor] = field(default_factory=dict)
    """What this sampler remembers: earlier predictions, a controller's error, ..."""

    def after(self, x: Tensor, x0: Tensor, draws: int = 0, **memory: Tensor) -> "SamplerState":
        """The state one interval later; `draws` were used; `memory` replaces all that was remembered."""
        return replace(self, x=x, x0=x0, index=self.index + 1, draws=self.draws + draws, memory=memory)


@dataclass(frozen=True)
class Plan:
    """The intervals (sigma, next sigma) a sampler will cross, and its options."""

    intervals: Intervals
    options: Mapping[str, float]
    steps: int
    """Steps of the ladder it was made from; not every sampler crosses as many intervals."""
    schedule: Schedule | None = None
    """Where noise levels have training times, which a few samplers reckon with."""

    @property
    def training_schedule(self) -> Schedule:
        """The schedule the network was trained on. ValueError where the plan was made without one."""
        if self.schedule is None:
            raise ValueError("this sampler reckons with training times: its plan needs a schedule")
        return self.schedule

    def interval(self, state: SamplerState) -> tuple[float, float]:
        """The two noise levels of the step that `state` is about to take."""
        return self.intervals[state.index]

    def from_noise(self, state: SamplerState) -> bool:
        """Whether the step that `state` is about to take begins at a level that stands for infinity."""
        if self.schedule is None or not self.schedule.ends_in_noise:
            return False
        return self.interval(state)[0] >= self.schedule.sigmas[-1].item()

    def step(self, state: SamplerState) -> int:
        """The ladder's step, from 0, in which the interval begins that `state` is about to cross."""
        return state.index * self.steps // len(self.intervals)

    def last(self, state: SamplerState) -> bool:
        """Whether `state` is about to take the last step."""
        return state.index == len(self.intervals) - 1

    def done(self, state: SamplerState) -> bool:
        """Whether nothing is left to do."""
        return state.index >= len(self.intervals)


Step = Callable[[Denoiser, Plan, Noise, SamplerState], SamplerState]
"""A pure function from one state to the next. It may ask the denoiser several times."""


@dataclass(frozen=True)
class Sampler:
    """One row of the registry."""

    name: str
    """As A1111 spells it."""
    step: Step
    paper: str
    order: int
    """Global order of convergence of the deterministic equation it solves."""
    equals: str
    """The reference implementation whose numbers it reproduces."""
    use: str = ""
    """When to choose it."""
    aliases: tuple[str, ...] = ()
    """Names in A1111, ComfyUI, k-diffusion and diffusers."""
    calls: Callable[[int], int] | None = lambda steps: steps
    """Network calls of a run over so many steps to sigma 0; None where they depend on the picture."""
    noise: Literal["none", "normal", "brownian"] = "none"
    """Which of the two noises it draws."""
    options: Mapping[str, float] = field(default_factory=dict)
    """What `plan` accepts, with defaults."""
    intervals: Callable[[Sequence[float]], Intervals] = lambda sigmas: tuple(pairwise(sigmas))
    kind: type[Plan] = Plan
    """What `plan` makes of the intervals."""
    scheduler: str | None = None
    """The schedule it is used with under "automatic" (as in A1111); None takes the model's own spacing."""
    discards_penultimate: bool = False
    """Whether A1111 leaves out the last sigma above 0, and ComfyUI, too, but for DPM++ 3M SDE."""
    variance_preserving: bool = False
    """Whether it begins and ends as CompVis's samplers over timesteps do: from noise of variance 1 + sigma^2,
    and to the first sigma of the schedule instead of 0."""
    ends_at_zero: bool = False
    """Whether it goes to 0 though it begins so."""
    reads_uncond: bool = False
    """Whether it needs the prediction without the prompt (CFG++), at guidance scale 1 too."""
    scale_divisor: float = 1.0
    """What every guidance scale is divided by, so that its range is that of the other samplers."""

    @property
    def stochastic(self) -> bool:
        """Whether it draws noise with its default options."""
        return self.noise != "none"

    @property
    def evaluations(self) -> int | None:
        """Network calls per step of a long run; None where they depend on the picture."""
        return round(self.calls(100) / 100) if self.calls else None

    def plan(
        self, sigmas: Float[Tensor, "levels"] | Sequence[float], schedule: Schedule | None = None, **options: float
    ) -> Plan:
        """The plan for a falling list of noise levels. Raises CalotypeError for other lists and unknown options."""
        unknown = sorted(set(options) - set(self.options))
        if unknown:
            known = ", ".join(self.options) or "none"
            raise CalotypeError(f"sampler {self.name} has no option {unknown[0]!r}; its options: {known}.")
        levels = _checked(sigmas)
        return self.kind(self.intervals(levels), {**self.options, **options}, len(levels) - 1, schedule)


def _checked(sigmas: Float[Tensor, "levels"] | Sequence[float]) -> list[float]:
    levels: list[float] = torch.as_tensor(sigmas, dtype=torch.float64).tolist()
    if len(levels) < 2:
        raise CalotypeError(f"a sampler needs at least two sigmas, not {len(levels)}; give more steps.")
    if not all(math.isfinite(sigma) and sigma >= 0 for sigma in levels):
        raise CalotypeError("sigmas must be finite and not negative.")
    if any(low >= high for high, low in pairwise(levels)):
        raise CalotypeError("sigmas must fall from each to the next; sort them and leave out repetitions.")
    return levels
