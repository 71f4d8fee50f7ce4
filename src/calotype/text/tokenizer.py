"""CLIP's byte-level BPE (arXiv 2103.00020, section 2.4): a prompt becomes rows of token numbers, one row per chunk."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Int64
from tokenizers import AddedToken, Regex, models, normalizers, pre_tokenizers
from tokenizers import Tokenizer as Backend
from torch import Tensor

from calotype.errors import CalotypeError

START = "<|startoftext|>"
END = "<|endoftext|>"
MAX_CHUNKS = 32
"""A prompt that fills more chunks (2,400 tokens at CLIP's length of 77) is refused."""

_WORD = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+"


def word_splitter(model: models.BPE) -> Backend:
    """CLIP's reading of text around a BPE model: NFC, single blanks, lower case, words, single digits, then bytes."""
    backend = Backend(model)
    backend.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_WORD), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    return backend


@dataclass(frozen=True)
class Tokenizer:
    """Text -> rows of ``length`` tokens. Numbers equal those of transformers' CLIPTokenizer."""

    backend: Backend
    start: int
    end: int
    pad: int
    length: int = 77

    @classmethod
    def of(
        cls, vocab: Mapping[str, int], merges: list[tuple[str, str]], pad_token: str = END, length: int = 77
    ) -> "Tokenizer":
        """A tokenizer of a vocabulary and its merges, most frequent first. The vocabulary holds START and END."""
        for token in (START, END, pad_token):
            if token not in vocab:
                raise CalotypeError(f"the tokenizer's vocabulary lacks {token!r}: it is not CLIP's kind of vocabulary.")
        bpe = models.BPE(
            vocab=dict(vocab), merges=merges, continuing_subword_prefix="", end_of_word_suffix="</w>", unk_token=END
        )
        backend = word_splitter(bpe)
        # As transformers does: a special token, the padding's too, is recognised inside a prompt.
        backend.add_special_tokens([AddedToken(token, normalized=False) for token in {START, END, pad_token}])
        return cls(backend, vocab[START], vocab[END], vocab[pad_token], length)

    @classmethod
    def read(cls, folder: Path, length: int = 77) -> "Tokenizer":
        """The tokenizer in a folder: vocab.json and merges.txt, or tokenizer.json alone. ``length``: the encoder's."""
        config = _json(folder / "tokenizer_config.json") if (folder / "tokenizer_config.json").exists() else {}
        pad = config.get("pad_token") or END
        vocab, merges = _vocabulary(folder)
        return cls.of(vocab, merges, pad["content"] if isinstance(pad, dict) else pad, length)

    @property
    def comma(self) -> int | None:
        """The token of a comma; None where the vocabulary has none."""
        number: int | None = self.backend.token_to_id(",</w>")
        return number

    def spelling(self, token: int) -> str:
        """A token's letters, and ``</w>`` where it ends a word; bytes that are no letters stand as signs for them."""
        return str(self.backend.id_to_token(token))

    def tokens(self, text: str) -> list[int]:
        """The tokens of a text alone, without start, end and padding."""
        numbers: list[int] = self.backend.encode(text, add_special_tokens=False).ids
        return numbers

    def encode(self, text: str) -> Int64[Tensor, "chunks length"]:
        """A text as chunks of ``length``: start, at most length - 2 tokens, end, padding. An empty text is one chunk.

        Raises CalotypeError when the text fills more than MAX_CHUNKS chunks.
        """
        tokens = self.tokens(text)
        room = self.length - 2
        if len(tokens) > MAX_CHUNKS * room:
            raise CalotypeError(
                f"the prompt is {len(tokens)} tokens long, of which {MAX_CHUNKS * room} can be read: shorten it."
            )
        rows = [tokens[i : i + room] for i in range(0, len(tokens), room)] or [[]]
        return torch.tensor(
            [[self.start, *row, self.end] + [self.pad] * (room - len(row)) for row in rows], dtype=torch.int64
        )


def _vocabulary(folder: Path) -> tuple[dict[str, int], list[tuple[str, str]]]:
    if (folder / "vocab.json").exists():
        lines = _text(folder / "merges.txt").split("\n")
        pairs = [line.split(" ") for line in lines if line.strip() and not line.startswith("#version")]
        vocab = _json(folder / "vocab.json")
    else:
        model = _json(folder / "tokenizer.json").get("model", {})
        vocab = model.get("vocab", {})
        pairs = [pair.split(" ") if isinstance(pair, str) else pair for pair in model.get("merges", [])]
    if not all(len(pair) == 2 for pair in pairs):
        raise CalotypeError(f"the tokenizer's merges in {folder} are damaged: fetch the model again.")
    return vocab, [(left, right) for left, right in pairs]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CalotypeError(f"cannot read the tokenizer's {path}: fetch the model again.") from error


def _json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(_text(path))
    except json.JSONDecodeError as error:
        raise CalotypeError(f"the tokenizer's {path} is damaged: fetch the model again.") from error
    if not isinstance(value, dict):
        raise CalotypeError(f"the tokenizer's {path} is damaged: fetch the model again.")
    return value
