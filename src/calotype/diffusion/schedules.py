"""The forward process as a value: the noise levels that a network was trained on, and their times."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from calotype.configs import ScheduleConfig, Spacing

ALPHA_BAR_FLOOR = 2.0**-24
"""Stands in for the alpha-bar of 0 at zero terminal SNR, as in diffusers: sigma is 4096 and not infinite."""


@dataclass(frozen=True, eq=False)
class Schedule:
    """The noise levels a network was trained on, sigma = sqrt((1 - alpha-bar) / alpha-bar), float64, increasing."""

    sigmas: Float[Tensor, "steps"]
    spacing: Spacing = "leading"
    steps_offset: int = 1

    @classmethod
    def of(cls, config: ScheduleConfig) -> "Schedule":
        """The schedule that a model's configuration describes."""
        alphas_cumprod = (1 - _betas(config)).cumprod(0)
        if config.zero_terminal_snr:
            alphas_cumprod = _zero_terminal_snr(alphas_cumprod)
        return cls(((1 - alphas_cumprod) / alphas_cumprod).sqrt(), config.spacing, config.steps_offset)

    @property
    def alphas_cumprod(self) -> Float[Tensor, "steps"]:
        """Alpha-bar of DDPM (arXiv 2006.11239), in (0, 1), decreasing."""
        return 1 / (1 + self.sigmas**2)

    @property
    def ends_in_noise(self) -> bool:
        """Whether the terminal SNR is zero, so that the last sigma stands for infinity."""
        return bool(self.sigmas[-1] > 0.99 * ALPHA_BAR_FLOOR**-0.5)

    def sigma(self, t: float | Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
        """Noise level at time t in [0, steps - 1]; between two whole steps linear in log sigma (as k-diffusion)."""
        time = torch.as_tensor(t, dtype=torch.float64, device=self.sigmas.device).clamp(0, len(self.sigmas) - 1)
        low = time.floor().long().clamp(max=len(self.sigmas) - 2)
        logs = self.sigmas.log()
        return torch.lerp(logs[low], logs[low + 1], time - low).exp()

    def t(self, sigma: float | Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
        """Time of a noise level: the inverse of `sigma`. What lies outside the schedule becomes its nearest end."""
        log = torch.as_tensor(sigma, dtype=torch.float64, device=self.sigmas.device).log()
        logs = self.sigmas.log()
        low = (torch.searchsorted(logs, log, right=True) - 1).clamp(0, len(logs) - 2)
        return low + ((log - logs[low]) / (logs[low + 1] - logs[low])).clamp(0, 1)


def _betas(config: ScheduleConfig) -> Float[Tensor, "steps"]:
    start, end, steps = config.beta_start, config.beta_end, config.num_steps
    if config.beta_schedule == "linear":
        return torch.linspace(start, end, steps, dtype=torch.float64)
    return torch.linspace(math.sqrt(start), math.sqrt(end), steps, dtype=torch.float64) ** 2


def _zero_terminal_snr(alphas_cumprod: Float[Tensor, "steps"]) -> Float[Tensor, "steps"]:
    """Algorithm 1 of arXiv 2305.08891: shift the last sqrt(alpha-bar) to 0, scale so that the first stays."""
    root = alphas_cumprod.sqrt()
    root = (root - root[-1]) * root[0] / (root[0] - root[-1])
    return (root**2).clamp(min=ALPHA_BAR_FLOOR)
