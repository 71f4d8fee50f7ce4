"""SA-Solver (arXiv 2309.05019): a stochastic Adams predictor and corrector of second order."""

import math

from torch import Tensor

from calotype.diffusion.noise import Noise
from calotype.diffusion.samplers.state import Denoiser, Plan, Sampler, SamplerState

_FIRST, _LAST = 0.2, 0.8
"""The share of the training time within which noise is added, as in diffusers."""


def sa_solver(denoise: Denoiser, plan: Plan, noise: Noise, state: SamplerState) -> SamplerState:
    """arXiv 2309.05019 with data prediction in lambda = -log sigma, with the authors' simplified second-order terms.

    x is always the predicted one. The prediction made there first corrects it, which reuses the step's own noise.
    """
    sigma, following = plan.interval(state)
    x0 = denoise(state.x, sigma).x0
    x = state.x
    if state.index > 0:
        before, _ = plan.intervals[state.index - 1]
        previous, kick = state.memory["previous"], state.memory["noise"]
        x = _step(plan, state.memory["corrected"], before, sigma, previous, (x0 - previous) / 2) + kick
    if following == 0:
        return state.after(x0, x0)
    bend = x0 * 0
    if state.index > 0 and not plan.last(state):
        ratio = math.log(sigma / following) / math.log(before / sigma)
        bend = (x0 - previous) * (ratio / 2)
    draws, kick = 0, x0 * 0
    tau = _tau(plan, sigma)
    if tau > 0:
        draws, kick = 1, noise.normal(state.draws) * (following * math.sqrt(1 - (following / sigma) ** (2 * tau**2)))
    predicted = _step(plan, x, sigma, following, x0, bend) + kick
    return state.after(predicted, x0, draws, previous=x0, corrected=x, noise=kick)


def _step(plan: Plan, x: Tensor, sigma: float, following: float, x0: Tensor, bend: Tensor) -> Tensor:
    """Without the noise; `bend` is half of what x0 changes by on the way."""
    speed = 1 + _tau(plan, sigma) ** 2
    shrink: float = (following / sigma) ** speed
    return x0 + (x - x0) * shrink + bend * (speed * math.log(sigma / following))


def _tau(plan: Plan, sigma: float) -> float:
    share = round(plan.times.t(sigma).item() / len(plan.times.sigmas), 9)
    return plan.options["tau"] if _FIRST <= share <= _LAST else 0.0


ROWS = (
    Sampler(
        "SA-Solver", sa_solver, "arXiv 2309.05019", order=2, noise="normal", options={"tau": 1.0},
        variance_preserving=True,
        aliases=("sa_solver", "SASolverScheduler"),
        use="stochastic with strong accuracy: 20 steps or more",
        equals="diffusers SASolverScheduler",
    ),
)  # fmt: skip
