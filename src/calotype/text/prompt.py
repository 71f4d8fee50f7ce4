"""A prompt, read: what is asked for, with which weight, at which step, and what it wants attached to the model."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from calotype.errors import CalotypeError
from calotype.text.schedule import PromptSchedule, schedule

COMMENT = re.compile(r"#[^\n]*")
"""What A1111 leaves out of every prompt: from a # on, to the end of the line."""
_ATTACHMENT = re.compile(r"<(\w+):([^>]+)>")
_AND = re.compile(r"\bAND\b")
_WEIGHT = re.compile(r"\A(.*?)(?:\s*:\s*([-+]?(?:\d+\.?|\d*\.\d+)))?\s*\Z", re.DOTALL)
_LORA = ("lora", "lyco")


@dataclass(frozen=True)
class Attachment:
    """``<lora:name:1>``, ``<lora:name:te=1:unet=0.5>``: a LoRA and how strongly it is wanted."""

    name: str
    text_encoder: float
    unet: float


@dataclass(frozen=True)
class Subprompt:
    """One side of an AND: its weight and its texts over the steps."""

    weight: float
    schedule: PromptSchedule


@dataclass(frozen=True)
class Prompt:
    """A prompt as A1111 or ComfyUI reads it."""

    subprompts: tuple[Subprompt, ...]
    attachments: tuple[Attachment, ...] = field(default=())

    def texts(self) -> list[str]:
        """All texts that it ever shows to the text encoder."""
        return [text for subprompt in self.subprompts for _, text in subprompt.schedule]


def a1111_prompt(text: str, steps: int, passed: int | None = None) -> Prompt:
    """A prompt in A1111's language: no comments, attachments, AND with weights, then the schedules of `text.schedule`.

    Raises CalotypeError for what it could only ignore: hypernetworks and other unknown attachments.
    """
    text = COMMENT.sub("", text)
    attachments = tuple(_attachment(kind, arguments.split(":")) for kind, arguments in _ATTACHMENT.findall(text))
    return Prompt(tuple(_subprompts(_AND.split(_ATTACHMENT.sub("", text)), steps, passed)), attachments)


def a1111_negative(text: str, steps: int, passed: int | None = None) -> Prompt:
    """A negative prompt in A1111's language, which has comments and schedules, but neither AND nor attachments."""
    return Prompt((Subprompt(1.0, schedule(COMMENT.sub("", text), steps, passed)),))


def comfyui_prompt(text: str, steps: int, passed: int | None = None) -> Prompt:
    """A prompt in ComfyUI's language, which has neither schedules nor AND nor attachments."""
    return Prompt((Subprompt(1.0, ((steps, text),)),))


def _subprompts(texts: Sequence[str], steps: int, passed: int | None) -> list[Subprompt]:
    subprompts = []
    for text in texts:
        match = _WEIGHT.match(text)
        assert match is not None, "the pattern takes any text"
        subprompts.append(Subprompt(float(match[2] or 1), schedule(match[1], steps, passed)))
    return [subprompt for subprompt in subprompts if subprompt.weight] or subprompts[:1]


def _attachment(kind: str, arguments: list[str]) -> Attachment:
    written = f"<{kind}:{':'.join(arguments)}>"
    if kind == "hypernet":
        raise CalotypeError(f"{written} is a hypernetwork, which Calotype does not have: leave it out, or use a LoRA.")
    if kind not in _LORA:
        raise CalotypeError(f"{written} is of an unknown kind: a prompt can have <lora:name:weight>.")
    named = dict(argument.split("=", 1) for argument in arguments[1:] if "=" in argument)
    bare = [argument for argument in arguments[1:] if "=" not in argument]
    try:
        text_encoder = float(named.get("te", bare[0] if bare else 1))
        unet = float(named.get("unet", bare[1] if len(bare) > 1 else text_encoder))
        return Attachment(arguments[0], text_encoder, unet)
    except ValueError:
        raise CalotypeError(f"{written} has a weight that is no number: write it as <lora:name:0.8>.") from None
