"""Guidance: from predictions under conditions to a denoiser that samplers can ask."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from calotype.diffusion.parameterization import Parameterization
from calotype.diffusion.samplers.state import Denoised, Denoiser

C = TypeVar("C")

Latents = Float[Tensor, "b *shape"]
"""x or an x0: all that meet in one call have one shape."""
Predict = Callable[[Latents, float, Sequence[C]], list[Latents]]
"""(x, sigma, conditions) -> one x0 for each condition, asked together as far as the network can."""
Guide = Callable[[Latents, float, Latents, Latents], Latents]
"""(x, sigma, the positive prompt's x0, the negative's) -> x0"""


def guided(predict: Predict[C], positive: Sequence[tuple[C, float]], negative: C, guide: Guide | None) -> Denoiser:
    """The denoiser that `guide` makes of the predictions under weighted positive conditions and a negative one.

    Several positive ones are composed: negative + sum of weight * (positive - negative) (arXiv 2206.01714, eq. 11).
    Without a guide the positive is the answer, and `Denoised.uncond` is None; if there is but one, of weight 1, the
    negative is not even asked for.
    """
    conditions = [condition for condition, _ in positive]
    weights = [weight for _, weight in positive]

    def denoise(x: Latents, sigma: float) -> Denoised:
        if guide is None and weights == [1]:
            return Denoised(*predict(x, sigma, conditions))
        *with_prompts, without = predict(x, sigma, [*conditions, negative])
        with_prompt = _composed(with_prompts, weights, without)
        if guide is None:
            return Denoised(with_prompt)
        return Denoised(guide(x, sigma, with_prompt, without), without)

    return denoise


def classifier_free(scale: float) -> Guide:
    """Away from the negative prediction: negative + scale * (positive - negative) (arXiv 2207.12598).

    Any scale: at 1 the answer is the positive prediction, at 0 the negative one.
    """

    def guide(x: Latents, sigma: float, positive: Latents, negative: Latents) -> Latents:
        return negative + (positive - negative) * scale

    return guide


def rescaled(guide: Guide, phi: float, parameterization: Parameterization) -> Guide:
    """The share `phi`, in [0, 1], of the deviation that `guide` added to the network's output is taken away again.

    Equations 15 and 16 of arXiv 2305.08891, which speak of the network's own output.
    """

    def quieter(x: Latents, sigma: float, positive: Latents, negative: Latents) -> Latents:
        output = parameterization.from_x0(x, sigma, guide(x, sigma, positive, negative))
        before = parameterization.from_x0(x, sigma, positive)
        axes = list(range(1, x.ndim))
        ratio = before.std(axes, keepdim=True) / output.std(axes, keepdim=True)
        return parameterization.to_x0(x, sigma, output * (1 + phi * (ratio - 1)))

    return quieter


def thresholded(guide: Guide, quantile: float) -> Guide:
    """Dynamic thresholding: with s the given quantile of |x0|, at least 1, x0 is clamped to [-s, s] and divided by s.

    The quantile is in (0, 1]. Section 2.3 of arXiv 2205.11487, which has pixels in mind: latents are not bounded by 1.
    """

    def bounded(x: Latents, sigma: float, positive: Latents, negative: Latents) -> Latents:
        x0 = guide(x, sigma, positive, negative)
        bound = _quantile(x0.flatten(1), quantile).clamp(min=1).reshape(-1, *[1] * (x0.ndim - 1))
        return x0.clamp(-bound, bound) / bound

    return bounded


def mimicking(guide: Guide, quiet: Guide, quantile: float) -> Guide:
    """What `guide` says, each channel as loud as `quiet` says it: dynamic thresholding for latents (b, c, h, w).

    The channel is centred, clamped to the quantile, in (0, 1], of its absolute values or to the quiet one's largest
    number, whichever is more, and scaled so that this bound becomes that number (after the idea of section 2.3 of
    arXiv 2205.11487, as in the extension "Dynamic Thresholding (CFG Scale Fix)" for A1111).
    """

    def as_quiet(x: Latents, sigma: float, positive: Latents, negative: Latents) -> Latents:
        loud = guide(x, sigma, positive, negative).flatten(2)
        model = quiet(x, sigma, positive, negative).flatten(2)
        mean = loud.mean(2, keepdim=True)
        wanted = (model - model.mean(2, keepdim=True)).abs().amax(2, keepdim=True)
        bound = torch.maximum(_quantile(loud - mean, quantile)[..., None], wanted)
        return (mean + (loud - mean).clamp(-bound, bound) * (wanted / bound)).reshape(x.shape)

    return as_quiet


def towards_picture(denoise: Denoiser, predict: Predict[C], nothing: C, scale: float) -> Denoiser:
    """InstructPix2Pix's second scale (arXiv 2211.09800, eq. 3): how strongly an edited picture keeps to the given one.

    The conditions of `denoise`, positive and negative, show the picture; `nothing` shows none. At scale 1 x0 is that
    of `denoise`, whose guide must not be None (ValueError).
    """

    def edited(x: Latents, sigma: float) -> Denoised:
        denoised = denoise(x, sigma)
        if denoised.uncond is None:
            raise ValueError("editing needs the prediction without the prompt: guide, if only by scale 1")
        (without,) = predict(x, sigma, [nothing])
        return Denoised(denoised.x0 + (denoised.uncond - without) * (scale - 1), without)

    return edited


def _composed(positives: list[Latents], weights: list[float], negative: Latents) -> Latents:
    if weights == [1]:
        return positives[0]
    total = negative
    for positive, weight in zip(positives, weights, strict=True):
        total = total + (positive - negative) * weight
    return total


def _quantile(x: Float[Tensor, "*n values"], quantile: float) -> Float[Tensor, "*n"]:
    """Of absolute values along the last axis."""
    return torch.quantile(x.abs().float(), quantile, dim=-1).to(x)
