"""What may be shown on a terminal of texts that come from files, and how mistakes are."""

import sys


def printable(text: str) -> str:
    """``text`` in which all that a terminal would obey, or could not write, stands as Python escapes it.

    >>> printable("a\\x1b[2J\\n\\ud800")
    'a\\\\x1b[2J\\\\n\\\\ud800'
    """
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


def tell_mistake(message: str) -> None:
    """Say in one line of the standard error what is wrong."""
    print(f"calotype: {printable(' '.join(message.split()))}", file=sys.stderr)
