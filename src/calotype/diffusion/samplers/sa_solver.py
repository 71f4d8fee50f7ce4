"""SA-Solver (arXiv 2309.05019): a stochastic Adams predictor and corrector, in lambda = -log sigma.

x is always the predicted one. The prediction made there first corrects it, which reuses the step's own noise.
"""

import math
from functools import partial

import torch
from torch import Tensor

from calotype.diffusion.noise import Noise
from calotype.diffusion.samplers.adams import integrals
from calotype.diffusion.samplers.moves import add_noise, diffused, history
from calotype.diffusion.samplers.state import Denoiser, Plan, Sampler, SamplerState

_FIRST, _LAST = 0.2, 0.8
"""The share of the training time within which noise is added, as in diffusers and ComfyUI."""
_PREDICTOR, _CORRECTOR = 3, 4
"""How many predictions each goes through, as in ComfyUI."""


def sa_solver(
    denoise: Denoiser, plan: Plan, noise: Noise, state: SamplerState, *, evaluates_twice: bool = False
) -> SamplerState:
    """Algorithm 1 of arXiv 2309.05019; one that `evaluates_twice` (PECE) asks again at the corrected x.

    Orders fall at the end of a ladder that ends at 0, and the step to 0 is Euler's.
    """
    sigma, sigma_next = plan.interval(state)
    x, x0 = state.x, denoise(state.x, sigma).x0
    outputs = history(state, "outputs", x0, _CORRECTOR)
    left = len(plan.intervals) - state.index if plan.intervals[-1][1] == 0 else _CORRECTOR
    if state.index > 0 and (sigma_next > 0 or evaluates_twice):
        x = _adams(plan, state.index - 1, state.memory["corrected"], outputs[: min(_CORRECTOR, left)], state.index)
        x = x + state.memory["noise"]
        if evaluates_twice:
            x0 = denoise(x, sigma).x0
            outputs = torch.cat([x0[None], outputs[1:]])
    if sigma_next == 0:
        return state.after(x0, x0)
    up = diffused(sigma, sigma_next, _tau(plan, sigma_next, len(plan.training_schedule.sigmas) - 1) ** 2)
    kick, draws = add_noise(x0 * 0, up, plan, noise, state.draws)
    predicted = _adams(plan, state.index, x, outputs[: min(_PREDICTOR, left - 1)], state.index) + kick
    return state.after(predicted, x0, draws, outputs=outputs, corrected=x, noise=kick)


def _adams(plan: Plan, index: int, x: Tensor, outputs: Tensor, newest: int) -> Tensor:
    """Over interval `index` without its noise, x0 a polynomial through `outputs`, the first of them at `newest`.

    Their weights are those of arXiv 2309.05019, equations 15 and 18.
    """
    sigma, sigma_next = plan.intervals[index]
    end, speed = -math.log(sigma_next), 1 + _tau(plan, sigma_next, len(plan.training_schedule.sigmas) - 1) ** 2
    nodes = [-math.log(plan.intervals[newest - back][0]) for back in range(len(outputs))]
    shrink: float = (sigma_next / sigma) ** speed
    shares = integrals(nodes, -math.log(sigma), end, lambda place: speed * math.exp(speed * (place - end)))
    way: Tensor = sum((output * share for output, share in zip(outputs, shares, strict=True)), x * 0)
    return x * shrink + way


def simplified(denoise: Denoiser, plan: Plan, noise: Noise, state: SamplerState) -> SamplerState:
    """arXiv 2309.05019 with the authors' simplified second-order terms (appendix D)."""
    sigma, sigma_next = plan.interval(state)
    x0 = denoise(state.x, sigma).x0
    x = state.x
    if state.index > 0:
        before, _ = plan.intervals[state.index - 1]
        previous, kick = state.memory["previous"], state.memory["noise"]
        x = _step(plan, state.memory["corrected"], before, sigma, previous, (x0 - previous) / 2) + kick
    if sigma_next == 0:
        return state.after(x0, x0)
    half_change = x0 * 0
    if state.index > 0 and not plan.last(state):
        ratio = math.log(sigma / sigma_next) / math.log(before / sigma)
        half_change = (x0 - previous) * (ratio / 2)
    up = diffused(sigma, sigma_next, _tau(plan, sigma, len(plan.training_schedule.sigmas)) ** 2)
    kick, draws = add_noise(x0 * 0, up, plan, noise, state.draws)
    predicted = _step(plan, x, sigma, sigma_next, x0, half_change) + kick
    return state.after(predicted, x0, draws, previous=x0, corrected=x, noise=kick)


def _step(plan: Plan, x: Tensor, sigma: float, sigma_next: float, x0: Tensor, half_change: Tensor) -> Tensor:
    """Without the noise; `half_change` is half of what x0 changes by on the way."""
    speed = 1 + _tau(plan, sigma, len(plan.training_schedule.sigmas)) ** 2
    shrink: float = (sigma_next / sigma) ** speed
    return x0 + (x - x0) * shrink + half_change * (speed * math.log(sigma / sigma_next))


def _tau(plan: Plan, sigma: float, whole: int) -> float:
    """How strong the noise is; `whole` is the time that counts as all of it."""
    share = round(plan.training_schedule.t(sigma).item() / whole, 9)
    return plan.options["tau"] if _FIRST <= share <= _LAST else 0.0


ROWS = (
    Sampler(
        "SA-Solver", sa_solver, "arXiv 2309.05019", order=4,
        noise="normal", options={"tau": 1.0, "s_noise": 1.0}, scheduler="karras",
        aliases=("sa_solver",),
        use="stochastic with strong accuracy: 15 steps or more",
        equals="ComfyUI sample_sa_solver",
    ),
    Sampler(
        "SA-Solver PECE", partial(sa_solver, evaluates_twice=True), "arXiv 2309.05019", order=4,
        calls=lambda steps: 2 * steps - 1,
        noise="normal", options={"tau": 1.0, "s_noise": 1.0}, scheduler="karras",
        aliases=("sa_solver_pece",),
        use="SA-Solver at twice the cost, steadier with few steps",
        equals="ComfyUI sample_sa_solver_pece",
    ),
    Sampler(
        "SA-Solver 2", simplified, "arXiv 2309.05019", order=2, noise="normal", options={"tau": 1.0},
        variance_preserving=True,
        aliases=("sa_solver_2", "SASolverScheduler"),
        use="stochastic with strong accuracy: 20 steps or more",
        equals="diffusers SASolverScheduler",
    ),
)  # fmt: skip
