"""The registry, the plan, the ladder and the driver. The mathematics of the rows is in closed_form/ and parity/."""

import math
from dataclasses import replace

import pytest
import torch

from calotype.configs import EMBEDDED, SD15
from calotype.diffusion.driver import latent, sample
from calotype.diffusion.ladder import ladder
from calotype.diffusion.noise import SeededNoise
from calotype.diffusion.samplers import SAMPLERS, Denoised, find_sampler
from calotype.diffusion.schedulers import SCHEDULERS
from calotype.diffusion.schedules import Schedule
from calotype.errors import CalotypeError
from mixture import GaussianMixture

SD, OWN = Schedule.of(SD15.schedule), Schedule.of(EMBEDDED.schedule)


def shrink(moment):
    return lambda x, sigma: Denoised(x / (1 + sigma**2))


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("Euler a", ("Euler a", None)),
        ("euler_a", ("Euler a", None)),
        ("k_euler_ancestral", ("Euler a", None)),
        ("EulerDiscreteScheduler", ("Euler", None)),
        ("dpmpp_2m", ("DPM++ 2M", None)),
        ("DPM++ 2M Karras", ("DPM++ 2M", "karras")),
        ("DPM++ 2M SGM Uniform", ("DPM++ 2M", "sgm_uniform")),
        ("Euler Exponential", ("Euler", "exponential")),
        ("euler_k", ("Euler", "karras")),
        ("kdpm_2_a_k", ("DPM2 a", "karras")),
        ("dpmpp_2m_sde_k", ("DPM++ 2M SDE", "karras")),
        ("Euler a Polyexponential", ("Euler a", "exponential")),
    ],
)
def test_names_of_other_programs_find_the_row(name, found):
    sampler, scheduler = find_sampler(name)
    assert (sampler.name, scheduler) == found


A1111 = """DPM++ 2M|k_dpmpp_2m|DPM++ SDE|k_dpmpp_sde|DPM++ 2M SDE|k_dpmpp_2m_sde|DPM++ 2M SDE Heun|k_dpmpp_2m_sde_heun
|DPM++ 2S a|k_dpmpp_2s_a|DPM++ 3M SDE|k_dpmpp_3m_sde|Euler a|k_euler_a|k_euler_ancestral|Euler|k_euler|LMS|k_lms|Heun
|k_heun|DPM2|k_dpm_2|DPM2 a|k_dpm_2_a|DPM fast|k_dpm_fast|DPM adaptive|k_dpm_ad|Restart|restart|DDIM|ddim|DDIM CFG++
|ddim_cfgpp|PLMS|plms|UniPC|unipc|LCM|k_lcm"""
K_DIFFUSION = """euler|euler_ancestral|heun|dpm_2|dpm_2_ancestral|lms|dpm_fast|dpm_adaptive|dpmpp_2s_ancestral|dpmpp_sde
|dpmpp_2m|dpmpp_2m_sde|dpmpp_3m_sde"""
COMFYUI = """dpmpp_sde_gpu|dpmpp_2m_sde_gpu|dpmpp_2m_sde_heun|dpmpp_2m_sde_heun_gpu|dpmpp_3m_sde_gpu|ddpm|lcm|ipndm|deis
|sa_solver|ddim|uni_pc|uni_pc_bh2|euler|euler_cfg_pp|euler_ancestral|euler_ancestral_cfg_pp|heun|heunpp2|exp_heun_2_x0
|exp_heun_2_x0_sde|dpmpp_2s_ancestral_cfg_pp|dpmpp_2m_cfg_pp|ipndm_v|res_multistep|res_multistep_cfg_pp
|res_multistep_ancestral|res_multistep_ancestral_cfg_pp|gradient_estimation|gradient_estimation_cfg_pp|er_sde|seeds_2
|seeds_3|sa_solver_pece"""
DIFFUSERS = """DDIMScheduler|DDPMScheduler|PNDMScheduler|LMSDiscreteScheduler|EulerDiscreteScheduler
|HeunDiscreteScheduler|EulerAncestralDiscreteScheduler|DPMSolverMultistepScheduler|DPMSolverSinglestepScheduler|KDPM2DiscreteScheduler
|KDPM2AncestralDiscreteScheduler|DEISMultistepScheduler|UniPCMultistepScheduler|DPMSolverSDEScheduler|EDMEulerScheduler
|LCMScheduler|TCDScheduler|SASolverScheduler"""


@pytest.mark.parametrize("name", "|".join([A1111, K_DIFFUSION, COMFYUI, DIFFUSERS]).replace("\n", "").split("|"))
def test_every_expected_name_is_there(name):
    assert find_sampler(name)[1] is None


def test_no_two_rows_share_a_name():
    names = [name for row in SAMPLERS.values() for name in (row.name, *row.aliases)]
    for name in names:
        row, scheduler = find_sampler(name)
        assert name in (row.name, *row.aliases)
        assert scheduler is None


