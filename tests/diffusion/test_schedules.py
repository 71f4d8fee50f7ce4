from dataclasses import replace

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from calotype.configs import EMBEDDED, PRESETS, SD15
from calotype.diffusion.schedulers import SCHEDULERS, find_scheduler
from calotype.diffusion.schedules import Schedule
from calotype.errors import CalotypeError

ZERO_SNR = Schedule.of(replace(SD15.schedule, zero_terminal_snr=True))
SCHEDULES = [Schedule.of(preset.schedule) for preset in PRESETS.values()] + [ZERO_SNR]
each_schedule = pytest.mark.parametrize("schedule", SCHEDULES, ids=[*PRESETS, "zero-snr"])


@each_schedule
def test_sigmas_rise_and_agree_with_alpha_bar(schedule):
    assert schedule.sigmas.dtype == torch.float64
    assert (schedule.sigmas.diff() > 0).all()
    alpha_bar = schedule.alphas_cumprod
    torch.testing.assert_close(((1 - alpha_bar) / alpha_bar).sqrt(), schedule.sigmas, rtol=1e-6, atol=0)


def test_known_ends():
    assert SCHEDULES[0].sigmas[[0, -1]].tolist() == pytest.approx([0.029167, 14.614642], abs=1e-6)
    assert Schedule.of(EMBEDDED.schedule).sigmas[-1].item() == pytest.approx(138.61, abs=0.01)


def test_zero_terminal_snr_keeps_the_start_and_floors_the_end():
    plain = SCHEDULES[0]
    assert ZERO_SNR.ends_in_noise
    assert not plain.ends_in_noise
    assert ZERO_SNR.sigmas[-1].item() == pytest.approx(4096, abs=1e-3)
    assert ZERO_SNR.alphas_cumprod[-1].item() == pytest.approx(2**-24)
    assert ZERO_SNR.sigmas[0].item() == pytest.approx(plain.sigmas[0].item(), rel=1e-10)


@each_schedule
@settings(deadline=None, max_examples=25)
@given(t=st.floats(0, 999))
def test_time_and_sigma_are_inverse(schedule, t):
    assert schedule.t(schedule.sigma(t)).item() == pytest.approx(t, abs=1e-8)


@each_schedule
def test_whole_times_are_the_training_steps(schedule):
    times = torch.arange(1000)
    torch.testing.assert_close(schedule.sigma(times), schedule.sigmas, rtol=1e-13, atol=0)
    torch.testing.assert_close(schedule.t(schedule.sigmas), times.double(), rtol=0, atol=1e-9)


def test_between_two_steps_the_logarithm_is_linear():
    schedule = SCHEDULES[0]
    assert schedule.sigma(500.5).item() == pytest.approx((schedule.sigmas[500] * schedule.sigmas[501]).sqrt().item())


def test_outside_the_schedule_is_its_nearest_end():
    schedule = SCHEDULES[0]
    assert schedule.t(torch.tensor([1e-9, 1e9])).tolist() == [0, 999]
    torch.testing.assert_close(schedule.sigma(torch.tensor([-5.0, 2000.0])), schedule.sigmas[[0, -1]])


@each_schedule
@settings(deadline=None, max_examples=25)
@given(steps=st.integers(1, 1000), name=st.sampled_from(sorted(SCHEDULERS)))
@example(steps=1000, name="leading")
def test_every_scheduler_falls_strictly_from_within_the_schedule_to_zero(schedule, steps, name):
    if name.startswith("align") and schedule.sigmas[-1] > 15:
        with pytest.raises(CalotypeError, match="begins at"):
            SCHEDULERS[name](schedule, steps)
        return
    sigmas = SCHEDULERS[name](schedule, steps)
    assert sigmas.shape == (steps + 1,)
    assert (sigmas.diff() < 0).all()
    assert sigmas[-1] == 0
    assert sigmas[0] <= schedule.sigmas[-1] * (1 + 1e-3)
    if not name.endswith("leading"):
        assert sigmas[0].item() == pytest.approx(schedule.sigmas[-1].item(), rel=1e-3)


@pytest.mark.parametrize("name", ["karras", "exponential", "kl_optimal"])
def test_infinite_noise_gets_one_step_of_schedulers_over_sigma(name):
    sigmas = SCHEDULERS[name](ZERO_SNR, 10)
    assert sigmas[0] == ZERO_SNR.sigmas[-1]
    assert sigmas[1].item() == pytest.approx(ZERO_SNR.sigma(990).item())


@each_schedule
@pytest.mark.parametrize("name", sorted(set(SCHEDULERS) - {"align_your_steps", "align_your_steps_sdxl"}))
def test_as_many_steps_as_the_network_was_trained_on(schedule, name):
    assert (SCHEDULERS[name](schedule, 1000).diff() < 0).all()


def test_leading_shifts_by_the_offset_of_the_model():
    shifted = Schedule.of(replace(SD15.schedule, steps_offset=0))
    assert torch.equal(SCHEDULERS["leading"](shifted, 4)[:-1], shifted.sigmas[[750, 500, 250, 0]])
    assert torch.equal(SCHEDULERS["leading"](SCHEDULES[0], 4)[:-1], shifted.sigmas[[751, 501, 251, 1]])


@pytest.mark.parametrize(
    ("alias", "name"),
    [("Karras", "karras"), ("SGM Uniform", "sgm_uniform"), ("SGMUniform", "sgm_uniform"), ("Uniform", "normal"),
     ("ddim_uniform", "leading"), ("DDIM", "leading"), ("KL Optimal", "kl_optimal"), ("Polyexponential", "exponential"),
     ("Align Your Steps", "align_your_steps")],
)  # fmt: skip
def test_schedulers_are_found_by_the_names_of_other_programs(alias, name):
    assert find_scheduler(alias).name == name


def test_unknown_schedulers_and_impossible_steps_are_explained():
    with pytest.raises(CalotypeError, match=r"'karas'.*karras"):
        find_scheduler("karas")
    for steps in (0, -3, 1001):
        with pytest.raises(CalotypeError, match="between 1 and 1000"):
            SCHEDULERS["karras"](SCHEDULES[0], steps)
