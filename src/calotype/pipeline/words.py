"""What is asked for, moment by moment."""

from collections.abc import Callable

from calotype.diffusion.driver import Moment
from calotype.errors import CalotypeError
from calotype.model import Model
from calotype.pipeline.passes import Pass
from calotype.text.conditions import Conditions, of_one_length, skipped
from calotype.text.language import Language, language
from calotype.text.prompt import Prompt
from calotype.text.schedule import Schedule, text_at

Asked = tuple[list[tuple[Conditions, float]], Conditions]
"""The positive conditions with their weights, and the negative one."""


def spoken(part: Pass) -> tuple[Language, Prompt, Prompt]:
    """The language of a pass, and what it reads in the prompt and in the negative prompt. Raises CalotypeError."""
    words = language(part.prompt_style, part.emphasis)
    passed = part.passed or None
    return (
        words,
        words.prompt(part.prompt, part.steps, passed),
        words.negative(part.negative_prompt, part.steps, passed),
    )


def check(model: Model, part: Pass) -> None:
    """Raise CalotypeError for prompts that cannot be read or followed, and where no layer is left to skip."""
    words, *prompts = spoken(part)
    for prompt in prompts:
        if prompt.attachments:
            name = prompt.attachments[0].name
            raise CalotypeError(f"the prompt asks for the LoRA {name!r}: none can be attached yet; leave it out.")
        for text in prompt.texts():
            words.read(text, model.tokenizers[0])
    for encoder in model.text_encoders:
        skipped(encoder, part.clip_skip)


def asked_at(model: Model, part: Pass) -> Callable[[Moment], Asked]:
    """The conditions of a pass at each moment.

    Steps are counted from the first one that is run, as A1111 counts them, in a pass that begins with a picture, too.
    Lengths are A1111's: the texts of one schedule are filled up with empty chunks, the parts of an AND with their last
    vectors, and the negative prompt keeps its own, unless the recipe pads.
    To SDXL and its refiner A1111 gives zeros for an empty negative prompt; ComfyUI encodes it.
    """
    words, prompt, avoided = spoken(part)
    (negative,) = avoided.parts

    def encoded(schedule: Schedule) -> Callable[[Moment], Conditions]:
        texts = list(dict.fromkeys(text for _, text in schedule))
        known = dict(zip(texts, model.conditions(texts, part.clip_skip, words), strict=True))
        return lambda moment: known[text_at(schedule, moment.step)]

    positive_at, negative_at = [encoded(each.schedule) for each in prompt.parts], encoded(negative.schedule)
    weights = [each.weight for each in prompt.parts]
    sdxl = model.config.unet.added_dim is not None
    silent = sdxl and part.prompt_style == "a1111" and not any(text for _, text in negative.schedule)
    (empty,) = model.conditions([""], part.clip_skip, words) if part.pad_cond_uncond else [None]

    def asked(moment: Moment) -> Asked:
        positives, without = of_one_length([each(moment) for each in positive_at]), negative_at(moment)
        without = without.silenced() if silent else without
        if empty is not None:
            *positives, without = of_one_length([*positives, without], empty.context)
        return list(zip(positives, weights, strict=True)), without

    return asked