@pytest.mark.parametrize(("name", "nearest"), [("Eular", "Euler"), ("dpm++2mm", "DPM"), ("ddmi", "DDIM"), ("", ".")])
def test_an_unknown_name_is_answered_with_the_nearest(name, nearest):
    with pytest.raises(CalotypeError, match=nearest) as error:
        find_sampler(name)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "sigmas", [[], [1.0], [1.0, 2.0], [1.0, 1.0, 0.0], [1.0, -0.5], [math.nan, 0.0], [math.inf, 1.0], [0.0, 0.0]]
)
def test_impossible_sigmas_are_refused(sigmas):
    with pytest.raises(CalotypeError, match="sigmas"):
        SAMPLERS["Euler"].plan(sigmas)


def test_unknown_options_are_refused():
    with pytest.raises(CalotypeError, match="Euler a has no option 'churn'; its options: eta"):
        SAMPLERS["Euler a"].plan([1.0, 0.0], churn=1.0)


def test_automatic_is_the_samplers_scheduler_or_the_models_spacing():
    assert torch.equal(ladder(SAMPLERS["DPM++ 2M"], SD, 8), SCHEDULERS["karras"](SD, 8))
    assert torch.equal(ladder(SAMPLERS["Euler"], SD, 8), SCHEDULERS["normal"](SD, 8))
    assert torch.equal(ladder(SAMPLERS["DDIM"], SD, 8)[:-1], SCHEDULERS["leading"](SD, 8)[:-1])
    assert torch.equal(ladder(SAMPLERS["DDIM"], OWN, 8)[:-1], SCHEDULERS["trailing"](OWN, 8)[:-1])


@pytest.mark.parametrize("name", [row.name for row in SAMPLERS.values() if row.discards_penultimate])
def test_who_leaves_a_level_out_takes_a_step_less_than_there_are(name):
    assert len(ladder(SAMPLERS[name], SD, 999)) == 1000
    with pytest.raises(CalotypeError, match="between 1 and 999 steps, not 1000"):
        ladder(SAMPLERS[name], SD, 1000)


def test_ddim_ends_at_the_first_training_step_unless_it_is_there_already():
    assert ladder(SAMPLERS["DDIM"], SD, 8)[-1] == SD.sigmas[0]
    assert ladder(SAMPLERS["DDIM"], SD, 8, "karras")[-1] == 0


@pytest.mark.parametrize("row", SAMPLERS.values(), ids=lambda row: row.name)
@pytest.mark.parametrize("schedule", [SD, OWN], ids=["sd15", "embedded"])
@pytest.mark.parametrize("steps", [1, 2, 9])
def test_every_row_runs_on_its_automatic_ladder(row, schedule, steps):
    if row.name == "DPM adaptive" and steps == 1:
        with pytest.raises(CalotypeError, match="give more steps"):
            row.plan(ladder(row, schedule, steps))
        return
    sigmas = ladder(row, schedule, steps)
    states = list(sample(row, shrink, sigmas, SeededNoise(1, (1, 4, 4, 4)), schedule=schedule))
    assert states[-1].x.isfinite().all()
    assert states[-1].x.dtype == torch.float32


def test_pure_noise_is_draw_zero_at_the_scale_of_the_references():
    noise = SeededNoise(1, (1, 4, 4, 4))
    seen = {}

    def spy(name):
        def denoise(x, sigma):
            seen.setdefault(name, (x, sigma))
            return Denoised(x * 0)

        return lambda moment: denoise

    for name in ("Euler", "DDIM"):
        list(sample(SAMPLERS[name], spy(name), [3.0, 0.0], noise))
    torch.testing.assert_close(seen["Euler"][0], noise.normal(0) * 3)
    torch.testing.assert_close(seen["DDIM"][0], noise.normal(0) * math.sqrt(10))


def test_the_caller_may_stop_whenever_it_likes():
    asked = []

    def denoise(x, sigma):
        asked.append(sigma)
        return Denoised(x * 0)

    run = sample(SAMPLERS["Euler"], lambda moment: denoise, [3.0, 2.0, 1.0, 0.0], SeededNoise(1, (1, 2)))
    next(run), next(run)
    run.close()
    assert asked == [3.0, 2.0]


def test_a_run_that_ends_above_zero_is_scaled_for_the_decoder():
    x = torch.full((1, 4), 2.0)
    torch.testing.assert_close(latent(x, 0.0), x)
    torch.testing.assert_close(latent(x, 0.75), x * 0.8)


@pytest.mark.parametrize("name", ["PNDM", "PLMS"])
@pytest.mark.parametrize("steps", [1, 2, 10])
def test_a_step_from_noise_alone_is_eulers(name, steps):
    """The mean of two slopes across an interval that begins at sigma 4096 would be off by thousands."""
    schedule = Schedule.of(replace(SD15.schedule, zero_terminal_snr=True))
    sigmas, noise = ladder(SAMPLERS[name], schedule, steps, "trailing"), SeededNoise(1, (1, 4))

    def denoise(x, sigma):
        return Denoised(GaussianMixture().denoise(x.double(), sigma))

    first, *_ = states = list(sample(SAMPLERS[name], lambda moment: denoise, sigmas, noise, schedule=schedule))
    euler = next(sample(SAMPLERS["DDIM"], lambda moment: denoise, sigmas, noise, schedule=schedule))
    torch.testing.assert_close(first.x, euler.x)
    assert states[-1].x.abs().max() < 4
