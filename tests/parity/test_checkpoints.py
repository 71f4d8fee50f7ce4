"""Single files against diffusers' own reading of them, which is an independent writing of the original names."""

import inspect
from pathlib import Path
from types import SimpleNamespace

import diffusers
import pytest
import torch
from diffusers.loaders.single_file_utils import (
    convert_ldm_clip_checkpoint,
    convert_ldm_unet_checkpoint,
    convert_ldm_vae_checkpoint,
    convert_open_clip_checkpoint,
)
from safetensors.torch import load_file

from calotype.checkpoints.convert import write_single
from calotype.checkpoints.folder import write_folder
from calotype.checkpoints.scheduler_settings import read_sampler
from calotype.checkpoints.settings import write_model
from checkpoints.families import FAMILIES, made


def same(theirs: dict[str, torch.Tensor], folder: Path) -> None:
    (path,) = folder.glob("*.safetensors")
    ours = load_file(path)
    assert {key for key in theirs if not key.endswith("position_ids")} == ours.keys()
    for key, tensor in ours.items():
        assert torch.equal(theirs[key], tensor), key


@pytest.mark.parametrize("name", ["sd1", "sd1-inpainting", "sd2-v", "sdxl", "refiner"])
def test_diffusers_reads_the_names_we_write(tmp_path: Path, name: str) -> None:
    config = FAMILIES[name]
    networks = made(config)
    write_single(tmp_path / "single.safetensors", config, networks)
    write_folder(tmp_path / "folder", config, networks, {"vocab.json": "{}", "merges.txt": ""})
    single, described = load_file(tmp_path / "single.safetensors"), write_model(config)
    same(convert_ldm_unet_checkpoint(single, described["unet"]), tmp_path / "folder/unet")
    same(convert_ldm_vae_checkpoint(single, described["vae"]), tmp_path / "folder/vae")
    for i, text in enumerate(config.text):
        xl = config.unet.added_dim is not None
        clip = text.activation == "quick_gelu"
        folder = tmp_path / "folder" / ("text_encoder_2" if xl and not clip else "text_encoder")
        if clip:
            same(convert_ldm_clip_checkpoint(single), folder)
        else:
            prefix = f"conditioner.embedders.{i}.model." if xl else "cond_stage_model.model."
            model = SimpleNamespace(config=SimpleNamespace(hidden_size=text.hidden_size))
            same(convert_open_clip_checkpoint(model, single, prefix), folder)


@pytest.mark.parametrize("name", ["PNDM", "DDIM", "DDPM", "EulerDiscrete", "EulerAncestralDiscrete", "HeunDiscrete",
                                  "LMSDiscrete", "KDPM2Discrete", "KDPM2AncestralDiscrete", "DPMSolverMultistep",
                                  "DPMSolverSDE", "DEISMultistep", "UniPCMultistep", "SASolver"])  # fmt: skip
def test_a_scheduler_that_says_nothing_spaces_its_steps_as_in_diffusers(name: str) -> None:
    kind = getattr(diffusers, f"{name}Scheduler")
    expected = inspect.signature(kind).parameters["timestep_spacing"].default
    scheduler = read_sampler({"_class_name": kind.__name__})[1].removeprefix("diffusers_")
    assert scheduler.replace("interpolated", "linspace") == expected  # which Euler and its kin take so
