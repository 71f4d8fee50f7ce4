"""DPM-Solver (arXiv 2206.00927): exponential Runge-Kutta on the noise, with a fixed or a free choice of steps.

Both ask a ladder only for its ends: the first level and the last one above 0, at which they stop.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from calotype.diffusion.noise import Noise
from calotype.diffusion.samplers.moves import add_noise, ancestral, slope_at
from calotype.diffusion.samplers.state import Denoiser, Intervals, Plan, Sampler, SamplerState
from calotype.errors import CalotypeError


def dpm_fast(denoise: Denoiser, plan: Plan, noise: Noise, state: SamplerState) -> SamplerState:
    """DPM-Solver-fast: third order, as many network calls as the ladder has steps."""
    sigma, sigma_next = plan.interval(state)
    down, up = _ancestral(plan, sigma, sigma_next)
    first = slope_at(denoise, state.x, sigma)
    x, _ = _solve(denoise, state.x, first, sigma, down, _orders(plan.steps)[state.index])
    x0 = state.x - first * sigma
    x, draws = add_noise(x, up, plan, noise, state.draws)
    return state.after(x, x0, draws)


def dpm_adaptive(denoise: Denoiser, plan: Plan, noise: Noise, state: SamplerState) -> SamplerState:
    """DPM-Solver-23: a third-order step, taken where the second-order one inside it agrees.

    Step lengths, in -log sigma, come from a PID controller of the error. A refused step leaves x as it was.
    """
    lowest = plan.intervals[0][1]
    options = plan.options
    sigma, h, *errors = _controller(plan, state)
    sigma_next = max(lowest, sigma * math.exp(-h))
    down, up = _ancestral(plan, sigma, sigma_next)
    first = slope_at(denoise, state.x, sigma)
    x, second = _solve(denoise, state.x, first, sigma, down, 3)
    rough = state.x + (first + (second - first) * 1.5) * (down - sigma)
    accepted = state.memory.get("rough", state.x)
    allowed = torch.maximum(rough.abs(), accepted.abs()).mul(options["rtol"]).clamp(min=options["atol"])
    agreement = 1 / (((rough - x) / allowed).square().mean().sqrt().item() + 1e-8)
    history = (agreement, *(errors or (agreement, agreement)))
    factor = 1 + math.atan(math.prod(error**power for error, power in zip(history, _powers(plan), strict=True)) - 1)
    h *= factor
    if factor < options["accept_safety"]:
        return state.after(state.x, state.x - first * sigma, rough=accepted, controller=_saved(sigma, h, *history[1:]))
    x, draws = add_noise(x, up, plan, noise, state.draws)
    memory = {"rough": rough, "controller": _saved(sigma_next, h, *history[:2])}
    return state.after(x, state.x - first * sigma, draws, **memory)


class AdaptivePlan(Plan):
    """Open-ended: done when the controller has reached the lowest level."""

    def step(self, state: SamplerState) -> int:
        """As far along the ladder's steps as the level reached is along log sigma."""
        ((highest, lowest),) = self.intervals
        return int(self.steps * math.log(highest / _controller(self, state)[0]) / math.log(highest / lowest))

    def done(self, state: SamplerState) -> bool:
        """Whether the lowest level is reached."""
        return math.log(_controller(self, state)[0] / self.intervals[0][1]) <= 1e-5


def _controller(plan: Plan, state: SamplerState) -> list[float]:
    """The level reached, the length of the next step, and the latest two agreements."""
    start = [plan.intervals[0][0], plan.options["h_init"]]
    return state.memory["controller"].tolist() if "controller" in state.memory else start


def _saved(*numbers: float) -> Tensor:
    return torch.tensor(numbers, dtype=torch.float64)


def _powers(plan: Plan) -> tuple[float, float, float]:
    """Of the latest three agreements, for the coefficients of a PID controller."""
    p, i, d = (plan.options[name] for name in ("pcoeff", "icoeff", "dcoeff"))
    order = 1.5 if plan.options["eta"] else 3
    return (p + i + d) / order, -(p + 2 * d) / order, d / order


