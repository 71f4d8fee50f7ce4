import pytest
import torch
from torch import nn

from calotype.training.ema import Ema


def test_average_is_the_recursion() -> None:
    module = nn.Linear(1, 1, bias=False)
    ema = Ema(module, decay=0.5)
    average = module.weight.item()
    for step in range(1, 40):
        with torch.no_grad():
            module.weight.fill_(step)
        ema.update(module, step)
        decay = min(0.5, (1 + step) / (10 + step))
        average = decay * average + (1 - decay) * step
        assert ema.weights["weight"].item() == pytest.approx(average, rel=1e-6)


def test_worn_only_inside_the_block() -> None:
    module = nn.Linear(3, 3)
    ema = Ema(module, decay=0.9)
    trained = torch.full((3, 3), 7.0)
    with torch.no_grad():
        module.weight.copy_(trained)
    with pytest.raises(ZeroDivisionError), ema.worn_by(module):
        assert torch.equal(module.weight, ema.weights["weight"])
        assert not torch.is_grad_enabled()
        _ = 1 / 0
    assert torch.equal(module.weight, trained)
    assert not torch.equal(ema.weights["weight"], trained)
