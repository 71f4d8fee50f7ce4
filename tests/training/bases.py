"""Models to go on from."""

import json
from pathlib import Path

from calotype.checkpoints.folder import write_folder
from calotype.checkpoints.networks import Networks
from calotype.configs import ModelConfig
from calotype.nn.clip import TextEncoder
from calotype.nn.unet import UNet
from calotype.nn.vae import Autoencoder
from calotype.training import tokenizer
from calotype.training.run_file import Phase

PHASE = Phase(size=64, batch=4, steps=3, lr=(1e-3, 1e-3), scenes=6)
SAID = ["a cat on a blue background", "two dogs"]


def written(folder: Path, config: ModelConfig) -> Networks:
    """A model of new networks, in ``folder``."""
    vocabulary, merges = tokenizer.learn(SAID, 700)
    files = {"vocab.json": json.dumps(vocabulary), "merges.txt": "\n".join(map(" ".join, merges))}
    networks = Networks((TextEncoder(config.text[0]),), Autoencoder(config.vae), UNet(config.unet))
    write_folder(folder, config, networks, files)
    return networks
