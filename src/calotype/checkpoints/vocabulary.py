"""CLIP's vocabulary, for a model that comes without one: from a folder, from the hub's cache, from another package.

All Stable Diffusions since 1.0 read prompts with the same 49,408 tokens.
"""

import gzip
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from calotype.checkpoints.checkpoint import Checkpoint, mixed_up
from calotype.checkpoints.hub import hub_cache
from calotype.checkpoints.settings import padding
from calotype.configs import CLIP_L
from calotype.errors import CalotypeError
from calotype.text.tokenizer import END, START, Merges, Tokenizer, Vocabulary, paired, read_vocabulary, vocabulary_texts

_SIZE = CLIP_L.vocab_size
_PACKAGED = {"open_clip": "bpe_simple_vocab_16e6.txt.gz", "clip": "bpe_simple_vocab_16e6.txt.gz"}
"""Packages that carry OpenAI's list of merges as a data file (open_clip_torch; clip-anytorch and OpenAI's own)."""


def read_tokenizers(checkpoint: Checkpoint) -> tuple[Tokenizer, ...]:
    """A tokenizer for each text encoder: the checkpoint's own, else CLIP's. Raises CalotypeError if there is none."""
    texts = checkpoint.config.text
    if checkpoint.tokenizers:
        found = tuple(
            Tokenizer.read(folder, text.max_positions)
            for folder, text in zip(checkpoint.tokenizers, texts, strict=True)
        )
        for tokenizer, text in zip(found, texts, strict=True):
            if tokenizer.end >= text.vocab_size:
                why = f"its tokenizer has {tokenizer.end + 1} tokens, but its text encoder knows {text.vocab_size}"
                raise mixed_up(checkpoint.path, why)
        return found
    vocab, merges = clip_vocabulary()
    return tuple(Tokenizer.of(vocab, merges, padding(text), text.max_positions) for text in texts)


def tokenizer_files(checkpoint: Checkpoint) -> dict[str, str]:
    """The text of vocab.json and merges.txt, by file name, to be written beside a model."""
    own = checkpoint.tokenizers
    return vocabulary_texts(*(read_vocabulary(own[0]) if own else clip_vocabulary()))


def clip_vocabulary() -> Vocabulary:
    """CLIP's vocabulary, from what lies on this machine.

    Raises CalotypeError with the command that fetches them if nothing does.
    """
    for folder in _cached_folders():
        vocab, merges = read_vocabulary(folder)
        if len(vocab) == _SIZE and START in vocab:
            return vocab, merges
    for package, name in _PACKAGED.items():
        spec = find_spec(package)  # finds the package's folder; nothing of it is run
        for place in (spec.submodule_search_locations or ()) if spec else ():
            if (path := Path(place, name)).is_file():
                lines = gzip.decompress(path.read_bytes()).decode("utf-8").split("\n")
                return from_merges(paired(lines[1 : _SIZE - 512 - 2 + 1], path))
    raise CalotypeError(
        "this model comes without CLIP's vocabulary, and none is on this machine: run "
        "`calotype pull openai/clip-vit-large-patch14 --file vocab.json --file merges.txt` once."
    )


def from_merges(merges: Merges) -> Vocabulary:
    """The vocabulary that ``merges`` make: 256 bytes, the same ending a word, each merge, and the two specials."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    letters = [chr(byte) for byte in printable] + [chr(256 + i) for i in range(len(others))]
    words = [*letters, *(f"{letter}</w>" for letter in letters), *(left + right for left, right in merges), START, END]
    return {word: i for i, word in enumerate(words)}, merges


def _cached_folders() -> Iterator[Path]:
    for pattern in ("models--openai--clip-vit-large-patch14/snapshots/*", "models--*/snapshots/*/tokenizer"):
        for folder in sorted(hub_cache().glob(pattern)):
            if (folder / "vocab.json").is_file() and (folder / "merges.txt").is_file():
                yield folder
