"""How a run begins and ends where a publisher's scheduler_config.json chose: as that class of diffusers has it.

A sampler that a user names begins and ends as A1111's and ComfyUI's do.
"""

from dataclasses import replace

from calotype.diffusion.samplers.state import Sampler
from calotype.diffusion.schedulers import find_scheduler, trailing

_SOLVERS = ("DPM++ 2M", "DPM++ 2M SDE", "DPM++ 2M SDE Heun", "DPM++ 2S", "DEIS", "UniPC", "UniPC bh2", "SA-Solver 2")
"""Samplers whose classes space one time more than there are steps and leave out the last, but of trailing spacing."""
_OF_VARIANCE_ONE = (*_SOLVERS, "DDIM", "DDPM", "PNDM", "PLMS")
"""Samplers whose classes reckon with x / sqrt(1 + sigma^2), and so begin with noise of variance 1."""
_TO_THE_LOWEST = ("DEIS", "SA-Solver 2")
"""Samplers whose classes end at the schedule's first sigma; the others' end is 0."""
_USUAL = {"order": 2, "lower_order_final": 15}
"""What their classes choose where ours can be told: the order, and below how many steps it falls at the end."""


def as_published(sampler: Sampler, scheduler: str) -> Sampler:
    """The sampler as its class in diffusers begins and ends, if the ``scheduler`` is one that publishers choose.

    Raises CalotypeError for unknown schedulers.
    """
    row = find_scheduler(scheduler)
    if not row.published:
        return sampler
    chosen = {name: value for name, value in _USUAL.items() if name in sampler.options and sampler.name in _SOLVERS}
    return replace(
        sampler,
        discards_penultimate=sampler.name in _SOLVERS and row.levels is not trailing,
        variance_preserving=sampler.name in _OF_VARIANCE_ONE or row.name == "diffusers_leading",
        ends_at_zero=sampler.name not in _TO_THE_LOWEST,
        options={**sampler.options, **chosen},
    )
