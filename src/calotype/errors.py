"""The one exception that is addressed to a person: one line, what is wrong, where, what to do."""


class CalotypeError(ValueError):
    """A mistake a user can mend. The command line prints its message alone and exits with status 2."""
