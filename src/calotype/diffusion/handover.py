"""Denoisers that take turns: each knows a part of the noise levels best (experts, arXiv 2211.01324, 3.1)."""

from collections.abc import Callable

from torch import Tensor

from calotype.diffusion.driver import DenoiserAt, Moment
from calotype.diffusion.samplers.state import Denoised, Denoiser


def handing_over(first: DenoiserAt, second: DenoiserAt, at_second: Callable[[float], bool]) -> DenoiserAt:
    """``first``, and ``second`` in steps that begin at its noise levels. A step is never shared."""
    intervals: dict[int, bool] = {}

    def denoiser_at(moment: Moment) -> Denoiser:
        def denoise(x: Tensor, sigma: float) -> Denoised:
            chosen = second if intervals.setdefault(moment.interval, at_second(sigma)) else first
            return chosen(moment)(x, sigma)

        return denoise

    return denoiser_at
