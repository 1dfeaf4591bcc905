"""The command line: parses, wires and starts; every rule lives elsewhere."""

from opsconsole.cli.program import main

__all__ = ["main"]
