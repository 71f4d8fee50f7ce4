"""Prompts that change while a picture is made: ``[from:to:when]`` and ``[one|other]``, as A1111 1.10.1 reads them."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from calotype.text.brackets import check_depth

if TYPE_CHECKING:
    from lark import Lark, Token, Tree

PromptSchedule = tuple[tuple[int, str], ...]
"""Texts, each with the last step (counted from 1) that it is meant for."""

# What fits no bracket rule is text, if brackets and colons are all that is wrong; a stray | is wrong for good.
_GRAMMAR = r"""
start: (node | stray)*
?node: TEXT | WHEN | emphasis | scheduled | alternated
inner: node*
emphasis: "(" inner ")" | "(" inner ":" inner ")" | "[" inner "]"
scheduled: "[" [inner ":"] inner ":" WHEN "]"
alternated: "[" inner ("|" inner)+ "]"
stray.-1: "[" | "]" | "(" | ")" | ":"
WHEN.2: /\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*(?=\])/
TEXT.1: /([^\\\[\]():|]|\\.)+/
"""


def schedule(text: str, steps: int, passed: int | None = None) -> PromptSchedule:
    """The texts that ``text`` stands for over a number of steps.

    ``when`` with a point is a share of the steps, without it a number of steps. In the second pass of a picture,
    which comes after ``passed`` steps, shares count from 1.0 and numbers from ``passed``. What cannot be parsed stays
    as it is. Raises CalotypeError when brackets nest too deeply.

    >>> schedule("a [b:c:.5]", 10)
    ((5, 'a b'), (10, 'a c'))
    """
    if "[" not in text:
        return ((steps, text),)
    check_depth(text)
    tree = _parsed(text)
    if tree is None:
        return ((steps, text),)
    return tuple((end, _at(tree, end, steps, passed)) for end in sorted({steps, *_ends(tree, steps, passed)}))


def text_at(schedule: PromptSchedule, step: int) -> str:
    """The text of a step, counted from 0: like A1111, which compares such a step with ends counted from 1."""
    return next((text for end, text in schedule if step <= end), schedule[-1][1])


@lru_cache(maxsize=1)
def _parser() -> "Lark":
    from lark import Lark  # a third of a second, which a prompt without brackets need not wait for

    return Lark(_GRAMMAR, parser="earley", lexer="basic", keep_all_tokens=True)


@lru_cache(maxsize=16)  # a prompt is asked for by every picture of it, and a long one takes a tenth of a second
def _parsed(text: str) -> "Tree[Token] | None":
    from lark.exceptions import LarkError

    try:
        return _parser().parse(text)
    except LarkError:
        return None


def _inners(tree: "Tree[Token]") -> "list[Tree[Token]]":
    return [child for child in tree.children if not isinstance(child, str) and child is not None]


def _when(tree: "Tree[Token]", steps: int, passed: int | None) -> int:
    number = str(tree.children[-2])
    share = "." in number
    step = (float(number) - (passed is not None)) * steps if share else float(number) - (passed or 0)
    return int(min(max(step, 0), steps))  # bounded first: "1e999" is infinite


def _ends(tree: "Tree[Token]", steps: int, passed: int | None) -> Iterator[int]:
    for node in tree.iter_subtrees():
        if node.data == "scheduled" and _when(node, steps, passed) >= 1:
            yield _when(node, steps, passed)
        if node.data == "alternated":
            yield from range(1, steps + 1)


def _at(node: "Tree[Token] | Token | None", step: int, steps: int, passed: int | None) -> str:
    if node is None or isinstance(node, str):
        return node or ""
    chosen: Sequence[Tree[Token] | Token | None] = node.children
    if node.data == "scheduled":
        *before, after = _inners(node)
        chosen = before if step <= _when(node, steps, passed) else [after]
    elif node.data == "alternated":
        options = _inners(node)
        chosen = [options[(step - 1) % len(options)]]
    return "".join(_at(child, step, steps, passed) for child in chosen)
