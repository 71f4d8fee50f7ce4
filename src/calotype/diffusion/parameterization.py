"""What a network's output means: the noise, the velocity or the picture, each convertible to the picture x0.

In sigma coordinates x = x0 + sigma * noise. The network sees x * c_in(sigma), which has the variance it was trained on.
"""

from collections.abc import Callable
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from calotype.configs import PredictionType

Sigma = float | Float[Tensor, "*b"]
"""One noise level (a number or a scalar tensor) for all pictures of a batch, or one for each, (b,) or (b, 1, 1, 1)."""


def c_in(sigma: Sigma) -> Sigma:
    """1 / sqrt(1 + sigma^2), of sigma's shape: takes x to variance-preserving coordinates (arXiv 2206.00364)."""
    scale: Sigma = (1 + sigma**2) ** -0.5
    return scale


@dataclass(frozen=True)
class Parameterization:
    """Conversions between a network's output and x0. All tensors (b, ...) of one shape; sigma as in `Sigma`."""

    to_x0: Callable[[Tensor, Sigma, Tensor], Tensor]
    """(x, sigma, output) -> x0"""
    from_x0: Callable[[Tensor, Sigma, Tensor], Tensor]
    """(x, sigma, x0) -> output: the inverse of to_x0. Epsilon and velocity need sigma > 0."""
    target: Callable[[Tensor, Tensor, Sigma], Tensor]
    """(x0, noise, sigma) -> the output of a perfect network that is shown x0 + sigma * noise"""

    def network_input(self, x: Tensor, sigma: Sigma) -> Tensor:
        """x * c_in(sigma), with one sigma for all pictures or one for each."""
        return (x * c_in(_along(x, sigma))).to(x.dtype)


def _along(x: Tensor, sigma: Sigma) -> Sigma:
    """Sigma shaped to multiply x; without this (b,) would silently run along the width of square pictures."""
    return sigma.reshape(-1, *[1] * (x.ndim - 1)) if isinstance(sigma, Tensor) else sigma


def _epsilon_to_x0(x: Tensor, sigma: Sigma, output: Tensor) -> Tensor:
    return (x - output * _along(x, sigma)).to(x.dtype)


def _epsilon_from_x0(x: Tensor, sigma: Sigma, x0: Tensor) -> Tensor:
    return ((x - x0) / _along(x, sigma)).to(x.dtype)


def _epsilon_target(x0: Tensor, noise: Tensor, sigma: Sigma) -> Tensor:
    return noise


def _velocity_to_x0(x: Tensor, sigma: Sigma, output: Tensor) -> Tensor:
    s = _along(x, sigma)
    scale = c_in(s)
    return (x * scale**2 - output * (s * scale)).to(x.dtype)


def _velocity_from_x0(x: Tensor, sigma: Sigma, x0: Tensor) -> Tensor:
    s = _along(x, sigma)
    scale = c_in(s)
    return ((x * scale**2 - x0) / (s * scale)).to(x.dtype)


def _velocity_target(x0: Tensor, noise: Tensor, sigma: Sigma) -> Tensor:
    s = _along(x0, sigma)
    return ((noise - x0 * s) * c_in(s)).to(x0.dtype)


def _sample_to_x0(x: Tensor, sigma: Sigma, output: Tensor) -> Tensor:
    return output


def _sample_from_x0(x: Tensor, sigma: Sigma, x0: Tensor) -> Tensor:
    return x0


def _sample_target(x0: Tensor, noise: Tensor, sigma: Sigma) -> Tensor:
    return x0


PARAMETERIZATIONS: dict[PredictionType, Parameterization] = {
    "epsilon": Parameterization(_epsilon_to_x0, _epsilon_from_x0, _epsilon_target),  # arXiv 2006.11239, eq. 14
    "v_prediction": Parameterization(_velocity_to_x0, _velocity_from_x0, _velocity_target),  # arXiv 2202.00512, app. D
    "sample": Parameterization(_sample_to_x0, _sample_from_x0, _sample_target),
}
