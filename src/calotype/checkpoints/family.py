"""What family a model is of, and what it was made for: told by its configuration, from whatever files that came."""

from calotype.configs import ModelConfig, TextConfig
from calotype.errors import CalotypeError

_PURPOSES = {4: "", 5: "depth2img", 8: "InstructPix2Pix", 9: "inpainting"}
"""By the channels that the U-Net reads."""


def family(config: ModelConfig) -> str:
    """The family's name: SD 1.x, SD 2.x, SDXL or SDXL refiner."""
    if config.unet.added_dim is not None:
        return "SDXL" if len(config.text) == 2 else "SDXL refiner"
    return "SD 2.x" if config.unet.linear_projection else "SD 1.x"


def purpose(config: ModelConfig) -> str:
    """What a model is for besides words to pictures, from what its U-Net reads. Raises CalotypeError if unknown."""
    channels = config.unet.in_channels
    if config.vae.latent_channels == channels:
        return ""
    if channels not in _PURPOSES:
        what = "an x4 upscaler" if channels == 7 else f"a model whose U-Net reads {channels} channels"
        raise CalotypeError(f"{config.name} is {what}, which Calotype does not run.")
    return _PURPOSES[channels]


def encoder_folders(config: ModelConfig) -> tuple[str, ...]:
    """The folders of a model's text encoders in diffusers' layout: SDXL's refiner has the second one only."""
    both = ("text_encoder", "text_encoder_2")
    return both[1:] if family(config) == "SDXL refiner" else both[: len(config.text)]


def is_openclip(config: TextConfig) -> bool:
    """Whether a text encoder is one of OpenCLIP's, which differ from OpenAI's in their activation."""
    return config.activation == "gelu"
