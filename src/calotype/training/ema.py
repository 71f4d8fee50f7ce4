"""The moving average of the weights: what is evaluated, sampled from and exported."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Ema:
    """Exponential moving average, with a warm-up so that the random first weights are soon forgotten.

    The decay is at most (1 + step) / (10 + step), as in TensorFlow's ``ExponentialMovingAverage`` with ``num_updates``.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.weights: dict[str, Tensor] = {name: value.detach().clone() for name, value in module.state_dict().items()}

    @torch.no_grad()
    def update(self, module: nn.Module, step: int) -> None:
        """Move towards the weights that ``step`` steps of training have reached."""
        decay = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(list(self.weights.values()), list(module.state_dict().values()), 1 - decay)

    @contextmanager
    def worn_by(self, module: nn.Module) -> Iterator[None]:
        """Inside the block ``module`` has the averaged weights and makes no gradients."""
        trained = {name: value.detach().clone() for name, value in module.state_dict().items()}
        module.load_state_dict(self.weights)
        try:
            with torch.no_grad():
                yield
        finally:
            module.load_state_dict(trained)
