"""Euler's method, Euler ancestral, and DDIM and DDPM, which are Euler ancestral seen from sigma coordinates."""

from calotype.diffusion.noise import Noise
from calotype.diffusion.samplers.moves import CHURN, SDE, add_noise, ancestral, churned, euler_step
from calotype.diffusion.samplers.state import Denoiser, Plan, Sampler, SamplerState


def euler(denoise: Denoiser, plan: Plan, noise: Noise, state: SamplerState) -> SamplerState:
    """Algorithm 2 of arXiv 2206.00364, first order: along the straight line through x and x0."""
    _, sigma_next = plan.interval(state)
    state, sigma = churned(plan, noise, state)
    x0 = denoise(state.x, sigma).x0
    return state.after(euler_step(x0, state.x, sigma_next / sigma), x0)


def euler_ancestral(denoise: Denoiser, plan: Plan, noise: Noise, state: SamplerState) -> SamplerState:
    """Down below the next level by Euler's method and up to it with fresh noise; equation 16 of arXiv 2010.02502."""
    sigma, sigma_next = plan.interval(state)
    x0 = denoise(state.x, sigma).x0
    down, up = ancestral(sigma, sigma_next, plan.options["eta"])
    x, draws = add_noise(euler_step(x0, state.x, down / sigma), up, plan, noise, state.draws)
    return state.after(x, x0, draws)


ROWS = (
    Sampler(
        "Euler", euler, "arXiv 2206.00364", order=1, options=CHURN,
        aliases=("k_euler", "euler", "EulerDiscreteScheduler", "EDMEulerScheduler"),
        scheduler="normal",
        use="the plain choice: robust, easy to follow, and the one to compare others with",
        equals="k-diffusion sample_euler, diffusers EulerDiscreteScheduler",
    ),
    Sampler(
        "Euler a", euler_ancestral, "arXiv 2010.02502", order=1, noise="normal", options=SDE,
        aliases=("k_euler_a", "k_euler_ancestral", "euler_a", "euler_ancestral", "EulerAncestralDiscreteScheduler"),
        scheduler="normal",
        use="lively pictures in 20 to 40 steps; never settles, more steps give another picture",
        equals="k-diffusion sample_euler_ancestral, diffusers EulerAncestralDiscreteScheduler",
    ),
    Sampler(
        "DDIM", euler_ancestral, "arXiv 2010.02502", order=1, options={"eta": 0.0}, variance_preserving=True,
        aliases=("ddim", "DDIMScheduler"),
        use="deterministic pictures, inversion, and equality with papers; eta 1 makes it DDPM",
        equals="diffusers DDIMScheduler",
    ),
    Sampler(
        "DDPM", euler_ancestral, "arXiv 2006.11239", order=1, options={"eta": 1.0}, noise="normal",
        aliases=("ddpm", "DDPMScheduler"),
        use="the process as it was trained; needs hundreds of steps",
        equals="diffusers DDPMScheduler (variance_type fixed_small), ComfyUI sample_ddpm",
    ),
)  # fmt: skip
