from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence

from calotype.configs import EMBEDDED, VaeConfig
from calotype.nn.vae import Autoencoder, Gaussian, fold_latent_statistics

SMALL = VaeConfig(channels=(8, 16), layers_per_block=1, norm_groups=4)


def test_gaussian() -> None:
    mean, logvar, noise = torch.randn(3, 2, 4, 3, 5)
    gaussian = Gaussian(mean, logvar)
    other = Normal(mean, (logvar / 2).exp())
    torch.testing.assert_close(gaussian.kl(), kl_divergence(other, Normal(0.0, 1.0)).sum((1, 2, 3)))
    torch.testing.assert_close(gaussian.sample(noise), other.loc + other.scale * noise)
    assert torch.equal(gaussian.sample(torch.zeros_like(mean)), gaussian.mode)


@pytest.mark.parametrize("config", [SMALL, EMBEDDED.vae], ids=["small", "embedded"])
@torch.no_grad()
def test_sizes(config: VaeConfig) -> None:
    vae, down = Autoencoder(config), config.downscale
    latents = vae.encode(torch.randn(2, 3, 3 * down, 5 * down)).mode
    assert latents.shape == (2, 4, 3, 5)
    assert vae.decode(latents).shape == (2, 3, 3 * down, 5 * down)


@torch.no_grad()
def test_logvar_is_clamped() -> None:
    vae = Autoencoder(SMALL)
    for bias, bound in ((1000, 20), (-1000, -30)):
        nn.init.constant_(vae.quant_conv.bias, bias)
        assert vae.encode(torch.randn(1, 3, 8, 8)).logvar.unique().tolist() == [bound]


def _leaves_its_input(function: Callable[[Tensor], object], x: Tensor) -> bool:
    before = x.clone()
    function(x)
    return torch.equal(x, before)


@torch.no_grad()
def test_neither_way_changes_its_input() -> None:
    vae = Autoencoder(SMALL)
    assert _leaves_its_input(vae.encode, torch.randn(1, 3, 8, 8))
    assert _leaves_its_input(vae.decode, torch.randn(1, 4, 4, 4))
    # And the error itself, put in:
    assert not _leaves_its_input(lambda latents: vae.decode(latents.div_(0.18215)), torch.randn(1, 4, 4, 4))


def test_every_parameter_matters(unmoved: Callable[[nn.Module, Callable[[], Tensor]], list[str]]) -> None:
    vae, images = Autoencoder(SMALL), torch.randn(1, 3, 8, 8)
    noise = torch.randn(1, 4, 4, 4)
    # Every query gives every key the same product with the key's bias, and softmax forgets what is common to all.
    still = unmoved(vae, lambda: vae.decode(vae.encode(images).sample(noise)))
    assert still == [f"{side}.middle.attention.attention.key.bias" for side in ("encoder", "decoder")]


@torch.no_grad()
def test_folding_normalises_the_latents_and_changes_no_picture() -> None:
    vae, images = Autoencoder(SMALL).double(), torch.randn(4, 3, 16, 24).double()
    before = vae.encode(images)
    pictures = vae.decode(before.mode)
    mean, std = before.mode.mean((0, 2, 3)), before.mode.std((0, 2, 3))
    fold_latent_statistics(vae, mean, std)
    after = vae.encode(images)
    exact = {"rtol": 0, "atol": 1e-12}
    torch.testing.assert_close(after.mode.mean((0, 2, 3)), torch.zeros(4).double(), **exact)
    torch.testing.assert_close(after.mode.std((0, 2, 3)), torch.ones(4).double(), **exact)
    torch.testing.assert_close(vae.decode(after.mode), pictures, **exact)
    # The same spread in the new unit.
    deviation = (before.logvar / 2).exp() / std[:, None, None]
    torch.testing.assert_close((after.logvar / 2).exp(), deviation, **exact)


def test_trains_in_bfloat16() -> None:
    vae, images = Autoencoder(SMALL), torch.rand(2, 3, 16, 16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        decoded = vae.decode(vae.encode(images).mode)
    decoded.float().square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in vae.parameters())
