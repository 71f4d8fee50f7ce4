"""What AUTOMATIC1111's text means: the text of a record, and the recipe that a text asks for."""

import math
import re
from fractions import Fraction
from pathlib import Path
from typing import Any

from calotype.dialects import departures
from calotype.dialects.infotext import parse, written
from calotype.diffusion.schedulers import SCHEDULERS
from calotype.errors import CalotypeError
from calotype.recipe import SAMPLER, SAMPLER_OPTIONS, Recipe, Record

_NETWORK = re.compile(r"<(\w+):([^>]+)>")
_RNG = {"cpu": "CPU", "philox": "NV"}
_FIELDS = {
    "Steps": "steps", "Sampler": "sampler", "Schedule type": "scheduler", "CFG scale": "cfg_scale", "Seed": "seed",
    "Size-1": "width", "Size-2": "height", "Variation seed": "subseed", "Variation seed strength": "subseed_strength",
    "Clip skip": "clip_skip", "ENSD": "eta_noise_seed_delta", "RNG": "rng", "Emphasis": "emphasis",
    "Pad conds": "pad_cond_uncond", "Eta": "eta", "Eta DDIM": "eta",
    "Sigma churn": "s_churn", "Sigma tmin": "s_tmin", "Sigma tmax": "s_tmax", "Sigma noise": "s_noise",
    "CFG Rescale": "cfg_rescale", "Hires upscale": "hr_scale", "Hires steps": "hr_steps",
    "Hires upscaler": "hr_upscaler", "Hires sampler": "hr_sampler", "Hires schedule type": "hr_scheduler",
    "Hires prompt": "hr_prompt", "Hires negative prompt": "hr_negative_prompt", "Hires CFG Scale": "hr_cfg_scale",
    "Denoising strength": "hr_denoising_strength",
}  # fmt: skip
"""Where a recipe keeps what A1111 calls so."""
_SEED_RESIZE = {"Seed resize from-1": "w", "Seed resize from-2": "h"}
_SILENT = {
    "Model", "Model hash", "Version", "User", "Hires sampler: Use same sampler", "Hires steps: 0",
    "Hires schedule type: Use same scheduler", "Hires checkpoint: Use same checkpoint", "Beta schedule alpha: 0.6",
    "Beta schedule beta: 0.6",
}  # fmt: skip
"""Keys and pairs that ask nothing of a recipe."""
_NOISY = ("DPM fast", "DPM adaptive")
"""Samplers to which A1111 gives an eta of 1 that it does not tell; without one they have k-diffusion's here, 0."""


def parameters(record: Record) -> str:
    """The text that A1111 writes for such a picture (its ``create_infotext``), in the same order."""
    recipe = record.recipe
    pairs: dict[str, str | float | None] = {
        "Steps": recipe.steps,
        "Sampler": recipe.sampler,
        "Schedule type": SCHEDULERS[recipe.scheduler].label,
        "CFG scale": recipe.cfg_scale,
        "Image CFG scale": _unless(1.5, recipe.image_cfg_scale),
        "Seed": recipe.seed,
        "Size": f"{recipe.width}x{recipe.height}",
        "Model hash": record.model_hash[:10],
        "Model": record.model,
        **_variation(recipe),
        "Denoising strength": recipe.denoising_strength if recipe.hr_scale == 1 else recipe.hr_denoising_strength,
        "Clip skip": _unless(1, recipe.clip_skip),
        "ENSD": _unless(0, recipe.eta_noise_seed_delta),
        "Init image hash": record.inputs.get("init_image", "")[:32] or None,
        "RNG": _RNG[recipe.rng],
        "Refiner": _short_title(recipe.refiner_checkpoint, record.refiner_hash),
        "Refiner switch at": recipe.refiner_switch_at if recipe.refiner_checkpoint else None,
        **_extras(recipe),
        "Version": f"calotype {record.versions.get('calotype', '')}".strip(),
    }
    return written(recipe.prompt, recipe.negative_prompt, pairs)


def recipe_of(text: str) -> tuple[Recipe, list[str]]:
    """The recipe that such a text asks for, and what of it cannot be honoured, as lines for a person."""
    pairs, missed = {"RNG": "GPU", **parse(text)}, list[str]()
    fields: dict[str, Any] = {"sampler": SAMPLER}
    for key in ("Prompt", "Hires prompt"):  # in a negative prompt they are plain words
        if key in pairs:
            missed += [f"{network[0]} in the {key.lower()}" for network in _NETWORK.finditer(pairs[key])]
            pairs[key] = _NETWORK.sub("", pairs[key])
    fields |= {"prompt": pairs.pop("Prompt"), "negative_prompt": pairs.pop("Negative prompt")}
    missed += _settle_second_pass(pairs)
    resized, unfit = _seed_resize(pairs)
    fields |= resized
    missed += unfit
    for key, value in pairs.items():
        pair = f"{key}: {value}"
        if key in _SILENT or pair in _SILENT:
            continue
        try:
            Recipe(**{_FIELDS[key]: value})
            fields[_FIELDS[key]] = value
        except (CalotypeError, KeyError):
            missed.append(pair)
    samplers = [sampler for sampler, _, _ in departures.ladders(Recipe(**fields))]
    if any(sampler.name in _NOISY for sampler in samplers):
        fields.setdefault("eta", 1.0)
    for name in SAMPLER_OPTIONS:
        if name in fields and not any(name in sampler.options for sampler in samplers):
            missed.append(f"{name} {fields.pop(name)}: {samplers[0].name} has none")
    recipe = Recipe(**fields)
    return recipe, list(dict.fromkeys(missed + departures.from_a1111(recipe)))


