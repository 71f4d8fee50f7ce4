"""Captions: a spec in English. What a caption says is always true of the picture; it need not say everything."""

from calotype.data.spec import Cell, Relation, Spec

TEMPLATES: dict[str, str] = {
    "on a background": "{scene} on a {colour} background",
    "bare": "{scene}",
    "on": "{scene} on {colour}",
    "terse": "{terse}",
    "terse on": "{terse} on {colour}",
    "terse background": "{terse}, {colour} background",
    "with": "{scene} with a {colour} background",
    "against": "{scene} against a {colour} background",
    "background first": "on a {colour} background, {scene}",
    "comma": "{scene}, the background is {colour}",
    "picture": "a picture of {scene}",
    "picture on": "a picture of {scene} on a {colour} background",
    "there is": "{there} {scene} on a {colour} background",
    "in front of": "{scene} in front of a {colour} background",
    "background only first": "{colour} background, {scene}",
    "image against": "an image of {scene} against {colour}",
}
"""Sentences around the words for the objects."""

PLACES: dict[Cell, tuple[str, str]] = {
    "top left": ("at the top left", "in the top left corner"),
    "top": ("at the top", "at the top in the middle"),
    "top right": ("at the top right", "in the top right corner"),
    "left": ("on the left", "on the left side"),
    "center": ("in the center", "in the middle"),
    "right": ("on the right", "on the right side"),
    "bottom left": ("at the bottom left", "in the bottom left corner"),
    "bottom": ("at the bottom", "at the bottom in the middle"),
    "bottom right": ("at the bottom right", "in the bottom right corner"),
}

PHRASES: dict[Relation, dict[str, str]] = {
    "alone": {
        "name": "{0}",
        "place": "{0} {place}",
        "corner": "{0} {corner}",
        "size": "{size} {0}",
        "size place": "{size} {0} {place}",
    },
    "left": {
        "full": "{0} to the left of {1}",
        "short": "{0} left of {1}",
        "next to": "{0} next to {1}",
        "beside": "{0} beside {1}",
        "and": "{0} and {1}",
    },
    "right": {
        "full": "{0} to the right of {1}",
        "short": "{0} right of {1}",
        "next to": "{0} next to {1}",
        "beside": "{0} beside {1}",
        "and": "{0} and {1}",
    },
    "above": {"full": "{0} above {1}", "short": "{0} over {1}", "and": "{0} and {1}"},
    "below": {"full": "{0} below {1}", "short": "{0} under {1}", "and": "{0} and {1}"},
    "row": {
        "row": "{list} in a row",
        "side by side": "{list} side by side",
        "list": "{list}",
        "left to right": "{list} from left to right",
    },
    "group": {"list": "{list}"},
}
"""Words for the objects, by how they stand. ``left to right`` is for different things only."""

LARGE, SMALL = 0.6, 0.3
"""A thing is large from this share of the canvas on (longer side), small up to that one."""

_NUMBERS = ("no", "a", "two", "three", "four", "five")
_PLURALS = {
    "fish": "fish",
    "sheep": "sheep",
    "mouse": "mice",
    "snowman": "snowmen",
    "cactus": "cacti",
    "leaf": "leaves",
}


def caption(spec: Spec) -> str:
    """The caption of a spec: lower case, no full stop. A function of the spec's words alone, never of the hash."""
    form = TEMPLATES[spec.template]
    phrase = _phrase(spec, articles="{terse}" not in form)
    there = "there are" if len(spec.objects) > 1 and spec.alike else "there is"
    text = form.format(scene=phrase, terse=phrase, colour=spec.background, there=there)
    return text.replace(" a orange", " an orange")


def size_word(spec: Spec) -> str | None:
    """``large`` or ``small`` where the first object is, None between."""
    share = spec.objects[0].extent / spec.size
    return "large" if share >= LARGE else "small" if share <= SMALL else None


def plural(noun: str) -> str:
    """The plural of a noun or compound noun."""
    head, _, last = noun.rpartition(" ")
    if last in _PLURALS:
        last = _PLURALS[last]
    elif last.endswith(("s", "x", "ch", "sh")) or last in ("volcano", "potato", "tomato"):
        last += "es"
    elif last.endswith("y") and last[-2] not in "aeiou":
        last = last[:-1] + "ies"
    else:
        last += "s"
    return f"{head} {last}".strip()


def article(noun: str) -> str:
    """The noun with ``a`` or ``an``."""
    silent = noun[0] in "aeiou" and not noun.startswith(("uni", "use", "euro"))
    return f"{'an' if silent else 'a'} {noun}"


def _phrase(spec: Spec, articles: bool) -> str:
    form = PHRASES[spec.relation][spec.phrase]
    size = size_word(spec) if "{size}" in form else None
    words = [f"{size} {o.word}" if size else o.word for o in spec.objects]
    named = [article(word) if articles else word for word in words]
    place, corner = PLACES[spec.cell]
    return form.replace("{size} ", "").format(*named, place=place, corner=corner, list=_list(spec, named))


def _list(spec: Spec, named: list[str]) -> str:
    if len(named) > 1 and spec.alike:
        return f"{_NUMBERS[len(named)]} {plural(spec.objects[0].word)}"
    return f"{', '.join(named[:-1])} and {named[-1]}" if len(named) > 1 else named[0]
