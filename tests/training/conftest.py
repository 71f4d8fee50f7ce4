from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from calotype import configs
from calotype.configs import ModelConfig, ScheduleConfig, TextConfig, UNetConfig, VaeConfig
from calotype.training import latents, unet, vae
from calotype.training.run_file import Phase, Run

TINY = ModelConfig(
    "tiny",
    (TextConfig(vocab_size=700, hidden_size=32, intermediate_size=64, num_layers=2, num_heads=2),),
    VaeConfig(channels=(8, 8, 8, 8), layers_per_block=1, mid_attention=False, norm_groups=4, scaling_factor=1.0,
              sample_size=64),
    UNetConfig(channels=(16, 32), layers_per_block=1, transformer_depth=(0, 1), num_heads=(2, 2), context_dim=32,
               norm_groups=4, sample_size=8),
    ScheduleConfig(beta_end=0.024, parameterization="v_prediction", spacing="trailing"),
)  # fmt: skip


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder, the preset ``tiny``, and the same random weights for every test."""
    monkeypatch.setenv("CALOTYPE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(configs.PRESETS, "tiny", TINY)
    torch.manual_seed(0)
    return tmp_path / "cache"


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few scenes to measure, to evaluate, to show, and in a file of the latent cache."""
    monkeypatch.setattr(latents, "PART", 2)
    monkeypatch.setattr(vae, "MEASURED", 16)
    monkeypatch.setattr(unet, "WHITENED", 20)
    monkeypatch.setattr(unet, "EVALUATED", 3)
    monkeypatch.setattr(unet, "SHOWN", 2)


@pytest.fixture
def config() -> ModelConfig:
    return configs.PRESETS["tiny"]


@pytest.fixture
def make_run() -> Callable[..., Run]:
    """A run of the tiny preset on drawn sprites; six steps in two phases unless told otherwise."""

    def make(**fields: Any) -> Run:
        phases = (Phase(size=32, batch=2, steps=4, lr=(1e-3, 1e-3)), Phase(size=64, batch=1, steps=2, lr=(1e-3, 0)))
        return Run(**{"name": "t", "task": "vae", "preset": "tiny", "style": "drawn", "phases": phases} | fields)

    return make
