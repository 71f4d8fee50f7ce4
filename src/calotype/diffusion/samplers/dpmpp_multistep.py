"""DPM-Solver++ with memory: one network call a step, the order gained from earlier predictions.

In lambda = -log sigma, h is the length of a step. Steps to sigma 0, of infinite length, go straight to x0.
"""

import math
from collections.abc import Callable
from functools import partial

from torch import Tensor

from calotype.diffusion.noise import Noise
from calotype.diffusion.samplers.moves import SDE, add_brownian, diffused, euler_step, midpoint, phi_2
from calotype.diffusion.samplers.state import Denoiser, Plan, Sampler, SamplerState


def dpmpp_2m(denoise: Denoiser, plan: Plan, noise: Noise, state: SamplerState) -> SamplerState:
    """Algorithm 2 of arXiv 2211.01095; the first step is Euler's."""
    sigma, sigma_next = plan.interval(state)
    x0 = denoise(state.x, sigma).x0
    target = x0
    if sigma_next > 0 and "previous" in state.memory:
        ratio = _length(plan, state.index - 1) / _length(plan, state.index)
        target = x0 + (x0 - state.memory["previous"]) / (2 * ratio)
    return state.after(euler_step(target, state.x, sigma_next / sigma), x0, previous=x0)


def dpmpp_2m_sde(
    denoise: Denoiser, plan: Plan, noise: Noise, state: SamplerState, *, weight: Callable[[float], float]
) -> SamplerState:
    """SDE-DPM-Solver++(2M) of arXiv 2211.01095; the change of x0 has the weight `midpoint` or, as Heun's, `phi_2`."""
    sigma, sigma_next = plan.interval(state)
    x0 = denoise(state.x, sigma).x0
    if sigma_next == 0:
        return state.after(x0, x0)
    shrink = (sigma_next / sigma) ** (1 + plan.options["eta"])
    x = euler_step(x0, state.x, shrink)
    if "previous" in state.memory:
        slope = (x0 - state.memory["previous"]) * (_length(plan, state.index) / _length(plan, state.index - 1))
        x = x + slope * weight(shrink)
    return state.after(_noised(x, plan, noise, state), x0, previous=x0)


def dpmpp_3m_sde(denoise: Denoiser, plan: Plan, noise: Noise, state: SamplerState) -> SamplerState:
    """The SDE of DPM-Solver++ with a parabola through three predictions, as in k-diffusion.

    Its second derivative is counted half (it would be 2 * curve), which keeps the order at 2 but is what all use.
    """
    sigma, sigma_next = plan.interval(state)
    x0 = denoise(state.x, sigma).x0
    if sigma_next == 0:
        return state.after(x0, x0)
    length = (1 + plan.options["eta"]) * math.log(sigma / sigma_next)
    slope_weight = math.expm1(-length) / length + 1  # h phi_2(-h), as k-diffusion writes it
    curve_weight = slope_weight / length - 0.5  # -h phi_3(-h)
    x = euler_step(x0, state.x, math.exp(-length))
    if "previous" not in state.memory:
        return state.after(_noised(x, plan, noise, state), x0, previous=x0)
    first, second = _differences(plan, state, x0)
    x = x + first * slope_weight - second * curve_weight
    return state.after(_noised(x, plan, noise, state), x0, previous=x0, before=state.memory["previous"])


def _differences(plan: Plan, state: SamplerState, x0: Tensor) -> tuple[Tensor, Tensor | float]:
    """First and second derivative of the predictions by lambda / h at the latest one, from what is remembered."""
    h = _length(plan, state.index)
    r0 = _length(plan, state.index - 1) / h
    slope = (x0 - state.memory["previous"]) / r0
    if "before" not in state.memory:
        return slope, 0.0
    r1 = _length(plan, state.index - 2) / h
    curve = (slope - (state.memory["previous"] - state.memory["before"]) / r1) / (r0 + r1)
    return slope + curve * r0, curve


def _noised(x: Tensor, plan: Plan, noise: Noise, state: SamplerState) -> Tensor:
    """With what the SDE adds on the way, times the option s_noise."""
    sigma, sigma_next = plan.interval(state)
    return add_brownian(x, diffused(sigma, sigma_next, plan.options["eta"]), plan, noise, sigma, sigma_next)


def _length(plan: Plan, index: int) -> float:
    sigma, sigma_next = plan.intervals[index]
    return math.log(sigma / sigma_next)


ROWS = (
    Sampler(
        "DPM++ 2M", dpmpp_2m, "arXiv 2211.01095", order=2,
        aliases=("k_dpmpp_2m", "dpmpp_2m", "DPMSolverMultistepScheduler"),
        scheduler="karras",
        use="the best picture for the time in most cases: 12 to 25 steps",
        equals="k-diffusion sample_dpmpp_2m, diffusers DPMSolverMultistepScheduler",
    ),
    Sampler(
        "DPM++ 2M SDE", partial(dpmpp_2m_sde, weight=midpoint), "arXiv 2211.01095", order=2,
        aliases=("k_dpmpp_2m_sde", "dpmpp_2m_sde", "dpmpp_2m_sde_gpu"),
        noise="brownian", options=SDE, scheduler="exponential",
        use="as DPM++ 2M with noise that mends errors: detail from 20 steps on",
        equals="k-diffusion sample_dpmpp_2m_sde, diffusers DPMSolverMultistepScheduler (sde-dpmsolver++, midpoint)",
    ),
    Sampler(
        "DPM++ 2M SDE Heun", partial(dpmpp_2m_sde, weight=phi_2), "arXiv 2211.01095", order=2,
        aliases=("k_dpmpp_2m_sde_heun", "dpmpp_2m_sde_heun", "dpmpp_2m_sde_heun_gpu"),
        noise="brownian", options=SDE, scheduler="exponential",
        use="as DPM++ 2M SDE, a little stronger in its correction",
        equals="k-diffusion sample_dpmpp_2m_sde (heun), diffusers DPMSolverMultistepScheduler (sde-dpmsolver++, heun)",
    ),
    Sampler(
        "DPM++ 3M SDE", dpmpp_3m_sde, "arXiv 2211.01095", order=2,
        aliases=("k_dpmpp_3m_sde", "dpmpp_3m_sde", "dpmpp_3m_sde_gpu"),
        noise="brownian", options=SDE, scheduler="exponential", discards_penultimate=True,
        use="many steps (30 or more) and low guidance",
        equals="k-diffusion sample_dpmpp_3m_sde",
    ),
)  # fmt: skip
