"""The last stages on tiny networks: cached latents, the U-Net's loss, its pictures, and the folder at the end."""

import json
import shutil
import sysconfig
import weakref
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import calotype
from calotype.checkpoints.folder import write_folder
from calotype.checkpoints.networks import Networks
from calotype.configs import EMBEDDED, PRESETS, ImageConfig, ModelConfig
from calotype.data.banks import drawn_bank
from calotype.data.captions import caption
from calotype.data.scenes import World
from calotype.errors import CalotypeError
from calotype.imaging.pixels import to_unit
from calotype.model import Model
from calotype.nn.clip import TextEncoder
from calotype.nn.unet import UNet
from calotype.nn.vae import Autoencoder
from calotype.text.tokenizer import Tokenizer
from calotype.training import export, latents, product, scenes, tokenizer, trainer, unet
from calotype.training.checkpoint import RunCheckpoint
from calotype.training.clip import Contrastive
from calotype.training.run_file import Phase, Run, run_dir
from calotype.training.unet import UNetTask

needs_compiler = pytest.mark.skipif(
    shutil.which("g++") is None or not Path(sysconfig.get_path("include"), "Python.h").exists(),
    reason="torch.compile needs g++ and Python's headers here, which this machine has not",
)
PHASE = Phase(size=64, batch=4, steps=3, lr=(1e-3, 1e-3), scenes=6)


@pytest.fixture
def config() -> ModelConfig:
    return PRESETS["tiny"]


SAID = ["a cat on a blue background", "two dogs"]


@pytest.fixture(scope="module")
def words() -> Tokenizer:
    return Tokenizer.of(*tokenizer.learn(SAID, 700))


def written(folder: Path, config: ModelConfig) -> Networks:
    """A model of new networks, in ``folder``."""
    vocabulary, merges = tokenizer.learn(SAID, 700)
    files = {"vocab.json": json.dumps(vocabulary), "merges.txt": "\n".join(map(" ".join, merges))}
    networks = Networks((TextEncoder(config.text[0]),), Autoencoder(config.vae), UNet(config.unet))
    write_folder(folder, config, networks, files)
    return networks


@pytest.fixture
def task(config: ModelConfig, words: Tokenizer, monkeypatch: pytest.MonkeyPatch) -> UNetTask:
    monkeypatch.setattr(latents, "PART", 4)
    monkeypatch.setattr(unet, "EVALUATED", 3)
    monkeypatch.setattr(unet, "SHOWN", 2)
    monkeypatch.setattr(unet, "WHITENED", 20)
    network = UNet(config.unet)
    network.init_weights()
    model = Model(config, (words,), (TextEncoder(config.text[0]),), network, Autoencoder(config.vae))
    return UNetTask(model, drawn_bank(), [PHASE])


def test_cached_latents_are_those_of_the_scenes(config: ModelConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latents, "PART", 4)
    vae, world = Autoencoder(config.vae), World(drawn_bank(), 64)
    found = latents.cached(vae, world, 6)
    pixels = to_unit(scenes.images([world.scene(seed, "train") for seed in range(6)]))
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
    monkeypatch.setattr("calotype.data.scenes.shade", lambda name, rng: (1, 2, 3))  # and so for other pictures
    assert not torch.equal(latents.cached(vae, world, 2), first[:2])


