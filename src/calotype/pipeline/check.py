"""What can be told of a recipe before a network is asked."""

from calotype.diffusion.samplers import SAMPLERS
from calotype.errors import CalotypeError
from calotype.imaging.inputs import Inputs
from calotype.model import Model
from calotype.pipeline import words
from calotype.pipeline.extras import shown_mask
from calotype.pipeline.painting import Painting
from calotype.pipeline.passes import levels, passes
from calotype.recipe import Recipe


def check(model: Model, recipe: Recipe, inputs: Inputs) -> None:
    """Raise CalotypeError for a settled recipe that ``model`` cannot follow: words, pictures, schedulers, samplers."""
    for pass_ in passes(recipe):
        for each in filter(None, (model, model.refiner)):
            words.check(each, pass_)
            _check_pictures(Painting(each, pass_, inputs))
        sigmas = levels(model, pass_)
        if len(sigmas) > 1:
            SAMPLERS[pass_.sampler].plan(sigmas, model.schedule, **pass_.sampler_options)


def _check_pictures(painting: Painting) -> None:
    """Raise CalotypeError for pictures that cannot be read or that the model cannot do without, and thin masks."""
    model, canvas = painting.model, painting.canvas
    if canvas is None and model.edits:
        raise CalotypeError(f"the model {model.config.name} edits pictures: give it one with init_image.")
    if model.config.purpose == "depth2img":
        raise CalotypeError(
            f"the model {model.config.name} draws from depth maps (depth2img), which Calotype has none of: "
            "choose another model."
        )
    if canvas and canvas.mask and not model.edits:
        painted = painting.mask if painting.blends else shown_mask(painting)
        if not painted.any():
            side, softer = model.config.vae.downscale, painting.blends and painting.pass_.mask_round
            raise CalotypeError(
                f"the mask is too thin to paint anything: of each {side}x{side} pixels, one number of the latent, it "
                f"covers too little. Make it thicker{', use --no-mask-round' if softer else ''} or lower --mask-blur."
            )
