"""Tensors as they lie in files. Nothing here imports torch: what a 7 GB file is, its first kilobytes say."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

ITEM_SIZES = {
    "F64": 8, "F32": 4, "F16": 2, "BF16": 2, "F8_E4M3": 1, "F8_E5M2": 1,
    "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U64": 8, "U32": 4, "U16": 2, "U8": 1, "BOOL": 1,
}  # fmt: skip
"""Bytes of one number, by the names that safetensors gives to types."""


@dataclass(frozen=True)
class Stored:
    """A tensor in a file: where its bytes begin, and how they are to be read."""

    path: Path
    dtype: str
    start: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    """Counted in numbers, as torch does."""

    @classmethod
    def contiguous(cls, path: Path, dtype: str, start: int, shape: tuple[int, ...]) -> Self:
        """A tensor whose numbers follow each other, the last dimension fastest."""
        return cls(path, dtype, start, shape, row_major(shape))

    @property
    def count(self) -> int:
        """How many numbers it has."""
        return math.prod(self.shape)

    @property
    def span(self) -> int:
        """How many bytes lie from its first number to its last, both included."""
        if not self.count:
            return 0
        reach = sum((side - 1) * stride for side, stride in zip(self.shape, self.strides, strict=True))
        return (reach + 1) * ITEM_SIZES[self.dtype]

    def third(self, i: int) -> Self:
        """The ``i``-th of three equal parts of its rows: query, key or value, where a file stacks the three."""
        rows = self.shape[0] // 3
        start = self.start + i * rows * self.strides[0] * ITEM_SIZES[self.dtype]
        return replace(self, start=start, shape=(rows, *self.shape[1:]))

    def transposed(self) -> Self:
        """The same numbers with the dimensions in the opposite order."""
        return replace(self, shape=self.shape[::-1], strides=self.strides[::-1])

    def matrix(self) -> Self:
        """A convolution of one pixel (n, m, 1, 1) as the matrix (n, m) that it is."""
        return replace(self, shape=self.shape[:2], strides=self.strides[:2])


Weights = dict[str, Stored]


@dataclass(frozen=True)
class TensorFile:
    """A file of named tensors, and what it says of itself."""

    path: Path
    format: str
    weights: Weights
    metadata: Mapping[str, str]


def row_major(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The strides of a contiguous tensor."""
    return tuple(math.prod(shape[i + 1 :]) for i in range(len(shape)))
