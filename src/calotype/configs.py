"""Every constant of the networks and their noise schedules, as frozen values. Nothing here imports torch."""

from dataclasses import dataclass, fields
from typing import Literal

PredictionType = Literal["epsilon", "v_prediction", "sample"]
Spacing = Literal["leading", "trailing", "linspace"]
Family = Literal["SD 1.x", "SD 2.x", "SDXL", "SDXL refiner"]
Purpose = Literal["", "depth2img", "InstructPix2Pix", "inpainting", "unknown"]


@dataclass(frozen=True)
class ReadOptions:
    """How to read a model's files where they are ambiguous.

    Which of two sets of weights to take, and what the user knows about the schedule that the files do not say.
    """

    ema: bool = False
    """Whether the running averages in a single file are taken."""
    parameterization: PredictionType | None = None
    zero_terminal_snr: bool | None = None

    def __str__(self) -> str:
        chosen = {
            each.name: getattr(self, each.name) for each in fields(self) if getattr(self, each.name) != each.default
        }
        return ", ".join(f"{name} {value}" for name, value in chosen.items()) or "as the files say"


AS_STORED = ReadOptions()
"""What the files say holds."""


@dataclass(frozen=True)
class TextConfig:
    """CLIP's text transformer (arXiv 2103.00020)."""

    vocab_size: int = 49408
    hidden_size: int = 768
    intermediate_size: int = 3072
    num_layers: int = 12
    num_heads: int = 12
    max_positions: int = 77
    activation: Literal["quick_gelu", "gelu"] = "quick_gelu"
    projection_dim: int | None = None
    norm_eps: float = 1e-5
    skip: int = 0
    """How many of the last layers the U-Net's context leaves out: 0 is the last layer, 1 the penultimate."""
    final_norm: bool = True
    """Whether the context passes the final layer norm (SD 1.x and 2.x) or is taken raw (SDXL)."""

    @property
    def is_openclip(self) -> bool:
        """Whether it is one of OpenCLIP's, which differ from OpenAI's in their activation."""
        return self.activation == "gelu"


@dataclass(frozen=True)
class ImageConfig:
    """The small image tower the text encoder is trained against; used in contrastive training only."""

    channels: tuple[int, ...] = (32, 64, 128, 256)
    projection_dim: int = 256


@dataclass(frozen=True)
class VaeConfig:
    """AutoencoderKL (arXiv 2112.10752)."""

    image_channels: int = 3
    latent_channels: int = 4
    channels: tuple[int, ...] = (128, 256, 512, 512)
    layers_per_block: int = 2
    mid_attention: bool = True
    norm_groups: int = 32
    norm_eps: float = 1e-6
    scaling_factor: float = 0.18215
    sample_size: int = 512

    @property
    def downscale(self) -> int:
        """Pixels per latent, along one side."""
        return 1 << (len(self.channels) - 1)


@dataclass(frozen=True)
class UNetConfig:
    """The conditional U-Net (arXiv 2112.10752; SDXL: arXiv 2307.01952). One entry per resolution, finest first."""

    in_channels: int = 4
    out_channels: int = 4
    channels: tuple[int, ...] = (320, 640, 1280, 1280)
    layers_per_block: int = 2
    transformer_depth: tuple[int, ...] = (1, 1, 1, 0)
    mid_depth: int = 1
    num_heads: tuple[int, ...] = (8, 8, 8, 8)
    context_dim: int = 768
    linear_projection: bool = False
    norm_groups: int = 32
    norm_eps: float = 1e-5
    transformer_norm_eps: float = 1e-6
    added_time_dim: int | None = None
    """Width of the sinusoidal embedding of each of SDXL's size numbers; None without added conditions."""
    added_dim: int | None = None
    """Width of pooled text and size embeddings together (SDXL base: 1280 + 6 * 256)."""
    sample_size: int = 64


@dataclass(frozen=True)
class ScheduleConfig:
    """The forward process and what the network predicts."""

    beta_schedule: Literal["scaled_linear", "linear"] = "scaled_linear"
    beta_start: float = 0.00085
    beta_end: float = 0.012
    num_steps: int = 1000
    parameterization: PredictionType = "epsilon"
    zero_terminal_snr: bool = False
    spacing: Spacing = "leading"
    steps_offset: int = 1


