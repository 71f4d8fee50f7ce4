import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture
def unmoved() -> Callable[[nn.Module, Callable[[], Tensor]], list[str]]:
    """Which parameters of a network its output does not depend on: each is perturbed alone, and put back."""

    @torch.no_grad()
    def find(network: nn.Module, output: Callable[[], Tensor]) -> list[str]:
        randomise(network)
        before, still = output(), []
        for name, parameter in network.named_parameters():
            saved = parameter.clone()
            parameter.add_(0.1 * torch.randn_like(parameter))
            if (output() - before).norm() < 1e-5 * before.norm():
                still.append(name)
            parameter.copy_(saved)
        assert torch.equal(output(), before)
        return still

    return find


def randomise(network: nn.Module) -> None:
    for name, parameter in network.named_parameters():
        if parameter.dim() > 1:
            parameter.normal_(std=(4 if "query" in name or "key" in name else 1) / math.sqrt(parameter[0].numel()))
        else:
            parameter.normal_(0 if name.endswith("bias") else 1, 0.1)
