import json
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from calotype.configs import SD15, SD21, SDXL, ModelConfig, ScheduleConfig
from calotype.errors import CalotypeError
from calotype.imaging.provenance import Provenance, read_provenance
from calotype.recipe import Record
from graphs import GRAPH, changed, rescaling, stopping_at

LINE = "a cat\nSteps: 9, Sampler: Euler a, Size: 64x64"
PLAIN = ScheduleConfig()
ZERO = replace(PLAIN, parameterization="v_prediction", zero_terminal_snr=True)


def save(path: Path, key: str, text: str) -> Path:
    info = PngInfo()
    info.add_text(key, text)
    Image.new("RGB", (8, 8)).save(path, pnginfo=info)
    return path


def test_pictures_of_a1111_are_read(tmp_path: Path) -> None:
    text = f"{LINE}, Model hash: 6ce0, Model: v1-5"
    found = read_provenance(save(tmp_path / "a.png", "parameters", text))
    assert (found.recipe.steps, found.model, found.model_hash) == (9, "v1-5", "6ce0")
    comment = b"UNICODE\0" + text.replace("cat", "猫").encode("utf-16-be")
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9286] = comment
    Image.new("RGB", (8, 8)).save(tmp_path / "a.jpg", exif=exif)
    assert "猫" in read_provenance(tmp_path / "a.jpg").recipe.prompt


def test_pictures_of_comfyui_are_read(tmp_path: Path) -> None:
    found = read_provenance(save(tmp_path / "a.png", "prompt", json.dumps(GRAPH)))
    assert (found.recipe.steps, found.model, found.model_hash) == (12, "v1-5.safetensors", "")
    assert len(found.not_honoured) == 1


@pytest.mark.parametrize(
    ("key", "text", "expected", "listed"),
    [
        ("prompt", stopping_at(-3), 2, []),
        ("prompt", stopping_at(-2), 1, []),
        ("prompt", stopping_at(-1), 1, ["clip_skip 1: the model leaves out more by itself"]),
        ("prompt", json.dumps(GRAPH), 1, []),
        (
            "parameters",
            f"{LINE}, RNG: CPU, Clip skip: 2",
            1,
            ["clip_skip 2: A1111 heeds it for Stable Diffusion 1 alone"],
        ),
        ("parameters", f"{LINE}, RNG: CPU, Clip skip: 1", 1, []),
        ("parameters", f"{LINE}, RNG: CPU", 1, []),
    ],
)
def test_layers_are_counted_as_the_program_does(
    key: str, text: str, expected: int, listed: list[str], tmp_path: Path
) -> None:
    """For a model that leaves out the last layer by itself, such as SDXL; for Stable Diffusion 1 all count alike."""
    found = read_provenance(save(tmp_path / "a.png", key, text))
    assert found.fitted(SD15) == found
    fitted = found.fitted(SDXL)
    assert found.fitted(SD21) == fitted
    assert fitted.recipe.clip_skip == expected
    assert list(fitted.not_honoured[len(found.not_honoured) :]) == listed
    assert fitted.recipe.but(clip_skip=1) == found.recipe.but(clip_skip=1)


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (SD15, "align_your_steps"), (SD21, "align_your_steps"), (SDXL, "align_your_steps_sdxl"),
        (replace(SDXL, text=SDXL.text[1:]), "align_your_steps_sdxl"),
    ],
    ids=lambda value: getattr(value, "family", value),
)  # fmt: skip
def test_align_your_steps_is_of_the_models_family(
    model: ModelConfig, name: str, record: Record, tmp_path: Path
) -> None:
    line = f"{LINE}, Schedule type: Align Your Steps"
    for more in ("", ", Hires upscale: 2, Hires schedule type: Align Your Steps"):
        fitted = read_provenance(save(tmp_path / "a.png", "parameters", line + more)).fitted(model)
        assert (fitted.recipe.scheduler, fitted.recipe.hr_scheduler) == (name, name if more else None)
    other = read_provenance(save(tmp_path / "a.png", "parameters", f"{LINE}, Schedule type: Karras")).fitted(model)
    assert other.recipe.scheduler == "karras"
    own = Provenance(record.recipe.but(scheduler="align_your_steps"), "", "", (), record)
    assert own.fitted(model) is own


@pytest.mark.parametrize(
    ("key", "text", "schedule", "listed"),
    [
        ("parameters", f"{LINE}, Schedule type: SGM Uniform", ZERO, ["the highest noise level: 4519"]),
        ("parameters", f"{LINE}, Schedule type: DDIM", ZERO, []),
        (
            "parameters",
            f"{LINE}, Schedule type: Karras",
            ZERO,
            ["the highest noise level", "the noise levels of karras"],
        ),
        ("prompt", changed("3", scheduler="beta"), ZERO, ["the highest noise level", "the noise levels of beta"]),
        ("prompt", json.dumps(GRAPH), PLAIN, []),
        ("prompt", rescaling(0.5), PLAIN, ["RescaleCFG: ComfyUI rescales v"]),
        ("prompt", rescaling(0), PLAIN, []),
        ("prompt", rescaling(0.5), replace(PLAIN, parameterization="v_prediction"), []),
        ("parameters", LINE.replace("Euler a", "DPM++ 2M Karras"), ZERO, ["the highest", "the noise levels of karras"]),
    ],
)
def test_what_depends_on_the_models_schedule_is_listed(
    key: str, text: str, schedule: ScheduleConfig, listed: list[str], tmp_path: Path
) -> None:
    found = read_provenance(save(tmp_path / "a.png", key, text))
    fitted = found.fitted(replace(SD15, schedule=schedule))
    lines = fitted.not_honoured[len(found.not_honoured) :]
    assert len(lines) == len(listed)
    assert all(line.startswith(start) for line, start in zip(lines, listed, strict=True))
    assert fitted.recipe == found.recipe


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("prompt", "{"), ("prompt", "[]"), ("prompt", "{}"), ("prompt", '{"1": 2}'), ("comment", "hello"),
        ("prompt", "[" * 5000),
        ("parameters", "p\nSteps: 9, Sampler: Euler, Hires resize-1: x, Hires resize-2: y"),
    ],
)  # fmt: skip
def test_hostile_texts_are_one_line(tmp_path: Path, key: str, text: str) -> None:
    with pytest.raises(CalotypeError) as error:
        read_provenance(save(tmp_path / "a.png", key, text))
    assert "\n" not in str(error.value)
