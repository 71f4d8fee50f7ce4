"""What is asked for, moment by moment."""

from collections.abc import Callable

from calotype.diffusion.driver import Moment
from calotype.errors import CalotypeError
from calotype.model import Model
from calotype.pipeline.passes import Pass
from calotype.text.conditions import Conditioning, of_one_length, skipped
from calotype.text.language import Language, language_of
from calotype.text.prompt import Prompt
from calotype.text.schedule import PromptSchedule, text_at

PassConditions = tuple[list[tuple[Conditioning, float]], Conditioning]
"""The positive conditions with their weights, and the negative one."""


def read_prompts(pass_: Pass) -> tuple[Language, Prompt, Prompt]:
    """The language of a pass, and what it reads in the prompt and in the negative prompt. Raises CalotypeError."""
    language = language_of(pass_.prompt_style, pass_.emphasis)
    passed = pass_.passed or None
    return (
        language,
        language.prompt(pass_.prompt, pass_.steps, passed),
        language.negative(pass_.negative_prompt, pass_.steps, passed),
    )


def check(model: Model, pass_: Pass) -> None:
    """Raise CalotypeError for prompts that cannot be read or followed, and where no layer is left to skip."""
    language, *prompts = read_prompts(pass_)
    for prompt in prompts:
        if prompt.attachments:
            name = prompt.attachments[0].name
            raise CalotypeError(f"the prompt asks for the LoRA {name!r}: none can be attached yet; leave it out.")
        for text in prompt.texts():
            language.read(text, model.tokenizers[0])
    for encoder in model.text_encoders:
        skipped(encoder, pass_.clip_skip)


def conditions_at(model: Model, pass_: Pass) -> Callable[[Moment], PassConditions]:
    """The conditions of a pass at each moment.

    Steps are counted from the first one that is run, as A1111 counts them, in a pass that begins with a picture, too.
    Lengths are A1111's: the texts of one schedule are filled up with empty chunks, the sides of an AND with their last
    vectors, and the negative prompt keeps its own, unless the recipe pads.
    To SDXL and its refiner A1111 gives zeros for an empty negative prompt; ComfyUI encodes it.
    """
    language, prompt, negative_prompt = read_prompts(pass_)
    (avoided,) = negative_prompt.subprompts

    def encoded(schedule: PromptSchedule) -> Callable[[Moment], Conditioning]:
        texts = list(dict.fromkeys(text for _, text in schedule))
        known = dict(zip(texts, model.conditions(texts, pass_.clip_skip, language), strict=True))
        return lambda moment: known[text_at(schedule, moment.step)]

    positive_at, negative_at = [encoded(each.schedule) for each in prompt.subprompts], encoded(avoided.schedule)
    weights = [each.weight for each in prompt.subprompts]
    sdxl = model.config.family.startswith("SDXL")
    silent = sdxl and pass_.prompt_style == "a1111" and not any(text for _, text in avoided.schedule)
    (empty,) = model.conditions([""], pass_.clip_skip, language) if pass_.pad_cond_uncond else [None]

    def conditions(moment: Moment) -> PassConditions:
        positives, negative = of_one_length([each(moment) for each in positive_at]), negative_at(moment)
        negative = negative.silenced() if silent else negative
        if empty is not None:
            *positives, negative = of_one_length([*positives, negative], empty.context)
        return list(zip(positives, weights, strict=True)), negative

    return conditions
