"""The last stages on tiny networks: cached latents, the U-Net's loss, its pictures, and the folder at the end."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import calotype
from calotype.configs import PRESETS, ImageConfig, ModelConfig
from calotype.data.captions import caption
from calotype.data.scenes import World
from calotype.data.sprites import drawn_bank
from calotype.errors import CalotypeError
from calotype.nn.clip import TextEncoder
from calotype.nn.unet import UNet
from calotype.nn.vae import Autoencoder
from calotype.text.tokenizer import Tokenizer
from calotype.training import export, latents, runs, scenes, state, tokenizer, unet
from calotype.training.clip import Contrastive
from calotype.training.run import Phase, Run
from calotype.training.unet import UNetTask

PHASE = Phase(size=64, batch=4, steps=3, lr=(1e-3, 1e-3), scenes=6)


@pytest.fixture
def config() -> ModelConfig:
    return PRESETS["tiny"]


@pytest.fixture(scope="module")
def words() -> Tokenizer:
    return Tokenizer.of(*tokenizer.learn(["a cat on a blue background", "two dogs"], 700))


@pytest.fixture
def task(config: ModelConfig, words: Tokenizer, monkeypatch: pytest.MonkeyPatch) -> UNetTask:
    monkeypatch.setattr(latents, "PART", 4)
    monkeypatch.setattr(unet, "EVALUATED", 3)
    monkeypatch.setattr(unet, "SHOWN", 2)
    return UNetTask(config, words, TextEncoder(config.text[0]), Autoencoder(config.vae), drawn_bank(), [PHASE])


def test_cached_latents_are_those_of_the_scenes(config: ModelConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latents, "PART", 4)
    vae, world = Autoencoder(config.vae), World(drawn_bank(), 64)
    found = latents.cached(vae, world, 6)
    pixels = scenes.to_unit(scenes.images([world.scene(seed, "train") for seed in range(6)]))
    with torch.no_grad():
        expected = vae.encode(pixels).mode
    assert found.shape == (6, 4, 8, 8)
    assert (found - expected).norm() / expected.norm() < 0.02  # half precision


def test_the_cache_grows_and_is_not_made_twice(
    config: ModelConfig, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(latents, "PART", 2)
    vae, world = Autoencoder(config.vae), World(drawn_bank(), 64)
    first = latents.cached(vae, world, 3)
    parts = sorted((cache / "latents").glob("*/*.safetensors"))
    times = [part.stat().st_mtime_ns for part in parts]
    more = latents.cached(vae, world, 6)
    assert torch.equal(more[:3], first)
    assert [part.stat().st_mtime_ns for part in parts] == times
    assert len(list((cache / "latents").glob("*/*.safetensors"))) == 3
    latents.cached(Autoencoder(config.vae), world, 2)  # another autoencoder: another place
    assert len(list((cache / "latents").iterdir())) == 2


def context_of(task: UNetTask, text: str) -> torch.Tensor:
    with torch.no_grad():
        return task.text(task.tokenizer.encode(text)).context


def distance(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float((found - expected).norm() / expected.norm())


def test_batches_pair_latents_with_their_captions(task: UNetTask) -> None:
    batch = task.batch(Phase(size=64, batch=200, steps=1, lr=(0, 0), scenes=6), np.random.default_rng(0))
    empty = 0
    for latent, context in zip(batch["latents"], batch["context"], strict=True):
        [seed] = [seed for seed in range(6) if torch.equal(task.cache[64][seed].float(), latent)]
        own = context_of(task, caption(World(drawn_bank(), 64).spec(seed)))[0]
        if distance(context, own) > 0.02:  # half precision
            assert distance(context, context_of(task, "")[0]) <= 0.02
            empty += 1
    assert 8 <= empty <= 36  # a tenth, within three deviations


def test_a_network_that_predicts_zero_costs_the_target(task: UNetTask) -> None:
    """v = (noise - sigma x0) / sqrt(1 + sigma^2) (arXiv 2202.00512), at times that cover the schedule evenly."""
    x0 = torch.randn(8, 4, 8, 8)
    loss, _ = task.loss({"latents": x0, "context": context_of(task, "").expand(8, -1, -1)}, torch.Generator())
    rng = torch.Generator()
    t = ((torch.arange(8) + torch.rand(1, generator=rng)) / 8 * 1000).long()
    assert [int(time) // 125 for time in t] == list(range(8))
    noise = torch.randn(x0.shape, generator=rng)
    sigma = task.schedule.sigmas[t].float()[:, None, None, None]
    target = (noise - sigma * x0) / (1 + sigma**2).sqrt()
    assert loss.item() == pytest.approx(target.square().mean().item(), rel=1e-5)


def test_a_perfect_network_costs_nothing(task: UNetTask, monkeypatch: pytest.MonkeyPatch) -> None:
    x0 = torch.full((4, 4, 8, 8), 0.7)

    def oracle(inputs: torch.Tensor, t: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        sigma = task.schedule.sigma(t.double())[:, None, None, None].float()
        x = inputs * (1 + sigma**2).sqrt()
        return (x - (1 + sigma**2) * x0) / (sigma * (1 + sigma**2).sqrt())

    monkeypatch.setattr(task.module, "forward", oracle)
    loss, _ = task.loss({"latents": x0, "context": context_of(task, "").expand(4, -1, -1)}, torch.Generator())
    assert loss.item() < 1e-6


def test_the_text_encoder_is_frozen_and_the_text_counts(task: UNetTask) -> None:
    with torch.no_grad():
        for parameter in task.module.parameters():
            parameter.normal_(std=0.2)
    losses = []
    for text in ("a cat", "two dogs"):
        context = context_of(task, text).expand(2, -1, -1)
        loss, _ = task.loss({"latents": torch.ones(2, 4, 8, 8), "context": context}, torch.Generator())
        loss.backward()
        losses.append(loss.item())
    assert losses[0] != losses[1]
    assert all(parameter.grad is None for parameter in task.text.parameters())
    assert all(parameter.grad is not None for parameter in task.module.parameters())


def test_evaluation_is_repeatable_and_the_sheet_shows_scenes_over_pictures(task: UNetTask) -> None:
    figures = task.evaluate()
    assert figures == task.evaluate()
    assert figures["held_out"] == pytest.approx(np.mean([figures[f"held_out_t{t}"] for t in unet.LEVELS]))
    assert task.sheet().size == (2 * 64, 2 * 64)


def test_the_chain_from_run_files_to_pictures(
    tmp_path: Path, make_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every stage from its file; the exported folder holds the averaged weights and makes pictures."""
    monkeypatch.setattr(latents, "PART", 4)
    monkeypatch.setattr(tokenizer, "_SCENES", 300)
    config = PRESETS["tiny"]
    torch.manual_seed(1)
    state.save_product("v", Autoencoder(config.vae))
    state.save_product("c", Contrastive(config.text[0], ImageConfig()))
    earlier = '[earlier]\ntokenizer = "w"\nclip = "c"\nvae = "v"\n'
    head = 'preset = "tiny"\nstyle = "drawn"\n'
    phase = "[[phases]]\nsize = 64\nbatch = 2\nsteps = 2\nlr = [1e-3, 1e-3]\nscenes = 4\n"
    cadence = "[cadence]\nevaluate = 1000\nsheet = 1000\n"
    files = {
        "w": f'name = "w"\ntask = "tokenizer"\n{head}',
        "u": f'name = "u"\ntask = "unet"\n{head}{earlier}{cadence}{phase}',
        "e": f'name = "e"\ntask = "export"\nfolder = "{tmp_path / "model"}"\n{head}{earlier}unet = "u"\n',
    }
    for name, text in files.items():
        (tmp_path / f"{name}.toml").write_text(text)
    monkeypatch.setattr(unet, "EVALUATED", 2)
    monkeypatch.setattr(unet, "SHOWN", 1)
    assert list(runs.start(tmp_path / "w.toml")) == []
    assert [metrics.step for metrics in runs.start(tmp_path / "u.toml", device="cpu")] == [1, 2]
    assert list(runs.start(tmp_path / "e.toml")) == []
    state.save_product("v", Autoencoder(config.vae))
    with pytest.raises(CalotypeError, match="trained on another vae than 'v' holds now"):
        next(runs.start(tmp_path / "u.toml", device="cpu"))
    model = calotype.load(tmp_path / "model")
    trained = UNet(config.unet)
    state.load_product("u", trained)
    assert torch.equal(model.unet.stem.weight, trained.stem.weight.half().float())
    assert {"background", "arrow"} <= model.words
    assert model.generate("an arrow on a blue background", seed=1, steps=2).size == (64, 64)


def test_missing_stages_are_named(make_run: Callable[..., Run]) -> None:
    with pytest.raises(CalotypeError, match="'w' has no vocabulary yet"):
        unet.task(make_run(task="unet", earlier={"tokenizer": "w"}), torch.device("cpu"))
    with pytest.raises(CalotypeError, match="where its tokenizer comes from"):
        unet.task(make_run(task="unet"), torch.device("cpu"))
    with pytest.raises(CalotypeError, match="where the model goes"):
        export.export(make_run(task="export"))
    with pytest.raises(CalotypeError, match="'v' has no weights yet"):
        state.load_product("v", UNet(PRESETS["tiny"].unet))
