"""The one loop: asks a sampler for state after state. Progress, cancelling and previews are the caller's."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count

from jaxtyping import Float
from torch import Tensor

from calotype.diffusion.noise import Noise
from calotype.diffusion.samplers.state import Denoised, Denoiser, Plan, Sampler, SamplerState
from calotype.diffusion.schedules import Schedule


@dataclass(frozen=True)
class Moment:
    """Where a run is when the denoiser is asked: what prompt schedules and ranges choose by."""

    interval: int
    """The interval being crossed, from 0."""
    step: int
    """The ladder's step in which that interval begins, from 0.

    Equal to `interval`, except for samplers that make their own intervals (DPM fast, DPM adaptive).
    """
    steps: int
    """Steps of the ladder."""
    call: int
    """Calls of the denoiser before this one, in the whole run."""


DenoiserAt = Callable[[Moment], Denoiser]
"""The denoiser of a moment. One that does not change is `lambda moment: denoiser`."""


def sample(
    sampler: Sampler,
    denoiser_at: DenoiserAt,
    sigmas: Float[Tensor, "levels"] | Sequence[float],
    noise: Noise,
    x: Float[Tensor, "b *shape"] | None = None,
    state: SamplerState | None = None,
    schedule: Schedule | None = None,
    **options: float,
) -> Iterator[SamplerState]:
    """Yield the state after each step, from pure noise, from `x` (at sigmas[0]), or onwards from a saved `state`.

    `schedule` is the model's: PNDM, TCD and SA-Solver reckon with its training times (ValueError without it).
    The run after a state depends on nothing but the arguments and that state: cut and resumed it has the same bits.
    Raises CalotypeError for bad sigmas and unknown options. The last x becomes a latent by `latent`.
    """
    plan = sampler.plan(sigmas, schedule, **options)
    if state is None:
        start = pure_noise(sampler, plan.intervals[0][0], noise) if x is None else x
        state = SamplerState(start, start)
    while not plan.done(state):
        state = _step(sampler, denoiser_at, plan, noise, state)
        yield state


def pure_noise(sampler: Sampler, sigma: float, noise: Noise) -> Float[Tensor, "b *shape"]:
    """The x that a run from nothing starts with: draw 0, at the scale that the sampler's references use."""
    return noise.normal(0) * (math.sqrt(1 + sigma**2) if sampler.variance_preserving else sigma)


def latent(x: Float[Tensor, "b *shape"], sigma: float) -> Float[Tensor, "b *shape"]:
    """The latent to decode after a run that ended at `sigma`: x / sqrt(1 + sigma^2), as CompVis and diffusers do."""
    return x / math.sqrt(1 + sigma**2)


def _step(sampler: Sampler, denoiser_at: DenoiserAt, plan: Plan, noise: Noise, state: SamplerState) -> SamplerState:
    calls, step = count(state.calls), plan.step(state)

    def denoise(x: Tensor, sigma: float) -> Denoised:
        return denoiser_at(Moment(state.index, step, plan.steps, next(calls)))(x, sigma)

    after = sampler.step(denoise, plan, noise, state)
    return replace(after, calls=next(calls))  # the number that the next call would have is how many there were
