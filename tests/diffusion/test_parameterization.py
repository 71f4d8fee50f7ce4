import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from calotype.configs import SD15
from calotype.diffusion.parameterization import PARAMETERIZATIONS, c_in
from calotype.diffusion.schedules import Schedule

each_kind = pytest.mark.parametrize("kind", PARAMETERIZATIONS)
SIGMAS = torch.tensor([0.03, 1.0, 14.6, 4096.0], dtype=torch.float64)


def triple(generator=None):
    x0, noise = torch.randn(2, 4, 3, 4, 4, dtype=torch.float64, generator=generator or torch.Generator().manual_seed(0))
    return x0, noise, x0 + SIGMAS.view(-1, 1, 1, 1) * noise


@each_kind
def test_a_perfect_output_gives_back_the_picture(kind):
    p = PARAMETERIZATIONS[kind]
    x0, noise, x = triple()
    output = p.target(x0, noise, SIGMAS)
    torch.testing.assert_close(p.to_x0(x, SIGMAS, output), x0, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(p.from_x0(x, SIGMAS, x0), output, rtol=1e-9, atol=1e-9)


@each_kind
@settings(deadline=None, max_examples=25)
@given(sigma=st.floats(0.01, 4096), seed=st.integers(0, 2**31))
def test_output_and_picture_are_inverse(kind, sigma, seed):
    p = PARAMETERIZATIONS[kind]
    x0, x = torch.randn(2, 1, 3, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    torch.testing.assert_close(p.to_x0(x, sigma, p.from_x0(x, sigma, x0)), x0, rtol=1e-7, atol=1e-7)


@each_kind
def test_one_sigma_for_each_picture_means_the_first_axis(kind):
    """Pictures as wide as the batch is long: a sigma that runs along the width would go unnoticed by shapes."""
    p = PARAMETERIZATIONS[kind]
    x0, noise, x = triple()
    for k, sigma in enumerate(SIGMAS.tolist()):
        one = slice(k, k + 1)
        torch.testing.assert_close(p.to_x0(x, SIGMAS, noise)[one], p.to_x0(x[one], sigma, noise[one]))
        torch.testing.assert_close(p.from_x0(x, SIGMAS, x0)[one], p.from_x0(x[one], sigma, x0[one]))
        torch.testing.assert_close(p.target(x0, noise, SIGMAS)[one], p.target(x0[one], noise[one], sigma))
        torch.testing.assert_close(p.network_input(x, SIGMAS)[one], x[one] * c_in(sigma))


@each_kind
def test_single_precision_stays_single(kind):
    p = PARAMETERIZATIONS[kind]
    x0, noise, x = (tensor.float() for tensor in triple())
    tensors = (
        p.to_x0(x, SIGMAS, noise),
        p.from_x0(x, SIGMAS, x0),
        p.target(x0, noise, SIGMAS),
        p.network_input(x, SIGMAS),
    )
    assert {tensor.dtype for tensor in tensors} == {torch.float32}


def test_velocity_is_the_derivative_along_the_circle():
    """arXiv 2202.00512, appendix D: z = cos(phi) x0 + sin(phi) noise, v = dz / dphi."""
    x0, noise, _ = triple()
    phi = SIGMAS.atan().view(-1, 1, 1, 1)
    velocity = PARAMETERIZATIONS["v_prediction"].target(x0, noise, SIGMAS)
    torch.testing.assert_close(velocity, phi.cos() * noise - phi.sin() * x0)


def test_the_network_sees_the_variance_preserving_picture():
    schedule = Schedule.of(SD15.schedule)
    x0, noise, _ = triple()
    alpha_bar = schedule.alphas_cumprod[700]
    sigma = schedule.sigmas[700]
    seen = PARAMETERIZATIONS["epsilon"].network_input(x0 + sigma * noise, sigma)
    torch.testing.assert_close(seen, alpha_bar.sqrt() * x0 + (1 - alpha_bar).sqrt() * noise)
