"""Our networks against diffusers' and transformers' at equal weights, in float32, every parameter random."""

import inspect
from dataclasses import replace

import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from calotype.checkpoints.keys import Names, canonical, text_names, to_theirs, unet_names, vae_names
from calotype.checkpoints.settings import text_encoders, write_model
from calotype.configs import EMBEDDED, SD15, SD21, SDXL, ModelConfig, TextConfig, UNetConfig, VaeConfig
from calotype.nn.blocks import Downsample
from calotype.nn.clip import TextEncoder
from calotype.nn.unet import UNet
from calotype.nn.vae import Autoencoder
from parity.pairs import (
    REFINER,
    TOLERANCE,
    distance,
    made,
    text_distances,
    text_pair,
    unet_input,
    unet_pair,
    vae_distances,
    vae_pair,
)

_SMALL = {"channels": (16, 32, 32), "transformer_depth": (1, 1, 0), "norm_groups": 8, "context_dim": 24}
UNETS = {
    "sd15": UNetConfig(**_SMALL, num_heads=(4, 4, 4)),
    "sd21": UNetConfig(**_SMALL, num_heads=(2, 4, 4), linear_projection=True),
    "sdxl": UNetConfig(
        **_SMALL | {"transformer_depth": (0, 1, 2)}, mid_depth=2, num_heads=(1, 2, 4), linear_projection=True,
        layers_per_block=1, added_time_dim=8, added_dim=20 + 6 * 8,
    ),
    "inpainting": UNetConfig(**_SMALL, num_heads=(4, 4, 4), layers_per_block=1, in_channels=9),
    "embedded": EMBEDDED.unet,
}  # fmt: skip
VAES = {
    "sd": VaeConfig(channels=(8, 16, 16, 16), norm_groups=4),
    "embedded": EMBEDDED.vae,
}
_TEXT = TextConfig(vocab_size=99, hidden_size=32, intermediate_size=48, num_layers=4, num_heads=4)
TEXTS = {
    "sd15": _TEXT,
    "sd21": replace(_TEXT, activation="gelu", num_layers=3),
    "sdxl, first": replace(_TEXT, skip=1, final_norm=False),
    "sdxl, second": replace(_TEXT, activation="gelu", skip=1, final_norm=False, projection_dim=20),
    "embedded": EMBEDDED.text[0],
}


@pytest.mark.parametrize("name", UNETS)
@pytest.mark.parametrize("size", [(8, 8), (9, 15)])
@torch.no_grad()
def test_unet(name: str, size: tuple[int, int]) -> None:
    ours, theirs = unet_pair(UNETS[name])
    arguments = unet_input(UNETS[name], *size)
    assert distance(ours(*arguments), theirs(*arguments)) <= TOLERANCE


@pytest.mark.parametrize("name", VAES)
@torch.no_grad()
def test_vae(name: str) -> None:
    assert max(vae_distances(*vae_pair(VAES[name]))) <= TOLERANCE


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("legacy", [False, True])
@torch.no_grad()
def test_text(name: str, legacy: bool) -> None:
    """``legacy``: the published files of SD 1.x claim that end-of-text is 2, and transformers knows that they err."""
    config = TEXTS[name]
    ours, theirs = text_pair(config, **({"eos_token_id": 2} if legacy else {}))
    end = config.vocab_size - 1
    tokens = torch.randint(3, end, (3, 77))
    tokens[0, 5:], tokens[1, 40], tokens[1, 41:], tokens[2, -1] = end, end, 0, end
    # transformers' masks must not depend on gradients being off.
    assert max(text_distances(ours, theirs, tokens)) <= TOLERANCE
    assert torch.equal(ours(tokens).context, ours(tokens, config.skip).context)


@torch.no_grad()
def test_gradients_on_or_off_is_the_same_network() -> None:
    """On a CPU, attention takes another way where gradients are wanted."""
    ours, theirs = unet_pair(UNETS["sd21"])
    arguments = unet_input(UNETS["sd21"])
    with torch.enable_grad():
        trained = ours(*arguments)
    assert trained.requires_grad
    assert distance(trained, theirs(*arguments)) <= TOLERANCE


