"""CLIP's byte-level BPE (arXiv 2103.00020, section 2.4): a prompt becomes rows of token numbers, one row per chunk."""

import json
from collections.abc import Mapping, Sequence
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

Merges = list[tuple[str, str]]
"""Pairs of tokens that become one, most frequent first."""
Vocabulary = tuple[dict[str, int], Merges]
"""The tokens' numbers, and the merges that make them."""

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
    """Text -> rows of ``length`` tokens. Numbers are those of transformers' CLIPTokenizer, save a prompt's padding."""

    backend: Backend
    start: int
    end: int
    pad: int
    length: int = 77

    @classmethod
    def of(cls, vocab: Mapping[str, int], merges: Merges, pad_token: str = END, length: int = 77) -> "Tokenizer":
        """A tokenizer of a vocabulary, which holds START and END, and its merges."""
        for token in (START, END, pad_token):
            if token not in vocab:
                raise CalotypeError(f"the tokenizer's vocabulary lacks {token!r}: it is not CLIP's kind of vocabulary.")
        if not _belong_together(vocab, merges):
            raise CalotypeError("the tokenizer's vocabulary and merges do not belong together: fetch the model again.")
        bpe = models.BPE(
            vocab=dict(vocab), merges=merges, continuing_subword_prefix="", end_of_word_suffix="</w>", unk_token=END
        )
        backend = word_splitter(bpe)
        # As in transformers, start and end are recognised inside a prompt; the padding, SD 2's "!", is a word there.
        backend.add_special_tokens([AddedToken(token, normalized=False) for token in (START, END)])
        return cls(backend, vocab[START], vocab[END], vocab[pad_token], length)

    @classmethod
    def read(cls, folder: Path, length: int = 77) -> "Tokenizer":
        """The tokenizer in a folder: vocab.json and merges.txt, or tokenizer.json alone. ``length``: the encoder's."""
        path = folder / "tokenizer_config.json"
        pad = (_json(path) if path.exists() else {}).get("pad_token") or END
        pad = pad.get("content") if isinstance(pad, dict) else pad
        if not isinstance(pad, str):
            raise _damaged(path)
        return cls.of(*read_vocabulary(folder), pad, length)

    @property
    def room(self) -> int:
        """How many tokens of a text a row takes, beside start and end."""
        return self.length - 2

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
        """A text as chunks of ``length``: start, at most ``room`` tokens, end, padding. An empty text is one chunk.

        Raises CalotypeError when the text fills more than MAX_CHUNKS chunks.
        """
        tokens = self.tokens(text)
        chunks = [tokens[i : i + self.room] for i in range(0, len(tokens), self.room)] or [[]]
        if len(chunks) > MAX_CHUNKS:
            raise self.too_long(len(tokens))
        return torch.tensor([self.row(chunk) for chunk in chunks], dtype=torch.int64)

    def row(self, tokens: Sequence[int]) -> list[int]:
        """At most ``room`` tokens as the encoder reads them: between start and end, and padding to ``length``."""
        return [self.start, *tokens, self.end, *[self.pad] * (self.room - len(tokens))]

    def too_long(self, count: int) -> CalotypeError:
        """The error for a prompt of so many tokens, which fill more than MAX_CHUNKS chunks."""
        return CalotypeError(
            f"the prompt is {count} tokens long, of which {MAX_CHUNKS * self.room} can be read: shorten it."
        )


def read_vocabulary(folder: Path) -> Vocabulary:
    """The vocabulary in a tokenizer's folder: vocab.json and merges.txt, or tokenizer.json alone.

    Raises CalotypeError for files that are missing or damaged.
    """
    if (folder / "vocab.json").exists():
        lines = _text(folder / "merges.txt").split("\n")
        merges = [line for line in lines if line.strip() and not line.startswith("#version")]
        return _json(folder / "vocab.json"), paired(merges, folder)
    match _json(path := folder / "tokenizer.json"):
        case {"model": {"vocab": dict(vocab), "merges": list(merges)}}:
            return vocab, paired(merges, folder)
    raise _damaged(path)


def paired(merges: Sequence[str | Sequence[str]], place: Path) -> Merges:
    """Merges as pairs that were read as such, or as lines. Raises CalotypeError for others, naming the ``place``."""
    pairs = [merge.split(" ") if isinstance(merge, str) else merge for merge in merges]
    if not all(isinstance(pair, list) and [type(each) for each in pair] == [str, str] for pair in pairs):
        raise CalotypeError(f"the tokenizer's merges in {place} are damaged: fetch the model again.")
    return [(left, right) for left, right in pairs]


def vocabulary_texts(vocab: Mapping[str, int], merges: Merges) -> dict[str, str]:
    """The texts of vocab.json and merges.txt, by file name: what `read_vocabulary` reads."""
    lines = ["#version: 0.2", *(f"{left} {right}" for left, right in merges)]
    return {"vocab.json": json.dumps(vocab, ensure_ascii=False), "merges.txt": "\n".join(lines) + "\n"}


def _belong_together(vocab: Mapping[str, int], merges: Merges) -> bool:
    """Whether numbers are numbers and merges make known tokens of known ones: the library asserts that, or less."""
    numbered = all(type(number) is int and 0 <= number < 1 << 32 for number in vocab.values())
    return numbered and all(left in vocab and right in vocab and left + right in vocab for left, right in merges)


def _damaged(path: Path) -> CalotypeError:
    return CalotypeError(f"the tokenizer's {path} is damaged: fetch the model again.")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CalotypeError(f"cannot read the tokenizer's {path}: fetch the model again.") from error


def _json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(_text(path))
    except (ValueError, RecursionError) as error:
        raise _damaged(path) from error
    if not isinstance(value, dict):
        raise _damaged(path)
    return value
