"""The one exception that is addressed to a person: one line, what is wrong, where, what to do."""


class CalotypeError(ValueError):
    """A mistake a user can mend. The command line prints its message alone and exits with status 2."""


def lacking(doing: str, package: str | None, extra: str) -> CalotypeError:
    """What to say where a package is not installed that an ``extra`` of Calotype's brings."""
    return CalotypeError(
        f"{doing} needs {package}: pip install 'calotype[{extra}]', or in a checkout pip install -e '.[{extra}]'."
    )
