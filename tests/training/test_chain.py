"""From run files to a folder of a model: every stage on tiny networks, and runs that go on from a model."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import calotype
from calotype.checkpoints.folder import write_folder
from calotype.configs import PRESETS, ImageConfig, ModelConfig
from calotype.errors import CalotypeError
from calotype.nn.unet import UNet
from calotype.nn.vae import Autoencoder
from calotype.training import export, product, tokenizer, trainer, unet
from calotype.training.clip import Contrastive
from calotype.training.run_file import Run
from training.bases import PHASE, written


@pytest.fixture(autouse=True)
def few_captions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few captions to learn the vocabulary from."""
    monkeypatch.setattr(tokenizer, "_SCENES", 300)


def test_the_chain_from_run_files_to_pictures(tmp_path: Path) -> None:
    """Every stage from its file; the exported folder holds the averaged weights and makes pictures."""
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
    tmp_path: Path, config: ModelConfig, make_run: Callable[..., Run]
) -> None:
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
    tmp_path: Path, config: ModelConfig, make_run: Callable[..., Run]
) -> None:
    """The base's U-Net may have changed, as it does when the run's own is put there, but nothing else of it."""
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
    tmp_path: Path, config: ModelConfig, make_run: Callable[..., Run]
) -> None:
    base = written(tmp_path / "base", config)
    begun = unet.task(
        make_run(task="unet", base=str(tmp_path / "base"), anew=True, phases=(PHASE,)), torch.device("cpu")
    )
    assert begun.module.head.weight.count_nonzero() == 0
    assert torch.equal(begun.model.vae.quant_conv.weight, base.vae.quant_conv.weight.half().float())


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
