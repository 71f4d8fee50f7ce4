import math

import numpy as np
import pytest
import torch
from torch import Tensor

from calotype.data.banks import drawn_bank
from calotype.data.scenes import World
from calotype.imaging.pixels import to_unit
from calotype.training import scenes
from calotype.training.run_file import Phase
from calotype.training.vae import KL, LAPLACIAN, SOBEL, VaeTask, reconstruction_loss

PHASE = Phase(size=64, batch=1, steps=1, lr=(0, 0))


@pytest.fixture
def task() -> VaeTask:
    from calotype.configs import PRESETS

    return VaeTask(PRESETS["tiny"].vae, drawn_bank(), torch.device("cpu"), evaluated=3)


def ones(size: int = 32) -> Tensor:
    return torch.ones(1, 1, size, size)


def test_a_flat_error_costs_its_size_once() -> None:
    """The pyramid's bands and the gradients of a constant are zero, so only L1 sees it."""
    assert reconstruction_loss(torch.full((1, 3, 32, 32), 0.3), ones()).item() == pytest.approx(0.3, rel=1e-5)


def test_a_ramp_costs_its_slope() -> None:
    """Sobel / 4 of a ramp of slope s is 2 s inside and s on the two border columns; its rows are equal."""
    slope, size = 0.01, 32
    error = (slope * torch.arange(size)).expand(1, 3, size, size)
    bands = sum(band(error, level) for level in range(4))
    expected = error.mean() + SOBEL * slope * (2 * (size - 2) + 2) / size + LAPLACIAN * bands
    assert reconstruction_loss(error, ones()).item() == pytest.approx(float(expected), rel=1e-4)


def band(error: Tensor, level: int) -> float:
    """Mean of a band of the pyramid, in numpy: the mean of 2 x 2, enlarged with half-pixel centres."""
    rows = error[0, 0].numpy()
    for _ in range(level):
        rows = rows.reshape(rows.shape[0] // 2, 2, -1, 2).mean((1, 3))
    small = rows.reshape(rows.shape[0] // 2, 2, -1, 2).mean((1, 3))[0]
    centres = (np.arange(rows.shape[1]) + 0.5) / 2 - 0.5
    return float(np.abs(rows[0] - np.interp(centres, np.arange(len(small)), small)).mean())


def test_a_checkerboard_costs_the_finest_band_only() -> None:
    ys, xs = torch.meshgrid(torch.arange(32), torch.arange(32), indexing="ij")
    error = (1.0 - 2 * ((xs + ys) % 2)).expand(1, 1, 32, 32)
    inner = reconstruction_loss(error, ones()).item() - 1 - LAPLACIAN
    assert inner == pytest.approx(0, abs=0.1 * SOBEL)  # the gradients see it at the border alone


def test_the_weight_counts() -> None:
    error, weight = torch.zeros(1, 3, 32, 32), ones()
    error[..., :16] = 1.0
    weight[..., :16] = 3.0
    even = reconstruction_loss(error, ones()).item()
    assert reconstruction_loss(error, weight).item() > even
    assert reconstruction_loss(error, 4 - weight).item() < even
    assert reconstruction_loss(error, 5 * weight).item() == pytest.approx(reconstruction_loss(error, weight).item())


def test_the_loss_is_reconstruction_and_a_little_divergence(task: VaeTask) -> None:
    batch = task.batch(Phase(size=32, batch=2, steps=1, lr=(0, 0)), np.random.default_rng(0))
    loss, parts = task.loss(batch, torch.Generator().manual_seed(5))
    posterior = task.module.encode(to_unit(batch["images"]))
    noise = torch.randn(posterior.mean.shape, generator=torch.Generator().manual_seed(5))
    error = task.module.decode(posterior.sample(noise)) - to_unit(batch["images"])
    kl = 0.5 * (posterior.mean**2 + posterior.logvar.exp() - 1 - posterior.logvar).mean()
    expected = reconstruction_loss(error, 1 + 2 * batch["foreground"]) + KL * kl
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
    assert parts["psnr"].item() == pytest.approx(10 * math.log10(4 / error.square().mean().item()), rel=1e-5)


def test_scenes_are_of_the_phases_world(task: VaeTask) -> None:
    alone = Phase(size=96, batch=3, steps=1, lr=(0, 0), counts=(1.0,), grid=8)
    drawn = scenes.draw(World(drawn_bank(), 96, (1.0,), 8), np.random.default_rng(0), 3)
    assert torch.equal(task.batch(alone, np.random.default_rng(0))["images"], scenes.images(drawn))


def test_foreground_is_where_the_sprites_are(task: VaeTask) -> None:
    drawn = [World(drawn_bank(), 128).scene(seed) for seed in range(8)]
    masks = scenes.foreground([scene.spec for scene in drawn])
    for scene, mask in zip(drawn, masks, strict=True):
        differs = torch.from_numpy((scene.image != np.array(scene.spec.rgb)).any(-1))
        assert not (differs & (mask[0] == 0)).any()
        assert (differs & (mask[0] == 1)).sum() > 0.2 * mask.sum()


def test_the_product_has_latents_of_deviation_one_and_the_same_pictures(task: VaeTask) -> None:
    product = task.product()
    drawn = to_unit(scenes.images(scenes.draw(World(drawn_bank(), 64), np.random.default_rng(0), 16)))
    with torch.no_grad():
        latents = product.encode(drawn).mode
        new, old = product.decode(latents), task.module.decode(task.module.encode(drawn).mode)
    assert (new - old).norm() / old.norm() < 1e-5
    std, mean = torch.std_mean(latents, dim=(0, 2, 3))
    torch.testing.assert_close(mean, torch.zeros(4), atol=1e-4, rtol=0)
    torch.testing.assert_close(std, torch.ones(4), atol=1e-4, rtol=0)


def test_figures_of_a_perfect_autoencoder_and_of_one_that_forgets_the_things(
    task: VaeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task, "_round_trip", lambda pixels: pixels)
    assert task.evaluate(PHASE) == {
        "psnr_held_out": pytest.approx(78.1, abs=0.1),
        "psnr_boxes": pytest.approx(78.1, abs=0.1),
    }
    monkeypatch.setattr(task, "_round_trip", lambda pixels: (pixels.int() - 16).abs().byte())
    off = 20 * math.log10(255 / 16)
    assert task.evaluate(PHASE)["psnr_held_out"] == pytest.approx(off, abs=1.5)


def test_training_scenes_are_never_held_out_and_evaluations_always(task: VaeTask) -> None:
    from calotype.data.held_out import is_held_out

    world = World(drawn_bank(), 128)
    assert not any(is_held_out(scene.spec) for scene in scenes.draw(world, np.random.default_rng(1), 50))
    assert all(is_held_out(scene.spec) for scene in scenes.held_out(world, 20))
