"""The quantiles of the beta distribution, for the scheduler that is named after it.

Own code: scipy is in the extra `lab` only, and pictures must not need it.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

_TERMS = 60
"""The series shrinks by x <= 1/2 a term; sixty terms leave less than float64 resolves."""


def quantile(share: Float[Tensor, "n"], a: float, b: float) -> Float[Tensor, "n"]:
    """Where the distribution function of Beta(a, b) reaches each share in [0, 1], in float64."""
    share = share.double()
    upper = share > _distribution(torch.full((1,), 0.5, dtype=torch.float64), a, b)
    return torch.where(upper, 1 - _lower_quantile(1 - share, b, a), _lower_quantile(share, a, b))


def _lower_quantile(share: Tensor, a: float, b: float) -> Tensor:
    """By halving [0, 1/2], where the series converges fast; the upper half is the lower one of Beta(b, a)."""
    low, high = torch.zeros_like(share), torch.full_like(share, 0.5)
    for _ in range(60):
        middle = (low + high) / 2
        below = _distribution(middle, a, b) < share
        low, high = torch.where(below, middle, low), torch.where(below, high, middle)
    return torch.where(share > 0, high, 0)


def _distribution(x: Tensor, a: float, b: float) -> Tensor:
    """The regularised incomplete beta function: DLMF 8.17.7 as a power series."""
    coefficient, total = 1.0, torch.zeros_like(x)
    for n in range(_TERMS):
        total = total + coefficient / (a + n) * x**n
        coefficient *= (n + 1 - b) / (n + 1)
    return total * x**a * math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b))
