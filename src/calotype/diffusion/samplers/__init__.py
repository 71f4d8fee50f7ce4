"""The registry of samplers. A new one is a step function and a row in a file of its family."""

from calotype.diffusion.names import find, spelling, unknown
from calotype.diffusion.samplers import (
    adams,
    cfgpp,
    consistency,
    dpm_solver,
    dpmpp_multistep,
    dpmpp_singlestep,
    er_sde,
    euler,
    gradient_estimation,
    pndm,
    res,
    restart,
    runge_kutta,
    sa_solver,
    seeds,
    unipc,
)
from calotype.diffusion.samplers.state import Denoised, Denoiser, Plan, Sampler, SamplerState
from calotype.diffusion.schedulers import SCHEDULERS

__all__ = ["SAMPLERS", "Denoised", "Denoiser", "Plan", "Sampler", "SamplerState", "find_sampler"]

_FAMILIES = (
    euler, runge_kutta, dpmpp_multistep, dpmpp_singlestep, unipc, adams, pndm, dpm_solver, restart, sa_solver,
    res, gradient_estimation, seeds, er_sde, consistency, cfgpp,
)  # fmt: skip

SAMPLERS = {row.name: row for family in _FAMILIES for row in family.ROWS}


def find_sampler(name: str) -> tuple[Sampler, str | None]:
    """The sampler of that name in A1111, ComfyUI, k-diffusion or diffusers, and the scheduler an old name ends with.

    ("DPM++ 2M Karras" and InvokeAI's "dpmpp_2m_k" are (DPM++ 2M, "karras"), "Euler a" is (Euler a, None).)
    CalotypeError for others.
    """
    row = find(SAMPLERS.values(), name)
    if row is not None:
        return row, None
    for scheduler in SCHEDULERS.values():
        for ending in (scheduler.name, *scheduler.aliases):
            row = find(SAMPLERS.values(), spelling(name).removesuffix(spelling(ending)))
            if row is not None:
                return row, scheduler.name
    raise unknown("sampler", SAMPLERS.values(), name)
