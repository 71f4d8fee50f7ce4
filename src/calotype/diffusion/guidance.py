"""Classifier-free guidance: from a prediction under conditions to a denoiser that samplers can ask."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from torch import Tensor

from calotype.diffusion.parameterization import Parameterization
from calotype.diffusion.samplers.state import Denoised, Denoiser

C = TypeVar("C")

Predict = Callable[[Tensor, float, Sequence[C]], list[Tensor]]
"""(x, sigma, conditions) -> one x0 for each condition, the network asked once for them all."""


def guided(
    predict: Predict[C],
    positive: C,
    negative: C,
    scale: float,
    rescale: float = 0.0,
    parameterization: Parameterization | None = None,
) -> Denoiser:
    """Move away from the negative prediction: negative + scale * (positive - negative) (arXiv 2207.12598).

    At scale 1 only the positive condition is asked for, and `Denoised.uncond` is None. `rescale` in [0, 1] is phi of
    arXiv 2305.08891: how much of the standard deviation that guidance added to the network's output is taken away
    again; it needs the parameterization of that output (ValueError without).
    """
    if rescale and parameterization is None:
        raise ValueError("rescale needs the parameterization of the network's output")

    def denoise(x: Tensor, sigma: float) -> Denoised:
        if scale == 1:
            return Denoised(*predict(x, sigma, [positive]))
        with_prompt, without = predict(x, sigma, [positive, negative])
        x0 = without + (with_prompt - without) * scale
        if rescale and parameterization:
            x0 = _rescaled(x, sigma, x0, with_prompt, rescale, parameterization)
        return Denoised(x0, without)

    return denoise


def _rescaled(
    x: Tensor, sigma: float, guided_x0: Tensor, positive_x0: Tensor, phi: float, parameterization: Parameterization
) -> Tensor:
    """Equations 15 and 16 of arXiv 2305.08891, which speak of the network's own output."""
    output = parameterization.from_x0(x, sigma, guided_x0)
    positive = parameterization.from_x0(x, sigma, positive_x0)
    axes = list(range(1, x.ndim))
    ratio = positive.std(axes, keepdim=True) / output.std(axes, keepdim=True)
    return parameterization.to_x0(x, sigma, output * (1 + phi * (ratio - 1)))
