"""The tokenizer's stage: byte-level BPE in CLIP's form (arXiv 2103.00020, 2.4), learned on the world's captions."""

import json
from collections.abc import Iterable
from pathlib import Path

from tokenizers import models, pre_tokenizers, trainers

from calotype.data.captions import caption
from calotype.data.scenes import Split, World
from calotype.data.sprites import SpriteBank
from calotype.errors import CalotypeError
from calotype.files import written_whole
from calotype.text.tokenizer import END, START, Merges, Tokenizer, Vocabulary, vocabulary_texts, word_splitter
from calotype.training import scenes
from calotype.training.run_file import Run, run_dir

SPECIALS = (START, END)
"""The vocabulary's last entries: CLIP's text encoder pools at its highest token."""
_SUFFIX = "</w>"
_SCENES = 20_000


def train(run: Run) -> Path:
    """Learn the vocabulary of the run's world and write vocab.json and merges.txt; returns their folder."""
    vocabulary = learn(captions(scenes.bank(run.style), "any"), run.config.text[0].vocab_size)
    folder = run_dir(run.name)
    for name, text in vocabulary_texts(*vocabulary).items():
        with written_whole(folder / name) as path:
            path.write_text(text, encoding="utf-8")
    return folder


def learned(run: Run) -> Tokenizer:
    """The tokenizer that ``run`` builds on. Raises CalotypeError when it has not been learned yet."""
    name = run.needs("tokenizer")
    if not (run_dir(name) / "merges.txt").exists():
        raise CalotypeError(f"run {name!r} has no vocabulary yet: train it first, with its file in runs/embedded.")
    return Tokenizer.read(run_dir(name), run.config.text[0].max_positions)


def captions(bank: SpriteBank, split: Split) -> Iterable[str]:
    """What is said in the world of ``bank``: the captions of many scenes, in which every word of the split occurs."""
    world = World(bank)
    yield from (caption(world.spec(seed, split)) for seed in range(_SCENES))


def learn(texts: Iterable[str], size: int) -> Vocabulary:
    """Vocabulary of exactly ``size`` entries and the merges, most frequent first, learned from ``texts``.

    The alphabet is CLIP's: 256 bytes, and the same 256 at the end of a word. A trainer left alone leaves out those it
    has not seen, and a text that holds one would become an end-of-text in its midst. Where the texts give fewer merges
    than there is room for, the free entries stand before the specials and never occur.
    """
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    room = size - 2 * len(alphabet) - len(SPECIALS)
    if room < 0:
        raise CalotypeError(f"a vocabulary of {size} is too small: bytes and specials alone are {size - room}.")
    backend = word_splitter(models.BPE(end_of_word_suffix=_SUFFIX))
    trainer = trainers.BpeTrainer(
        vocab_size=size, end_of_word_suffix=_SUFFIX, initial_alphabet=alphabet, min_frequency=1, show_progress=False
    )
    backend.train_from_iterator(texts, trainer)
    learned = [tuple(pair) for pair in json.loads(backend.to_str())["model"]["merges"]]
    tokens = [*alphabet, *(byte + _SUFFIX for byte in alphabet)]
    merges: Merges = []
    for left, right in learned[:room]:
        merges.append((left, right))
        if left + right not in tokens:
            tokens.append(left + right)
    tokens += [f"<|free{index}|>" for index in range(size - len(SPECIALS) - len(tokens))]
    return {token: number for number, token in enumerate((*tokens, *SPECIALS))}, merges
