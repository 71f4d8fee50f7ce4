import pytest

from calotype.errors import CalotypeError
from calotype.text.language import language_of
from calotype.text.prompt import Attachment, Subprompt, a1111_negative, a1111_prompt, comfyui_prompt
from calotype.text.schedule import text_at


def test_and_with_weights_and_schedules() -> None:
    prompt = a1111_prompt("a cat AND [a dog:a cow:.5] :1.2 AND rain: -.5", 10)
    assert prompt.subprompts == (
        Subprompt(1.0, ((10, "a cat"),)),
        Subprompt(1.2, ((5, " a dog"), (10, " a cow"))),
        Subprompt(-0.5, ((10, " rain"),)),
    )
    shown = [(text_at(subprompt.schedule, 7), subprompt.weight) for subprompt in prompt.subprompts]
    assert shown == [("a cat", 1.0), (" a cow", 1.2), (" rain", -0.5)]
    assert set(prompt.texts()) == {"a cat", " a dog", " a cow", " rain"}


def test_a_subprompt_of_weight_zero_is_none_at_all() -> None:
    assert a1111_prompt("a cat AND a dog :0", 10) == a1111_prompt("a cat", 10)


def test_a_plain_prompt_is_one_subprompt() -> None:
    assert a1111_prompt("a SANDY beach, 4k", 10).subprompts == (Subprompt(1.0, ((10, "a SANDY beach, 4k"),)),)
    assert a1111_prompt("", 10).subprompts == (Subprompt(1.0, ((10, ""),)),)


def test_attachments_are_taken_out_and_handed_on() -> None:
    prompt = a1111_prompt("a <lora:pixel:0.8>cat<lora:ink:1:0.5:8><lyco:toy:te=0.2:unet=0.4:dyn=4><lora:bare>", 10)
    assert prompt.subprompts == (Subprompt(1.0, ((10, "a cat"),)),)
    assert prompt.attachments == (
        Attachment("pixel", 0.8, 0.8), Attachment("ink", 1.0, 0.5), Attachment("toy", 0.2, 0.4),
        Attachment("bare", 1.0, 1.0),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ("a <hypernet:foo:1>", "<hypernet:foo:1> is a hypernetwork"),
        ("a <thing:foo>", "<thing:foo> is of an unknown kind"),
        ("a <lora:foo:much>", "<lora:foo:much> has a weight that is no number"),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_name(prompt: str, message: str) -> None:
    with pytest.raises(CalotypeError, match=message):
        a1111_prompt(prompt, 10)


def test_a_negative_prompt_has_schedules_but_no_and() -> None:
    assert a1111_negative("[rain:3] AND snow :2", 10).subprompts == (
        Subprompt(1.0, ((3, " AND snow :2"), (10, "rain AND snow :2"))),
    )


def test_comments_are_left_out_before_anything_is_read() -> None:
    """As A1111 does since 1.6, unless it is told otherwise."""
    prompt = a1111_prompt("# one\na cat :0.5# <hypernet:x:1> AND\n#two", 10)
    assert prompt == a1111_prompt("\na cat :0.5\n", 10)
    assert a1111_negative("#1 [a:b:3]\nrain#", 10) == a1111_negative("\nrain", 10)
    assert comfyui_prompt("a #1", 10).texts() == ["a #1"]


def test_comfyui_has_neither() -> None:
    assert comfyui_prompt("[a:b:3] AND c", 10).subprompts == (Subprompt(1.0, ((10, "[a:b:3] AND c"),)),)


def test_an_emphasis_that_no_program_has_is_refused() -> None:
    with pytest.raises(CalotypeError, match="choose Original"):
        language_of("comfyui", "No norm")
