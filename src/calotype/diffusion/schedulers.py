"""Schedulers: which noise levels of a schedule a sampler visits. Each falls from the first level to 0."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from calotype.diffusion.beta import quantile
from calotype.diffusion.names import find, unknown
from calotype.diffusion.schedules import Schedule
from calotype.errors import CalotypeError

Sigmas = Float[Tensor, "levels"]
Share = TypeVar("Share", float, Tensor)

_RHO = 7.0
"""How much denser Karras' levels are at the low end (arXiv 2206.00364, section 3)."""
_BETA = 0.6
"""Both shapes of the beta distribution (arXiv 2407.12173, as A1111, ComfyUI and diffusers have them)."""
_SLOW = 0.025
"""The share of the way from the top that takes half of Mochi's steps."""


@dataclass(frozen=True)
class Scheduler:
    """One row of the registry: (schedule, steps) -> sigmas (steps + 1,), float64, falling, the last one 0."""

    name: str
    label: str
    """As A1111 spells it."""
    levels: Callable[[Schedule, int], Sigmas]
    """(schedule, steps) -> the levels above 0."""
    reference: str
    aliases: tuple[str, ...] = ()
    published: bool = False
    """Whether a scheduler_config.json chooses it: `published.as_published` says what else is diffusers' then."""

    def __call__(self, schedule: Schedule, steps: int) -> Sigmas:
        """The levels for a number of steps. Raises CalotypeError when the schedule has not so many."""
        most = len(schedule.sigmas)
        if not 1 <= steps <= most:
            raise CalotypeError(f"steps must be between 1 and {most}, not {steps}.")
        levels = self.levels(schedule, steps)
        return torch.cat([levels, levels.new_zeros(1)])


# Over time: levels the network was trained on, or between them.


def normal(schedule: Schedule, steps: int) -> Sigmas:
    """Evenly over time, from the last training step to the first."""
    return schedule.sigma(torch.linspace(len(schedule.sigmas) - 1, 0, steps, dtype=torch.float64))


def sgm_uniform(schedule: Schedule, steps: int) -> Sigmas:
    """Evenly over time, without the first training step: the last interval ends there and goes to 0."""
    return schedule.sigma(torch.linspace(len(schedule.sigmas) - 1, 0, steps + 1, dtype=torch.float64)[:-1])


def simple(schedule: Schedule, steps: int) -> Sigmas:
    """Every (T / steps)-th training step, counted from the last and rounded down."""
    stride = len(schedule.sigmas) / steps
    return schedule.sigmas[[-1 - int(step * stride) for step in range(steps)]]


def trailing(schedule: Schedule, steps: int) -> Sigmas:
    """Every (T / steps)-th training step, counted from the last and rounded (arXiv 2305.08891, table 2)."""
    total = len(schedule.sigmas)
    times = (total - torch.arange(steps, dtype=torch.float64) * (total / steps)).round() - 1
    return schedule.sigmas[times.long()]


