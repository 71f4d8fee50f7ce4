"""Pseudo linear multistep (arXiv 2202.09778): Adams-Bashforth with the coefficients of equal steps, on the slopes.

A step from noise alone (zero terminal SNR) is Euler's: no mean of slopes is true of an interval without bound.
"""

import torch
from torch import Tensor

from calotype.diffusion.noise import Noise
from calotype.diffusion.samplers.moves import euler_step, history, slope_at
from calotype.diffusion.samplers.state import Denoiser, Plan, Sampler, SamplerState

_ADAMS = (
    (1.0,),
    (3 / 2, -1 / 2),
    (23 / 12, -16 / 12, 5 / 12),
    (55 / 24, -59 / 24, 37 / 24, -9 / 24),
)


def pndm(denoise: Denoiser, plan: Plan, noise: Noise, state: SamplerState) -> SamplerState:
    """F-PNDM of arXiv 2202.09778: pseudo linear multistep after three steps of pseudo Runge-Kutta."""
    sigma, sigma_next = plan.interval(state)
    x0 = denoise(state.x, sigma).x0
    slopes = _remembered(state, x0, sigma)
    slope = _extrapolated(slopes)
    if state.index < 3 and sigma_next > 0 and not plan.from_noise(state):
        schedule = plan.training_schedule
        middle = schedule.sigma((schedule.t(sigma) + schedule.t(sigma_next)) / 2).item()
        first = slopes[0]
        second = slope_at(denoise, state.x + first * (middle - sigma), middle)
        third = slope_at(denoise, state.x + second * (middle - sigma), middle)
        fourth = slope_at(denoise, state.x + third * (sigma_next - sigma), sigma_next)
        slope = (first + 2 * second + 2 * third + fourth) / 6
    return state.after(state.x + slope * (sigma_next - sigma), x0, slopes=slopes)


def plms(denoise: Denoiser, plan: Plan, noise: Noise, state: SamplerState) -> SamplerState:
    """PNDM without the Runge-Kutta steps; the first step is Heun's, as in CompVis's sampler."""
    sigma, sigma_next = plan.interval(state)
    x0 = denoise(state.x, sigma).x0
    slopes = _remembered(state, x0, sigma)
    slope = _extrapolated(slopes)
    if state.index == 0 and sigma_next > 0 and not plan.from_noise(state):
        x = euler_step(x0, state.x, sigma_next / sigma)
        slope = (slope + slope_at(denoise, x, sigma_next)) / 2
    return state.after(state.x + slope * (sigma_next - sigma), x0, slopes=slopes)


def ipndm(denoise: Denoiser, plan: Plan, noise: Noise, state: SamplerState) -> SamplerState:
    """Improved PNDM (arXiv 2204.13902): lower orders to begin with; a step to 0 is Euler's."""
    sigma, sigma_next = plan.interval(state)
    x0 = denoise(state.x, sigma).x0
    slopes = _remembered(state, x0, sigma)
    if sigma_next == 0:
        return state.after(x0, x0)
    return state.after(state.x + _extrapolated(slopes) * (sigma_next - sigma), x0, slopes=slopes)


def ipndm_v(denoise: Denoiser, plan: Plan, noise: Noise, state: SamplerState) -> SamplerState:
    """iPNDM for unequal steps, as diff-sampler and ComfyUI compute it; a step to 0 is Euler's.

    Exact coefficients would make it LMS. Here those of the second difference of the slopes are exact for equal steps,
    those of the third are not, and a constant slope is kept only where h1 / h2 = h2 / h3: on ladders whose levels have
    an even ratio the order is 3, in general 2.
    """
    sigma, sigma_next = plan.interval(state)
    x0 = denoise(state.x, sigma).x0
    slopes = _remembered(state, x0, sigma)
    if sigma_next == 0:
        return state.after(x0, x0)
    steps = [end - begin for begin, end in plan.intervals[max(0, state.index - 3) : state.index + 1]][::-1]
    slope = _with_differences(slopes, *steps)
    return state.after(state.x + slope * (sigma_next - sigma), x0, slopes=slopes)


def _with_differences(slopes: Tensor, h: float, h1: float = 1.0, h2: float = 1.0, h3: float = 1.0) -> Tensor:
    """The latest of up to four slopes and its differences; the steps between them are h1, h2 and h3, the next is h."""
    slope = slopes[0]
    differences = slopes[:-1] - slopes[1:]
    if len(slopes) > 1:
        slope = slope + differences[0] * (h / h1 / 2)
    if len(slopes) > 2:
        second = differences[0] - differences[1] * (h1 / h2)
        slope = slope + second * ((1 - h**2 / (3 * h1 * (h1 + h2))) / 2)
    if len(slopes) > 3:
        width = h1 * (h1 + h2) / (h2 * (h2 + h3))
        share = (1 - h / (3 * (h + h1))) / 2 + (1 - h / (2 * (h + h1))) * h / (6 * (h + h1 + h2))
        share *= h * (h + h1) * (h + h1 + h2) / (h1 * (h1 + h2) * (h1 + h2 + h3))
        third = second - differences[1] * width + (slopes[2] * (h2 / h3) - slopes[3] * (h1 / h2)) * width
        slope = slope + third * share
    return slope


def _remembered(state: SamplerState, x0: Tensor, sigma: float) -> Tensor:
    """The latest four slopes, the present one first."""
    return history(state, "slopes", (state.x - x0) / sigma, 4)


def _extrapolated(slopes: Tensor) -> Tensor:
    coefficients = slopes.new_tensor(_ADAMS[len(slopes) - 1])
    slope: Tensor = torch.tensordot(coefficients, slopes, 1)
    return slope


ROWS = (
    Sampler(
        "PNDM", pndm, "arXiv 2202.09778", order=4, calls=lambda steps: steps + 3 * min(3, steps - 1),
        aliases=("pndm",),
        variance_preserving=True,
        use="equality with the first diffusers releases and the paper's warm-up",
        equals="diffusers PNDMScheduler (skip_prk_steps=False; steps whose half is a whole training step)",
    ),
    Sampler(
        "PLMS", plms, "arXiv 2202.09778", order=4, calls=lambda steps: steps + (steps > 1),
        aliases=("plms", "PNDMScheduler"),
        variance_preserving=True,
        use="equality with Stable Diffusion's first release and diffusers' SD 1.5 default",
        equals="diffusers PNDMScheduler (skip_prk_steps), CompVis PLMSSampler",
    ),
    Sampler(
        "iPNDM", ipndm, "arXiv 2204.13902", order=4,
        aliases=("ipndm",),
        scheduler="normal",
        use="few steps of equal length",
        equals="ComfyUI sample_ipndm",
    ),
    Sampler(
        "iPNDM-v", ipndm_v, "arXiv 2204.13902", order=2,
        aliases=("ipndm_v",),
        scheduler="exponential",
        use="few steps of unequal length; LMS is what it is meant to be",
        equals="ComfyUI sample_ipndm_v",
    ),
)  # fmt: skip
