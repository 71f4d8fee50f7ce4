"""Opening a model, whatever it is: a diffusers folder or a single file, recognised from its bytes."""

from pathlib import Path

from calotype.checkpoints.checkpoint import Checkpoint, mixed_up
from calotype.checkpoints.folder import read_folder
from calotype.checkpoints.single import read_single
from calotype.configs import AS_STORED, ModelConfig, ReadOptions
from calotype.errors import CalotypeError


def open_checkpoint(path: Path, options: ReadOptions = AS_STORED) -> Checkpoint:
    """The model at ``path``, read with these ``options``; only headers are read.

    Raises CalotypeError naming what is wrong.
    """
    path = Path(path)
    checkpoint = read_folder(path) if path.is_dir() else read_single(path, options.ema)
    _check_parts(checkpoint.path, checkpoint.config)
    _check_divisions(checkpoint.path, checkpoint.config)
    _check_purpose(checkpoint.config)
    return checkpoint.decided(options.parameterization, options.zero_terminal_snr)


def _check_parts(path: Path, config: ModelConfig) -> None:
    """Refuse a model whose parts are of several models."""
    given, read = sum(text.hidden_size for text in config.text), config.unet.context_dim
    if given != read:
        raise mixed_up(path, f"its U-Net reads text that is {read} wide, but its text encoders give {given}")
    drawn, decoded = config.unet.out_channels, config.vae.latent_channels
    if drawn != decoded:
        raise mixed_up(path, f"its U-Net draws {drawn} channels, but its autoencoder reads {decoded}")


def _check_divisions(path: Path, config: ModelConfig) -> None:
    """Refuse networks whose channels do not part into their groups and heads."""
    unet, vae = config.unet, config.vae
    depths = (*unet.transformer_depth[:-1], unet.mid_depth)
    parted = [
        *(("text encoder", text.hidden_size, text.num_heads, "heads") for text in config.text),
        *(("autoencoder", width, vae.norm_groups, "groups") for width in vae.channels),
        *(("U-Net", width, unet.norm_groups, "groups") for width in unet.channels),
        *(
            ("U-Net", width, heads, "heads")
            for width, heads, depth in zip(unet.channels, unet.num_heads, depths, strict=True)
            if depth
        ),
    ]
    for network, width, count, parts in parted:
        if width % count:
            raise CalotypeError(
                f"{path} is damaged: the {width} channels of its {network} do not part into {count} {parts}. "
                "Fetch it again."
            )


def _check_purpose(config: ModelConfig) -> None:
    """Refuse a model that wants what nobody gives it."""
    if config.purpose == "unknown":
        channels = config.unet.in_channels
        what = "an x4 upscaler" if channels == 7 else f"a model whose U-Net reads {channels} channels"
        raise CalotypeError(f"{config.name} is {what}, which Calotype does not run.")
