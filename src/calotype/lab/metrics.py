"""Figures about pictures and about clouds of features, each a formula with its source."""

import numpy as np
from jaxtyping import Float, UInt8
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Picture = UInt8[np.ndarray, "h w 3"]


def psnr(picture: Picture, reference: Picture, mask: NDArray[np.bool_] | None = None) -> float:
    """Peak signal-to-noise ratio in dB of 8-bit pictures, over the pixels of ``mask`` (h, w) where one is given.

    10 log10(255^2 / mean squared error); infinite for equal pictures.
    """
    error = (picture.astype(np.float64) - reference.astype(np.float64)) ** 2
    mean = float(error.mean() if mask is None else error[mask].mean())
    return float("inf") if mean == 0 else 10 * float(np.log10(255**2 / mean))


def ssim(picture: Picture, reference: Picture) -> float:
    """Structural similarity (Wang et al. 2004, eq. 13): 11-pixel Gaussian window, sigma 1.5, mean over colours.

    The window's radius is left out at the borders, as in the authors' own programme. 1 for equal pictures.
    """
    x, y = picture.astype(np.float64), reference.astype(np.float64)
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    mean_x, mean_y = _window(x), _window(y)
    variance_x, variance_y = _window(x * x) - mean_x**2, _window(y * y) - mean_y**2
    covariance = _window(x * y) - mean_x * mean_y
    likeness = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    size = (mean_x**2 + mean_y**2 + c1) * (variance_x + variance_y + c2)
    return float((likeness / size).mean())


def lab(rgb: Float[np.ndarray, "*n 3"]) -> Float[np.ndarray, "*n 3"]:
    """CIELAB under D65 (CIE 15:2004) of sRGB values in [0, 255] (IEC 61966-2-1)."""
    share = np.asarray(rgb, dtype=np.float64) / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    xyz = linear @ _XYZ_OF_RGB.T / _D65
    cube = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = np.moveaxis(cube, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def delta_e(one: Float[np.ndarray, "*n 3"], other: Float[np.ndarray, "*n 3"]) -> Float[np.ndarray, "*n"]:
    """The CIE 1976 colour difference of sRGB values in [0, 255]: the Euclidean distance in CIELAB."""
    distance: NDArray[np.float64] = np.linalg.norm(lab(one) - lab(other), axis=-1)
    return distance


def frechet_distance(one: Float[np.ndarray, "n d"], other: Float[np.ndarray, "m d"]) -> float:
    """Fréchet distance between the Gaussians fitted to two clouds of features (arXiv 1706.08500, eq. 6)."""
    return gaussian_frechet(one.mean(0), np.cov(one, rowvar=False), other.mean(0), np.cov(other, rowvar=False))


def gaussian_frechet(
    mean_a: Float[np.ndarray, "d"],
    cov_a: Float[np.ndarray, "d d"],
    mean_b: Float[np.ndarray, "d"],
    cov_b: Float[np.ndarray, "d d"],
) -> float:
    """|m_a - m_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^1/2); the root's trace from the symmetric C_a^1/2 C_b C_a^1/2."""
    values, vectors = np.linalg.eigh(cov_a)
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    cross = np.sqrt(np.linalg.eigvalsh(root @ cov_b @ root).clip(0)).sum()
    return float(((mean_a - mean_b) ** 2).sum() + np.trace(cov_a) + np.trace(cov_b) - 2 * cross)


def kernel_distance(one: Float[np.ndarray, "n d"], other: Float[np.ndarray, "m d"]) -> float:
    """KID: the unbiased squared MMD under the kernel (x.y / d + 1)^3 (arXiv 1801.01401, section 4)."""
    n, m, d = len(one), len(other), one.shape[1]
    within_one, within_other, across = ((a @ b.T / d + 1) ** 3 for a, b in ((one, one), (other, other), (one, other)))
    mean_one = (within_one.sum() - np.trace(within_one)) / (n * (n - 1))
    mean_other = (within_other.sum() - np.trace(within_other)) / (m * (m - 1))
    return float(mean_one + mean_other - 2 * across.mean())


def pairwise_distance(features: Float[np.ndarray, "n d"]) -> float:
    """The mean Euclidean distance between two different rows: how much a set of pictures varies."""
    n = len(features)
    distances = np.linalg.norm(features[:, None] - features[None], axis=-1)
    return float(distances.sum() / (n * (n - 1)))


def found_at_1(similarity: Float[np.ndarray, "n n"]) -> tuple[list[float], list[float]]:
    """Retrieval (arXiv 2103.00020): is column i most like row i (1 or 0), for each row; and row i like column i."""
    index = np.arange(len(similarity))
    by_row, by_column = ((similarity.argmax(axis) == index).astype(float).tolist() for axis in (1, 0))
    return by_row, by_column


_XYZ_OF_RGB = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
_D65 = _XYZ_OF_RGB.sum(1)
_OFFSETS = np.arange(-5, 6)
_KERNEL = np.exp(-(_OFFSETS**2) / (2 * 1.5**2)) / np.exp(-(_OFFSETS**2) / (2 * 1.5**2)).sum()


def _window(image: NDArray[np.float64]) -> NDArray[np.float64]:
    for axis in (0, 1):
        image = sliding_window_view(image, len(_KERNEL), axis) @ _KERNEL
    return image