# Errors that implementations of Stable Diffusion were found to have, unnoticed. Each is put in, and must be seen.


@pytest.mark.parametrize("name", UNETS)
@pytest.mark.parametrize("error", [{"transformer_norm_eps": 1e-5}, {"norm_eps": 1e-6}])
@torch.no_grad()
def test_a_wrong_epsilon_in_the_unet_shows(name: str, error: dict[str, float]) -> None:
    _, theirs = unet_pair(UNETS[name])
    wrong = made(UNet, replace(UNETS[name], **error))
    arguments = unet_input(UNETS[name])
    assert distance(wrong(*arguments), theirs(*arguments)) > TOLERANCE


@pytest.mark.parametrize("name", VAES)
@torch.no_grad()
def test_a_wrong_epsilon_in_the_vae_shows(name: str) -> None:
    _, theirs = vae_pair(VAES[name])
    wrong = made(Autoencoder, replace(VAES[name], norm_eps=1e-5))
    assert min(vae_distances(wrong, theirs)) > TOLERANCE


@pytest.mark.parametrize("name", VAES)
@torch.no_grad()
def test_symmetric_padding_in_the_encoder_shows(name: str) -> None:
    ours, theirs = vae_pair(VAES[name])
    for module in ours.modules():
        if isinstance(module, Downsample):
            module.padding = (1, 1, 1, 1)
    encoded, decoded = vae_distances(ours, theirs)
    assert encoded > TOLERANCE
    assert decoded <= TOLERANCE


@torch.no_grad()
def test_a_scaling_factor_in_the_autoencoder_shows() -> None:
    ours, theirs = vae_pair(VAES["sd"])
    latents = 0.1 * torch.randn(1, 4, 8, 8)
    assert distance(ours.decode(latents / VAES["sd"].scaling_factor), theirs.decode(latents).sample) > TOLERANCE


def test_scaling_factors_are_those_published() -> None:
    """No network applies them, so none could tell a slip of the pen: 0.18125 was found in another's code."""
    published = inspect.signature(AutoencoderKL.__init__).parameters["scaling_factor"].default
    assert SD15.vae.scaling_factor == SD21.vae.scaling_factor == published == 0.18215
    assert SDXL.vae.scaling_factor == REFINER.vae.scaling_factor == 0.13025


# The published sizes, which no test could compute: names and shapes.


@pytest.mark.parametrize("model", [SD15, SD21, SDXL, REFINER, EMBEDDED], ids=lambda model: model.name)
def test_whole_presets_have_their_names_and_shapes(model: ModelConfig) -> None:
    files = write_model(model)
    with torch.device("meta"):
        pairs: list[tuple[nn.Module, nn.Module, Names]] = [
            (UNet(model.unet), UNet2DConditionModel.from_config(files["unet"]), unet_names(model.unet)),
            (Autoencoder(model.vae), AutoencoderKL.from_config(files["vae"]), vae_names(model.vae)),
        ]
        for config, part in zip(model.text, text_encoders(files["index"]), strict=True):
            kind = CLIPTextModel if config.projection_dim is None else CLIPTextModelWithProjection
            pairs.append((TextEncoder(config), kind(CLIPTextConfig(**files[part])), text_names(config)))
    for ours, theirs, names in pairs:
        spelled = canonical(theirs.state_dict())
        shapes = {to_theirs(key, names): tensor.shape for key, tensor in ours.state_dict().items()}
        assert shapes == {spelled[key]: tensor.shape for key, tensor in theirs.state_dict().items() if key in spelled}


@pytest.mark.parametrize(
    ("model", "parameters"),
    [
        (SD15, [859_520_964, 83_653_863, 123_060_480]),
        (SDXL, [2_567_463_684, 83_653_863, 123_060_480, 694_659_840]),
        (REFINER, [2_259_526_660, 83_653_863, 694_659_840]),
    ],
    ids=["sd15", "sdxl", "refiner"],
)
def test_published_parameter_counts(model: ModelConfig, parameters: list[int]) -> None:
    with torch.device("meta"):
        networks = [UNet(model.unet), Autoencoder(model.vae), *(TextEncoder(config) for config in model.text)]
    assert [sum(p.numel() for p in network.parameters()) for network in networks] == parameters