@dataclass(frozen=True)
class ModelConfig:
    """A whole Stable Diffusion: one or two text encoders, autoencoder, U-Net, schedule."""

    name: str
    text: tuple[TextConfig, ...]
    vae: VaeConfig
    unet: UNetConfig
    schedule: ScheduleConfig

    @property
    def side(self) -> int:
        """Pixels along one side of the pictures it was trained on: an autoencoder's own are often smaller."""
        return self.unet.sample_size * self.vae.downscale

    @property
    def family(self) -> Family:
        """Told by the networks, whatever files they came from."""
        if len(self.text) == 2:
            return "SDXL"
        if self.unet.added_dim is not None:
            return "SDXL refiner"
        return "SD 2.x" if self.unet.linear_projection else "SD 1.x"

    @property
    def purpose(self) -> Purpose:
        """What it is for besides words to pictures, told by the channels that its U-Net sees beside the noisy latent.

        They are a depth map, a picture's latent (arXiv 2211.09800), or a mask and what it leaves of a picture.
        """
        latent = self.unet.out_channels
        purposes: dict[int, Purpose] = {0: "", 1: "depth2img", latent: "InstructPix2Pix", latent + 1: "inpainting"}
        return purposes.get(self.unet.in_channels - latent, "unknown")


CLIP_L = TextConfig()
CLIP_L_PENULTIMATE = TextConfig(skip=1, final_norm=False)
OPENCLIP_H = TextConfig(hidden_size=1024, intermediate_size=4096, num_layers=23, num_heads=16, activation="gelu")
OPENCLIP_BIGG = TextConfig(
    hidden_size=1280, intermediate_size=5120, num_layers=32, num_heads=20, activation="gelu",
    projection_dim=1280, skip=1, final_norm=False,
)  # fmt: skip

SD15 = ModelConfig("sd15", (CLIP_L,), VaeConfig(), UNetConfig(), ScheduleConfig())
SD21 = ModelConfig(
    "sd21",
    (OPENCLIP_H,),
    VaeConfig(sample_size=768),
    UNetConfig(num_heads=(5, 10, 20, 20), context_dim=1024, linear_projection=True, sample_size=96),
    ScheduleConfig(parameterization="v_prediction"),
)
SDXL = ModelConfig(
    "sdxl",
    (CLIP_L_PENULTIMATE, OPENCLIP_BIGG),
    VaeConfig(scaling_factor=0.13025, sample_size=1024),
    UNetConfig(
        channels=(320, 640, 1280), transformer_depth=(0, 2, 10), mid_depth=10, num_heads=(5, 10, 20),
        context_dim=2048, linear_projection=True, added_time_dim=256, added_dim=2816, sample_size=128,
    ),
    ScheduleConfig(),
)  # fmt: skip

# The project's own model, trained from scratch by runs/embedded. Group norm with few groups: one group per channel
# would normalise a flat background's colour away. beta_end 0.024 ends at sigma 139, where a 16x16 latent's mean has
# a signal-to-noise ratio of 0.01: the background's colour cannot be read off the noise, and every sampling schedule
# stays healthy, which it does not at the infinite sigma of zero-terminal SNR (arXiv 2305.08891).
EMBEDDED = ModelConfig(
    "embedded",
    (TextConfig(vocab_size=2048, hidden_size=256, intermediate_size=1024, num_layers=4, num_heads=4),),
    VaeConfig(
        channels=(16, 32, 96, 192), layers_per_block=1, mid_attention=False, norm_groups=4,
        scaling_factor=1.0, sample_size=128,
    ),
    UNetConfig(
        channels=(64, 128, 192), layers_per_block=1, transformer_depth=(0, 1, 1), num_heads=(2, 4, 6),
        context_dim=256, norm_groups=16, sample_size=16,
    ),
    ScheduleConfig(beta_end=0.024, parameterization="v_prediction", spacing="trailing"),
)  # fmt: skip

PRESETS = {preset.name: preset for preset in (SD15, SD21, SDXL, EMBEDDED)}
