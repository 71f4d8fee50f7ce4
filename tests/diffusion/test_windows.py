import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from calotype.diffusion.windows import Window, blended, windowed, windows


@given(
    height=st.integers(1, 70), width=st.integers(1, 70), size=st.integers(4, 40), overlap=st.integers(0, 3),
)  # fmt: skip
def test_windows_cover_everything_and_overlap(height, width, size, overlap):
    seen = torch.zeros(height, width)
    parts = windows(height, width, size, overlap)
    for part in parts:
        assert part.height == min(size, height)
        assert part.width == min(size, width)
        part.of(seen).add_(1)
    assert seen.min() >= 1
    tops = sorted({part.top for part in parts})
    assert all(low - high <= size - overlap for high, low in itertools.pairwise(tops))


@pytest.mark.parametrize("scale", [1, 8])
def test_blending_what_the_windows_show_gives_the_picture_back(scale):
    x = torch.rand(2, 3, 20 * scale, 33 * scale, dtype=torch.float64)
    picture = blended(lambda window: window.times(scale).of(x), windows(20, 33, 8, 3), scale)
    torch.testing.assert_close(picture, x)


def test_a_network_of_single_pixels_does_not_notice_the_windows():
    def predict(x, sigma, conditions):
        return [x * condition for condition in conditions]

    x = torch.randn(1, 4, 19, 25, dtype=torch.float64)
    shown = torch.randn(1, 1, 19, 25, dtype=torch.float64)
    tiled = windowed(predict, lambda condition, window: window.of(condition), size=8, overlap=2)
    for tile, whole in zip(tiled(x, 1.0, [shown, 2 * shown]), predict(x, 1.0, [shown, 2 * shown]), strict=True):
        torch.testing.assert_close(tile, whole)


def test_one_window_is_the_whole():
    assert windows(8, 6, 8, 2) == [Window(0, 0, 8, 6)]
