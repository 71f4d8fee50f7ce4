"""Opening a model, whatever it is: a diffusers folder or a single file, recognised from its bytes."""

from pathlib import Path

from calotype.checkpoints.checkpoint import Checkpoint, mixed_up
from calotype.checkpoints.folder import read_folder
from calotype.checkpoints.single import read_single
from calotype.configs import ModelConfig, Parameterization


def open_checkpoint(
    path: Path,
    *,
    ema: bool = False,
    parameterization: Parameterization | None = None,
    zero_terminal_snr: bool | None = None,
) -> Checkpoint:
    """The model at ``path``; only headers are read.

    ``ema`` asks for the running averages in a single file. What the U-Net predicts and whether the noise levels end
    in pure noise are taken from the files unless they are given. Raises CalotypeError naming what is wrong.
    """
    path = Path(path)
    checkpoint = read_folder(path) if path.is_dir() else read_single(path, ema)
    _check_parts(checkpoint.path, checkpoint.config)
    return checkpoint.decided(parameterization, zero_terminal_snr)


def _check_parts(path: Path, config: ModelConfig) -> None:
    """Refuse a model whose parts are of several models."""
    given, read = sum(text.hidden_size for text in config.text), config.unet.context_dim
    if given != read:
        raise mixed_up(path, f"its U-Net reads text that is {read} wide, but its text encoders give {given}")
    drawn, decoded = config.unet.out_channels, config.vae.latent_channels
    if drawn != decoded:
        raise mixed_up(path, f"its U-Net draws {drawn} channels, but its autoencoder reads {decoded}")
