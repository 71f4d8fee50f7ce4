"""Art that tests want: without it they are skipped, and say so. What else is wrong with it fails them."""

from collections.abc import Callable
from typing import TypeVar

import pytest

from calotype.errors import CalotypeError

T = TypeVar("T")


def here(place: Callable[[], T]) -> T:
    """Where art lies, as ``place`` says: ``art.noto_font``, ... Skips the test where it is not here."""
    try:
        return place()
    except CalotypeError as missing:
        pytest.skip(f"{missing}")
