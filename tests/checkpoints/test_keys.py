from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from calotype.checkpoints.keys import canonical, text_names, to_theirs, unet_names, vae_names
from calotype.checkpoints.scheduler_settings import not_honoured, read_sampler
from calotype.checkpoints.settings import read_model, write_model
from calotype.configs import PRESETS, ModelConfig, ScheduleConfig, TextConfig, UNetConfig, VaeConfig
from calotype.diffusion.samplers import SAMPLERS
from calotype.nn.clip import TextEncoder
from calotype.nn.unet import UNet
from calotype.nn.vae import Autoencoder

small, few = st.integers(1, 2), st.integers(1, 3)


@st.composite
def unets(draw: st.DrawFn) -> UNetConfig:
    levels = draw(few)
    depths = draw(st.lists(st.integers(0, 2), min_size=levels, max_size=levels))
    added = draw(st.booleans())
    return UNetConfig(
        in_channels=draw(st.sampled_from([4, 5, 8, 9])),  # others are of models that are not run, nor written
        channels=tuple(draw(st.lists(st.sampled_from([8, 16]), min_size=levels, max_size=levels))),
        layers_per_block=draw(small),
        transformer_depth=tuple(depths),
        mid_depth=depths[-1] or draw(small),
        num_heads=tuple(draw(st.lists(st.sampled_from([1, 2, 4]), min_size=levels, max_size=levels))),
        context_dim=8,
        linear_projection=draw(st.booleans()),
        norm_groups=4,
        added_time_dim=4 if added else None,
        added_dim=30 if added else None,
    )


vaes = st.builds(
    VaeConfig,
    channels=st.lists(st.sampled_from([8, 16]), min_size=1, max_size=4).map(tuple),
    layers_per_block=small,
    mid_attention=st.booleans(),
    norm_groups=st.just(4),
    scaling_factor=st.floats(0.1, 2),
)
texts = st.builds(
    TextConfig,
    vocab_size=st.integers(3, 99),
    hidden_size=st.just(8),
    intermediate_size=few,
    num_layers=few,
    num_heads=st.sampled_from([1, 2]),
    activation=st.sampled_from(["gelu", "quick_gelu"]),
    projection_dim=st.none() | few,
)
schedules = st.builds(
    ScheduleConfig,
    beta_schedule=st.sampled_from(["linear", "scaled_linear"]),
    beta_end=st.floats(0.01, 0.03),
    parameterization=st.sampled_from(["epsilon", "v_prediction", "sample"]),
    zero_terminal_snr=st.booleans(),
    spacing=st.sampled_from(["leading", "trailing", "linspace"]),
    steps_offset=st.integers(0, 1),
)


def one_to_one(table: dict[str, str]) -> bool:
    return len(set(table.values())) == len(table)


@given(unets(), vaes, texts)
@settings(max_examples=50, deadline=None)
def test_tables_are_one_to_one(unet: UNetConfig, vae: VaeConfig, text: TextConfig) -> None:
    assert one_to_one(unet_names(unet))
    assert one_to_one(vae_names(vae))
    assert one_to_one(text_names(text))


@given(unets(), vaes, texts)
@settings(max_examples=6, deadline=None)
def test_every_parameter_goes_there_and_back(unet: UNetConfig, vae: VaeConfig, text: TextConfig) -> None:
    with torch.device("meta"):
        networks: list[tuple[nn.Module, dict[str, str]]] = [
            (UNet(unet), unet_names(unet)),
            (Autoencoder(vae), vae_names(vae)),
            (TextEncoder(text), text_names(text)),
        ]
    for network, table in networks:
        inverse = {theirs: ours for ours, theirs in table.items()}
        keys = list(network.state_dict())
        theirs = [to_theirs(key, table) for key in keys]
        assert [to_theirs(key, inverse) for key in theirs] == keys
        assert list(canonical(theirs).values()) == theirs


@given(texts)
@settings(deadline=None)
def test_both_spellings_of_the_text_encoder_are_one(text: TextConfig) -> None:
    keys = [f"{key}.weight" for key in text_names(text).values()]
    assert list(canonical(key.removeprefix("text_model.") for key in keys).values()) == keys


