"""What is said to people on stdout while a service runs."""

import os
import sys

import click


def say(text: str, *, error: bool = False) -> None:
    """Print a line, errors on stderr. Serving goes on even if nobody listens any more."""
    try:
        click.echo(text, err=error)
    except (OSError, ValueError):
        # What was not taken stays in the stream, and would fail once more at exit.
        if sys.stdout is not None:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
