"""The command line: parse, call, print, exit status. Only here is anything printed."""

from __future__ import annotations

import sys
from typing import NoReturn

_INTERRUPTED = 130


def main() -> NoReturn:
    """Run the command line with this process's arguments and exit."""
    try:
        from neuron_schema.cli.entry import run
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
    sys.exit(run(sys.argv[1:]))
