"""Opening a model, whatever it is: a diffusers folder or a single file, recognised from its bytes."""

from pathlib import Path

from calotype.checkpoints.checkpoint import Checkpoint
from calotype.checkpoints.folder import read_folder
from calotype.checkpoints.single import read_single
from calotype.configs import Parameterization


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
    return checkpoint.decided(parameterization, zero_terminal_snr)
