"""The U-Net's task on tiny networks: its batches, its loss, its pictures, and what compiling it needs."""

import shutil
import sysconfig
import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from calotype.configs import EMBEDDED, ModelConfig
from calotype.data.banks import drawn_bank
from calotype.data.captions import caption
from calotype.data.scenes import World
from calotype.errors import CalotypeError
from calotype.model import Model
from calotype.nn.clip import TextEncoder
from calotype.nn.unet import UNet
from calotype.nn.vae import Autoencoder
from calotype.text.tokenizer import Tokenizer
from calotype.training import latents, tokenizer, trainer, unet
from calotype.training.run_file import Phase, Run
from calotype.training.unet import UNetTask
from calotype.training.whitening import Whitening
from training.bases import PHASE, SAID, written

needs_compiler = pytest.mark.skipif(
    shutil.which("g++") is None or not Path(sysconfig.get_path("include"), "Python.h").exists(),
    reason="torch.compile needs g++ and Python's headers here, which this machine has not",
)


@pytest.fixture(scope="module")
def words() -> Tokenizer:
    return Tokenizer.of(*tokenizer.learn(SAID, 700))


@pytest.fixture
def task(config: ModelConfig, words: Tokenizer) -> UNetTask:
    network = UNet(config.unet)
    network.init_weights()
    model = Model(config, (words,), (TextEncoder(config.text[0]),), network, Autoencoder(config.vae))
    return UNetTask(model, drawn_bank(), [PHASE])


