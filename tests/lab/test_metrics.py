import numpy as np
import pytest

from calotype.lab import metrics


def test_psnr_of_a_constant_error():
    picture = np.full((16, 16, 3), 100, np.uint8)
    assert metrics.psnr(picture + np.uint8(5), picture) == pytest.approx(20 * np.log10(255 / 5))
    assert metrics.psnr(picture, picture) == float("inf")


def test_psnr_of_noise_of_known_deviation(rng):
    picture = np.full((256, 256, 3), 128, np.uint8)
    noisy = (picture + rng.normal(0, 10, picture.shape)).round().clip(0, 255).astype(np.uint8)
    assert metrics.psnr(noisy, picture) == pytest.approx(20 * np.log10(255 / 10), abs=0.05)


def test_psnr_looks_at_the_mask_alone():
    picture = np.full((8, 8, 3), 100, np.uint8)
    wrong = picture.copy()
    wrong[:4] = 110
    mask = np.zeros((8, 8), bool)
    mask[:4] = True
    assert metrics.psnr(wrong, picture, mask) == pytest.approx(20 * np.log10(255 / 10))
    assert metrics.psnr(wrong, picture, ~mask) == float("inf")


def test_ssim_of_identical_and_of_flat_pictures(rng):
    picture = rng.integers(0, 256, (32, 40, 3), dtype=np.uint8)
    assert metrics.ssim(picture, picture) == pytest.approx(1)
    dark, light = np.full((16, 16, 3), 50, np.uint8), np.full((16, 16, 3), 100, np.uint8)
    c1 = (0.01 * 255) ** 2  # flat pictures have no variance: only the luminance term of eq. 13 is left
    assert metrics.ssim(dark, light) == pytest.approx((2 * 50 * 100 + c1) / (50**2 + 100**2 + c1))


def test_ssim_of_a_negative_is_negative(rng):
    picture = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
    assert metrics.ssim(255 - picture, picture) < -0.8


@pytest.mark.parametrize(
    ("rgb", "expected"),
    # Published CIELAB values (D65) of sRGB primaries, white, black and mid gray.
    [
        ((255, 255, 255), (100, 0, 0)),
        ((0, 0, 0), (0, 0, 0)),
        ((255, 0, 0), (53.24, 80.09, 67.20)),
        ((0, 255, 0), (87.73, -86.18, 83.18)),
        ((0, 0, 255), (32.30, 79.19, -107.86)),
        ((119, 119, 119), (50.03, 0, 0)),
    ],
)
def test_lab(rgb, expected):
    assert metrics.lab(np.array(rgb, float)) == pytest.approx(expected, abs=0.02)


def test_delta_e_of_known_pairs():
    red, green, black, white = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 0], [255, 255, 255]], float)
    assert metrics.delta_e(black, white) == pytest.approx(100)
    assert metrics.delta_e(red, green) == pytest.approx(170.58, abs=0.05)


def test_frechet_distance_of_known_gaussians():
    mean, zero = np.array([3.0, 4.0]), np.zeros(2)
    one, four = np.eye(2), 4 * np.eye(2)
    assert metrics.gaussian_frechet(zero, one, mean, one) == pytest.approx(25)
    assert metrics.gaussian_frechet(zero, one, zero, four) == pytest.approx(2)  # per axis (2 - 1)^2
    turned = np.array([[2.0, 1.0], [1.0, 2.0]])  # has the roots 1 and 3, and commutes with the identity
    expected = (1 - 1) ** 2 + (np.sqrt(3) - 1) ** 2
    assert metrics.gaussian_frechet(zero, one, zero, turned) == pytest.approx(expected)


def test_frechet_distance_of_samples(rng):
    samples = rng.normal(size=(4000, 3))
    assert metrics.frechet_distance(samples, samples) == pytest.approx(0, abs=1e-9)
    assert metrics.frechet_distance(samples, samples + np.array([2, 0, 0])) == pytest.approx(4)


def test_kernel_distance_is_unbiased(rng):
    """Around zero for two samples of one distribution, and sometimes below, as the biased estimate never is."""
    values = [metrics.kernel_distance(rng.normal(size=(50, 4)), rng.normal(size=(60, 4))) for _ in range(200)]
    assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(200)
    assert min(values) < 0
    assert metrics.kernel_distance(rng.normal(size=(200, 4)), 2 + rng.normal(size=(200, 4))) > 10


def test_pairwise_distance():
    assert metrics.pairwise_distance(np.array([[0.0], [1.0], [3.0]])) == pytest.approx((1 + 3 + 2) / 3)


def test_found_at_1():
    similarity = np.array([[0.9, 0.1, 0.2], [0.8, 0.3, 0.1], [0.1, 0.2, 0.7]])
    assert metrics.found_at_1(similarity) == ([1, 0, 1], [1, 1, 1])
