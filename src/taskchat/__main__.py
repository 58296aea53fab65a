"""`python -m taskchat` is `taskchat`."""

from taskchat.cli import main

main(prog_name="taskchat")
