import pytest
import torch

from calotype.diffusion.noise import Delayed, SeededNoise
from calotype.diffusion.variation import Centred, Variation, slerp

SHAPE = (1, 4, 64, 48)
A, B = SeededNoise(7, SHAPE), SeededNoise(8, SHAPE)


def test_it_begins_between_the_seeds_and_goes_on_with_the_first():
    noise = Variation(A, B, 0.3)
    assert noise.normal(0).equal(slerp(A.normal(0), B.normal(0), 0.3))
    assert noise.normal(1).equal(A.normal(1))
    assert noise.brownian(2.0, 1.0).equal(A.brownian(2.0, 1.0))


def test_the_ends_are_the_seeds():
    assert slerp(A.normal(0), B.normal(0), 0).equal(A.normal(0))
    assert slerp(A.normal(0), B.normal(0), 1).equal(B.normal(0))


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_it_stays_noise(share):
    between = slerp(A.normal(0), B.normal(0), share)
    assert between.std().item() == pytest.approx(1, abs=0.02)
    angle = torch.cosine_similarity(between, A.normal(0), dim=-2).mean().acos() / (torch.pi / 2)
    assert angle.item() == pytest.approx(share, abs=0.02)


def test_equal_noise_is_left_alone():
    torch.testing.assert_close(slerp(A.normal(0), A.normal(0), 0.5), A.normal(0))


@pytest.mark.parametrize(
    ("size", "rows", "columns", "from_rows", "from_columns"),
    [
        ((64, 48), slice(0, 64), slice(0, 48), slice(0, 64), slice(0, 48)),
        ((32, 40), slice(16, 48), slice(4, 44), slice(0, 32), slice(0, 40)),
        ((80, 24), slice(0, 64), slice(12, 36), slice(8, 72), slice(0, 24)),
        ((33, 50), slice(15, 48), slice(0, 48), slice(0, 33), slice(1, 49)),
    ],
)
def test_another_sizes_noise_is_kept_in_the_middle(size, rows, columns, from_rows, from_columns):
    small = SeededNoise(7, (1, 4, *size))
    noise = Centred(A, small)
    expected = A.normal(0)
    expected[..., rows, columns] = small.normal(0)[..., from_rows, from_columns]
    assert noise.normal(0).equal(expected)
    assert noise.normal(1).equal(A.normal(1))
    assert noise.brownian(2.0, 1.0).equal(A.brownian(2.0, 1.0))


def test_a_delta_changes_all_noise_but_the_first():
    noise = Delayed(A, B)
    assert noise.normal(0).equal(A.normal(0))
    assert noise.normal(1).equal(B.normal(0))
    assert noise.normal(2).equal(B.normal(1))
    assert noise.brownian(2.0, 1.0).equal(A.brownian(2.0, 1.0))
