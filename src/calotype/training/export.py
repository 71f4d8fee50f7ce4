"""The last stage: the products of all runs, put together as a folder that any Stable Diffusion program opens."""

import json
from pathlib import Path

import torch

from calotype.checkpoints.folder import write_folder
from calotype.checkpoints.networks import Networks
from calotype.checkpoints.opening import open_checkpoint
from calotype.checkpoints.vocabulary import tokenizer_files
from calotype.errors import CalotypeError
from calotype.model import WORDS, Model
from calotype.text.tokenizer import read_vocabulary, vocabulary_texts
from calotype.text.words import words
from calotype.training import product, scenes, tokenizer
from calotype.training.run_file import Run, run_dir
from calotype.training.unet import beginning


def export(run: Run) -> Path:
    """Write the model, in float16, to the folder that the run file names, with what its base's publisher chose.

    The words of the run's world are beside it, unless its base is of no such world: one that lists none.
    """
    if run.folder is None:
        raise CalotypeError(f"run {run.name!r} does not say where the model goes: give it a folder.")
    model = beginning(run, torch.device("cpu"))
    product.load(run.needs("unet"), model.unet)
    networks = Networks(model.text_encoders, model.vae, model.unet)
    beside = {WORDS: _known(run)} if model.words or run.base is None else {}
    own = model.sampler, model.scheduler
    write_folder(run.folder, model.config, networks, vocabulary(run, model), torch.float16, *own, beside)
    return run.folder


def vocabulary(run: Run, model: Model) -> dict[str, str]:
    """The text of vocab.json and merges.txt, by file name: the base's, which may be a single file, or the run's own."""
    if model.files:
        return tokenizer_files(open_checkpoint(model.files[0]))
    return vocabulary_texts(*read_vocabulary(run_dir(run.needs("tokenizer"))))


def _known(run: Run) -> str:
    """The text of the file that lists the words of the run's world, but for those that training never shows."""
    said = (words(caption) for caption in tokenizer.captions(scenes.bank(run.style), "train"))
    return json.dumps(sorted({word for some in said for word in some})) + "\n"
