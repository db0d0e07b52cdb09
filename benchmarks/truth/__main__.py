"""``python -m benchmarks.truth``: measure statements, judge them, ask squawk, write the page."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.truth import ours, squawk, table
from benchmarks.truth.statements import EXAMPLES
from neuron_schema.proof.shadow import connected, open_shadow

if TYPE_CHECKING:
    from collections.abc import Sequence

PAGE: Final = Path(__file__).parents[2] / "docs" / "truth.md"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the page; return 1 where one of our verdicts is wrong, and 2 without squawk."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.truth",
        description="Measure statements, and compare what neuron-schema and squawk say of them.",
    )
    parser.add_argument("--squawk", metavar="PATH", help="squawk's executable; else that on PATH")
    parser.add_argument("--output", type=Path, default=PAGE, metavar="FILE", help="the page")
    given = parser.parse_args(arguments)
    try:
        executable = squawk.find(given.squawk)
    except squawk.SquawkMissingError as error:
        print(error, file=sys.stderr)
        return 2
    with open_shadow() as shadow, ours.bench(shadow) as bench:
        with connected(shadow.address) as connection:
            server = str(connection.info.parameter_status("server_version")).partition(" ")[0]
        told = {example.name: bench.tell(example) for example in EXAMPLES}
    theirs = {example.name: squawk.tell(executable, example) for example in EXAMPLES}
    about = (server, squawk.version(executable), squawk.PG_VERSION)
    given.output.parent.mkdir(exist_ok=True)
    given.output.write_text(table.page(EXAMPLES, told, theirs, about), encoding="utf-8")
    wrong = {name: each for name, each in told.items() if each.verdict != "right"}
    for name, each in wrong.items():
        print(f"{each.verdict}: {name}: {', '.join(each.names)} ({each.measured})")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
