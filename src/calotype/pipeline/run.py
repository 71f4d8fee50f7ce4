"""The run: pass after pass, state after state, and the picture at the end."""

import hashlib
import platform
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import version

import torch
from jaxtyping import Float
from torch import Tensor

from calotype.diffusion import driver
from calotype.diffusion.driver import DenoiserAt, Moment
from calotype.diffusion.guidance import guided
from calotype.diffusion.handover import handing_over
from calotype.diffusion.published import as_published
from calotype.diffusion.samplers import SAMPLERS, Denoiser, SamplerState
from calotype.errors import CalotypeError
from calotype.imaging.inputs import Inputs
from calotype.imaging.picture import Picture
from calotype.imaging.reading import fingerprint
from calotype.model import Model
from calotype.pipeline.check import check
from calotype.pipeline.extras import with_extras
from calotype.pipeline.guides import guide_at
from calotype.pipeline.painting import Painting
from calotype.pipeline.passes import Pass, levels, passes, settle
from calotype.pipeline.words import conditions_at
from calotype.recipe import Recipe, Record

_NO_MEMORY = ("tried to allocate", "out of memory")
"""What torch says where there is too little of it: on a CPU, and on a GPU."""


@dataclass(frozen=True, eq=False)
class RunState:
    """Where a run is: in which pass, and there in which state. All that the rest depends on, beside the recipe."""

    pass_index: int
    state: SamplerState
    inputs: Inputs
    """The pictures the run began with, as they were then."""
    digests: tuple[str, ...] = ()
    """The digest of each step's latent so far."""

    @property
    def index(self) -> int:
        """How many steps of the pass are done."""
        return self.state.index

    @property
    def x(self) -> Float[Tensor, "1 c h w"]:
        """The noisy latent in sigma coordinates."""
        return self.state.x

    @property
    def x0(self) -> Float[Tensor, "1 c h w"]:
        """The latest prediction of the clean latent: the preview."""
        return self.state.x0


@torch.inference_mode()
def states(model: Model, recipe: Recipe, state: RunState | None = None) -> Iterator[RunState]:
    """The states of sampling, one after each step of each pass; onwards from a saved ``state``.

    A picture is sampled alone, whatever is made beside it: it depends on the model and the recipe only. Its prompt and
    its negative prompt go through the U-Net together if they are of one length. The only state of a pass of strength 0
    is its beginning.
    """
    inputs = state.inputs if state else Inputs(recipe)
    recipe = settle(model, recipe, inputs)
    check(model, recipe, inputs)
    paintings = [Painting(model, pass_, inputs) for pass_ in passes(recipe)]
    last = state
    for pass_index in range(last.pass_index if last else 0, len(paintings)):
        with _memory_errors_told(paintings[pass_index].pass_):
            for current in _sampled(paintings, pass_index, last):
                digests = last.digests if last else ()
                last = RunState(pass_index, current, inputs, (*digests, digest(current.x)))
                yield last


@torch.inference_mode()
def develop(model: Model, recipe: Recipe, states: Iterable[RunState]) -> Picture:
    """Go through the ``states`` of ``recipe`` and make the last one visible."""
    last = None
    for last in states:  # noqa: B007 - the last one is what is wanted
        pass
    if last is None:
        raise CalotypeError("there is no state to develop: give the iterator that `states` returned, unused.")
    recipe = settle(model, recipe, last.inputs)
    painting = Painting(model, passes(recipe)[last.pass_index], last.inputs)
    with _memory_errors_told(painting.pass_):
        latent = _latent(painting, last)
        if not latent.isfinite().all():
            wider = ", or choose a wider dtype" if model.dtype == torch.float16 else ""
            raise CalotypeError(
                f"the picture's numbers grew past all bounds: lower the prompt's weights, or cfg_scale{wider}."
            )
        image = painting.decode(latent)
    image = painting.canvas.finish(image) if painting.canvas else image
    return Picture.of(image, record(model, recipe, last).but(pixels=fingerprint(image)))


