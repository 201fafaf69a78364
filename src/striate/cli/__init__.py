"""The command line: thin layers that parse, call and print. `main` is what `striate` runs."""

from striate.cli.app import main

__all__ = ["main"]