@given(texts, vaes, unets(), schedules)
@settings(max_examples=50, deadline=None)
def test_settings_are_two_way(text: TextConfig, vae: VaeConfig, unet: UNetConfig, schedule: ScheduleConfig) -> None:
    if unet.added_dim is not None:  # SDXL's refiner, which takes the last layer but one as it is
        text = replace(text, skip=1, final_norm=False)
    config = ModelConfig("any", (text,), vae, unet, schedule)
    assert read_model(write_model(config), "any") == config


def test_presets_have_settings() -> None:
    for config in PRESETS.values():
        assert read_model(write_model(config), config.name) == config


def test_every_class_that_a_sampler_is_named_after_is_read_as_it() -> None:
    classes = {alias: row.name for row in SAMPLERS.values() for alias in row.aliases if alias.endswith("Scheduler")}
    del classes["EDMEulerScheduler"]  # of models that are told other levels
    for name, sampler in classes.items():
        assert read_sampler({"_class_name": name, "skip_prk_steps": True})[0] == sampler


def test_samplers_are_two_way() -> None:
    found = {
        ("UniPCMultistepScheduler", "bh1"): "UniPC",
        ("UniPCMultistepScheduler", "bh2"): "UniPC bh2",
        ("DPMSolverMultistepScheduler", "heun"): "DPM++ 2M SDE Heun",
        ("DPMSolverMultistepScheduler", "midpoint"): "DPM++ 2M SDE",
        ("DPMSolverSinglestepScheduler", "midpoint"): "DPM++ 2S",
        ("SASolverScheduler", None): "SA-Solver 2",
        ("TCDScheduler", None): "TCD",
    }
    for (name, solver), sampler in found.items():
        said = {"_class_name": name, "solver_type": solver, "algorithm_type": "sde-dpmsolver++"}
        read = read_sampler(said)
        assert read == (sampler, "" if sampler == "TCD" else "diffusers_linspace")
        written = write_model(PRESETS["sd15"], *read)["scheduler"]
        assert written["_class_name"] == name
        assert written.get("solver_type") in (solver, None)
        assert read_sampler(written) == read


def test_settings_that_publishers_left_out() -> None:
    """SD 1.5's files are older than most settings."""
    files = write_model(PRESETS["sd15"])
    for part, keys in {
        "vae": ["scaling_factor", "mid_block_add_attention"],
        "unet": ["transformer_layers_per_block", "use_linear_projection"],
        "scheduler": ["timestep_spacing", "prediction_type", "rescale_betas_zero_snr"],
    }.items():
        for key in keys:
            del files[part][key]
    assert read_model(files, "sd15") == PRESETS["sd15"]


@pytest.mark.parametrize(
    ("name", "said", "told"),
    [
        ("DPMSolverMultistepScheduler", {"solver_order": 2, "final_sigmas_type": "zero", "thresholding": False}, ()),
        ("DPMSolverMultistepScheduler", {"solver_order": 3}, ("solver_order 3",)),
        ("DPMSolverMultistepScheduler", {"algorithm_type": "dpmsolver"}, ("algorithm_type 'dpmsolver'",)),
        ("DPMSolverMultistepScheduler", {"solver_type": "heun"}, ("solver_type 'heun'",)),
        ("DPMSolverMultistepScheduler", {"solver_type": "heun", "algorithm_type": "sde-dpmsolver++"}, ()),
        ("EulerDiscreteScheduler", {"final_sigmas_type": "sigma_min"}, ("final_sigmas_type 'sigma_min'",)),
        ("PNDMScheduler", {"final_sigmas_type": "sigma_min", "set_alpha_to_one": True}, ()),
        ("DEISMultistepScheduler", {"solver_order": 3, "use_karras_sigmas": False}, ("solver_order 3",)),
        ("UniPCMultistepScheduler", {"use_karras_sigmas": True}, ("its class's ends and orders on karras levels",)),
        (
            "EulerDiscreteScheduler",
            {"use_karras_sigmas": True, "timestep_spacing": "leading"},
            ("timestep_spacing 'leading' beside karras levels",),
        ),
        ("OfTomorrow", {"solver_order": 3}, ()),
    ],
)
def test_what_is_not_honoured_of_a_publishers_choice_is_told(
    name: str, said: dict[str, Any], told: tuple[str, ...]
) -> None:
    assert not_honoured({"_class_name": name, **said}) == told