def leading(schedule: Schedule, steps: int) -> Sigmas:
    """Every (T // steps)-th training step, counted from the first: step `steps_offset`, where the last leaves room."""
    times = torch.arange(steps) * (len(schedule.sigmas) // steps)
    offset = min(schedule.steps_offset, len(schedule.sigmas) - 1 - int(times[-1]))
    return schedule.sigmas[times.flip(0) + offset]


def linspace(schedule: Schedule, steps: int) -> Sigmas:
    """Evenly over time, rounded to training steps (arXiv 2305.08891, table 2)."""
    times = torch.linspace(len(schedule.sigmas) - 1, 0, steps, dtype=torch.float64).round()
    return schedule.sigmas[times.long()]


def interpolated(schedule: Schedule, steps: int) -> Sigmas:
    """Evenly over time, between two training steps linear in sigma: linspace as diffusers' Euler has it."""
    times = torch.linspace(len(schedule.sigmas) - 1, 0, steps, dtype=torch.float64)
    low = times.long().clamp(max=len(schedule.sigmas) - 2)
    return torch.lerp(schedule.sigmas[low], schedule.sigmas[low + 1], times - low)


# Over sigma: from the largest to the smallest, whatever lies between.


def karras(schedule: Schedule, steps: int) -> Sigmas:
    """Evenly over sigma^(1 / rho): equation 5 of arXiv 2206.00364."""
    return _from_the_top(schedule, steps, karras_ramp)


def karras_ramp(low: float, high: float, share: Share) -> Share:
    """The level at a share of the way of `karras` from high (share 0) to low (share 1)."""
    top, bottom = high ** (1 / _RHO), low ** (1 / _RHO)
    ramp: Share = (top + share * (bottom - top)) ** _RHO
    return ramp


def exponential(schedule: Schedule, steps: int) -> Sigmas:
    """Evenly over log sigma; k-diffusion's polyexponential is the same at its usual rho of 1."""
    return _from_the_top(
        schedule, steps, lambda low, high, share: (math.log(low) + (1 - share) * math.log(high / low)).exp()
    )


def kl_optimal(schedule: Schedule, steps: int) -> Sigmas:
    """Evenly over arctan sigma: the KL-optimal schedule for Gaussian data of arXiv 2404.14507."""
    return _from_the_top(
        schedule, steps, lambda low, high, share: (share * math.atan(low) + (1 - share) * math.atan(high)).tan()
    )


def beta(schedule: Schedule, steps: int) -> Sigmas:
    """By the quantiles of a beta distribution, dense at both ends (arXiv 2407.12173), over sigma as A1111 does."""
    return _from_the_top(
        schedule, steps, lambda low, high, share: low + (high - low) * quantile(1 - share, _BETA, _BETA)
    )


def linear_quadratic(schedule: Schedule, steps: int) -> Sigmas:
    """Half of the steps for a short way from the top, then ever larger ones (Mochi 1)."""
    slow = steps // 2
    step = torch.arange(steps, dtype=torch.float64)
    if slow == 0:
        return schedule.sigmas[-1:]
    slope = _SLOW / slow
    curvature = (1 - slope * steps) / (steps - slow) ** 2
    return schedule.sigmas[-1] * (1 - slope * step - curvature * (step - slow).clamp(min=0) ** 2)


# Tables.


def align_your_steps_sd1(schedule: Schedule, steps: int) -> Sigmas:
    """Levels optimised for SD 1.5 (arXiv 2404.14507), between them linear in log sigma."""
    return _table(schedule, steps, (14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152, 0.029))


def align_your_steps_sdxl(schedule: Schedule, steps: int) -> Sigmas:
    """Levels optimised for SDXL (arXiv 2404.14507), between them linear in log sigma."""
    return _table(schedule, steps, (14.615, 6.315, 3.771, 2.181, 1.342, 0.862, 0.555, 0.380, 0.234, 0.113, 0.029))


def _table(schedule: Schedule, steps: int, levels: tuple[float, ...]) -> Sigmas:
    highest = schedule.sigmas[-1].item()
    if not math.isclose(highest, levels[0], rel_tol=0.01):
        raise CalotypeError(
            f"align_your_steps is made for schedules that begin at sigma {levels[0]}, "
            f"this one begins at {highest:.4g}; choose karras."
        )
    logs = torch.tensor(levels, dtype=torch.float64).log()
    place = torch.linspace(0, len(levels) - 1, steps, dtype=torch.float64)
    low = place.long().clamp(max=len(levels) - 2)
    return torch.lerp(logs[low], logs[low + 1], place - low).exp()


def _from_the_top(schedule: Schedule, steps: int, curve: Callable[[float, float, Tensor], Tensor]) -> Sigmas:
    """curve(lowest, highest, share), share from 0 to 1. An infinite highest level would take most steps for itself:
    there the first step leads from it to the level of 99 % of the training time, and the curve begins there."""
    lowest, highest = schedule.sigmas[0].item(), schedule.sigmas[-1].item()
    if not schedule.ends_in_noise:
        return curve(lowest, highest, torch.linspace(0, 1, steps, dtype=torch.float64))
    almost = schedule.sigma(0.99 * len(schedule.sigmas)).item()
    rest = curve(lowest, almost, torch.linspace(0, 1, steps - 1, dtype=torch.float64))
    return torch.cat([schedule.sigmas[-1:], rest])


SCHEDULERS = {
    scheduler.name: scheduler
    for scheduler in (
        Scheduler("normal", "Normal", normal, "k-diffusion get_sigmas, A1111, ComfyUI", ("uniform", "discrete")),
        Scheduler("karras", "Karras", karras, "k-diffusion get_sigmas_karras", ("use_karras_sigmas", "k")),
        Scheduler(
            "exponential",
            "Exponential",
            exponential,
            "k-diffusion get_sigmas_exponential, get_sigmas_polyexponential",
            ("use_exponential_sigmas", "polyexponential"),
        ),
        Scheduler("sgm_uniform", "SGM Uniform", sgm_uniform, "A1111, ComfyUI"),
        Scheduler("simple", "Simple", simple, "A1111, ComfyUI"),
        Scheduler("trailing", "Trailing", trailing, "diffusers timestep_spacing", ("ddim_trailing",)),
        Scheduler("leading", "DDIM", leading, "diffusers timestep_spacing", ("ddim", "ddim_uniform")),
        Scheduler("linspace", "Linspace", linspace, "diffusers timestep_spacing"),
        Scheduler("kl_optimal", "KL Optimal", kl_optimal, "ComfyUI; A1111's ends at the lowest level, not at 0"),
        Scheduler("beta", "Beta", beta, "A1111, diffusers; ComfyUI's is over time", ("use_beta_sigmas",)),
        Scheduler("linear_quadratic", "Linear Quadratic", linear_quadratic, "ComfyUI, diffusers' Mochi pipeline"),
        Scheduler(
            "align_your_steps", "Align Your Steps", align_your_steps_sd1, "A1111, diffusers AysSchedules", ("ays",)
        ),
        Scheduler(
            "align_your_steps_sdxl", "Align Your Steps SDXL", align_your_steps_sdxl, "A1111, diffusers AysSchedules"
        ),
        *(
            Scheduler(f"diffusers_{name}", f"Diffusers {name.capitalize()}", levels, reference, published=True)
            for name, levels, reference in (
                ("trailing", trailing, "diffusers, by each sampler's class"),
                ("leading", leading, "diffusers, by each sampler's class"),
                ("linspace", linspace, "diffusers, by each sampler's class: those that round times"),
                ("interpolated", interpolated, "diffusers' linspace, by each sampler's class: Euler and its kin"),
            )
        ),
    )
}


def find_scheduler(name: str) -> Scheduler:
    """The scheduler of that name in A1111, ComfyUI, k-diffusion or diffusers; CalotypeError for others."""
    row = find(SCHEDULERS.values(), name)
    if row is None:
        raise unknown("scheduler", SCHEDULERS.values(), name)
    return row
