"""What every test shares."""

import json
from pathlib import Path

import hypothesis
import pytest
import torch
from tokenizers.pre_tokenizers import ByteLevel

from calotype.checkpoints.folder import write_folder
from calotype.checkpoints.networks import Networks
from calotype.configs import ModelConfig, ScheduleConfig, TextConfig, UNetConfig, VaeConfig
from calotype.nn.clip import TextEncoder
from calotype.nn.unet import UNet
from calotype.nn.vae import Autoencoder
from calotype.recipe import Recipe, Record

# One thread, so that workers do not fight over the cores and every sum has one order.
torch.set_num_threads(1)

# No test depends on how busy the machine is.
hypothesis.settings.register_profile("calotype", deadline=None)
hypothesis.settings.load_profile("calotype")


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Stable Diffusion of random weights that makes 64 x 64 pictures; its tokenizer knows bytes and no merges."""
    alphabet = sorted(ByteLevel.alphabet())
    tokens = [*alphabet, *(letter + "</w>" for letter in alphabet), "<|startoftext|>", "<|endoftext|>"]
    config = ModelConfig(
        "tiny",
        (TextConfig(vocab_size=len(tokens), hidden_size=32, intermediate_size=64, num_layers=2, num_heads=2),),
        VaeConfig(channels=(8, 8, 16, 16), layers_per_block=1, norm_groups=4, scaling_factor=0.7, sample_size=64),
        UNetConfig(
            channels=(16, 32), layers_per_block=1, transformer_depth=(0, 1), num_heads=(2, 2), context_dim=32,
            norm_groups=4, sample_size=8,
        ),
        ScheduleConfig(beta_end=0.024, parameterization="v_prediction", spacing="trailing"),
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        networks = Networks((TextEncoder(config.text[0]),), Autoencoder(config.vae), UNet(config.unet))
    vocabulary = json.dumps({token: number for number, token in enumerate(tokens)})
    folder = tmp_path_factory.mktemp("models") / "tiny"
    write_folder(folder, config, networks, {"vocab.json": vocabulary, "merges.txt": "#version: 0.2\n"}, torch.float32)
    (folder / "vocabulary.json").write_text(json.dumps(["a", "on", "unicorn", "purple", "background"]))
    return folder


@pytest.fixture
def record() -> Record:
    return Record(
        recipe=Recipe(
            prompt="a red cat", seed=7, cfg_scale=7, sampler="DPM++ 2M", scheduler="karras", width=128, height=96
        ),
        model="embedded",
        model_hash="6ce0161689b3853acaa03779ec93eafe75a02f4ced659bee03f50797806fa2fa",
        dtype="float32",
        device="cpu",
        threads=2,
        noise="cpu",
        versions={"calotype": "0.1.0", "torch": "2.13.0"},
        digests=("0123456789abcdef",),
    )
