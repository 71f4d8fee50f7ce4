"""Whitened contexts: their variances levelled, and a U-Net that reads them says what it said."""

from copy import deepcopy

import pytest
import torch

from calotype.configs import PRESETS, ModelConfig
from calotype.nn.unet import UNet
from calotype.training.whitening import FLOOR, Whitening


@pytest.fixture
def config() -> ModelConfig:
    return PRESETS["tiny"]


@pytest.fixture
def contexts() -> torch.Tensor:
    """Some directions vary much, others hardly, about a mean that is not 0."""
    spread = torch.logspace(1, -1, 32, dtype=torch.float64)
    mixed = torch.linalg.qr(torch.randn(32, 32, dtype=torch.float64)).Q
    return (torch.randn(200 * 77, 32, dtype=torch.float64) * spread @ mixed + torch.randn(32)).float()


def test_whitened_contexts_are_centred_and_of_mean_square_one(contexts: torch.Tensor) -> None:
    white = Whitening.of(contexts)(contexts).double()
    assert white.mean(0).abs().max() < 1e-4
    assert white.square().mean().item() == pytest.approx(1, abs=1e-4)


def test_variances_are_levelled_above_the_floor(contexts: torch.Tensor) -> None:
    white = Whitening.of(contexts)(contexts).double()
    before = torch.linalg.eigvalsh(torch.cov(contexts.double().T))
    after = torch.linalg.eigvalsh(torch.cov(white.T))
    expected = before / (before + FLOOR)
    assert torch.allclose(after / after[-1], expected / expected[-1], atol=1e-3)


def test_a_network_says_the_same_in_both_coordinates(config: ModelConfig, contexts: torch.Tensor) -> None:
    unet, whitening = UNet(config.unet), Whitening.of(contexts)
    entered = deepcopy(unet)
    whitening.enter(entered)
    plain = whitening.left(entered)
    x, t, context = torch.randn(3, 4, 8, 8), torch.tensor([1.0, 500.0, 999.0]), contexts.unflatten(0, (200, 77))[:3]
    said = unet(x, t, context)
    assert torch.allclose(entered(x, t, whitening(context)), said, atol=1e-4)
    assert torch.allclose(plain(x, t, context), said, atol=1e-4)
    assert not torch.allclose(entered(x, t, context), said, atol=1e-2)


def test_leaving_makes_a_copy(config: ModelConfig, contexts: torch.Tensor) -> None:
    unet = UNet(config.unet)
    before = {name: value.clone() for name, value in unet.state_dict().items()}
    Whitening.of(contexts).left(unet)
    assert all(torch.equal(value, before[name]) for name, value in unet.state_dict().items())
