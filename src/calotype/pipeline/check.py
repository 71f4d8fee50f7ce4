"""What can be told of a recipe before a network is asked."""

from calotype.diffusion.samplers import SAMPLERS
from calotype.imaging.inputs import Inputs
from calotype.model import Model
from calotype.pipeline import words
from calotype.pipeline.passes import levels, passes
from calotype.pipeline.scene import Scene
from calotype.recipe import Recipe


def check(model: Model, recipe: Recipe, inputs: Inputs) -> None:
    """Raise CalotypeError for a settled recipe that ``model`` cannot follow: words, pictures, schedulers, samplers."""
    for part in passes(recipe):
        for each in filter(None, (model, model.refiner)):
            words.check(each, part)
            Scene(each, part, inputs).check()
        sigmas = levels(model, part)
        if len(sigmas) > 1:
            SAMPLERS[part.sampler].plan(sigmas, model.schedule, **part.sampler_options)
