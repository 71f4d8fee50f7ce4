"""scheduler_config.json: the forward process, and the sampler and its scheduler that a publisher chose; and back.

In our words a schedule is the forward process that a model was trained on, a scheduler chooses levels of it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from calotype.checkpoints.json_files import Settings, check_known
from calotype.configs import ScheduleConfig

_KNOWN: Mapping[str, Sequence[Any]] = {
    "trained_betas": (None,),
    "beta_schedule": ("linear", "scaled_linear"),
    "prediction_type": ("epsilon", "v_prediction", "sample"),
    "timestep_spacing": ("leading", "trailing", "linspace"),
}
_SAMPLERS = {
    "DDIMScheduler": "DDIM", "DDPMScheduler": "DDPM", "DEISMultistepScheduler": "DEIS", "LCMScheduler": "LCM",
    "PNDMScheduler": "PNDM", "LMSDiscreteScheduler": "LMS", "HeunDiscreteScheduler": "Heun",
    "EulerDiscreteScheduler": "Euler", "EulerAncestralDiscreteScheduler": "Euler a",
    "KDPM2DiscreteScheduler": "DPM2", "KDPM2AncestralDiscreteScheduler": "DPM2 a",
    "DPMSolverMultistepScheduler": "DPM++ 2M", "DPMSolverSDEScheduler": "DPM++ SDE",
    "DPMSolverSinglestepScheduler": "DPM++ 2S", "UniPCMultistepScheduler": "UniPC bh2",
    "SASolverScheduler": "SA-Solver 2", "TCDScheduler": "TCD",
}  # fmt: skip
"""Our samplers by diffusers' classes: the registry's aliases again, since it imports torch and this file must not."""
_CLASSES = {sampler: name for name, sampler in _SAMPLERS.items()}
_VARIANTS = {"DPM++ 2M SDE": "DPM++ 2M", "DPM++ 2M SDE Heun": "DPM++ 2M", "PLMS": "PNDM", "UniPC": "UniPC bh2"}
"""Samplers that a setting of another one's class chooses."""
_LEADING = ("DDIM", "DDPM", "PNDM")
"""Samplers whose classes take leading steps where a file does not say which; the others take linspace."""
_OWN_STEPS = ("LCM", "TCD")
"""Samplers whose classes take steps of a kind of their own, whatever a file says."""
_INTERPOLATED = ("Euler", "Euler a", "Heun", "LMS", "DPM2", "DPM2 a", "DPM++ SDE")
"""Samplers whose classes do not round the times of linspace."""
_ONE_SPACING = "DPM++ 2S"
"""The sampler whose class has linspace alone, whatever a file says."""
_PUBLISHED = "diffusers_"
"""What the schedulers are called with which a run begins and ends as the sampler's class does."""
_MULTISTEP = ("DPM++ 2M", "DPM++ 2M SDE", "DPM++ 2M SDE Heun")
_UNIPC = ("UniPC", "UniPC bh2")
_HONOURED: Sequence[tuple[str, Sequence[str], Sequence[Any]]] = (
    ("final_sigmas_type", ("Euler", *_MULTISTEP, "DPM++ 2S", *_UNIPC), ("zero",)),
    ("algorithm_type", _MULTISTEP, ("dpmsolver++", "sde-dpmsolver++", "deis")),
    ("algorithm_type", ("DPM++ 2S",), ("dpmsolver++", "deis")),
    ("solver_type", ("DPM++ 2M", "DPM++ 2S"), ("midpoint", "logrho", "bh1", "bh2")),
    ("solver_order", (*_MULTISTEP, "DPM++ 2S", "DEIS", *_UNIPC), (2,)),
    ("lower_order_final", (*_MULTISTEP, "DEIS", *_UNIPC), (True,)),
    ("euler_at_final", _MULTISTEP, (False,)),
    ("use_lu_lambdas", _MULTISTEP, (False,)),
    ("predict_x0", _UNIPC, (True,)),
    ("interpolation_type", ("Euler",), ("linear",)),
    ("timestep_type", ("Euler",), ("discrete",)),
    ("set_alpha_to_one", ("TCD",), (False,)),
    ("clip_sample", ("DDIM", "DDPM"), (False,)),
    ("thresholding", (*_MULTISTEP, "DPM++ 2S", "DEIS", *_UNIPC, "SA-Solver 2", "DDIM", "DDPM"), (False,)),
)
"""Settings by which a class would sample otherwise, the samplers it is that of, and the values that are honoured."""
_ENDS_OF_ITS_OWN = ("DEIS", *_UNIPC, "SA-Solver 2", "DPM2", "DPM2 a")
"""Samplers whose classes begin, end or choose orders otherwise on levels over sigma, too."""
_SCHEDULERS = {"use_karras_sigmas": "karras", "use_exponential_sigmas": "exponential", "use_beta_sigmas": "beta"}


