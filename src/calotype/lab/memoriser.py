"""The memoriser: it answers a prompt with the picture of the nearest training caption. A model should beat it."""

# scipy leaves its constructors untyped.
# mypy: disable-error-code="no-untyped-call"

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from scipy.sparse import csr_matrix


class Memoriser:
    """Captions by the cosine of their TF-IDF vectors (Salton and Buckley 1988) over words and pairs of neighbours.

    The pairs tell "a cat left of a dog" from "a dog left of a cat".
    """

    def __init__(self, captions: Sequence[str]) -> None:
        self.captions = captions
        documents = [_terms(caption) for caption in captions]
        occurs = Counter(term for document in documents for term in set(document))
        self.columns = {term: column for column, term in enumerate(occurs)}
        self.rarity = np.log(len(captions) / np.array(list(occurs.values()), dtype=np.float64)) + 1
        self.vectors = self._vectors(documents)

    def nearest(self, prompts: Sequence[str]) -> list[int]:
        """For each prompt the index of the nearest caption; the first of those equally near."""
        likeness = (self._vectors([_terms(prompt) for prompt in prompts]) @ self.vectors.T).toarray()
        return [int(index) for index in likeness.argmax(1)]

    def _vectors(self, documents: Sequence[list[str]]) -> csr_matrix:
        counts = [Counter(self.columns[term] for term in document if term in self.columns) for document in documents]
        rows = np.repeat(np.arange(len(counts)), [len(count) for count in counts])
        columns = _flat(count.keys() for count in counts)
        values = _flat(count.values() for count in counts) * self.rarity[columns]
        norms = np.sqrt(np.bincount(rows, values**2, len(counts)))
        return csr_matrix((values / norms[rows], (rows, columns)), (len(counts), len(self.columns)))


def _terms(caption: str) -> list[str]:
    words = caption.replace(",", " ,").split()
    return words + [f"{a} {b}" for a, b in zip(["^", *words], [*words, "$"], strict=True)]


def _flat(parts: Iterable[Iterable[int]]) -> np.ndarray:
    return np.array([value for part in parts for value in part], dtype=np.int64)