def digest(x: Tensor) -> str:
    """The first 16 hex digits of the sha256 of a tensor's numbers in float32."""
    return hashlib.sha256(x.to("cpu", torch.float32).contiguous().numpy().tobytes()).hexdigest()[:16]


def _sampled(paintings: Sequence[Painting], pass_index: int, last: RunState | None) -> Iterable[SamplerState]:
    """The states of a pass after the ``last`` one, its own or the end of the pass before."""
    painting = paintings[pass_index]
    pass_, model = painting.pass_, painting.model
    sigmas, sampler = levels(model, pass_), as_published(SAMPLERS[pass_.sampler], pass_.scheduler)
    start = _start(paintings, pass_index, float(sigmas[0]), last)
    if start and len(sigmas) == 1:
        return [] if last and last.pass_index == pass_index else [start]
    return driver.sample(
        sampler, _experts_at(painting), sigmas, painting.noise,
        x=None, state=start, schedule=model.schedule, **pass_.sampler_options,
    )  # fmt: skip


def _start(paintings: Sequence[Painting], pass_index: int, sigma: float, last: RunState | None) -> SamplerState | None:
    """Where a pass begins: at a saved state of its own, at the enlarged end of the pass before, or as its picture says.

    None is noise alone.
    """
    if last and last.pass_index == pass_index:
        return last.state
    painting = paintings[pass_index]
    x = painting.enlarge(_latent(paintings[pass_index - 1], last), sigma) if last else painting.start(sigma)
    return None if x is None else SamplerState(x, x)


def _experts_at(painting: Painting) -> DenoiserAt:
    """The model's denoiser, and from a noise level on the refiner's, where the recipe asks for one."""
    alone, pass_ = _denoiser_at(painting), painting.pass_
    if pass_.refiner_checkpoint is None:
        return alone
    refiner, schedule = painting.model.refiner, painting.model.schedule
    assert refiner is not None and pass_.refiner_switch_at is not None, "the recipe is settled, its refiner is loaded"
    below = round(len(schedule.sigmas) * (1 - pass_.refiner_switch_at))
    refined = _denoiser_at(replace(painting, model=refiner))
    return handing_over(alone, refined, lambda sigma: round(float(schedule.t(sigma))) < below)


def _denoiser_at(painting: Painting) -> DenoiserAt:
    """Words, guides and painting, each bound to the moment, around one prediction."""
    model, pass_ = painting.model, painting.pass_
    conditions = with_extras(conditions_at(model, pass_), painting)
    guide = guide_at(pass_, model.parameterization, always=model.edits)

    def denoiser_at(moment: Moment) -> Denoiser:
        positive, negative = conditions(moment)
        return painting.held_to_picture(guided(painting.tiles.predict, positive, negative, guide(moment)), negative)

    return denoiser_at


def _latent(painting: Painting, state: RunState) -> Tensor:
    return painting.pasted(driver.latent(state.x, float(levels(painting.model, painting.pass_)[-1])))


def record(model: Model, recipe: Recipe, state: RunState) -> Record:
    """All that the run of a settled recipe depends on, here and now, as far as ``state``."""
    return Record(
        recipe=recipe,
        model=model.config.name,
        model_hash=model.hash,
        choices=model.read_options,
        refiner_hash=model.refiner.hash if model.refiner else "",
        dtype=str(model.dtype).removeprefix("torch."),
        device=str(model.device),
        threads=torch.get_num_threads(),
        noise=recipe.rng,
        cpu=f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}",
        versions={"calotype": version("calotype"), "torch": torch.__version__},
        inputs=state.inputs.fingerprints,
        digests=state.digests,
    )


@contextmanager
def _memory_errors_told(pass_: Pass) -> Iterator[None]:
    try:
        yield
    except (MemoryError, RuntimeError) as error:  # torch has a type of its own for GPUs only
        if not isinstance(error, MemoryError) and not any(said in str(error) for said in _NO_MEMORY):
            raise
        raise CalotypeError(
            f"there is not enough memory for a picture of {pass_.width}x{pass_.height}: choose a smaller size."
        ) from error