def read_schedule(settings: Settings) -> ScheduleConfig:
    """The forward process that a scheduler_config.json describes. Raises CalotypeError, KeyError for what it lacks."""
    check_known("scheduler", settings, _KNOWN)
    return ScheduleConfig(
        beta_schedule=settings["beta_schedule"],
        beta_start=settings["beta_start"],
        beta_end=settings["beta_end"],
        num_steps=settings["num_train_timesteps"],
        parameterization=settings.get("prediction_type", "epsilon"),
        zero_terminal_snr=settings.get("rescale_betas_zero_snr", False),
        spacing=settings.get("timestep_spacing", "leading"),
        steps_offset=settings.get("steps_offset", 0),
    )


def write_scheduler(config: ScheduleConfig, sampler: str, scheduler: str) -> Settings:
    """The settings of the sampler's class; and what DDIM would have to know."""
    settings = {
        "_class_name": _CLASSES[_VARIANTS.get(sampler, sampler)],
        "beta_end": config.beta_end,
        "beta_schedule": config.beta_schedule,
        "beta_start": config.beta_start,
        "clip_sample": False,
        "num_train_timesteps": config.num_steps,
        "prediction_type": config.parameterization,
        "rescale_betas_zero_snr": config.zero_terminal_snr,
        "set_alpha_to_one": False,
        "steps_offset": config.steps_offset,
        "timestep_spacing": config.spacing,
    }
    settings |= {flag: True for flag, name in _SCHEDULERS.items() if name == scheduler}
    if sampler.startswith("DPM++ 2M"):
        settings["algorithm_type"] = "sde-dpmsolver++" if sampler in _VARIANTS else "dpmsolver++"
        settings["solver_type"] = "heun" if sampler.endswith("Heun") else "midpoint"
    if sampler.startswith("UniPC"):
        settings["solver_type"] = "bh1" if sampler in _VARIANTS else "bh2"
    if sampler in ("PNDM", "PLMS"):
        settings["skip_prk_steps"] = sampler in _VARIANTS
    spacing = scheduler.removeprefix(_PUBLISHED).replace("interpolated", "linspace")
    settings["set_alpha_to_one"] = scheduler != spacing
    if spacing in _KNOWN["timestep_spacing"] and spacing != config.spacing and sampler != _ONE_SPACING:
        del settings["timestep_spacing"]  # the file said nothing: classes and networks take it in different ways
    return settings


def read_sampler(settings: Settings) -> tuple[str, str]:
    """The sampler and the scheduler that a scheduler_config.json chooses, by our names; empty where it chooses none."""
    sampler = _SAMPLERS.get(str(settings.get("_class_name")), "")
    if sampler in ("", *_OWN_STEPS):
        return sampler, ""
    scheduler = next((scheduler for flag, scheduler in _SCHEDULERS.items() if settings.get(flag)), "")
    scheduler = scheduler or _spacing(settings, sampler)
    if sampler == "DPM++ 2M" and str(settings.get("algorithm_type", "")).startswith("sde"):
        sampler = "DPM++ 2M SDE Heun" if settings.get("solver_type") == "heun" else "DPM++ 2M SDE"
    if sampler == "UniPC bh2" and settings.get("solver_type") == "bh1":
        sampler = "UniPC"
    if sampler == "PNDM" and settings.get("skip_prk_steps"):
        sampler = "PLMS"
    return sampler, scheduler


def not_honoured(settings: Settings) -> tuple[str, ...]:
    """What a scheduler_config.json asks of the sampler it chooses that ours does not do, as lines for a person."""
    sampler, scheduler = read_sampler(settings)
    missed = [
        f"{key} {settings[key]!r}"
        for key, samplers, values in _HONOURED
        if sampler in samplers and key in settings and settings[key] not in values
    ]
    if scheduler in _SCHEDULERS.values() and sampler in _ENDS_OF_ITS_OWN:
        missed.append(f"its class's ends and orders on {scheduler} levels")
    if scheduler in _SCHEDULERS.values() and sampler in _INTERPOLATED:
        spacing = settings.get("timestep_spacing", "linspace")
        missed += [] if spacing == "linspace" else [f"timestep_spacing {spacing!r} beside {scheduler} levels"]
    return tuple(missed)


def _spacing(settings: Settings, sampler: str) -> str:
    """The scheduler of a file that chooses training times; A1111's name where its samplers begin and end so, too."""
    spacing: str = settings.get("timestep_spacing", "leading" if sampler in _LEADING else "linspace")
    to_zero = settings.get("set_alpha_to_one", sampler == "DDIM") or sampler == "DDPM"
    if sampler in _LEADING and not to_zero:
        return spacing
    if sampler == _ONE_SPACING:
        spacing = "linspace"
    if spacing == "linspace" and sampler in _INTERPOLATED:
        spacing = "interpolated"
    return f"{_PUBLISHED}{spacing}"
