"""RES, the refined exponential solver (arXiv 2308.02157), with memory: exact where x0 changes evenly over log sigma."""

import math
from functools import partial

from calotype.diffusion.noise import Noise
from calotype.diffusion.samplers.moves import SDE, add_noise, ancestral, euler_step, phi_2
from calotype.diffusion.samplers.state import Denoiser, Plan, Sampler, SamplerState


def res_multistep(
    denoise: Denoiser, plan: Plan, noise: Noise, state: SamplerState, *, cfgpp: bool = False
) -> SamplerState:
    """Order 2 of arXiv 2308.02157; with `cfgpp` x0 is the unconditional one, and guidance moves x (as in ComfyUI)."""
    sigma, sigma_next = plan.interval(state)
    denoised = denoise(state.x, sigma)
    x0 = denoised.unconditional if cfgpp else denoised.x0
    down, up = ancestral(sigma, sigma_next, plan.options["eta"])
    ratio = down / sigma
    if down == 0 or "previous" not in state.memory:
        x = denoised.x0 + (state.x - x0) * ratio
    else:
        before, reached = plan.intervals[state.index - 1]
        reached, _ = ancestral(before, reached, plan.options["eta"])
        slope = (x0 - state.memory["previous"]) * (math.log(ratio) / math.log(reached / before))
        x = euler_step(x0, state.x + (denoised.x0 - x0), ratio) + slope * phi_2(ratio)
    x, draws = add_noise(x, up, plan, noise, state.draws)
    return state.after(x, denoised.x0, draws, **({"previous": x0} if down > 0 else {}))


ROWS = (
    Sampler(
        "RES multistep", res_multistep, "arXiv 2308.02157", order=2, options={"eta": 0.0},
        aliases=("res_multistep",),
        scheduler="karras",
        use="as DPM++ 2M, a little more exact",
        equals="ComfyUI sample_res_multistep",
    ),
    Sampler(
        "RES multistep a", res_multistep, "arXiv 2308.02157", order=2,
        aliases=("res_multistep_ancestral",),
        noise="normal", options=SDE, scheduler="karras",
        use="RES multistep with fresh noise: livelier detail from 20 steps on",
        equals="ComfyUI sample_res_multistep_ancestral",
    ),
    Sampler(
        "RES multistep CFG++", partial(res_multistep, cfgpp=True), "arXiv 2308.02157 and 2406.08070", order=2,
        aliases=("res_multistep_cfg_pp",),
        options={"eta": 0.0}, scheduler="karras", reads_uncond=True,
        use="RES multistep at a CFG++ scale: 0.5 to 2",
        equals="ComfyUI sample_res_multistep_cfg_pp",
    ),
    Sampler(
        "RES multistep a CFG++", partial(res_multistep, cfgpp=True), "arXiv 2308.02157 and 2406.08070", order=2,
        aliases=("res_multistep_ancestral_cfg_pp",),
        noise="normal", options=SDE, scheduler="karras", reads_uncond=True,
        use="RES multistep a at a CFG++ scale: 0.5 to 2",
        equals="ComfyUI sample_res_multistep_ancestral_cfg_pp",
    ),
)  # fmt: skip