def test_a_damaged_part_of_the_cache_is_named(
    config: ModelConfig, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(latents, "PART", 2)
    vae, world = Autoencoder(config.vae), World(drawn_bank(), 64)
    latents.cached(vae, world, 2)
    (part,) = (cache / "latents").glob("*/*.safetensors")
    part.write_bytes(part.read_bytes()[:-10])
    with pytest.raises(CalotypeError, match=r"0000\.safetensors is damaged or of another kind: remove it"):
        latents.cached(vae, world, 2)


def test_latents_are_in_the_scale_that_the_model_samples_in(
    task: UNetTask, config: ModelConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    halved = replace(config, vae=replace(config.vae, scaling_factor=0.5))
    half = UNetTask(replace(task.model, config=halved), drawn_bank(), [PHASE])
    drawn = [each.batch(PHASE, np.random.default_rng(0))["latents"] for each in (task, half)]
    assert torch.equal(drawn[1], drawn[0] / 2)
    seen = []
    monkeypatch.setattr(UNetTask, "_errors", lambda self, network, x0, *rest: seen.append(x0) or torch.zeros(len(x0)))
    task.evaluate(PHASE)
    half.evaluate(PHASE)
    assert torch.equal(seen[-1], seen[0] / 2)


def test_the_contexts_of_one_world_make_room_before_the_nexts_are_read(
    task: UNetTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = PHASE.model_copy(update={"size": 32})
    both = UNetTask(task.model, drawn_bank(), [PHASE, small])
    read, alive = both._read_world, []
    both.batch(PHASE, np.random.default_rng(0))
    assert both._said is not None
    first = weakref.ref(both._said[1])

    def watched(phase: Phase) -> torch.Tensor:
        alive.append(first() is not None)
        return read(phase)

    monkeypatch.setattr(both, "_read_world", watched)
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
    empty = 0
    for latent, context in zip(batch["latents"], batch["context"], strict=True):
        [seed] = [seed for seed in range(6) if torch.equal(task.cache[PHASE.world][seed].float(), latent)]
        own = context_of(task, caption(World(drawn_bank(), 64).spec(seed)))[0]
        if distance(context, own) > 0.02:  # half precision
            assert distance(context, context_of(task, "")[0]) <= 0.02
            empty += 1
    assert 8 <= empty <= 36  # a tenth, within three deviations


def test_padding_has_no_say_in_the_whitening(task: UNetTask) -> None:
    texts = ["a cat", "", "a unicorn to the left of a drum on a purple background"]
    lengths = [len(task.tokenizer.tokens(text)) + 2 for text in texts]
    read = [contexts[:length] for contexts, length in zip(task._read(texts), lengths, strict=True)]
    assert torch.equal(task._spoken(texts), torch.cat(read))


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


def test_the_chain_from_run_files_to_pictures(
    tmp_path: Path, make_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every stage from its file; the exported folder holds the averaged weights and makes pictures."""
    monkeypatch.setattr(latents, "PART", 4)
    monkeypatch.setattr(tokenizer, "_SCENES", 300)
    config = PRESETS["tiny"]
    torch.manual_seed(1)
    product.save("v", Autoencoder(config.vae))
    product.save("c", Contrastive(config.text[0], ImageConfig()))
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
    assert list(trainer.start(tmp_path / "w.toml")) == []
    with pytest.raises(CalotypeError, match="the device 'gpu' cannot be used here"):
        next(trainer.start(tmp_path / "u.toml", device="gpu"))
    assert [metrics.step for metrics in trainer.start(tmp_path / "u.toml", device="cpu")] == [1, 2]
    assert list(trainer.start(tmp_path / "e.toml")) == []
    product.save("v", Autoencoder(config.vae))
    with pytest.raises(CalotypeError, match="trained on another vae than 'v' holds now"):
        next(trainer.start(tmp_path / "u.toml", device="cpu"))
    model = calotype.load(tmp_path / "model")
    trained = UNet(config.unet)
    product.load("u", trained)
    assert torch.equal(model.unet.stem.weight, trained.stem.weight.half().float())
    assert {"background", "arrow"} <= model.words
    assert model.generate("an arrow on a blue background", seed=1, steps=2).size == (64, 64)


def test_a_run_goes_on_from_a_model_and_leaves_its_other_networks_alone(
    tmp_path: Path, config: ModelConfig, make_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(latents, "PART", 4)
    monkeypatch.setattr(tokenizer, "_SCENES", 300)
    networks = written(tmp_path / "base", config)
    further = make_run(name="further", task="unet", base=str(tmp_path / "base"), phases=(PHASE,))
    begun = unet.task(further, torch.device("cpu"))
    assert torch.equal(begun.module.stem.weight, networks.unet.stem.weight.half().float())
    assert len(list(trainer.follow(begun, further))) == 3
    export.export(make_run(task="export", base=further.base, earlier={"unet": "further"}, folder=tmp_path / "trained"))
    before, after = calotype.load(tmp_path / "base"), calotype.load(tmp_path / "trained")
    assert not torch.equal(before.unet.stem.weight, after.unet.stem.weight)
    assert torch.equal(before.vae.quant_conv.weight, after.vae.quant_conv.weight)
    assert torch.equal(before.conditions(["two dogs"])[0].context, after.conditions(["two dogs"])[0].context)


def test_a_run_does_not_go_on_beside_other_networks(
    tmp_path: Path, config: ModelConfig, make_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The base's U-Net may have changed, as it does when the run's own is put there, but nothing else of it."""
    monkeypatch.setattr(latents, "PART", 4)
    folder = tmp_path / "base"
    run = make_run(name="beside", task="unet", base=str(folder), phases=(PHASE,))
    networks = written(folder, config)
    next(trainer.follow(unet.task(run, torch.device("cpu")), run))
    files = {name: (folder / "tokenizer" / name).read_text(encoding="utf-8") for name in ("vocab.json", "merges.txt")}
    write_folder(folder, config, replace(networks, unet=UNet(config.unet)), files)
    assert next(trainer.follow(unet.task(run, torch.device("cpu")), run)).step == 2
    written(folder, config)
    with pytest.raises(CalotypeError, match="was trained beside another text encoder or autoencoder"):
        next(trainer.follow(unet.task(run, torch.device("cpu")), run))


def test_a_run_may_begin_anew_beside_the_networks_of_a_model(
    tmp_path: Path, config: ModelConfig, make_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(latents, "PART", 6)
    base = written(tmp_path / "base", config)
    begun = unet.task(
        make_run(task="unet", base=str(tmp_path / "base"), anew=True, phases=(PHASE,)), torch.device("cpu")
    )
    assert begun.module.head.weight.count_nonzero() == 0
    assert torch.equal(begun.model.vae.quant_conv.weight, base.vae.quant_conv.weight.half().float())


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
    tmp_path: Path, config: ModelConfig, make_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(latents, "PART", 6)
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


def test_worlds_of_other_counts_have_latents_of_their_own(
    config: ModelConfig, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(latents, "PART", 2)
    alone = PHASE.model_copy(update={"size": 128, "counts": (1.0,), "scenes": 2})
    latents.cached(Autoencoder(config.vae), World(drawn_bank(), *alone.world), 2)
    (folder,) = (cache / "latents").iterdir()
    assert folder.name.split("-", 1)[1].startswith("drawn-128-1-")


def test_a_stopped_run_goes_on_to_the_same_weights(
    tmp_path: Path, config: ModelConfig, make_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernels lie in memory channels last: so must their moments, read back."""
    monkeypatch.setattr(latents, "PART", 4)
    written(tmp_path / "base", config)

    def train(name: str, stops: Sequence[int]) -> torch.Tensor:
        run = make_run(name=name, task="unet", base=str(tmp_path / "base"), phases=(PHASE,))
        for stop in stops:
            task = unet.task(run, torch.device("cpu"))
            for _ in zip(range(stop), metrics := trainer.follow(task, run), strict=False):
                pass
            metrics.close()
        return torch.cat([weight.flatten() for weight in task.module.parameters()])

    assert torch.equal(train("whole", [3]), train("stopped", [1, 2]))


def test_a_resumed_run_reads_contexts_as_it_did_whatever_is_said_now(
    tmp_path: Path, config: ModelConfig, make_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(latents, "PART", 6)
    monkeypatch.setattr(unet, "WHITENED", 20)
    written(tmp_path / "base", config)
    run = make_run(name="said", task="unet", base=str(tmp_path / "base"), phases=(PHASE,))

    def begun() -> UNetTask:
        return unet.task(run, torch.device("cpu"))

    def step(task: UNetTask) -> UNetTask:
        steps = trainer.follow(task, run)
        next(steps)
        steps.close()  # type: ignore[attr-defined]
        return task

    before = step(begun())
    monkeypatch.setattr("calotype.data.scenes._PHRASE_WEIGHTS", {"name": 100.0})
    after = begun()
    todays = after.whitening.matrix.clone()
    assert not torch.equal(todays, before.whitening.matrix)
    step(after)
    assert torch.equal(after.whitening.matrix, before.whitening.matrix)
    assert torch.equal(after.whitening.mean, before.whitening.mean)
    assert torch.equal(after.silence, before.silence)

    path = run_dir("said") / "state.safetensors"  # as it was before checkpoints told
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    save_file({name: value for name, value in load_file(path).items() if "measured" not in name}, path, metadata)
    old = begun()
    assert RunCheckpoint(run, old.module, old.frozen, old.measured).restore() == 2
    assert torch.equal(old.whitening.matrix, todays)


def test_a_base_that_is_told_more_than_a_text_is_refused(
    tmp_path: Path, config: ModelConfig, make_run: Callable[..., Run]
) -> None:
    written(tmp_path / "base", replace(config, unet=replace(config.unet, in_channels=9)))
    with pytest.raises(CalotypeError, match="told more than a text"):
        unet.task(make_run(task="unet", base=str(tmp_path / "base")), torch.device("cpu"))


def test_missing_stages_are_named(make_run: Callable[..., Run]) -> None:
    with pytest.raises(CalotypeError, match="'w' has no vocabulary yet"):
        unet.task(make_run(task="unet", earlier={"tokenizer": "w"}), torch.device("cpu"))
    with pytest.raises(CalotypeError, match="where its tokenizer comes from"):
        unet.task(make_run(task="unet"), torch.device("cpu"))
    with pytest.raises(CalotypeError, match="where the model goes"):
        export.export(make_run(task="export"))
    with pytest.raises(CalotypeError, match="'v' has no weights yet"):
        product.load("v", UNet(PRESETS["tiny"].unet))
