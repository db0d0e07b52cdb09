"""The command line: parse, call, print, exit status. Only here is anything printed."""

from __future__ import annotations

import sys
from typing import NoReturn


def main() -> NoReturn:
    """Run the command line with this process's arguments and exit."""
    from neuron_schema.cli.entry import run

    sys.exit(run(sys.argv[1:]))
