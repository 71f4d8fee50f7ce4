"""Models small enough to be written and read in a moment: two of no family, and one of each family."""

import math
from dataclasses import replace

import torch

from calotype.checkpoints.networks import Networks
from calotype.configs import EMBEDDED, SDXL, ModelConfig, ScheduleConfig, TextConfig, UNetConfig, VaeConfig
from calotype.nn.clip import TextEncoder
from calotype.nn.unet import UNet
from calotype.nn.vae import Autoencoder

_TEXT = TextConfig(vocab_size=514, hidden_size=16, intermediate_size=24, num_layers=2, num_heads=2)
_VAE = VaeConfig(channels=(8, 8), layers_per_block=1, norm_groups=4, scaling_factor=0.5, sample_size=16)
_UNET = UNetConfig(channels=(8, 8), layers_per_block=1, transformer_depth=(1, 0), num_heads=(2, 2), context_dim=16,
                   norm_groups=4, sample_size=8)  # fmt: skip
TINY = ModelConfig("tiny", (_TEXT,), _VAE, _UNET, EMBEDDED.schedule)
TINY_XL = ModelConfig(
    "tiny",
    (replace(_TEXT, skip=1, final_norm=False),
     replace(_TEXT, skip=1, final_norm=False, activation="gelu", projection_dim=12)),
    _VAE,
    replace(_UNET, transformer_depth=(0, 2), mid_depth=2, num_heads=(1, 2), context_dim=32, linear_projection=True,
            added_time_dim=8, added_dim=12 + 6 * 8),
    SDXL.schedule,
)  # fmt: skip

# Every family as small as its layout allows: 32 groups of channels, heads of 64, 256 numbers for each of SDXL's sizes.
_CLIP = TextConfig(vocab_size=514, hidden_size=64, intermediate_size=48, num_layers=2, num_heads=1)
_OPENCLIP = replace(_CLIP, activation="gelu")
_XL_CLIP = replace(_CLIP, skip=1, final_norm=False)
_XL_OPENCLIP = replace(_OPENCLIP, skip=1, final_norm=False, projection_dim=32)
_SMALL_VAE = VaeConfig(channels=(32, 64), layers_per_block=1)
_XL_VAE = replace(_SMALL_VAE, scaling_factor=0.13025, sample_size=1024)
_SD1 = UNetConfig(channels=(32, 64), layers_per_block=1, transformer_depth=(1, 0), num_heads=(8, 8), context_dim=64)
_SD2 = replace(_SD1, num_heads=(1, 1), linear_projection=True)
_XL = replace(_SD2, transformer_depth=(0, 2), mid_depth=2, context_dim=128, added_time_dim=256, added_dim=32 + 6 * 256,
              sample_size=128)  # fmt: skip
_REFINER = replace(_XL, transformer_depth=(0, 1), mid_depth=1, context_dim=64, added_dim=32 + 5 * 256)
_V = ScheduleConfig(parameterization="v_prediction")
FAMILIES = {
    "sd1": ModelConfig("sd1", (_CLIP,), _SMALL_VAE, _SD1, ScheduleConfig()),
    "sd1-inpainting": ModelConfig("inpainting", (_CLIP,), _SMALL_VAE, replace(_SD1, in_channels=9), ScheduleConfig()),
    "sd1-pix2pix": ModelConfig("pix2pix", (_CLIP,), _SMALL_VAE, replace(_SD1, in_channels=8), ScheduleConfig()),
    "sd2-depth": ModelConfig("depth", (_OPENCLIP,), _SMALL_VAE, replace(_SD2, in_channels=5), ScheduleConfig()),
    "sd2-v": ModelConfig("sd2", (_OPENCLIP,), replace(_SMALL_VAE, sample_size=768), replace(_SD2, sample_size=96), _V),
    "sdxl": ModelConfig("sdxl", (_XL_CLIP, _XL_OPENCLIP), _XL_VAE, _XL, ScheduleConfig()),
    "sdxl-v": ModelConfig("xlv", (_XL_CLIP, _XL_OPENCLIP), _XL_VAE, _XL, replace(_V, zero_terminal_snr=True)),
    "refiner": ModelConfig("refiner", (_XL_OPENCLIP,), _XL_VAE, _REFINER, ScheduleConfig()),
}


def made(config: ModelConfig) -> Networks:
    """The networks of a model, every parameter random, and such that the files' half precision can hold it."""
    torch.manual_seed(0)
    networks = Networks(tuple(TextEncoder(text) for text in config.text), Autoencoder(config.vae), UNet(config.unet))
    for network in (*networks.text, networks.vae, networks.unet):
        for parameter in network.parameters():
            torch.nn.init.normal_(parameter, 0.1, 0.5 / math.sqrt(parameter[0].numel()))
            parameter.data = parameter.data.half().float()
    return networks
