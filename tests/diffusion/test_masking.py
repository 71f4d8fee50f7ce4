import torch

from calotype.diffusion.masking import masked
from calotype.diffusion.samplers import Denoised


def test_what_is_known_stays_and_the_rest_is_seen():
    x, seen, without, known = torch.randn(4, 1, 4, 6, 6, dtype=torch.float64)
    mask = (torch.rand(1, 1, 6, 6) > 0.5).double()
    denoised = masked(lambda x, sigma: Denoised(seen, without), mask, known)(x, 2.0)
    for blended, inside in ((denoised.x0, seen), (denoised.uncond, without)):
        torch.testing.assert_close(blended, torch.where(mask == 1, inside, known))
    assert masked(lambda x, sigma: Denoised(seen), mask, known)(x, 2.0).uncond is None


def test_a_soft_mask_blends():
    seen, known = torch.randn(2, 1, 4, 6, 6)
    x0 = masked(lambda x, sigma: Denoised(seen), torch.full((1, 1, 6, 6), 0.25), known)(seen, 2.0).x0
    torch.testing.assert_close(x0, 0.25 * seen + 0.75 * known)
