"""Networks in half precision: the run around them stays in float32, and the record tells."""

from pathlib import Path

import numpy as np
import pytest
import torch

from calotype import cli, model
from calotype.api import load
from calotype.imaging.png import read_record
from calotype.recipe import Recipe

RECIPE = Recipe(prompt="a unicorn", seed=7, steps=4, sampler="Euler a", cfg_scale=4)
HALVES = [torch.bfloat16, torch.float16]


@pytest.mark.parametrize(("dtype", "levels"), [(torch.bfloat16, 2.0), (torch.float16, 0.25)])
def test_the_run_is_in_float32_and_near_that_of_float32(tiny_folder: Path, dtype: torch.dtype, levels: float) -> None:
    """A bit less of mantissa is twice the distance, and float16 has three more."""
    half, whole = load(tiny_folder, dtype=dtype), load(tiny_folder)
    assert (half.dtype, whole.dtype) == (dtype, torch.float32)
    states = list(half.states(RECIPE))
    assert {tensor.dtype for state in states for tensor in (state.x, state.x0)} == {torch.float32}
    picture = half.develop(RECIPE, states)
    assert picture.record.dtype == str(dtype).removeprefix("torch.")
    other = whole.develop(RECIPE, whole.states(RECIPE))
    difference = np.abs(np.asarray(picture, dtype=int) - np.asarray(other, dtype=int))
    assert 0 < difference.mean() <= levels


@pytest.mark.parametrize("dtype", HALVES)
def test_convolutions_find_a_pixel_s_channels_together(tiny_folder: Path, dtype: torch.dtype) -> None:
    for each, layout in ((dtype, torch.channels_last), (torch.float32, torch.contiguous_format)):
        studio = load(tiny_folder, dtype=each)
        for network in (studio.unet, studio.vae):
            assert all(
                weight.is_contiguous(memory_format=layout) for weight in network.parameters() if weight.ndim == 4
            )


@torch.inference_mode()
def test_the_autoencoder_computes_in_float32_where_float16_would_overflow(tiny_folder: Path) -> None:
    studio = load(tiny_folder, dtype=torch.float16)
    latents, pictures = torch.randn(1, 4, 8, 8), torch.rand(1, 3, 64, 64) * 2 - 1
    exact = load(tiny_folder)
    exact.vae.load_state_dict(studio.vae.state_dict())
    torch.testing.assert_close(studio.decode(latents), exact.decode(latents))
    torch.testing.assert_close(studio.encode(pictures), exact.encode(pictures))
    assert studio.vae.quant_conv.weight.dtype == torch.float16


def test_large_models_are_loaded_in_what_the_device_is_fast_at(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model, "usual_dtype", lambda device, parameters: asked.append(parameters) or torch.bfloat16)
    asked: list[int] = []
    studio = load(tiny_folder)
    assert studio.dtype == torch.bfloat16
    assert asked == [sum(parameter.numel() for parameter in studio.unet.parameters())]
    assert load(tiny_folder, dtype=torch.float32).dtype == torch.float32


def test_what_was_made_in_bfloat16_is_verified_in_bfloat16(tiny_folder: Path, tmp_path: Path) -> None:
    picture, of_model = tmp_path / "a.png", ["--model", str(tiny_folder), "--threads", "1"]
    command = ["txt2img", "a", "--steps", "3", "--dtype", "bf16", "--device", "cpu", "-o", str(picture)]
    assert cli.main([*command, *of_model]) == 0
    assert read_record(picture).dtype == "bfloat16"
    assert cli.main(["verify", str(picture), *of_model]) == 0
    assert cli.main(["again", str(picture), *of_model, "-o", str(tmp_path / "b.png")]) == 0
    assert (tmp_path / "b.png").read_bytes() == picture.read_bytes()


@pytest.mark.parametrize(
    ("option", "said"), [("--dtype", "unknown dtype 'no'"), ("--device", "the device 'no' cannot")]
)
def test_unknown_names_are_told(option: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["txt2img", "a", option, "no"]) == 2
    assert said in capsys.readouterr().err