def model_of(text: str) -> tuple[str, str]:
    """The name of the model that such a text tells of, and the first digits of its sha256; empty where not told."""
    pairs = parse(text)
    return pairs.get("Model", ""), pairs.get("Model hash", "")


def _settle_second_pass(pairs: dict[str, str]) -> list[str]:
    """A size to enlarge to becomes a scale; a strength without a second pass belongs to a picture that is not there."""
    missed = []
    size = [pairs.pop(f"Hires resize-{side}", "0") for side in (1, 2)]
    if size != ["0", "0"]:
        scales = {
            _times(int(side), max(1, int(pairs.get(f"Size-{axis}", 0))))
            for axis, side in enumerate(size, 1)
            if side != "0"
        }
        if len(scales) == 1:
            pairs["Hires upscale"] = str(scales.pop())
        else:
            missed.append(f"Hires resize: {'x'.join(size)}, which is no multiple of the size")
    if "Hires upscale" not in pairs:
        strength = pairs.pop("Denoising strength", "0")
        if strength != "0":  # which pictures made through A1111's API tell, too
            missed.append(f"Denoising strength: {strength}, of a picture to begin with that is not in the file")
    return missed


def _seed_resize(pairs: dict[str, str]) -> tuple[dict[str, str], list[str]]:
    """The size that the seed's noise is of, taken out of the pairs: both sides are honoured, or none."""
    size = {f"seed_resize_from_{side}": pairs.pop(key) for key, side in _SEED_RESIZE.items() if key in pairs}
    try:
        Recipe(**size)
    except CalotypeError:
        return {}, [f"Seed resize from: {'x'.join(size.values())}"]
    return size, []


def _times(larger: int, side: int) -> float:
    """How many times larger: never rounded down, so that the whole part of side times this is ``larger`` again."""
    times = larger / side
    return times if Fraction(times) >= Fraction(larger, side) else math.nextafter(times, math.inf)


def _variation(recipe: Recipe) -> dict[str, str | float]:
    pairs: dict[str, str | float] = {}
    if recipe.subseed_strength:
        pairs = {"Variation seed": recipe.subseed, "Variation seed strength": recipe.subseed_strength}
    if recipe.seed_resize_from_w and recipe.seed_resize_from_h:
        pairs["Seed resize from"] = f"{recipe.seed_resize_from_w}x{recipe.seed_resize_from_h}"
    return pairs


def _extras(recipe: Recipe) -> dict[str, str | float | None]:
    pairs: dict[str, str | float | None] = {}
    if recipe.hr_scale > 1:
        hr_scheduler = _unless(recipe.scheduler, recipe.hr_scheduler)
        pairs = {
            "Hires prompt": recipe.hr_prompt, "Hires negative prompt": recipe.hr_negative_prompt,
            "Hires CFG Scale": recipe.hr_cfg_scale, "Hires upscale": recipe.hr_scale, "Hires steps": recipe.hr_steps,
            "Hires upscaler": recipe.hr_upscaler, "Hires sampler": _unless(recipe.sampler, recipe.hr_sampler),
            "Hires schedule type": hr_scheduler and SCHEDULERS[hr_scheduler].label,
        }  # fmt: skip
    if recipe.mask is not None:
        pairs |= {
            "Mask blur": recipe.mask_blur,
            "Mask mode": "Inpaint not masked" if recipe.mask_invert else None,
            "Inpaint area": "Only masked" if recipe.inpaint_area == "only masked" else None,
            "Masked area padding": recipe.masked_padding if recipe.inpaint_area == "only masked" else None,
            "Masked content": _unless("original", recipe.inpainting_fill),
        }
    eta = 0 if recipe.eta is None and recipe.sampler in _NOISY else recipe.eta
    return pairs | {
        "Eta DDIM" if recipe.sampler.startswith("DDIM") else "Eta": eta,
        "Sigma churn": recipe.s_churn,
        "Sigma tmin": recipe.s_tmin,
        "Sigma tmax": recipe.s_tmax,
        "Sigma noise": recipe.s_noise,
        "Emphasis": _unless("Original", recipe.emphasis),
        "Pad conds": _unless(False, recipe.pad_cond_uncond),
        "CFG Rescale": _unless(0, recipe.cfg_rescale),
    }


def _short_title(checkpoint: str | None, sha256: str) -> str | None:
    return checkpoint and f"{Path(checkpoint).stem} [{sha256[:10]}]"


def _unless(usual: Any, value: Any) -> Any:
    return None if value == usual else value
