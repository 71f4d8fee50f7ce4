"""SEEDS (arXiv 2305.14267): exponential Runge-Kutta methods for the SDE, whose stages share one path of noise."""

from collections.abc import Callable
from functools import partial
from itertools import pairwise

from calotype.diffusion.noise import Noise
from calotype.diffusion.samplers.moves import SDE, add_noise, diffused, euler_step, midpoint, phi_2
from calotype.diffusion.samplers.state import Denoiser, Plan, Sampler, SamplerState


def seeds(
    denoise: Denoiser,
    plan: Plan,
    noise: Noise,
    state: SamplerState,
    *,
    places: tuple[float, ...],
    weight: Callable[[float], float],
) -> SamplerState:
    """SEEDS-2 and -3 of arXiv 2305.14267 with data prediction; a step to 0 is Euler's.

    The stages lie at `places`, shares of the step in log sigma. Each starts anew from x and is corrected by what
    x0 has changed up to the stage before it, times its `weight`; the noise it has gathered goes on to the next.
    """
    sigma, sigma_next = plan.interval(state)
    x0 = denoise(state.x, sigma).x0
    if sigma_next == 0:
        return state.after(x0, x0)
    eta, speed = plan.options["eta"], 1 + plan.options["eta"]
    x, reached, gathered, draws = state.x, sigma, x0 * 0, 0
    for before, place in pairwise((0.0, *places, 1.0)):
        level = sigma_next if place == 1 else sigma * (sigma_next / sigma) ** place
        shrink = (level / sigma) ** speed
        path = euler_step(x0, state.x, shrink)
        if before > 0:
            path = path + (denoise(x, reached).x0 - x0) * (weight(shrink) * place / before)
        up, left = diffused(reached, level, eta), (level / reached) ** speed
        gathered, drawn = add_noise(gathered * left, up, plan, noise, state.draws + draws)
        x, reached, draws = path + gathered, level, draws + drawn
    return state.after(x, x0, draws)


ROWS = (
    Sampler(
        "SEEDS-2", partial(seeds, places=(0.5,), weight=midpoint), "arXiv 2305.14267", order=2,
        calls=lambda steps: 2 * steps - 1,
        aliases=("seeds_2",),
        noise="normal", options=SDE, scheduler="karras",
        use="as DPM++ SDE: detail in 10 to 15 steps at twice the cost",
        equals="ComfyUI sample_seeds_2",
    ),
    Sampler(
        "SEEDS-3", partial(seeds, places=(1 / 3, 2 / 3), weight=phi_2), "arXiv 2305.14267", order=3,
        calls=lambda steps: 3 * steps - 2,
        aliases=("seeds_3",),
        noise="normal", options=SDE, scheduler="karras",
        use="as SEEDS-2 with one stage more: 8 to 12 steps at three times the cost",
        equals="ComfyUI sample_seeds_3",
    ),
    Sampler(
        "Exp Heun 2 x0", partial(seeds, places=(1.0,), weight=phi_2), "arXiv 2305.14267", order=2,
        calls=lambda steps: 2 * steps - 1,
        aliases=("exp_heun_2_x0",),
        options={"eta": 0.0}, scheduler="karras",
        use="Heun's cost, but larger steps: it is exact for the noise's own decay",
        equals="ComfyUI sample_exp_heun_2_x0",
    ),
    Sampler(
        "Exp Heun 2 x0 SDE", partial(seeds, places=(1.0,), weight=phi_2), "arXiv 2305.14267", order=2,
        calls=lambda steps: 2 * steps - 1,
        aliases=("exp_heun_2_x0_sde",),
        noise="normal", options=SDE, scheduler="karras",
        use="Exp Heun 2 x0 with fresh noise",
        equals="ComfyUI sample_exp_heun_2_x0_sde",
    ),
)  # fmt: skip
