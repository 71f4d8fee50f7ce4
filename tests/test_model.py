import json
from pathlib import Path
from typing import Any

import pytest
import torch

from calotype.api import load
from calotype.checkpoints.folder import write_folder
from calotype.checkpoints.networks import Networks
from calotype.configs import ModelConfig, ScheduleConfig, TextConfig, UNetConfig, VaeConfig
from calotype.model import Model
from calotype.nn.clip import TextEncoder
from calotype.nn.unet import Added, UNet
from calotype.nn.vae import Autoencoder


@pytest.fixture(scope="module")
def model(tiny_folder: Path) -> Model:
    return Model.read(tiny_folder)


@torch.inference_mode()
def test_predict_asks_the_network_once_in_its_own_coordinates(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[torch.Tensor, ...]] = []

    def velocity(x: torch.Tensor, t: torch.Tensor, context: torch.Tensor, added: object) -> torch.Tensor:
        asked.append((x, t, context))
        return torch.stack([torch.zeros_like(x[0]), torch.ones_like(x[0])])

    monkeypatch.setattr(model.unet, "forward", velocity)
    conditions = model.conditions(["a", "b"])
    x, sigma = torch.randn(1, 4, 8, 8) * 3, model.schedule.sigmas[600].item()
    first, second = model.predict(x, sigma, conditions)
    ((inputs, t, context),) = asked
    assert torch.allclose(inputs, (x / (1 + sigma**2) ** 0.5).expand(2, -1, -1, -1), atol=1e-6)
    assert torch.allclose(t, torch.tensor([600.0, 600.0]), atol=1e-4)
    assert context.equal(torch.cat([each.context for each in conditions]))
    # x0 = x / (1 + sigma^2) - v sigma / sqrt(1 + sigma^2), arXiv 2202.00512, appendix D
    assert torch.allclose(first, x / (1 + sigma**2), atol=1e-6)
    assert torch.allclose(second, x / (1 + sigma**2) - sigma / (1 + sigma**2) ** 0.5, atol=1e-6)


@torch.inference_mode()
def test_the_condition_of_a_batch_is_the_condition_alone(model: Model) -> None:
    conditions = model.conditions(["a unicorn", ""])
    x = torch.randn(1, 4, 8, 8)
    for together, condition in zip(model.predict(x, 1.0, conditions), conditions, strict=True):
        assert torch.allclose(together, model.predict(x, 1.0, [condition])[0], atol=1e-5)


@torch.inference_mode()
def test_latents_are_in_the_unets_scale(model: Model) -> None:
    images = torch.rand(1, 3, 64, 64) * 2 - 1
    latents = model.encode(images)
    assert torch.allclose(latents, model.vae.encode(images).mean * 0.7)
    before = latents.clone()
    assert torch.allclose(model.decode(latents), model.vae.decode(latents / 0.7))
    assert latents.equal(before)


def test_the_words_and_the_hash_come_from_the_folder(model: Model, tiny_folder: Path) -> None:
    assert model.words == {"a", "on", "unicorn", "purple", "background"}
    assert (model.config.name, len(model.hash)) == ("tiny", 64)


def test_a_model_of_two_text_encoders_knows_its_size(tmp_path: Path, tiny_folder: Path) -> None:
    """SDXL's form (arXiv 2307.01952): two contexts side by side, pooled text and sizes in the time embedding."""
    vocab = (tiny_folder / "tokenizer" / "vocab.json").read_text()
    size = len(json.loads(vocab))
    shape: dict[str, Any] = {"vocab_size": size, "intermediate_size": 32, "num_layers": 2, "num_heads": 2}
    shape |= {"skip": 1, "final_norm": False}
    config = ModelConfig(
        "xl",
        (TextConfig(hidden_size=16, **shape), TextConfig(hidden_size=32, projection_dim=24, **shape)),
        VaeConfig(channels=(8, 8, 16, 16), layers_per_block=1, norm_groups=4, sample_size=64),
        UNetConfig(
            channels=(16, 32), layers_per_block=1, transformer_depth=(0, 1), mid_depth=1, num_heads=(2, 2),
            context_dim=48, linear_projection=True, norm_groups=4, added_time_dim=8, added_dim=24 + 48, sample_size=8,
        ),
        ScheduleConfig(),
    )  # fmt: skip
    networks = Networks(tuple(TextEncoder(text) for text in config.text), Autoencoder(config.vae), UNet(config.unet))
    write_folder(tmp_path / "xl", config, networks, {"vocab.json": vocab, "merges.txt": ""}, torch.float32)
    studio = load(tmp_path / "xl")
    seen: list[Added] = []
    studio.unet.register_forward_pre_hook(lambda _, args: seen.append(args[3]))
    assert studio.generate("a", steps=1, width=72, height=64).size == (72, 64)
    assert seen[0].pooled.shape == (2, 24)
    assert seen[0].micro_conditions.tolist() == [[64, 72, 0, 0, 64, 72]] * 2
