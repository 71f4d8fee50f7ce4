"""Restart sampling (arXiv 2306.14878): back up to a higher noise level, and down again."""

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from calotype.diffusion.noise import Noise
from calotype.diffusion.samplers.moves import CHURN, add_noise
from calotype.diffusion.samplers.runge_kutta import heun
from calotype.diffusion.samplers.state import Denoiser, Intervals, Plan, Sampler, SamplerState
from calotype.diffusion.schedulers import karras_ramp

_BOTTOM, _TOP = 0.1, 2.0
"""The levels between which it goes again, as in A1111."""


def restart(denoise: Denoiser, plan: Plan, noise: Noise, state: SamplerState) -> SamplerState:
    """arXiv 2306.14878: Heun's steps; where the next interval begins higher, noise leads up to it."""
    if state.index > 0:
        reached, sigma = plan.intervals[state.index - 1][1], plan.interval(state)[0]
        if reached < sigma:
            x, draws = add_noise(state.x, math.sqrt(sigma**2 - reached**2), plan, noise, state.draws)
            state = replace(state, x=x, draws=state.draws + draws)
    return heun(denoise, plan, noise, state)


def restart_intervals(levels: Sequence[float]) -> Intervals:
    """A1111's choice: once 9 intervals again from 20 steps on, twice a quarter of the steps from 36 on.

    The whole ladder is then a Karras one of fewer steps, so that the number of intervals is that of the ladder.
    """
    steps = len(levels) - 1
    if steps < 20:
        return tuple(pairwise(levels))
    length, times = (9, 1) if steps < 36 else (steps // 4, 2)
    above = [level for level in levels if level > 0]
    count = len(above) - length * times
    shorter = _karras(above[0], above[-1], count) + list(levels[len(above) :])
    bottom, top = (min(range(count), key=lambda i: abs(shorter[i] - level)) for level in (_BOTTOM, _TOP))
    down = list(pairwise(shorter))
    if top >= bottom:
        return tuple(down)
    again = list(pairwise(_karras(shorter[top], shorter[bottom], length + 1)))
    return tuple(down[:bottom] + again * times + down[bottom:])


def _karras(highest: float, lowest: float, count: int) -> list[float]:
    return [karras_ramp(lowest, highest, k / (count - 1)) for k in range(count)]


ROWS = (
    Sampler(
        "Restart", restart, "arXiv 2306.14878", order=2, intervals=restart_intervals, noise="normal", options=CHURN,
        calls=lambda steps: 2 * steps - 1,
        aliases=("restart",),
        scheduler="karras",
        use="stochastic sampling's quality with fewer steps: 20 or more",
        equals="A1111 restart_sampler",
    ),
)  # fmt: skip
