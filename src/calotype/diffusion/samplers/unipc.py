"""UniPC (arXiv 2302.04867): every prediction of the network first corrects the step that led to it."""

import math
from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from calotype.diffusion.noise import Noise
from calotype.diffusion.samplers.moves import euler_step, history
from calotype.diffusion.samplers.state import Denoiser, Plan, Sampler, SamplerState


def unipc(denoise: Denoiser, plan: Plan, noise: Noise, state: SamplerState, *, variant: str) -> SamplerState:
    """UniPC-p of arXiv 2302.04867 with data prediction and B(h) as "bh1" (h) or "bh2" (exp h - 1).

    x is always the predicted one: the corrected one, in memory, starts the next step. Orders fall to 1 at the end.
    """
    sigma, sigma_next = plan.interval(state)
    x0 = denoise(state.x, sigma).x0
    order = int(plan.options["order"])
    outputs = history(state, "outputs", x0, order + 1)
    levels = [plan.intervals[state.index - back][0] for back in range(len(outputs))]
    known = list(zip(levels, outputs, strict=True))
    x = state.x
    if state.index > 0:
        base, *earlier = known[1 : 1 + _order(plan, state.index - 1)]
        x = _update(variant, state.memory["corrected"], base, sigma, [*earlier, known[0]])
    base, *earlier = known[: _order(plan, state.index)]
    return state.after(_update(variant, x, base, sigma_next, earlier), x0, outputs=outputs, corrected=x)


def _order(plan: Plan, index: int) -> int:
    return min(int(plan.options["order"]), index + 1, len(plan.intervals) - index)


def _update(
    variant: str, x: Tensor, base: tuple[float, Tensor], sigma_next: float, others: Sequence[tuple[float, Tensor]]
) -> Tensor:
    """From the base's level to `sigma_next`, corrected by the other predictions; in lambda = -log sigma."""
    sigma, x0 = base
    straight: Tensor = euler_step(x0, x, sigma_next / sigma)
    if not others:
        return straight
    h = math.log(sigma / sigma_next)
    places = np.array([math.log(sigma / level) / h for level, _ in others])
    scale = -h if variant == "bh1" else math.expm1(-h)
    weights = _weights(places, h) / scale if len(others) > 1 else np.array([0.5])
    correction: Tensor | float = sum(
        (output - x0) * share for (_, output), share in zip(others, (weights / places).tolist(), strict=True)
    )
    return straight - scale * correction


def _weights(places: NDArray[np.float64], h: float) -> NDArray[np.float64]:
    """B(h) * a_p of the paper's theorem: the solution of R_p(h) a_p B(h) = phi_p(h)."""
    phi, right = math.expm1(-h) / -h - 1, []
    for k in range(len(places)):
        right.append(phi * math.factorial(k + 1))
        phi = phi / -h - 1 / math.factorial(k + 2)
    return np.linalg.solve(np.vander(places, increasing=True).T, np.array(right))


ROWS = tuple(
    Sampler(
        name, partial(unipc, variant=variant), "arXiv 2302.04867", order=4, options={"order": 3},
        variance_preserving=True,
        aliases=aliases,
        use=use,
        equals=f"diffusers UniPCMultistepScheduler (solver_order 3, {variant})",
    )
    for name, variant, aliases, use in (
        ("UniPC", "bh1", ("unipc", "uni_pc"), "5 to 10 steps"),
        (
            "UniPC bh2", "bh2", ("unipc_bh2", "uni_pc_bh2", "UniPCMultistepScheduler"),
            "5 to 10 steps at strong guidance; diffusers' default form",
        ),
    )
)  # fmt: skip
