"""What is asked for, moment by moment."""

from collections.abc import Callable

from calotype.diffusion.driver import Moment
from calotype.model import Model
from calotype.recipe import Recipe
from calotype.text.conditions import Conditions
from calotype.text.language import language

Asked = tuple[list[tuple[Conditions, float]], Conditions]
"""The positive conditions with their weights, and the negative one."""


def asked_at(model: Model, part: Recipe, passed: int) -> Callable[[Moment], Asked]:
    """The conditions of a pass at each moment, all of one length. ``passed``: the steps of the passes before.

    Steps are counted from the first one that is run, as A1111 counts them, in a pass that begins with a picture, too.
    To SDXL and its refiner A1111 gives zeros for an empty negative prompt; ComfyUI encodes it.
    """
    words = language(part.prompt_style, part.emphasis)
    prompt = words.prompt(part.prompt, part.steps, passed or None)
    negative = words.negative(part.negative_prompt, part.steps, passed or None)
    texts = list(dict.fromkeys([*prompt.texts(), *negative.texts()]))
    known = dict(zip(texts, model.conditions(texts, part.clip_skip, words), strict=True))
    sdxl = model.config.unet.added_dim is not None
    silent = sdxl and part.prompt_style == "a1111" and not any(negative.texts())

    def asked(moment: Moment) -> Asked:
        ((text, _),) = negative.at(moment.step)
        without = known[text].silenced() if silent else known[text]
        return [(known[text], weight) for text, weight in prompt.at(moment.step)], without

    return asked
