"""Adams-Bashforth methods: a polynomial through the latest slopes, integrated over the next interval.

The slope is (x - x0) / sigma, the noise. LMS interpolates it over sigma, DEIS over log sigma.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np

from calotype.diffusion.noise import Noise
from calotype.diffusion.samplers.moves import history
from calotype.diffusion.samplers.state import Denoiser, Plan, Sampler, SamplerState

_POINTS, _WEIGHTS = np.polynomial.legendre.leggauss(16)
"""Gauss-Legendre quadrature: exact for LMS's cubics, to the last digit of float64 for DEIS's exponentials."""


def lms(denoise: Denoiser, plan: Plan, noise: Noise, state: SamplerState) -> SamplerState:
    """Linear multistep with unequal steps (Hairer, Norsett and Wanner, Solving ODEs I, III.5)."""
    return _adams(lambda sigma: sigma, lambda sigma: 1.0, denoise, plan, state)


def deis(denoise: Denoiser, plan: Plan, noise: Noise, state: SamplerState) -> SamplerState:
    """rho-AB-DEIS of arXiv 2204.13902 with polynomials in log rho; rho is sigma, and a step to 0 is Euler's.

    Orders fall to 1 at the end of a run of less than `lower_order_final` steps.
    """
    if plan.interval(state)[1] == 0:
        x0 = denoise(state.x, plan.interval(state)[0]).x0
        return state.after(x0, x0)
    left = len(plan.intervals) - state.index
    falls = len(plan.intervals) < plan.options["lower_order_final"]
    return _adams(math.log, math.exp, denoise, plan, state, most=left if falls else None)


def _adams(
    coordinate: Callable[[float], float],
    weight: Callable[[float], float],
    denoise: Denoiser,
    plan: Plan,
    state: SamplerState,
    most: int | None = None,
) -> SamplerState:
    """A step with polynomials in u = coordinate(sigma), where dsigma = weight(u) du; `most` is how many slopes."""
    sigma, sigma_next = plan.interval(state)
    x0 = denoise(state.x, sigma).x0
    slopes = history(state, "slopes", (state.x - x0) / sigma, int(plan.options["order"]))
    used = slopes[:most]
    nodes = [coordinate(plan.intervals[state.index - back][0]) for back in range(len(used))]
    shares = integrals(nodes, coordinate(sigma), coordinate(sigma_next), weight)
    x = state.x + sum(slope * share for slope, share in zip(used, shares, strict=True))
    return state.after(x, x0, slopes=slopes)


def integrals(nodes: Sequence[float], start: float, end: float, weight: Callable[[float], float]) -> list[float]:
    """The integrals from start to end of `weight` times each of the Lagrange polynomials of the nodes."""
    half = (end - start) / 2
    points = [start + half * (1 + point) for point in _POINTS.tolist()]
    return [
        half * sum(
            share * weight(point) * math.prod((point - other) / (node - other) for other in nodes if other != node)
            for point, share in zip(points, _WEIGHTS.tolist(), strict=True)
        )
        for node in nodes
    ]  # fmt: skip


ROWS = (
    Sampler(
        "LMS", lms, "Adams-Bashforth", order=4, options={"order": 4},
        aliases=("k_lms", "lms", "LMSDiscreteScheduler"),
        scheduler="normal",
        use="old recipes; unstable at strong guidance with few steps",
        equals="k-diffusion sample_lms, diffusers LMSDiscreteScheduler",
    ),
    Sampler(
        "DEIS", deis, "arXiv 2204.13902", order=3, options={"order": 3, "lower_order_final": 0},
        aliases=("deis", "DEISMultistepScheduler"),
        scheduler="normal",
        use="10 to 20 steps; close to DPM++ 2M",
        equals="diffusers DEISMultistepScheduler (solver_order 3)",
    ),
)  # fmt: skip
