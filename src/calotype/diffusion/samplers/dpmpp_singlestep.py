"""DPM-Solver++ in single steps of two network calls, the second one in the middle."""

import math

from calotype.diffusion.noise import Noise
from calotype.diffusion.samplers.moves import SDE, add_brownian, add_noise, ancestral, euler_step
from calotype.diffusion.samplers.state import Denoiser, Plan, Sampler, SamplerState


def dpmpp_2s(denoise: Denoiser, plan: Plan, noise: Noise, state: SamplerState) -> SamplerState:
    """DPM-Solver++(2S), algorithm 1 of arXiv 2211.01095, with every second level of the ladder for the middles."""
    sigma, sigma_next = plan.interval(state)
    x0 = denoise(state.x, sigma).x0
    if sigma_next == 0:
        return state.after(x0, x0)
    if "start" not in state.memory:
        return state.after(euler_step(x0, state.x, sigma_next / sigma), x0, start=state.x, previous=x0)
    before, _ = plan.intervals[state.index - 1]
    ratio = math.log(before / sigma) / math.log(before / sigma_next)
    target = state.memory["previous"] + (x0 - state.memory["previous"]) / (2 * ratio)
    return state.after(euler_step(target, state.memory["start"], sigma_next / before), x0)


def dpmpp_2s_ancestral(denoise: Denoiser, plan: Plan, noise: Noise, state: SamplerState) -> SamplerState:
    """DPM-Solver++(2S), algorithm 1 of arXiv 2211.01095 with r = 1/2, below the next level, then fresh noise."""
    sigma, sigma_next = plan.interval(state)
    x0 = denoise(state.x, sigma).x0
    down, up = ancestral(sigma, sigma_next, plan.options["eta"])
    if down == 0:
        return state.after(x0, x0)
    middle = math.sqrt(sigma * down)
    target = denoise(euler_step(x0, state.x, middle / sigma), middle).x0
    x, draws = add_noise(euler_step(target, state.x, down / sigma), up, plan, noise, state.draws)
    return state.after(x, x0, draws)


def dpmpp_sde(denoise: Denoiser, plan: Plan, noise: Noise, state: SamplerState) -> SamplerState:
    """SDE-DPM-Solver++ in one step, with r = 1/2: the middle and the next level are reached with Brownian noise."""
    sigma, sigma_next = plan.interval(state)
    eta = plan.options["eta"]
    x0 = denoise(state.x, sigma).x0
    if sigma_next == 0:
        return state.after(x0, x0)
    middle = math.sqrt(sigma * sigma_next)
    down, up = ancestral(sigma, middle, eta)
    halfway = add_brownian(euler_step(x0, state.x, down / sigma), up, plan, noise, sigma, middle)
    down, up = ancestral(sigma, sigma_next, eta)
    x = euler_step(denoise(halfway, middle).x0, state.x, down / sigma)
    return state.after(add_brownian(x, up, plan, noise, sigma, sigma_next), x0)


ROWS = (
    Sampler(
        "DPM++ 2S", dpmpp_2s, "arXiv 2211.01095", order=2,
        aliases=("dpmpp_2s", "DPMSolverSinglestepScheduler"),
        scheduler="karras",
        use="few steps at strong guidance, where 2M overshoots; two steps share a ladder's pair",
        equals="diffusers DPMSolverSinglestepScheduler",
    ),
    Sampler(
        "DPM++ 2S a", dpmpp_2s_ancestral, "arXiv 2211.01095", order=2, calls=lambda steps: 2 * steps - 1,
        aliases=("k_dpmpp_2s_a", "dpmpp_2s_ancestral", "k_dpmpp_2s_ancestral"),
        noise="normal", options=SDE, scheduler="karras",
        use="as Euler a, second order at twice the cost",
        equals="k-diffusion sample_dpmpp_2s_ancestral",
    ),
    Sampler(
        "DPM++ SDE", dpmpp_sde, "arXiv 2211.01095", order=2, calls=lambda steps: 2 * steps - 1,
        aliases=("k_dpmpp_sde", "dpmpp_sde", "dpmpp_sde_gpu", "DPMSolverSDEScheduler"),
        noise="brownian", options=SDE, scheduler="karras",
        use="detail in 10 to 15 steps at twice the cost",
        equals="k-diffusion sample_dpmpp_sde",
    ),
)  # fmt: skip
