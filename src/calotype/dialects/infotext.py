"""A1111's text about a picture, prompts and a line of pairs, written and read as version 1.10.1 does it."""

import json
import math
import re
from collections.abc import Mapping

_PAIR = re.compile(r'\s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)')
_SIZE = re.compile(r"^(\d+)x(\d+)$")
_NEGATIVE = "Negative prompt:"


def written(prompt: str, negative_prompt: str, pairs: Mapping[str, str | float | None]) -> str:
    """The text of prompts and pairs (the end of A1111's ``create_infotext``); pairs of None are left out."""
    line = ", ".join(
        key if key == value else f"{key}: {_quoted(value)}" for key, value in pairs.items() if value is not None
    )
    negative = f"\n{_NEGATIVE} {negative_prompt}" if negative_prompt else ""
    return f"{prompt}{negative}\n{line}".strip()


def parse(text: str) -> dict[str, str]:
    """The pairs in such a text (A1111's ``parse_generation_parameters``), "Prompt" and "Negative prompt" among them.

    A size becomes two pairs, Key-1 and Key-2. Only a last line of three pairs or more is one of pairs.
    """
    *lines, last = text.strip().split("\n")
    if len(_PAIR.findall(last)) < 3:
        lines, last = [*lines, last], ""
    said: dict[str, list[str]] = {"Prompt": [], "Negative prompt": []}
    current = "Prompt"
    for line in map(str.strip, lines):
        if line.startswith(_NEGATIVE):
            current, line = "Negative prompt", line.removeprefix(_NEGATIVE).strip()
        if line or said[current]:
            said[current].append(line)
    pairs = {name: "\n".join(spoken) for name, spoken in said.items()}
    for key, value in _PAIR.findall(last):
        if not value:
            continue
        value = _unquoted(value)
        size = _SIZE.match(value)
        pairs |= {f"{key}-1": size[1], f"{key}-2": size[2]} if size else {key: value}
    return _with_hires_of_old(pairs)


def _with_hires_of_old(pairs: dict[str, str]) -> dict[str, str]:
    """Old versions wrote the second pass's size as the size, and the first's beside it, or 0x0 for about 512 x 512."""
    first = [int(pairs.get(f"First pass size-{side}", -1)) for side in (1, 2)]
    if -1 in first or "Hires upscale" in pairs or "Hires resize-1" in pairs:
        return pairs
    size = [int(pairs.get(f"Size-{side}", 512)) for side in (1, 2)]
    if 0 in first:
        scale = math.sqrt(512 * 512 / math.prod(size))
        first = [math.ceil(scale * side / 64) * 64 for side in size]
    both = {"Size": first, "Hires resize": size}
    return pairs | {f"{key}-{side + 1}": str(value[side]) for key, value in both.items() for side in (0, 1)}


def _quoted(value: str | float) -> str:
    text = str(int(value) if isinstance(value, float) and value.is_integer() else value)
    return json.dumps(text, ensure_ascii=False) if set(text) & set(",\n:") else text


def _unquoted(text: str) -> str:
    if text[0] != '"' or text[-1] != '"':
        return text
    try:
        return str(json.loads(text))
    except ValueError:
        return text
