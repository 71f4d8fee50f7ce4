"""In bands, an autoencoder says what it says at once, whatever the size and however the bands fall."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from calotype.configs import EMBEDDED, VaeConfig
from calotype.nn import bands, vae
from calotype.nn.vae import Autoencoder

CONFIGS = {"sd": VaeConfig(channels=(8, 16, 16, 16), norm_groups=4), "embedded": EMBEDDED.vae}
SIZES = ((1, 1), (3, 7), (5, 2))


@pytest.fixture(params=CONFIGS)
def network(request: pytest.FixtureRequest) -> Autoencoder:
    autoencoder = Autoencoder(CONFIGS[request.param])
    for parameter in autoencoder.parameters():
        nn.init.normal_(parameter, std=parameter[0].numel() ** -0.5 if parameter.dim() > 1 else 0.5)
    return autoencoder


def _both_ways(network: Autoencoder, height: int, width: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(height * 100 + width)
    scale = network.config.downscale
    images = torch.rand(2, 3, height * scale, width * scale, generator=generator) * 2 - 1
    latents = torch.randn(2, 4, height, width, generator=generator)
    return network.encode(images).mode, network.decode(latents)


@pytest.mark.parametrize("rows", [3, 9])
@torch.no_grad()
def test_every_size_agrees_with_the_whole(network: Autoencoder, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bands, "BAND", rows)
    for height, width in SIZES:
        monkeypatch.setattr(vae, "WHOLE", 2**40)
        whole = _both_ways(network, height, width)
        monkeypatch.setattr(vae, "WHOLE", 0)
        for mine, theirs in zip(_both_ways(network, height, width), whole, strict=True):
            # A level of 255 is 2/255 of [-1, 1]; the bands are some hundred times nearer than that.
            torch.testing.assert_close(mine, theirs, rtol=0, atol=2e-5 * float(theirs.abs().max()))


@torch.no_grad()
def test_without_the_rows_around_a_band_it_would_not(network: Autoencoder, monkeypatch: pytest.MonkeyPatch) -> None:
    """And with each band's own statistics neither: what tiles do is far from the whole."""
    latents = torch.randn(1, 4, 9, 7)
    apart = torch.cat([network.decode(latents[:, :, :4]), network.decode(latents[:, :, 4:])], dim=2)
    assert (apart - network.decode(latents)).abs().max() > 2 / 255


@torch.no_grad()
def test_bands_begin_where_the_whole_would_need_too_much(network: Autoencoder, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[int, ...]] = []
    monkeypatch.setattr(vae, "in_bands", lambda part, x: calls.append(tuple(x.shape)) or part(x))
    monkeypatch.setattr(vae, "WHOLE", 4 * max(network.config.channels[:2]) * 64 * 64 * 4)
    network.decode(torch.zeros(1, 4, 8, 8))
    network.encode(torch.zeros(1, 3, 64, 64))
    network.double().decode(torch.zeros(1, 4, 8, 4).double())
    assert calls == []
    network.float().decode(torch.zeros(1, 4, 8, 9))
    network.encode(torch.zeros(1, 3, 72, 64))
    assert calls == [(1, 4, 8, 9), (1, 3, 72, 64)]
    with torch.enable_grad():
        assert network.decode(torch.zeros(1, 4, 9, 9)).requires_grad


class Largest(TorchDispatchMode):
    """Watches how many numbers the largest tensor has that comes into being."""

    numbers = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if isinstance(result, Tensor):
            self.numbers = max(self.numbers, result.untyped_storage().nbytes() // result.element_size())
        return result


@torch.no_grad()
def test_one_map_of_the_finest_level_is_the_largest(network: Autoencoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bands, "BAND", 4)
    finest, second = network.config.channels[:2]
    latents, pixels = torch.randn(1, 4, 12, 10), 96 * 80
    for limit, largest in ((2**40, second * pixels), (0, finest * pixels)):
        monkeypatch.setattr(vae, "WHOLE", limit)
        with Largest() as watched:
            network.decode(latents)
        assert watched.numbers == largest


@torch.no_grad()
def test_bands_do_not_change_what_they_are_given(network: Autoencoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vae, "WHOLE", 0)
    latents = torch.randn(1, 4, 5, 5)
    before = latents.clone()
    first = network.decode(latents)
    assert torch.equal(latents, before)
    assert torch.equal(network.decode(latents), first)
