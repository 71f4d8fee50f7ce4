"""The last stage: the products of all runs, put together as a folder that any Stable Diffusion program opens."""

import json
from pathlib import Path

from calotype.checkpoints.folder import write_folder
from calotype.checkpoints.networks import Networks
from calotype.configs import ImageConfig
from calotype.errors import CalotypeError
from calotype.files import written_whole
from calotype.model import WORDS
from calotype.nn.unet import UNet
from calotype.nn.vae import Autoencoder
from calotype.text.words import words
from calotype.training import scenes, state, tokenizer
from calotype.training.clip import Contrastive
from calotype.training.run import Run


def export(run: Run) -> Path:
    """Write the model, in float16, to the folder that the run file names, and the words of its world beside it."""
    if run.folder is None:
        raise CalotypeError(f"run {run.name!r} does not say where the model goes: give it a folder.")
    config = run.config
    towers, vae, unet = Contrastive(config.text[0], ImageConfig()), Autoencoder(config.vae), UNet(config.unet)
    state.load_product(run.needs("clip"), towers)
    state.load_product(run.needs("vae"), vae)
    state.load_product(run.needs("unet"), unet)
    source = state.folder(run.needs("tokenizer"))
    files = {name: (source / name).read_text(encoding="utf-8") for name in ("vocab.json", "merges.txt")}
    write_folder(run.folder, config, Networks((towers.text,), vae, unet), files)
    known = sorted({word for caption in tokenizer.captions(scenes.bank(run.style)) for word in words(caption)})
    with written_whole(run.folder / WORDS) as path:
        path.write_text(json.dumps(known) + "\n", encoding="utf-8")
    return run.folder