def _ancestral(plan: Plan, sigma: float, sigma_next: float) -> tuple[float, float]:
    """As `ancestral`, but never down below the level at which the plan ends."""
    down, _ = ancestral(sigma, sigma_next, plan.options["eta"])
    down = max(down, plan.intervals[-1][1])
    return down, math.sqrt(sigma_next**2 - down**2)


def _solve(
    denoise: Denoiser, x: Tensor, first: Tensor, sigma: float, sigma_next: float, order: int
) -> tuple[Tensor, Tensor]:
    """DPM-Solver-1, -2 (r = 1/2) or -3 (r = 1/3, 2/3), and the second slope of those that have one."""
    if order == 1:
        return x + first * (sigma_next - sigma), first
    if order == 2:
        middle = math.sqrt(sigma * sigma_next)
        second = slope_at(denoise, x + first * (middle - sigma), middle)
        return x + second * (sigma_next - sigma), second
    h = math.log(sigma / sigma_next)
    one, two = sigma * math.exp(-h / 3), sigma * math.exp(-2 * h / 3)
    second = slope_at(denoise, x + first * (one - sigma), one)
    weight = 2 * two * (math.expm1(2 * h / 3) / (2 * h / 3) - 1)
    third = slope_at(denoise, x + first * (two - sigma) - (second - first) * weight, two)
    weight = 1.5 * sigma_next * (math.expm1(h) / h - 1)
    return x + first * (sigma_next - sigma) - (third - first) * weight, second


def _orders(calls: int) -> list[int]:
    """Third-order steps, and at the end what makes the number of calls come out."""
    full, rest = divmod(calls, 3)
    return [3] * full + [rest] if rest else [3] * (full - 1) + [2, 1]


def _ends(levels: Sequence[float]) -> tuple[float, float]:
    """The first level and the last one above 0; 0 for a ladder without another one."""
    highest, *others = [level for level in levels if level > 0]
    return highest, others[-1] if others else 0.0


def _fast_intervals(levels: Sequence[float]) -> Intervals:
    highest, lowest = _ends(levels)
    if lowest == 0:
        return ((highest, 0.0),)
    count = len(_orders(len(levels) - 1))
    between = [highest * (lowest / highest) ** (k / count) for k in range(count)]
    return tuple(pairwise([*between, lowest]))


def _adaptive_intervals(levels: Sequence[float]) -> Intervals:
    highest, lowest = _ends(levels)
    if lowest == 0:
        raise CalotypeError(
            "DPM adaptive needs two noise levels above 0 to go between: give more steps, or a higher denoising "
            "strength where a picture is changed."
        )
    return ((highest, lowest),)


ROWS = (
    Sampler(
        "DPM fast", dpm_fast, "arXiv 2206.00927", order=3, options={"eta": 0.0, "s_noise": 1.0},
        intervals=_fast_intervals,
        aliases=("k_dpm_fast", "dpm_fast"),
        scheduler="karras",
        use="old recipes",
        equals="k-diffusion sample_dpm_fast",
    ),
    Sampler(
        "DPM adaptive", dpm_adaptive, "arXiv 2206.00927", order=3, calls=None,
        options={
            "rtol": 0.05, "atol": 0.0078, "h_init": 0.05, "pcoeff": 0.0, "icoeff": 1.0, "dcoeff": 0.0,
            "accept_safety": 0.81, "eta": 0.0, "s_noise": 1.0,
        },
        intervals=_adaptive_intervals, kind=AdaptivePlan,
        aliases=("k_dpm_ad", "dpm_adaptive"),
        scheduler="karras",
        use="a picture near the exact solution, whatever it costs; ignores the steps",
        equals="k-diffusion sample_dpm_adaptive",
    ),
)  # fmt: skip