def test_latents_are_in_the_scale_that_the_model_samples_in(
    task: UNetTask, config: ModelConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    halved = replace(config, vae=replace(config.vae, scaling_factor=0.5))
    half = UNetTask(replace(task.model, config=halved), drawn_bank(), [PHASE])
    drawn = [each.batch(PHASE, np.random.default_rng(0))["latents"] for each in (task, half)]
    assert torch.equal(drawn[1], drawn[0] / 2)
    monkeypatch.setattr(torch, "randn", lambda *shape, **_: torch.zeros(*shape))  # the inputs are the latents, scaled
    seen: dict[UNetTask, list[torch.Tensor]] = {task: [], half: []}
    for each, inputs in seen.items():
        hook = each.module.register_forward_pre_hook(lambda _, args, inputs=inputs: inputs.append(args[0]))
        each.evaluate(PHASE)
        hook.remove()
    assert len(seen[task]) == len(unet.EVALUATED_TIMES)
    assert all(torch.equal(own, other / 2) for own, other in zip(seen[half], seen[task], strict=True))


def test_the_contexts_of_one_world_make_room_before_the_nexts_are_read(task: UNetTask) -> None:
    small = PHASE.model_copy(update={"size": 32})
    both = UNetTask(task.model, drawn_bank(), [PHASE, small])
    both.batch(PHASE, np.random.default_rng(0))
    first, alive = weakref.ref(both.contexts(PHASE)), []
    assert first() is not None
    both.text.register_forward_pre_hook(lambda *_: alive.append(first() is not None))
    for phase in (PHASE, small, small):
        both.batch(phase, np.random.default_rng(0))
    assert alive == [False]


def context_of(task: UNetTask, text: str) -> torch.Tensor:
    with torch.no_grad():
        return task.whitening(task.text(task.tokenizer.encode(text)).context)


def distance(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float((found - expected).norm() / expected.norm())


def test_batches_pair_latents_with_their_captions(task: UNetTask) -> None:
    batch = task.batch(Phase(size=64, batch=200, steps=1, lr=(0, 0), scenes=6), np.random.default_rng(0))
    silence, empty = context_of(task, "")[0], 0
    own = [context_of(task, caption(World(drawn_bank(), 64).spec(seed)))[0] for seed in range(6)]
    for latent, context in zip(batch["latents"], batch["context"], strict=True):
        [seed] = [seed for seed in range(6) if torch.equal(task.cache[PHASE.world][seed].float(), latent)]
        if distance(context, own[seed]) > 0.02:  # half precision
            assert distance(context, silence) <= 0.02
            empty += 1
    assert 8 <= empty <= 36  # a tenth, within three deviations


def test_padding_has_no_say_in_the_whitening(task: UNetTask, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ["a cat", "", "a unicorn to the left of a drum on a purple background"]
    lengths = [len(task.tokenizer.tokens(text)) + 2 for text in texts]
    said, read, measured, fit = iter(texts), [], [], Whitening.of
    monkeypatch.setattr(unet, "WHITENED", len(texts))
    monkeypatch.setattr(unet, "caption", lambda spec: next(said))
    monkeypatch.setattr(Whitening, "of", lambda contexts: measured.append(contexts) or fit(contexts))
    task.text.register_forward_hook(lambda _, args, output: read.extend(output.context.float()))
    UNetTask(task.model, drawn_bank(), [PHASE])
    spoken = [contexts[:length] for contexts, length in zip(read, lengths, strict=True)]
    assert torch.equal(*measured, torch.cat(spoken))


def test_times_cover_the_schedule_evenly_or_crowd_where_things_take_shape(task: UNetTask) -> None:
    even = task.batch(PHASE.model_copy(update={"batch": 8}), np.random.default_rng(0))["time"]
    assert [int(time * 8) for time in even] == list(range(8))
    bell = PHASE.model_copy(update={"batch": 4000, "median_time": 0.6})
    logits = torch.logit(task.batch(bell, np.random.default_rng(0))["time"])
    assert logits.mean().item() == pytest.approx(np.log(0.6 / 0.4), abs=0.01)
    assert logits.std().item() == pytest.approx(1, abs=0.01)


def test_a_network_that_predicts_zero_costs_the_target(task: UNetTask) -> None:
    """v = (noise - sigma x0) / sqrt(1 + sigma^2) (arXiv 2202.00512)."""
    x0, time = torch.randn(8, 4, 8, 8), torch.linspace(0, 0.999, 8)
    context = context_of(task, "").expand(8, -1, -1)
    loss, _ = task.loss({"latents": x0, "context": context, "time": time}, torch.Generator())
    noise = torch.randn(x0.shape, generator=torch.Generator())
    sigma = task.model.schedule.sigmas[(time * 1000).long()].float()[:, None, None, None]
    target = (noise - sigma * x0) / (1 + sigma**2).sqrt()
    assert loss.item() == pytest.approx(target.square().mean().item(), rel=1e-5)


def test_a_perfect_network_costs_nothing(task: UNetTask, monkeypatch: pytest.MonkeyPatch) -> None:
    x0 = torch.full((4, 4, 8, 8), 0.7)

    def oracle(inputs: torch.Tensor, t: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        sigma = task.model.schedule.sigma(t.double())[:, None, None, None].float()
        x = inputs * (1 + sigma**2).sqrt()
        return (x - (1 + sigma**2) * x0) / (sigma * (1 + sigma**2).sqrt())

    monkeypatch.setattr(task.module, "forward", oracle)
    batch = {"latents": x0, "context": context_of(task, "").expand(4, -1, -1), "time": torch.linspace(0, 1, 4)}
    assert task.loss(batch, torch.Generator())[0].item() < 1e-6


def test_the_text_encoder_is_frozen_and_the_text_counts(task: UNetTask) -> None:
    with torch.no_grad():
        for parameter in task.module.parameters():
            parameter.normal_(std=0.2)
    losses = []
    for text in ("a cat", "two dogs"):
        batch = {"latents": torch.ones(2, 4, 8, 8), "context": context_of(task, text).expand(2, -1, -1)}
        loss, _ = task.loss(batch | {"time": torch.tensor([0.2, 0.8])}, torch.Generator())
        loss.backward()
        losses.append(loss.item())
    assert losses[0] != losses[1]
    assert all(parameter.grad is None for parameter in task.text.parameters())
    assert all(parameter.grad is not None for parameter in task.module.parameters())


def test_evaluation_is_repeatable_and_the_sheet_shows_scenes_over_pictures(task: UNetTask) -> None:
    figures = task.evaluate(PHASE)
    assert figures == task.evaluate(PHASE)
    assert figures["held_out"] == pytest.approx(np.mean([figures[f"held_out_t{t}"] for t in unet.EVALUATED_TIMES]))
    assert task.sheet(PHASE).size == (2 * 64, 2 * 64)


@pytest.mark.parametrize("lacking", ["compiler", "headers"])
def test_what_compiling_needs_is_looked_for_before_anything_is_encoded(
    lacking: str, task: UNetTask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "Python.h").touch()
    monkeypatch.setattr(shutil, "which", lambda name: None if lacking == "compiler" else name)
    include = tmp_path / "none" if lacking == "headers" else tmp_path
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(include))
    monkeypatch.setattr(latents, "cached", None)
    with pytest.raises(CalotypeError, match="python3-dev, or begin a new one with compiled = false"):
        UNetTask(task.model, drawn_bank(), (PHASE,), compiled=True)


@pytest.mark.slow
@needs_compiler
def test_a_compiled_run_passes_from_one_size_to_the_next(
    tmp_path: Path, config: ModelConfig, make_run: Callable[..., Run]
) -> None:
    written(tmp_path / "base", config)
    phases = tuple(PHASE.model_copy(update={"size": size, "steps": 1}) for size in (64, 128, 64))
    run = make_run(task="unet", base=str(tmp_path / "base"), phases=phases, compiled=True)
    plain = run.model_copy(update={"name": "plain", "compiled": False})
    compiled, eager = (
        [metrics.loss for metrics in trainer.follow(unet.task(each, torch.device("cpu")), each)]
        for each in (run, plain)
    )
    assert compiled == pytest.approx(eager, rel=0.02)


@pytest.mark.slow
@needs_compiler
def test_a_compiled_step_teaches_every_parameter_what_an_eager_one_does() -> None:
    """torch.compile once left all behind the last Upsample without a gradient, and no loss told."""
    torch.manual_seed(0)
    x, target, context = torch.randn(2, 4, 8, 8), torch.randn(2, 4, 8, 8), torch.randn(2, 5, 16)
    narrow = replace(EMBEDDED.unet, channels=(16, 16, 16), num_heads=(2, 2, 2), context_dim=16, norm_groups=4)
    network = UNet(replace(narrow, transformer_depth=(0, 0, 0)))

    def gradients(forward: Callable[..., torch.Tensor]) -> dict[str, torch.Tensor]:
        network.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            output = forward(x, torch.tensor([300.0, 700.0]), context)
        F.mse_loss(output.float(), target).backward()
        return {name: parameter.grad.clone() for name, parameter in network.named_parameters()}

    eager, compiled = gradients(network), gradients(torch.compile(network, dynamic=False))
    far = {name for name in eager if (compiled[name] - eager[name]).norm() > 0.1 * eager[name].norm()}
    assert not far
