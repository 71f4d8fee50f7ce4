"""The ladder of one run: the noise levels that a sampler, a scheduler, a schedule and a number of steps give."""

import torch

from calotype.diffusion.names import AUTOMATIC
from calotype.diffusion.published import as_published
from calotype.diffusion.samplers.state import Sampler
from calotype.diffusion.schedulers import Sigmas, find_scheduler
from calotype.diffusion.schedules import Schedule
from calotype.errors import CalotypeError


def ladder(sampler: Sampler, schedule: Schedule, steps: int, scheduler: str = AUTOMATIC) -> Sigmas:
    """Sigmas (steps + 1,), falling: all that `driver.sample` has to be told of schedules.

    It ends at 0, or at the schedule's first sigma for samplers whose references do (then decode `driver.latent`).
    Raises CalotypeError for unknown schedulers and impossible numbers of steps.
    """
    scheduler = usual(scheduler, sampler, schedule)
    sampler = as_published(sampler, scheduler)
    most = most_steps(sampler, schedule)
    if not 1 <= steps <= most:
        raise CalotypeError(f"{sampler.name} takes between 1 and {most} steps, not {steps}.")
    sigmas = find_scheduler(scheduler)(schedule, steps + sampler.discards_penultimate)
    if sampler.discards_penultimate:
        sigmas = torch.cat([sigmas[:-2], sigmas[-1:]])
    if sampler.variance_preserving and not sampler.ends_at_zero and sigmas[-2] > 1.001 * schedule.sigmas[0]:
        sigmas[-1] = schedule.sigmas[0]
    return sigmas


def most_steps(sampler: Sampler, schedule: Schedule) -> int:
    """How many steps a ladder can have: one for each noise level of the schedule."""
    return len(schedule.sigmas) - sampler.discards_penultimate


def usual(scheduler: str, sampler: Sampler, schedule: Schedule) -> str:
    """The scheduler's name; for "automatic" that of the sampler's row (A1111's choice), or the model's own spacing."""
    return sampler.scheduler or schedule.spacing if scheduler == AUTOMATIC else scheduler
