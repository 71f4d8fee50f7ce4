"""Data of which everything is known: a mixture of Gaussians. What samplers are proven against, without a network."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class GaussianMixture:
    """Pictures whose every value is drawn, on its own, from sum_i weight_i * N(mean_i, deviation_i^2)."""

    means: tuple[float, ...] = (-1.0, 0.5, 1.5)
    deviations: tuple[float, ...] = (0.3, 0.5, 0.2)
    weights: tuple[float, ...] = (0.3, 0.5, 0.2)

    def denoise(self, x: Float[Tensor, "*shape"], sigma: float) -> Float[Tensor, "*shape"]:
        """E[x0 | x] for x = x0 + sigma * noise: what a perfect network answers."""
        means, variances, weights = self._components(x)
        spread = variances + sigma**2
        away = x[..., None] - means
        posterior = (weights.log() - spread.log() / 2 - away**2 / (2 * spread)).softmax(-1)
        return (posterior * (means + away * variances / spread)).sum(-1)

    def cdf(self, x: Float[Tensor, "*shape"], sigma: float) -> Float[Tensor, "*shape"]:
        """The share of noisy values at or below x."""
        means, variances, weights = self._components(x)
        shares: Tensor = torch.special.ndtr((x[..., None] - means) / (variances + sigma**2).sqrt())
        return (weights * shares).sum(-1)

    def flow(self, x: Float[Tensor, "*shape"], sigma: float, sigma_next: float) -> Float[Tensor, "*shape"]:
        """Where the probability-flow ODE takes x from one noise level to another: in one dimension it keeps the CDF."""
        share = self.cdf(x, sigma)
        reach = max(map(abs, self.means)) + 12 * math.hypot(max(self.deviations), sigma_next)
        low, high = torch.full_like(x, -reach), torch.full_like(x, reach)
        for _ in range(80):
            middle = (low + high) / 2
            below = self.cdf(middle, sigma_next) < share
            low, high = torch.where(below, middle, low), torch.where(below, high, middle)
        return (low + high) / 2

    def _components(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return x.new_tensor(self.means), x.new_tensor(self.deviations) ** 2, x.new_tensor(self.weights)
