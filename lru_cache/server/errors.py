"""What ends a command: one line for the person who gave it. This file must not import anything."""


class CommandError(Exception):
    """The command cannot be carried out; the message says why, in one line."""
